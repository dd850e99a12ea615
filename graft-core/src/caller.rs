//! The caller's end: interceptors around a channel.

mod beside;
mod callback;
mod ports;

pub use ports::LabeledItems;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{
    Call, CallError, CallId, CallState, Channel, Clock, Credential, Deadline, Done, Fault, FaultCode,
    Interceptor, Label, Labeled, Metadata, Method, Outcome, Payload, Reply, RunId, Slot, SpanId,
    TraceContext, TraceId,
};

/// Makes calls through a channel, each one past the same interceptors. Generated clients hold one.
///
/// Cheap to clone; clones share the run and its numbering.
#[derive(Clone)]
pub struct Caller {
    channel: Arc<dyn Channel>,
    interceptors: Arc<[Arc<dyn Interceptor>]>,
    clock: Arc<dyn Clock>,
    run: RunId,
    next: Arc<AtomicU64>,
    timeout: Option<Duration>,
    credential: Option<Credential>,
    label: Label,
    beside: Option<Arc<beside::Beside>>,
}

impl Caller {
    /// A caller over `channel` for the calls of `run`, without interceptors.
    pub fn new(channel: Arc<dyn Channel>, clock: Arc<dyn Clock>, run: RunId) -> Self {
        Self {
            channel,
            interceptors: Arc::new([]),
            clock,
            run,
            next: Arc::default(),
            timeout: None,
            credential: None,
            label: Label::default(),
            beside: None,
        }
    }

    /// The same with these interceptors, outermost first.
    #[must_use]
    pub fn with_interceptors(self, interceptors: impl Into<Arc<[Arc<dyn Interceptor>]>>) -> Self {
        Self { interceptors: interceptors.into(), ..self }
    }

    /// The same, each call bounded to `timeout`.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The same, each call with `credential`.
    #[must_use]
    pub fn with_credential(self, credential: Credential) -> Self {
        Self { credential: Some(credential), ..self }
    }

    /// The same, the arguments of each call under at least `label`: what the host knows of them.
    #[must_use]
    pub fn with_argument_label(self, label: &Label) -> Self {
        Self { label: self.label.join(label), ..self }
    }

    /// The same, its calls numbered from `next`: those of a run that goes on. It shares no numbering with
    /// the caller that it was made of.
    #[must_use]
    pub fn with_next_call(self, next: CallId) -> Self {
        Self { next: Arc::new(AtomicU64::new(next.0)), ..self }
    }

    /// The number that the next call will have.
    pub fn next_call(&self) -> CallId {
        CallId(self.next.load(Ordering::Relaxed))
    }

    /// The run whose calls these are.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Calls `method` with `args`.
    ///
    /// The value comes back under the join of what the method declares and what the receiver added.
    ///
    /// # Errors
    /// [`CallError::Domain`] with the method's own error, or [`CallError::Fault`].
    pub fn call<A, R, E>(
        &self,
        method: &'static Method,
        args: A,
    ) -> impl Future<Output = Result<Labeled<R>, CallError<E>>>
    where
        A: Payload,
        R: Payload,
        E: Payload,
    {
        // The future holds the slot from the start, so that the arguments are moved once.
        self.carry(method, Slot::<A, R, E>::new(method, args))
    }

    async fn carry<A: Payload, R: Payload, E: Payload>(
        &self,
        method: &'static Method,
        mut slot: Slot<A, R, E>,
    ) -> Result<Labeled<R>, CallError<E>> {
        let state = CallState::under(&self.label, self.parent());
        let mut pending = Pending { caller: self, method, meta: self.metadata(), state, ran: 0 };
        let sent = match pending.before(&slot) {
            Ok(()) if self.channel.clearance().admits(pending.state.label()) => {
                let label = pending.state.label();
                self.channel.call(method.request(&pending.meta, label), &mut slot).await
            }
            Ok(()) => Err(Fault::new(FaultCode::ClearanceExceeded, pending.meta.trace.trace)),
            Err(fault) => Err(fault),
        };
        let label = pending.after(sent, &slot)?;
        match slot.into_outcome() {
            Some(Ok(value)) => Ok(Labeled::new(value, label)),
            Some(Err(error)) => Err(CallError::Domain(Labeled::new(error, label))),
            None => Err(Fault::new(FaultCode::Internal, pending.meta.trace.trace).into()),
        }
    }

    fn metadata(&self) -> Metadata {
        let call = CallId(self.next.fetch_add(1, Ordering::Relaxed));
        let mut meta = Metadata::new(self.run, call);
        meta.deadline = self.timeout.map(|timeout| Deadline::after(&*self.clock, timeout));
        meta.credential = self.credential.clone();
        // A run is a trace, a call a span of it; span 0 would mean absent.
        meta.trace =
            TraceContext { trace: TraceId(self.run.0), span: SpanId((call.0 + 1).to_be_bytes()), flags: 0 };
        if let Some(beside) = &self.beside {
            beside.add_to(&mut meta);
        }
        meta
    }
}

/// A call between `before` and `after`. Dropped in between, it was cancelled, and the interceptors are told.
struct Pending<'a> {
    caller: &'a Caller,
    method: &'static Method,
    meta: Metadata,
    state: CallState,
    /// How many interceptors saw the call.
    ran: usize,
}

impl Pending<'_> {
    fn before<A: Payload, R: Payload, E: Payload>(&mut self, slot: &Slot<A, R, E>) -> Result<(), Fault> {
        let Some(args) = slot.args() else {
            return Err(Fault::new(FaultCode::Internal, self.meta.trace.trace));
        };
        if self.caller.interceptors.is_empty() {
            return Ok(());
        }
        let state = std::mem::take(&mut self.state);
        let mut call = Call { tool: &self.method.tool, meta: &self.meta, args, state };
        let mut result = Ok(());
        for interceptor in &*self.caller.interceptors {
            self.ran += 1;
            result = interceptor.before(&mut call);
            if result.is_err() {
                break;
            }
        }
        self.state = call.state;
        self.caller.settle(self.method, &mut self.state);
        self.meta.adopt(&self.state);
        result
    }

    /// Tells the interceptors how the call ended; the label is that under which the caller sees the reply.
    fn after<A: Payload, R: Payload, E: Payload>(
        &mut self,
        sent: Result<Label, Fault>,
        slot: &Slot<A, R, E>,
    ) -> Result<Label, Fault> {
        let declared = self.caller.declared(self.method);
        match (sent, slot.outcome()) {
            (Ok(mut label), Some(outcome)) => {
                label.raise(&declared);
                self.finish(Reply::new(outcome, label))
            }
            (Ok(received), None) => {
                let lost = Fault::new(FaultCode::Internal, self.meta.trace.trace);
                self.finish(Reply::new(Outcome::Fault(&lost), declared.join(&received)))
            }
            (Err(fault), _) => self.finish(Reply::new(Outcome::Fault(&fault), declared)).and(Err(fault)),
        }
    }

    #[inline]
    fn finish(&mut self, reply: Reply<'_>) -> Result<Label, Fault> {
        if self.ran == 0 { Ok(reply.into_label()) } else { self.tell(reply) }
    }

    fn tell(&mut self, mut reply: Reply<'_>) -> Result<Label, Fault> {
        let done = Done { tool: &self.method.tool, meta: &self.meta, state: &self.state };
        let ran = std::mem::take(&mut self.ran);
        let mut result = Ok(());
        for interceptor in self.caller.interceptors[..ran].iter().rev() {
            result = result.and(interceptor.after(&done, &mut reply));
        }
        result.map(|()| reply.into_label())
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.ran > 0 {
            let fault = Fault::new(FaultCode::Cancelled, self.meta.trace.trace);
            // The caller is gone; whom to tell is the interceptors' concern.
            let _ = self.tell(Reply::new(Outcome::Fault(&fault), self.method.label.clone()));
        }
    }
}
