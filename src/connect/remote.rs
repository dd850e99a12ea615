//! Channels and servers that leave the process.

use std::net::IpAddr;
use std::sync::Arc;

use graft_core::Channel;
use graft_transport::net::BindError;
use graft_transport::{
    BindOptions, DialOptions, Endpoint, ReconnectingChannel, RemoteChannel, RemoteOptions, RetryingChannel,
    Server,
};

use super::{ConnectError, ServeError};
use crate::{Config, Gateway, SystemClock};

fn options(config: &Config, gateway: Option<&Gateway>) -> RemoteOptions {
    let clock = gateway.map_or_else(|| Arc::new(SystemClock::new()) as _, Gateway::clock);
    RemoteOptions::new(clock).with_limits(*config.limits())
}

pub(super) async fn connect(
    endpoint: &Endpoint,
    config: &Config,
    gateway: Option<&Gateway>,
) -> Result<Arc<dyn Channel>, ConnectError> {
    tokio::runtime::Handle::try_current().map_err(|_| ConnectError::NoRuntime)?;
    if config.credential().is_some() && !config.credential_in_clear() && is_in_clear(endpoint) {
        return Err(ConnectError::CredentialInClear);
    }
    let remote = options(config, gateway);
    let clock = remote.clock().clone();
    let dial = DialOptions::from(remote.clone());
    #[cfg(feature = "_tls")]
    let dial = if is_tls(endpoint) { dial.with_tls(super::tls::client(config.tls())?) } else { dial };
    // The first one here, so that whoever starts with a wrong address or certificate is told.
    let first = RemoteChannel::dial(endpoint, &dial).await.map_err(failed)?;
    let endpoint = endpoint.clone();
    let again = move || {
        let (endpoint, dial) = (endpoint.clone(), dial.clone());
        async move { RemoteChannel::dial(&endpoint, &dial).await }
    };
    let connected = ReconnectingChannel::new(again, config.reconnect(), &remote).with_connection(first);
    Ok(Arc::new(RetryingChannel::new(Arc::new(connected), config.retry(), clock)))
}

pub(super) fn serve(endpoint: &Endpoint, config: &Config, gateway: &Gateway) -> Result<Server, ServeError> {
    let bind = BindOptions::from(gateway.recorded(options(config, Some(gateway))));
    #[cfg(feature = "_tls")]
    let bind = if is_tls(endpoint) { bind.with_tls(super::tls::server(config.tls())?) } else { bind };
    gateway.record_config(config)?;
    Server::bind(endpoint, gateway.router(), &bind).map_err(|error| match error {
        BindError::NotCompiledIn { scheme } => ServeError::NotCompiledIn { scheme },
        error => ServeError::Failed(error.into()),
    })
}

fn failed(error: graft_transport::ConnectError) -> ConnectError {
    match error {
        graft_transport::ConnectError::NotCompiledIn { scheme } => ConnectError::NotCompiledIn { scheme },
        error => ConnectError::Failed(error.into()),
    }
}

#[cfg(feature = "_tls")]
fn is_tls(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Tls(_) => true,
        Endpoint::Wss(_) => cfg!(feature = "websocket"),
        Endpoint::Local | Endpoint::Tcp(_) | Endpoint::Unix(_) | Endpoint::Ws(_) => false,
    }
}

/// Whether what is sent there crosses a network that may be listened to.
fn is_in_clear(endpoint: &Endpoint) -> bool {
    let host = match endpoint {
        Endpoint::Tcp(address) => address.host(),
        Endpoint::Ws(web) => web.address().host(),
        Endpoint::Local | Endpoint::Unix(_) | Endpoint::Tls(_) | Endpoint::Wss(_) => return false,
    };
    match host.parse::<IpAddr>() {
        Ok(address) => !address.to_canonical().is_loopback(),
        Err(_) => host != "localhost",
    }
}
