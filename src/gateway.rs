//! The host's end: interfaces in the application's own process.

use std::sync::Arc;

use graft_core::{Channel, Clock, Invoke, Router};
use graft_transport::LocalChannel;
use graft_ugm::Described;

use crate::SystemClock;

/// Hosts interfaces in the application's own process. It publishes nothing.
///
/// Callers in the same process reach it through [`Gateway::local`], others through a server that is given
/// [`Gateway::router`].
#[derive(Clone)]
pub struct Gateway {
    router: Router,
    clock: Arc<dyn Clock>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self::new()
    }
}

impl Gateway {
    /// A gateway that hosts nothing yet, on the machine's clock.
    pub fn new() -> Self {
        Self { router: Router::default(), clock: Arc::new(SystemClock::new()) }
    }

    /// The same on another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Hosts `service` too.
    #[must_use]
    pub fn host<S: Described>(self, service: Arc<S>) -> Self {
        Self { router: self.router.with(service.dispatcher()), ..self }
    }

    /// Hosts what `dispatcher` carries out too: an interface with something around it, such as
    /// [`Observe::service`](crate::observe::Observe::service), or one that was not generated.
    #[must_use]
    pub fn host_dispatcher(self, dispatcher: Arc<dyn Invoke>) -> Self {
        Self { router: self.router.with(dispatcher), ..self }
    }

    /// The hosted interfaces, for a server.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    #[cfg(feature = "tcp")]
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// A channel that stays in this process: no runtime, no serialisation, any clearance.
    pub fn local(&self) -> Arc<dyn Channel> {
        Arc::new(LocalChannel::new(self.router(), self.clock.clone()))
    }

    /// Serves on `addr` until the server is dropped. Port 0 takes a free one.
    ///
    /// # Errors
    /// If the address cannot be listened on or there is no tokio runtime.
    #[cfg(feature = "tcp")]
    pub fn serve_tcp(
        &self,
        addr: impl std::net::ToSocketAddrs,
        options: graft_transport::RemoteOptions,
    ) -> Result<graft_transport::Server, graft_transport::net::BindError> {
        graft_transport::Server::tcp(addr, self.router(), options)
    }
}
