//! Where calls are seen: the caller's end and the callee's.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use graft_core::{
    Body, Call, CallId, Done, EncodedBody, Fault, FaultCode, Interceptor, InterfaceId, Invoke, Label,
    Metadata, Method, MethodId, Reply, ReplyKind, Request, RunId,
};

use super::{CallEnd, Kept, Observe, Observer};

/// The most calls of the caller's end that one [`Observe`](super::Observe) watches at a time. What is beyond goes
/// on unwatched.
pub const MAX_UNDER_WAY: usize = 1 << 16;

/// The calls between `before` and `after`, by run and number, which no two calls of a process share.
pub(super) struct UnderWay<K> {
    calls: Mutex<HashMap<(RunId, CallId), K>>,
    /// How many there are, so that nobody waits for the lock to find none.
    count: AtomicUsize,
}

impl<K> Default for UnderWay<K> {
    fn default() -> Self {
        Self { calls: Mutex::default(), count: AtomicUsize::new(0) }
    }
}

impl<K> UnderWay<K> {
    fn calls(&self) -> MutexGuard<'_, HashMap<(RunId, CallId), K>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= MAX_UNDER_WAY
    }

    fn insert(&self, meta: &Metadata, kept: K) {
        let mut calls = self.calls();
        let replaced = calls.insert((meta.run, meta.call), kept);
        self.count.store(calls.len(), Ordering::Relaxed);
        drop(calls);
        drop(replaced); // an observer's own code, so not under the lock
    }

    fn take(&self, meta: &Metadata) -> Option<K> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut calls = self.calls();
        let kept = calls.remove(&(meta.run, meta.call));
        self.count.store(calls.len(), Ordering::Relaxed);
        kept
    }

    pub(super) fn find<T>(&self, meta: &Metadata, read: impl FnOnce(&K) -> T) -> Option<T> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.calls().get(&(meta.run, meta.call)).map(read)
    }
}

/// The caller's end.
pub(super) struct Calls<O: Observer>(pub(super) Observe<O>);

impl<O: Observer> Interceptor for Calls<O> {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Fault> {
        let watching = &self.0;
        if watching.observer.is_on() && !watching.under_way.is_full() {
            let kept = watching.begin_client(call);
            call.state.span = watching.observer.span(&kept.call).or(call.state.span);
            watching.under_way.insert(call.meta, kept);
        }
        Ok(())
    }

    fn after(&self, done: &Done<'_>, reply: &mut Reply<'_>) -> Result<(), Fault> {
        if let Some(kept) = self.0.under_way.take(done.meta) {
            self.0.end(kept, reply.outcome.into());
        }
        Ok(())
    }

    fn before_item(&self, _: &mut Call<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn after_item(&self, _: &Done<'_>, _: &mut Reply<'_>) -> Result<(), Fault> {
        Ok(())
    }
}

/// The callee's end.
pub(super) struct Service<O: Observer> {
    pub(super) watching: Observe<O>,
    pub(super) service: Arc<dyn Invoke>,
    pub(super) methods: &'static [Method],
}

impl<O: Observer> Invoke for Service<O> {
    fn interface(&self) -> InterfaceId {
        self.service.interface()
    }

    fn hosts(&self, interface: InterfaceId) -> bool {
        self.service.hosts(interface)
    }

    fn method(&self, id: MethodId) -> Option<&Method> {
        self.service.method(id)
    }

    fn invoke<'a>(&'a self, request: Request<'a>, body: Body<'a>) -> BoxFuture<'a, Result<Label, Fault>> {
        if !self.watching.observer.is_on() {
            return self.service.invoke(request, body);
        }
        Box::pin(async move {
            let known =
                |method: &&Method| (method.interface, method.id) == (request.interface, request.method);
            let name = self.methods.iter().find(known).map(|method| &method.tool.name);
            let watching = &self.watching;
            let mut served = Served { watching, kept: Some(watching.begin_server(&request, name)) };
            let (answer, kind) = match body {
                Body::Typed(typed) => {
                    let answer = served.step(|| self.service.invoke(request, Body::Typed(&mut *typed)));
                    let answer = Steps { served: &served, answer }.await;
                    (answer, typed.reply_kind())
                }
                Body::Encoded(EncodedBody { args, reply, kind }) => {
                    let body = EncodedBody { args, reply: &mut *reply, kind: &mut *kind };
                    let answer = served.step(|| self.service.invoke(request, Body::Encoded(body)));
                    let answer = Steps { served: &served, answer }.await;
                    (answer, Some(*kind))
                }
            };
            served.end(match (&answer, kind) {
                (Err(fault), _) => CallEnd::Fault(fault.code()),
                (Ok(_), Some(ReplyKind::Ok)) => CallEnd::Value,
                (Ok(_), Some(ReplyKind::Err)) => CallEnd::DomainError,
                (Ok(_), None) => CallEnd::Fault(FaultCode::Internal),
            });
            answer
        })
    }
}

/// A call that is carried out. Dropped before it ended, nobody waits for it any more, or the method panicked.
struct Served<'a, O: Observer> {
    watching: &'a Observe<O>,
    kept: Option<Kept<O>>,
}

impl<O: Observer> Served<'_, O> {
    fn step<R>(&self, step: impl FnOnce() -> R) -> R {
        match &self.kept {
            Some(kept) => self.watching.observer.within(&kept.call, step),
            None => step(),
        }
    }

    fn end(&mut self, end: CallEnd) {
        if let Some(kept) = self.kept.take() {
            self.watching.end(kept, end);
        }
    }
}

impl<O: Observer> Drop for Served<'_, O> {
    fn drop(&mut self) {
        let code = if std::thread::panicking() { FaultCode::Internal } else { FaultCode::Cancelled };
        self.end(CallEnd::Fault(code));
    }
}

/// Polls the method as a part of its call.
struct Steps<'a, O: Observer> {
    served: &'a Served<'a, O>,
    answer: BoxFuture<'a, Result<Label, Fault>>,
}

impl<O: Observer> Future for Steps<'_, O> {
    type Output = Result<Label, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let served = self.served;
        served.step(|| self.answer.as_mut().poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Begun, Ended};
    use graft_core::{ManualClock, Name, ToolMetadata};

    struct Count(AtomicUsize);

    impl Observer for Count {
        type Call = ();

        fn begin(&self, _: &Begun<'_, ()>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn end(&self, _: (), _: &Ended<'_>) {}
    }

    #[test]
    fn calls_under_way_are_bounded_and_forgotten_when_they_end() {
        let observe = Observe::new(Count(AtomicUsize::new(0)), Arc::new(ManualClock::default()));
        let calls = Calls(observe.clone());
        let tool = ToolMetadata::new(Name::from_static("a.b"));
        let metas: Vec<_> =
            (0..MAX_UNDER_WAY as u64 + 3).map(|n| Metadata::new(RunId([1; 16]), CallId(n))).collect();
        for meta in &metas {
            calls.before(&mut Call::new(&tool, meta, &())).expect("goes on");
        }
        assert_eq!(observe.observer().0.load(Ordering::Relaxed), MAX_UNDER_WAY);
        let state = Default::default();
        for meta in &metas {
            let done = Done { tool: &tool, meta, state: &state };
            calls
                .after(&done, &mut Reply::new(graft_core::Outcome::Value(&()), Label::default()))
                .expect("goes on");
        }
        assert_eq!(
            (observe.under_way.count.load(Ordering::Relaxed), observe.under_way.calls().len()),
            (0, 0)
        );
    }
}
