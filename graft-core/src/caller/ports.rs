//! The caller's end of calls with streams and handles.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::Stream;
use futures::task::AtomicWaker;

use super::Caller;
use super::callback::Callback;
use crate::{
    Call, CallError, CallState, Clearance, Decision, Done, Fault, FaultCode, Interceptor, Invoke, Items,
    Label, Labeled, Leaf, Leaves, Metadata, Method, Outcome, Path, Payload, Port, Ports, Reply, Segment,
    ShapeCheck, Slot, ToolMetadata, Visit, Watch,
};

impl Caller {
    /// Calls `method` with `args` among which there are ports, each item of a stream past the interceptors before
    /// it leaves. One that is refused ends its stream and the call.
    ///
    /// # Errors
    /// As [`Caller::call`].
    pub async fn call_with<A, R, E>(
        &self,
        method: &'static Method,
        args: A,
    ) -> Result<Labeled<R>, CallError<E>>
    where
        A: Payload + Ports,
        R: Payload,
        E: Payload,
    {
        let (live, value, label) = self.begin::<A, R, E>(method, args).await?;
        let label = live.finish(Reply::new(Outcome::Value(&value), label))?;
        Ok(Labeled::new(value, label))
    }

    /// Calls `method`, which returns a stream of items that `check` checks where they come in encoded. The call
    /// goes on until the stream ends.
    ///
    /// # Errors
    /// As [`Caller::call`], up to the reply; what happens later is an item of the stream.
    pub async fn stream<A, T, E>(
        &self,
        method: &'static Method,
        args: A,
        check: ShapeCheck,
    ) -> Result<LabeledItems<T>, CallError<E>>
    where
        A: Payload + Ports,
        T: Payload,
        E: Payload,
    {
        let (live, mut items, label) = self.begin::<A, Items<T>, E>(method, args).await?;
        items.attach(&live.0.meta, check, FaultCode::InvalidReply);
        Ok(LabeledItems { items, live, label, is_over: false })
    }

    /// The call up to its reply.
    async fn begin<A, R, E>(
        &self,
        method: &'static Method,
        mut args: A,
    ) -> Result<(Live, R, Label), CallError<E>>
    where
        A: Payload + Ports,
        R: Payload,
        E: Payload,
    {
        let mut live = Live(Arc::new(Ongoing::new(self, method)));
        let before = live.0.before(self, &args);
        live.adopt_span();
        let ongoing = &live.0;
        let declared = ongoing.declared.clone();
        let sent = match before {
            Ok(label) => {
                let watch: Arc<dyn Watch> = ongoing.clone();
                let mut can_repeat = true;
                args.each_port(&mut |name, check, port| {
                    can_repeat = false; // a stream leaves once
                    port.attach(&ongoing.meta, check, FaultCode::InvalidArgument);
                    port.watch(name, &watch);
                });
                let mut slot = Slot::<A, R, E>::new(method, args);
                let mut request = method.request(&ongoing.meta, &label);
                request.is_idempotent &= can_repeat;
                let call = self.channel.call(request, &mut slot);
                Unrefused { call, ongoing }.await.map(|received| (slot, received))
            }
            Err(fault) => Err(fault),
        };
        let outcome = sent.and_then(|(slot, received)| {
            let lost = || Fault::new(FaultCode::Internal, ongoing.meta.trace.trace);
            slot.into_outcome().ok_or_else(lost).map(|outcome| (outcome, declared.join(&received)))
        });
        match outcome {
            Ok((Ok(value), label)) => Ok((live, value, label)),
            Ok((Err(error), label)) => {
                let label = live.finish(Reply::new(Outcome::DomainError(&error), label))?;
                Err(CallError::Domain(Labeled::new(error, label)))
            }
            Err(fault) => {
                live.finish(Reply::new(Outcome::Fault(&fault), declared))?;
                Err(fault.into())
            }
        }
    }
}

/// A call with ports, from `before` to `after`, and beyond it while its ports live.
pub(super) struct Ongoing {
    interceptors: Arc<[Arc<dyn Interceptor>]>,
    pub(super) clearance: Clearance,
    pub(super) method: &'static Method,
    meta: Metadata,
    /// That of the arguments, as the host knows it.
    label: Label,
    /// That of whatever comes back, before anybody looks at it.
    pub(super) declared: Label,
    progress: Mutex<Progress>,
    /// Whoever waits for the reply, or for an item of it.
    waiting: AtomicWaker,
}

#[derive(Default)]
struct Progress {
    state: CallState,
    /// How many interceptors saw the call and have yet to see its end.
    ran: usize,
    /// Why an item was not let through.
    refused: Option<Fault>,
}

impl Ongoing {
    fn new(caller: &Caller, method: &'static Method) -> Self {
        Self {
            interceptors: caller.interceptors.clone(),
            clearance: caller.channel.clearance(),
            method,
            meta: caller.metadata(),
            label: caller.label.clone(),
            declared: caller.declared(method),
            progress: Mutex::default(),
            waiting: AtomicWaker::new(),
        }
    }

    /// What guards made of the call so far.
    pub(super) fn state(&self) -> CallState {
        self.progress().state.clone()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cleared(&self, label: &Label) -> Result<(), Fault> {
        match self.clearance.admits(label) {
            true => Ok(()),
            false => Err(Fault::new(FaultCode::ClearanceExceeded, self.meta.trace.trace)),
        }
    }

    fn before(&self, caller: &Caller, args: &(dyn Leaves + Sync)) -> Result<Label, Fault> {
        let mut progress = self.progress();
        let mut call = Call::new(&self.method.tool, &self.meta, args);
        call.state = CallState::under(&self.label, caller.parent());
        let mut result = Ok(());
        for interceptor in &*self.interceptors {
            progress.ran += 1;
            result = interceptor.before(&mut call);
            if result.is_err() {
                break;
            }
        }
        progress.state = call.state;
        caller.settle(self.method, &mut progress.state);
        result?;
        self.cleared(progress.state.label())?;
        Ok(progress.state.label().clone())
    }

    /// Tells the interceptors how the call ended, once; gives the label under which the reply is seen.
    fn finish(&self, mut reply: Reply<'_>) -> Result<Label, Fault> {
        let mut progress = self.progress();
        let ran = std::mem::take(&mut progress.ran);
        let done = Done { tool: &self.method.tool, meta: &self.meta, state: &progress.state };
        let mut result = Ok(());
        for interceptor in self.interceptors[..ran].iter().rev() {
            result = result.and(interceptor.after(&done, &mut reply));
        }
        result.map(|()| reply.label().clone())
    }

    /// Shows the interceptors something that came back before the end.
    pub(super) fn came(
        &self,
        tool: &ToolMetadata,
        state: &CallState,
        mut reply: Reply<'_>,
    ) -> Result<Label, Fault> {
        let done = Done { tool, meta: &self.meta, state };
        let mut result = Ok(());
        for interceptor in self.interceptors.iter().rev() {
            result = result.and(interceptor.after_item(&done, &mut reply));
        }
        result.map(|()| reply.label().clone())
    }

    fn refused(&self, cx: &Context<'_>) -> Option<Fault> {
        self.waiting.register(cx.waker());
        self.progress().refused.clone()
    }
}

impl Watch for Ongoing {
    fn item(&self, name: &'static str, item: &(dyn Leaves + Sync)) -> Result<(), Fault> {
        let mut progress = self.progress();
        if let Some(fault) = &progress.refused {
            return Err(fault.clone());
        }
        let args = Member { name, value: item };
        let mut call = Call::new(&self.method.tool, &self.meta, &args);
        call.state = progress.state.clone();
        let mut result = self.interceptors.iter().try_for_each(|each| each.before_item(&mut call));
        result = result.and_then(|()| self.cleared(call.label()));
        let before = std::mem::replace(&mut progress.state, call.state);
        // What was found in one item is not forgotten over the next.
        let is_clear = |state: &CallState| {
            let verdict = state.verdict.as_ref();
            verdict.is_none_or(|verdict| verdict.decision == Decision::Allow && verdict.signals.is_empty())
        };
        if is_clear(&progress.state) {
            progress.state.verdict = before.verdict;
        }
        if let Err(fault) = &result {
            progress.refused = Some(fault.clone());
            drop(progress);
            self.waiting.wake();
        }
        result
    }

    fn object(self: Arc<Self>, object: Arc<dyn Invoke>) -> Arc<dyn Invoke> {
        Arc::new(Callback::new(self, object))
    }

    /// Nobody calls what the caller itself called.
    fn arguments(&self, _: &(dyn Leaves + Sync), _: &Label) -> Result<(), Fault> {
        Ok(())
    }
}

/// One item, under the name of its parameter.
pub(super) struct Member<'a> {
    pub(super) name: &'static str,
    pub(super) value: &'a (dyn Leaves + Sync),
}

impl Leaves for Member<'_> {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        self.value.visit(&path.join(Segment::Field(self.name)), visit);
    }
}

/// The call while somebody waits for it. Dropped before it ended, it was cancelled, and the interceptors are told.
struct Live(Arc<Ongoing>);

impl Live {
    /// Nobody else has the call yet when an interceptor has opened a span for it.
    fn adopt_span(&mut self) {
        if let Some(ongoing) = Arc::get_mut(&mut self.0) {
            let progress = ongoing.progress.get_mut().unwrap_or_else(PoisonError::into_inner);
            ongoing.meta.adopt(&progress.state);
        }
    }

    fn finish(&self, reply: Reply<'_>) -> Result<Label, Fault> {
        self.0.finish(reply)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let fault = Fault::new(FaultCode::Cancelled, self.0.meta.trace.trace);
        // The caller is gone; whom to tell is the interceptors' concern. After the end there is nobody to tell.
        let _ = self.finish(Reply::new(Outcome::Fault(&fault), self.0.declared.clone()));
    }
}

/// Waits for a reply, or for an item of the arguments to be refused.
struct Unrefused<'a> {
    call: BoxFuture<'a, Result<Label, Fault>>,
    ongoing: &'a Ongoing,
}

impl Future for Unrefused<'_> {
    type Output = Result<Label, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.call.as_mut().poll(cx);
        match self.ongoing.refused(cx) {
            Some(fault) => Poll::Ready(Err(fault)),
            None => polled,
        }
    }
}

/// The items that a call returned, each under its label once the interceptors have seen it.
///
/// The call ends with the stream: interceptors learn of the end when the last item has come, when a fault comes
/// in place of an item, or when this is dropped before. After a fault nothing comes.
pub struct LabeledItems<T> {
    items: Items<T>,
    live: Live,
    label: Label,
    is_over: bool,
}

impl<T: 'static> LabeledItems<T> {
    /// The label under which the stream as a whole came; no item's label is below it.
    pub fn label(&self) -> &Label {
        &self.label
    }

    fn end(&mut self, fault: Option<Fault>) -> Option<Fault> {
        self.is_over = true;
        self.items.close();
        let outcome = fault.as_ref().map_or(Outcome::Value(&Over), Outcome::Fault);
        let told = self.live.finish(Reply::new(outcome, self.label.clone()));
        told.err().or(fault)
    }
}

impl<T: Payload> LabeledItems<T> {
    fn came(&self, item: T) -> Result<Labeled<T>, Fault> {
        let ongoing = &self.live.0;
        let state = ongoing.state();
        let reply = Reply::new(Outcome::Value(&item), self.label.clone());
        let label = ongoing.came(&ongoing.method.tool, &state, reply)?;
        Ok(Labeled::new(item, label))
    }
}

impl<T: Payload> Stream for LabeledItems<T> {
    type Item = Result<Labeled<T>, Fault>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut this.items).poll_next(cx);
        let polled = match this.live.0.refused(cx) {
            Some(fault) => Poll::Ready(Some(Err(fault))),
            None => polled,
        };
        polled.map(|item| match item.map(|item| item.and_then(|item| this.came(item))) {
            Some(Ok(item)) => Some(Ok(item)),
            Some(Err(fault)) => this.end(Some(fault)).map(Err),
            None => this.end(None).map(Err),
        })
    }
}

impl<T> fmt::Debug for LabeledItems<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LabeledItems([{}])", self.label)
    }
}

/// What a stream returned as a whole: its items were seen one by one.
struct Over;

impl Leaves for Over {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Empty);
    }
}
