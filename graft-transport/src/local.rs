//! The channel that stays in the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, ready};
use graft_core::{
    Body, Channel, Clearance, Clock, Deadline, Fault, FaultCode, Label, Request, Router, TraceId, TypedBody,
};

/// Hands calls to a [`Router`] in the same process: nothing is copied or serialised, and no runtime is needed.
///
/// The caller's task runs the method. A deadline is looked at before the call and each time the future is
/// polled; there is no timer that would wake it. A panic in user code ends its own call in
/// [`FaultCode::Internal`] and touches no other.
pub struct LocalChannel {
    router: Router,
    clock: Arc<dyn Clock>,
}

impl LocalChannel {
    /// A channel to what `router` hosts, its deadlines on `clock`.
    pub fn new(router: Router, clock: Arc<dyn Clock>) -> Self {
        Self { router, clock }
    }
}

impl Channel for LocalChannel {
    fn clearance(&self) -> Clearance {
        Clearance::IN_PROCESS
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        let trace = request.meta.trace.trace;
        let fail = |code| -> BoxFuture<'a, _> { Box::pin(ready(Err(Fault::new(code, trace)))) };
        let Some(service) = self.router.route(request.interface) else {
            return fail(FaultCode::ContractMismatch);
        };
        let deadline = request.meta.deadline.map(|deadline| (deadline, &*self.clock));
        if is_late(deadline) {
            return fail(FaultCode::DeadlineExceeded);
        }
        match catch_unwind(AssertUnwindSafe(|| service.invoke(request, Body::Typed(body)))) {
            Ok(invoked) => Box::pin(LocalCall { invoked, deadline, trace }),
            Err(_) => fail(FaultCode::Internal),
        }
    }

    /// Always: it is this process.
    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(ready(Ok(true)))
    }
}

type DeadlineOn<'a> = Option<(Deadline, &'a dyn Clock)>;

fn is_late(deadline: DeadlineOn<'_>) -> bool {
    deadline.is_some_and(|(deadline, clock)| deadline.remaining(clock).is_none())
}

/// Written by hand, so that what is boxed for each call is this and not a state machine around it.
struct LocalCall<'a> {
    invoked: BoxFuture<'a, Result<Label, Fault>>,
    deadline: DeadlineOn<'a>,
    trace: TraceId,
}

impl Future for LocalCall<'_> {
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
