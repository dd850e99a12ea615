//! The two ends of a call: a [`Channel`] takes it away, an [`Invoke`] carries it out.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::{Body, Clearance, Fault, FaultCode, InterfaceId, Label, Method, MethodId, Request, TypedBody};

/// Carries calls to whoever hosts the interface. Implement it to add a transport.
#[doc(alias = "Hypertube")]
#[doc(alias = "runtime call channel")]
pub trait Channel: Send + Sync {
    /// What may cross.
    fn clearance(&self) -> Clearance;

    /// Carries one call: the arguments leave `body`, the reply is put into it. Returns the label that the
    /// receiver gave the reply. Dropping the future cancels the call.
    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>>;

    /// Asks the other end whether it takes calls. It says yes or no and nothing else, to anybody.
    ///
    /// # Errors
    /// [`FaultCode::Unavailable`] if there is no answer.
    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>>;
}

/// Carries out calls: a dispatcher generated for an interface, or several behind a router.
pub trait Invoke: Send + Sync {
    /// The contract that is hosted.
    fn interface(&self) -> InterfaceId;

    /// Whether calls for `interface` end here.
    fn hosts(&self, interface: InterfaceId) -> bool {
        self.interface() == interface
    }

    /// What is known of one of its methods: what a receiver names it by in its records. Unknown unless said.
    fn method(&self, id: MethodId) -> Option<&Method> {
        let _ = id;
        None
    }

    /// Carries out one call and returns the label of the reply that it put into `body`.
    fn invoke<'a>(&'a self, request: Request<'a>, body: Body<'a>) -> BoxFuture<'a, Result<Label, Fault>>;
}

/// Sends each call to the dispatcher that hosts its interface.
#[derive(Clone, Default)]
pub struct Router {
    services: Vec<Arc<dyn Invoke>>,
}

impl Router {
    /// Adds a dispatcher. The first that hosts an interface gets its calls.
    #[must_use]
    pub fn with(mut self, service: Arc<dyn Invoke>) -> Self {
        self.services.push(service);
        self
    }

    /// The contracts that are hosted.
    pub fn interfaces(&self) -> impl Iterator<Item = InterfaceId> + '_ {
        self.services.iter().map(|service| service.interface())
    }

    /// The dispatcher to which calls for `interface` go.
    #[inline]
    pub fn route(&self, interface: InterfaceId) -> Option<&dyn Invoke> {
        self.services.iter().find(|service| service.hosts(interface)).map(|service| &**service)
    }

    /// Carries out one call.
    ///
    /// # Errors
    /// [`FaultCode::ContractMismatch`] if no dispatcher hosts exactly this contract, or what the
    /// dispatcher says.
    pub async fn invoke<'a>(&'a self, request: Request<'a>, body: Body<'a>) -> Result<Label, Fault> {
        match self.route(request.interface) {
            Some(service) => service.invoke(request, body).await,
            None => Err(Fault::new(FaultCode::ContractMismatch, request.meta.trace.trace)),
        }
    }
}
