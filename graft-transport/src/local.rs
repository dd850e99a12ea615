//! The channel that stays in the process.

use std::sync::Arc;

use futures::future::{BoxFuture, ready};
use graft_core::{
    Channel, Clearance, Clock, Fault, FaultCode, Label, Request, Router, TypedBody, invoke_here,
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
        match self.router.route(request.interface) {
            Some(service) => invoke_here(service, Some(&*self.clock), request, body),
            None => {
                let fault = Fault::new(FaultCode::ContractMismatch, request.meta.trace.trace);
                Box::pin(ready(Err(fault)))
            }
        }
    }

    /// Always: it is this process.
    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(ready(Ok(true)))
    }
}
