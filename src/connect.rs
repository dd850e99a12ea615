//! From a configuration to a channel, a server or an agent.

use std::error::Error;
use std::sync::Arc;

use graft_core::{Channel, RecordError};
use graft_transport::Endpoint;

use crate::config::CredentialError;
use crate::{Agent, AgentBuilder, Config, Gateway};

#[cfg(feature = "tcp")]
mod remote;
mod tls;

pub use tls::TlsFileError;

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
    /// A credential would go to another machine unencrypted.
    #[error(
        "`credential` would go unencrypted to another machine; use a `tls:` or `wss:` address, or set \
         `credential_in_clear` if the network itself is trusted"
    )]
    CredentialInClear,
    /// The files of TLS cannot be used.
    #[error("the configured files of TLS cannot be used")]
    Tls(#[from] TlsFileError),
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
    /// The files of TLS cannot be used.
    #[error("the configured files of TLS cannot be used")]
    Tls(#[from] TlsFileError),
    /// The address could not be listened on.
    #[error("`listen` could not be listened on")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    /// The gateway's recorder did not keep that the configuration came into force.
    #[error("nothing is served, since the configuration could not be recorded")]
    Record(#[from] RecordError),
}

/// A channel to the configured endpoint: to what `gateway` hosts if that is `local:`, else to another process, with
/// the configured limits and on the gateway's clock or else the machine's.
///
/// A connection to another process is made at once, and again when a call needs one after it was lost
/// ([`ReconnectingChannel`](graft_transport::ReconnectingChannel)); calls that are marked as idempotent are made
/// again too ([`RetryingChannel`](graft_transport::RetryingChannel)), both as configured.
///
/// `local:` needs no runtime, everything else a tokio runtime with I/O and time. The files of TLS are read while the
/// thread waits.
///
/// # Errors
/// [`ConnectError`] if there is no such channel in this build or in this process, a credential would cross the
/// network unencrypted, or nobody answers.
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
        endpoint => remote::connect(endpoint, config, gateway).await,
        #[cfg(not(feature = "tcp"))]
        other => Err(ConnectError::NotCompiledIn { scheme: other.scheme() }),
    }
}

#[cfg(feature = "tcp")]
impl Gateway {
    /// Serves on the configured `listen`, with the configured limits, until the server is dropped. A socket file is
    /// for the own user only.
    ///
    /// # Errors
    /// [`ServeError`] if nothing is configured, this build has no server for it, it cannot be listened on or
    /// recorded, or there is no tokio runtime.
    pub fn serve(&self, config: &Config) -> Result<graft_transport::Server, ServeError> {
        remote::serve(config.listen().ok_or(ServeError::NoListen)?, config, self)
    }
}

impl Agent {
    /// Begins to build an agent as `config` says: its calls go through `channel`, each with the configured timeout
    /// and credential, and the default profile judges them in the configured mode. With a recorder, the first run
    /// records the configuration too.
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
        let agent = agent.of_config(config);
        Ok(match config.credential() {
            Some(source) => agent.credential(source.load()?),
            None => agent,
        })
    }
}
