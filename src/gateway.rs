//! The host's end: interfaces in the application's own process.

use std::sync::Arc;

use graft_core::{Channel, Clock, Invoke, Router};
#[cfg(feature = "tcp")]
use graft_core::{DigestKey, Recorder};
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
    #[cfg(feature = "tcp")]
    recorder: Option<Arc<dyn Recorder>>,
    #[cfg(feature = "tcp")]
    digest_key: Option<DigestKey>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self::new()
    }
}

impl Gateway {
    /// A gateway that hosts nothing yet, on the machine's clock.
    pub fn new() -> Self {
        Self {
            router: Router::default(),
            clock: Arc::new(SystemClock::new()),
            #[cfg(feature = "tcp")]
            recorder: None,
            #[cfg(feature = "tcp")]
            digest_key: None,
        }
    }

    /// The same on another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The same, what comes in from other processes being recorded in a log of this side's own
    /// ([`RemoteOptions::with_recorder`](graft_transport::RemoteOptions::with_recorder) says what), and the
    /// configurations that are served by. Calls through [`Gateway::local`] are the caller's to record.
    #[cfg(feature = "tcp")]
    #[must_use]
    pub fn recorder(self, recorder: Arc<dyn Recorder>) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// The same, records of configurations holding their [`digest`](crate::Config::digest) under `key`.
    #[cfg(feature = "tcp")]
    #[must_use]
    pub fn digest_key(self, key: DigestKey) -> Self {
        Self { digest_key: Some(key), ..self }
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

    /// Records that `config` is served by, if anything is recorded.
    #[cfg(feature = "tcp")]
    pub(crate) fn record_config(&self, config: &crate::Config) -> Result<(), graft_core::RecordError> {
        const ACTOR: graft_core::Name = graft_core::Name::from_static("gateway");
        match &self.recorder {
            Some(log) => config.record(&**log, &*self.clock, ACTOR, self.digest_key.as_ref()).map(drop),
            None => Ok(()),
        }
    }

    /// The same options with the gateway's recorder, unless they have one.
    #[cfg(feature = "tcp")]
    pub(crate) fn recorded(&self, options: graft_transport::RemoteOptions) -> graft_transport::RemoteOptions {
        match &self.recorder {
            Some(recorder) if options.recorder().is_none() => options.with_recorder(recorder.clone()),
            _ => options,
        }
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
        graft_transport::Server::tcp(addr, self.router(), self.recorded(options))
    }
}
