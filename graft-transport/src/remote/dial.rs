//! Both ends over each stream of bytes, by hand or as an [`Endpoint`] says.

use graft_core::Router;

use super::{ConnectError, RemoteChannel, RemoteOptions, Server};
#[cfg(feature = "_tls")]
use crate::net::tls::{self, TlsClientConfig, TlsServerConfig};
#[cfg(all(unix, feature = "unix"))]
use crate::net::unix;
#[cfg(feature = "websocket")]
use crate::net::websocket::{self, WebSocketOptions};
use crate::net::{BindError, tcp};
use crate::{Endpoint, HostPort};

/// What [`RemoteChannel::dial`] needs besides the endpoint. Made from [`RemoteOptions`] it dials all that is not TLS.
#[derive(Clone, Debug)]
pub struct DialOptions {
    remote: RemoteOptions,
    #[cfg(feature = "_tls")]
    tls: Option<TlsClientConfig>,
    #[cfg(feature = "websocket")]
    web: WebSocketOptions,
}

impl From<RemoteOptions> for DialOptions {
    fn from(remote: RemoteOptions) -> Self {
        Self {
            remote,
            #[cfg(feature = "_tls")]
            tls: None,
            #[cfg(feature = "websocket")]
            web: WebSocketOptions::default(),
        }
    }
}

impl DialOptions {
    /// The same, for `tls:` and `wss:` too.
    #[cfg(feature = "_tls")]
    #[must_use]
    pub fn with_tls(self, tls: TlsClientConfig) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// The same with other settings of WebSocket. The path is that of the endpoint.
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn with_websocket(self, web: WebSocketOptions) -> Self {
        Self { web, ..self }
    }

    /// How the connection is set up.
    pub fn remote(&self) -> &RemoteOptions {
        &self.remote
    }
}

/// What [`Server::bind`] needs besides the endpoint. Made from [`RemoteOptions`] it binds all that is not TLS.
#[derive(Clone, Debug)]
pub struct BindOptions {
    remote: RemoteOptions,
    #[cfg(feature = "_tls")]
    tls: Option<TlsServerConfig>,
    #[cfg(feature = "websocket")]
    web: WebSocketOptions,
}

impl From<RemoteOptions> for BindOptions {
    fn from(remote: RemoteOptions) -> Self {
        Self {
            remote,
            #[cfg(feature = "_tls")]
            tls: None,
            #[cfg(feature = "websocket")]
            web: WebSocketOptions::default(),
        }
    }
}

impl BindOptions {
    /// The same, for `tls:` and `wss:` too.
    #[cfg(feature = "_tls")]
    #[must_use]
    pub fn with_tls(self, tls: TlsServerConfig) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// The same with other settings of WebSocket. The path is that of the endpoint.
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn with_websocket(self, web: WebSocketOptions) -> Self {
        Self { web, ..self }
    }
}

/// Each constructor needs a tokio runtime with I/O and time, on which the connection then lives. Reaching the peer
/// and exchanging hellos may each take [`Limits::handshake_timeout`](crate::Limits::handshake_timeout).
impl RemoteChannel {
    /// Connects as `endpoint` says. The certificate of a `tls:` or `wss:` endpoint has to be for its host.
    ///
    /// # Errors
    /// [`ConnectError`], which says whether the endpoint, the address or the peer is the trouble.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use graft_core::{Channel, ManualClock, Router};
    /// use graft_transport::{Endpoint, RemoteChannel, RemoteOptions, Server};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let options = RemoteOptions::new(Arc::new(ManualClock::default()));
    /// let anywhere: Endpoint = "tcp://127.0.0.1:0".parse()?;
    /// let server = Server::bind(&anywhere, Router::default(), &options.clone().into())?;
    /// let endpoint = server.endpoint().expect("it was bound to one");
    /// let channel = RemoteChannel::dial(endpoint, &options.into()).await?;
    /// assert_eq!(channel.health().await, Ok(true));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn dial(endpoint: &Endpoint, options: &DialOptions) -> Result<Self, ConnectError> {
        let remote = options.remote.clone();
        match endpoint {
            Endpoint::Local => Err(ConnectError::Local),
            Endpoint::Tcp(address) => Self::tcp(pair(address), remote).await,
            #[cfg(feature = "_tls")]
            Endpoint::Tls(address) => {
                let tls = options.tls.as_ref().ok_or(ConnectError::NoTls)?;
                Self::tls(pair(address), address.host(), tls, remote).await
            }
            #[cfg(all(unix, feature = "unix"))]
            Endpoint::Unix(path) => Self::unix(path.as_path(), remote).await,
            #[cfg(feature = "websocket")]
            Endpoint::Ws(_) => Self::websocket(&endpoint.to_string(), &options.web, remote).await,
            #[cfg(all(feature = "websocket", feature = "_tls"))]
            Endpoint::Wss(_) => {
                let tls = options.tls.as_ref().ok_or(ConnectError::NoTls)?;
                Self::websocket_tls(&endpoint.to_string(), &options.web, tls, remote).await
            }
            #[allow(unreachable_patterns)] // With all features each form has its arm above.
            other => Err(ConnectError::NotCompiledIn { scheme: other.scheme() }),
        }
    }

    /// Connects over TCP.
    ///
    /// # Errors
    /// As [`RemoteChannel::dial`].
    pub async fn tcp(
        addr: impl tokio::net::ToSocketAddrs,
        options: RemoteOptions,
    ) -> Result<Self, ConnectError> {
        Self::over(tcp::dial(addr, options.limits().handshake_timeout()).await?, options).await
    }

    /// Connects to the socket file at `path`.
    ///
    /// # Errors
    /// As [`RemoteChannel::dial`].
    #[cfg(all(unix, feature = "unix"))]
    pub async fn unix(
        path: impl AsRef<std::path::Path>,
        options: RemoteOptions,
    ) -> Result<Self, ConnectError> {
        Self::over(unix::dial(path, options.limits().handshake_timeout()).await?, options).await
    }

    /// Connects over TLS to a server whose certificate has to be for `server_name`.
    ///
    /// # Errors
    /// As [`RemoteChannel::dial`].
    #[cfg(feature = "_tls")]
    pub async fn tls(
        addr: impl tokio::net::ToSocketAddrs,
        server_name: &str,
        tls: &TlsClientConfig,
        options: RemoteOptions,
    ) -> Result<Self, ConnectError> {
        let within = options.limits().handshake_timeout();
        Self::over(tls::dial(addr, server_name, tls, within).await?, options).await
    }

    /// Connects over WebSocket to a `ws://host:port/path`.
    ///
    /// # Errors
    /// As [`RemoteChannel::dial`].
    #[cfg(feature = "websocket")]
    pub async fn websocket(
        url: &str,
        web: &WebSocketOptions,
        options: RemoteOptions,
    ) -> Result<Self, ConnectError> {
        Self::over(websocket::dial(url, web, options.limits().handshake_timeout()).await?, options).await
    }

    /// Connects over WebSocket and TLS to a `wss://host:port/path`, whose certificate has to be for that host.
    ///
    /// # Errors
    /// As [`RemoteChannel::dial`].
    #[cfg(all(feature = "websocket", feature = "_tls"))]
    pub async fn websocket_tls(
        url: &str,
        web: &WebSocketOptions,
        tls: &TlsClientConfig,
        options: RemoteOptions,
    ) -> Result<Self, ConnectError> {
        let within = options.limits().handshake_timeout();
        Self::over(websocket::dial_tls(url, web, tls, within).await?, options).await
    }
}

/// Each constructor serves on the current tokio runtime, which needs I/O and time.
///
/// Port 0 takes a free one; [`Server::endpoint`] tells which. A host name is looked up while the thread waits; an
/// address is not looked up.
impl Server {
    /// Listens as `endpoint` says. A socket file is for the own user only.
    ///
    /// # Errors
    /// [`BindError`], which says whether the endpoint or the address is the trouble.
    pub fn bind(endpoint: &Endpoint, router: Router, options: &BindOptions) -> Result<Self, BindError> {
        let remote = options.remote.clone();
        let server = match endpoint {
            Endpoint::Local => Err(BindError::Local),
            Endpoint::Tcp(address) => Self::tcp(pair(address), router, remote),
            #[cfg(feature = "_tls")]
            Endpoint::Tls(address) => {
                let tls = options.tls.clone().ok_or(BindError::NoTls)?;
                Self::tls(pair(address), tls, router, remote)
            }
            #[cfg(all(unix, feature = "unix"))]
            Endpoint::Unix(path) => Self::unix(path.as_path(), router, remote),
            #[cfg(feature = "websocket")]
            Endpoint::Ws(web) => Self::websocket(
                pair(web.address()),
                options.web.clone().with_path(web.path()),
                router,
                remote,
            ),
            #[cfg(all(feature = "websocket", feature = "_tls"))]
            Endpoint::Wss(web) => {
                let tls = options.tls.clone().ok_or(BindError::NoTls)?;
                let settings = options.web.clone().with_path(web.path());
                Self::websocket_tls(pair(web.address()), settings, tls, router, remote)
            }
            #[allow(unreachable_patterns)] // With all features each form has its arm above.
            other => Err(BindError::NotCompiledIn { scheme: other.scheme() }),
        }?;
        // By the name that it was given: a certificate is for that one.
        let address = server.local_addr();
        let port = address.map_or(0, |address| address.port());
        Ok(server.at(Some(endpoint.clone().with_port(port)), address))
    }

    /// Listens on TCP.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn tcp(
        addr: impl std::net::ToSocketAddrs,
        router: Router,
        options: RemoteOptions,
    ) -> Result<Self, BindError> {
        let listener = tcp::Listener::bind(addr)?;
        let address = listener.local_addr();
        let server = Self::serve(listener, router, options)?;
        Ok(server.at(Some(Endpoint::Tcp(address.into())), Some(address)))
    }

    /// Listens on the socket file at `path`, for the own user only. See [`unix::Listener::bind`].
    ///
    /// # Errors
    /// As [`Server::bind`]; what stands at `path` and is not this user's left-over socket is not touched.
    #[cfg(all(unix, feature = "unix"))]
    pub fn unix(
        path: impl Into<std::path::PathBuf>,
        router: Router,
        options: RemoteOptions,
    ) -> Result<Self, BindError> {
        let listener = unix::Listener::bind(path)?;
        let endpoint = listener.path().to_str().and_then(|path| format!("unix:{path}").parse().ok());
        Ok(Self::serve(listener, router, options)?.at(endpoint, None))
    }

    /// Listens for TLS on TCP.
    ///
    /// # Errors
    /// As [`Server::bind`].
    #[cfg(feature = "_tls")]
    pub fn tls(
        addr: impl std::net::ToSocketAddrs,
        tls: TlsServerConfig,
        router: Router,
        options: RemoteOptions,
    ) -> Result<Self, BindError> {
        let listener = tls::Listener::bind(addr, tls)?;
        let address = listener.local_addr();
        let server = Self::serve(listener, router, options)?;
        Ok(server.at(Some(Endpoint::Tls(address.into())), Some(address)))
    }

    /// Listens for WebSockets on TCP.
    ///
    /// # Errors
    /// As [`Server::bind`].
    #[cfg(feature = "websocket")]
    pub fn websocket(
        addr: impl std::net::ToSocketAddrs,
        web: WebSocketOptions,
        router: Router,
        options: RemoteOptions,
    ) -> Result<Self, BindError> {
        let path = web.path().to_owned();
        let listener = websocket::Listener::bind(addr, web)?;
        let address = listener.local_addr();
        let server = Self::serve(listener, router, options)?;
        Ok(server.at(format!("ws://{address}{path}").parse().ok(), Some(address)))
    }

    /// Listens for WebSockets over TLS on TCP.
    ///
    /// # Errors
    /// As [`Server::bind`].
    #[cfg(all(feature = "websocket", feature = "_tls"))]
    pub fn websocket_tls(
        addr: impl std::net::ToSocketAddrs,
        web: WebSocketOptions,
        tls: TlsServerConfig,
        router: Router,
        options: RemoteOptions,
    ) -> Result<Self, BindError> {
        let path = web.path().to_owned();
        let listener = websocket::Listener::bind_tls(addr, web, tls)?;
        let address = listener.local_addr();
        let server = Self::serve(listener, router, options)?;
        Ok(server.at(format!("wss://{address}{path}").parse().ok(), Some(address)))
    }
}

fn pair(address: &HostPort) -> (&str, u16) {
    (address.host(), address.port())
}
