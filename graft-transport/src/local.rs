//! The channel that stays in the process.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures::FutureExt;
use futures::future::{BoxFuture, poll_fn};
use graft_core::{Body, Channel, Clearance, Clock, Fault, FaultCode, Label, Request, Router, TypedBody};

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
        Box::pin(async move {
            let trace = request.meta.trace.trace;
            let deadline = request.meta.deadline;
            let late = || deadline.is_some_and(|deadline| deadline.remaining(&*self.clock).is_none());
            if late() {
                return Err(Fault::new(FaultCode::DeadlineExceeded, trace));
            }
            // What a panic leaves half done is the slot of this very call, which nobody reads after a fault.
            let invoked = AssertUnwindSafe(self.router.invoke(request, Body::Typed(body))).catch_unwind();
            let mut invoked = pin!(invoked);
            poll_fn(|cx| {
                let polled = invoked.as_mut().poll(cx);
                if late() {
                    return Poll::Ready(Err(Fault::new(FaultCode::DeadlineExceeded, trace)));
                }
                polled.map(|result| result.unwrap_or_else(|_| Err(Fault::new(FaultCode::Internal, trace))))
            })
            .await
        })
    }
}
