//! The channel to one object of this process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, ready};

use crate::{
    Body, Channel, Clearance, Clock, Deadline, Fault, FaultCode, Invoke, Label, Request, TraceId, TypedBody,
};

/// Hands calls to one object in the same process: what a handle is while it has not left.
///
/// The caller's task runs the method. A panic in user code ends its own call in [`FaultCode::Internal`]. With a
/// clock a deadline is looked at before the call and each time the future is polled; there is no timer.
#[derive(Clone)]
pub struct Hosted {
    object: Arc<dyn Invoke>,
    clock: Option<Arc<dyn Clock>>,
}

impl Hosted {
    /// A channel to `object` that heeds no deadline.
    pub fn new(object: Arc<dyn Invoke>) -> Self {
        Self { object, clock: None }
    }

    /// The same, its deadlines on `clock`.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock: Some(clock), ..self }
    }
}

impl Channel for Hosted {
    fn clearance(&self) -> Clearance {
        Clearance::IN_PROCESS
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        if !self.object.hosts(request.interface) {
            let fault = Fault::new(FaultCode::ContractMismatch, request.meta.trace.trace);
            return Box::pin(ready(Err(fault)));
        }
        invoke_here(&*self.object, self.clock.as_deref(), request, body)
    }

    /// Always: it is this process.
    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(ready(Ok(true)))
    }
}

/// Has `object` carry out a call in the caller's own task: a panic in user code ends the call in
/// [`FaultCode::Internal`], and with a clock its deadline is looked at before it begins and at each poll.
///
/// For channels that stay in the process. Whether the object hosts the interface is theirs to ask.
pub fn invoke_here<'a>(
    object: &'a dyn Invoke,
    clock: Option<&'a dyn Clock>,
    request: Request<'a>,
    body: &'a mut dyn TypedBody,
) -> BoxFuture<'a, Result<Label, Fault>> {
    let trace = request.meta.trace.trace;
    let fail = |code| -> BoxFuture<'a, _> { Box::pin(ready(Err(Fault::new(code, trace)))) };
    let deadline = request.meta.deadline.zip(clock);
    if is_late(deadline) {
        return fail(FaultCode::DeadlineExceeded);
    }
    match catch_unwind(AssertUnwindSafe(|| object.invoke(request, Body::Typed(body)))) {
        Ok(invoked) => Box::pin(HostedCall { invoked, deadline, trace }),
        Err(_) => fail(FaultCode::Internal),
    }
}

type DeadlineOn<'a> = Option<(Deadline, &'a dyn Clock)>;

fn is_late(deadline: DeadlineOn<'_>) -> bool {
    deadline.is_some_and(|(deadline, clock)| deadline.remaining(clock).is_none())
}

/// Written by hand, so that what is boxed for each call is this and not a state machine around it.
struct HostedCall<'a> {
    invoked: BoxFuture<'a, Result<Label, Fault>>,
    deadline: DeadlineOn<'a>,
    trace: TraceId,
}

impl Future for HostedCall<'_> {
    type Output = Result<Label, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // What a panic leaves half done is the body of this very call, which nobody reads after a fault.
        let polled = catch_unwind(AssertUnwindSafe(|| self.invoked.as_mut().poll(cx)));
        if is_late(self.deadline) {
            return Poll::Ready(Err(Fault::new(FaultCode::DeadlineExceeded, self.trace)));
        }
        polled.unwrap_or_else(|_| Poll::Ready(Err(Fault::new(FaultCode::Internal, self.trace))))
    }
}
