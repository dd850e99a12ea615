//! From a configuration to a channel, a server or an agent.

use std::error::Error;
use std::sync::Arc;

use graft_core::Channel;
use graft_transport::Endpoint;

use crate::config::CredentialError;
use crate::{Agent, AgentBuilder, Config, Gateway};

/// Why there is no channel to the configured endpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The endpoint is `local:`, and no gateway was given.
    #[error("`endpoint` is `local:`, and there is no gateway in this process; give one, or another endpoint")]
    NoGateway,
    /// This build has no channel for the endpoint.
    #[error(
        "`endpoint` is a `{scheme}:` address, which is not compiled into this build; enable the feature for it"
    )]
    NotCompiledIn {
        /// The scheme of the endpoint.
        scheme: &'static str,
    },
    /// There is no tokio runtime here; connect from inside one.
    #[error("there is no tokio runtime here; connect from inside one")]
    NoRuntime,
    /// The endpoint could not be connected to.
    #[error("`endpoint` could not be connected to")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// Why nothing listens where the configuration says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// `listen` is not set.
    #[error("`listen` is not set; give an address, or do not serve")]
    NoListen,
    /// This build has no server for the address.
    #[error(
        "`listen` is a `{scheme}:` address, which is not compiled into this build; enable the feature for it"
    )]
    NotCompiledIn {
        /// The scheme of the address.
        scheme: &'static str,
    },
    /// The address could not be listened on.
    #[error("`listen` could not be listened on")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// A channel to the configured endpoint: to what `gateway` hosts if that is `local:`, else to another process, with
/// the configured limits and on the gateway's clock or else the machine's.
///
/// `local:` needs no runtime, everything else a tokio runtime with I/O and time.
///
/// # Errors
/// [`ConnectError`] if there is no such channel in this build or in this process, or nobody answers.
///
/// ```
/// use graft::{Config, ConnectError, Gateway, connect};
/// # futures::executor::block_on(async {
/// let config = Config::builder().build()?; // the default endpoint is `local:`
/// let gateway = Gateway::new();
/// assert!(connect(&config, Some(&gateway)).await.is_ok());
/// assert!(matches!(connect(&config, None).await, Err(ConnectError::NoGateway)));
/// # Ok::<(), graft::config::ConfigError>(())
/// # }).unwrap();
/// ```
pub async fn connect(config: &Config, gateway: Option<&Gateway>) -> Result<Arc<dyn Channel>, ConnectError> {
    match config.endpoint() {
        Endpoint::Local => gateway.map(Gateway::local).ok_or(ConnectError::NoGateway),
        #[cfg(feature = "tcp")]
        Endpoint::Tcp(address) => tcp::connect(address, config, gateway).await,
        #[allow(unreachable_patterns)] // Once every form has its arm above.
        other => Err(ConnectError::NotCompiledIn { scheme: other.scheme() }),
    }
}

impl Gateway {
    /// Serves on the configured `listen`, with the configured limits, until the server is dropped.
    ///
    /// # Errors
    /// [`ServeError`] if nothing is configured, this build has no server for it, it cannot be listened on or there
    /// is no tokio runtime.
    pub fn serve(&self, config: &Config) -> Result<graft_transport::Server, ServeError> {
        match config.listen().ok_or(ServeError::NoListen)? {
            #[cfg(feature = "tcp")]
            Endpoint::Tcp(address) => tcp::serve(address, config, self),
            other => Err(ServeError::NotCompiledIn { scheme: other.scheme() }),
        }
    }
}

impl Agent {
    /// Begins to build an agent as `config` says: its calls go through `channel`, each with the configured timeout
    /// and credential, and the default profile judges them in the configured mode.
    ///
    /// # Errors
    /// [`CredentialError`] if there is a credential configured that cannot be had.
    ///
    /// ```
    /// use graft::{Agent, Config, Gateway};
    /// let config = Config::builder().set("dataflow.mode", "enforce").build()?;
    /// let agent = Agent::from_config(&config, Gateway::new().local())?.build();
    /// assert_eq!(agent.summary(), "data flow enforce; records off: nothing is recorded");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_config(config: &Config, channel: Arc<dyn Channel>) -> Result<AgentBuilder, CredentialError> {
        let agent = Self::over(channel).data_flow_policy(config.dataflow_mode()).timeout(config.timeout());
        Ok(match config.credential() {
            Some(source) => agent.credential(source.load()?),
            None => agent,
        })
    }
}

#[cfg(feature = "tcp")]
mod tcp {
    use super::*;
    use graft_transport::{HostPort, RemoteChannel, RemoteOptions, Server};

    fn options(config: &Config, gateway: Option<&Gateway>) -> RemoteOptions {
        let clock = gateway.map_or_else(|| Arc::new(crate::SystemClock::new()) as _, Gateway::clock);
        RemoteOptions::new(clock).with_limits(*config.limits())
    }

    pub(super) async fn connect(
        address: &HostPort,
        config: &Config,
        gateway: Option<&Gateway>,
    ) -> Result<Arc<dyn Channel>, ConnectError> {
        tokio::runtime::Handle::try_current().map_err(|_| ConnectError::NoRuntime)?;
        let connected = RemoteChannel::tcp((address.host(), address.port()), options(config, gateway)).await;
        connected.map(|channel| Arc::new(channel) as _).map_err(|error| ConnectError::Failed(error.into()))
    }

    pub(super) fn serve(
        address: &HostPort,
        config: &Config,
        gateway: &Gateway,
    ) -> Result<Server, ServeError> {
        let bound = gateway.serve_tcp((address.host(), address.port()), options(config, Some(gateway)));
        bound.map_err(|error| ServeError::Failed(error.into()))
    }
}
