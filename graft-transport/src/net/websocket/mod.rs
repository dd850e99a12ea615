//! WebSocket (RFC 6455), for browsers and for networks that let nothing else through.
//!
//! The payload of binary messages, put end to end, is the stream of bytes; where a message begins or ends
//! means nothing. A text message ends the connection with close code 1003. Both ends have to agree on the
//! subprotocol [`PROTOCOL`]. A peer sends messages of at most 64 KiB unless it knows the other's limit.
//!
//! # Browsers
//! Any page that a user visits can open a WebSocket to an address that the user's machine can reach, this
//! machine's own included, and the same-origin policy does not stop it. Browsers say in `Origin` for which page
//! they ask, so a request with an `Origin` is refused with 403 unless the host listed that origin
//! ([`WebSocketOptions::with_origin`]). None is listed by default. Programs that are no browsers send no
//! `Origin` and are not concerned; they could state any, so this protects users of browsers and admits nobody.

use std::fmt;
use std::io;
use std::time::Duration;

use graft_core::Peer;
use tokio::net::TcpStream;

mod frame;
mod stream;
mod upgrade;

use self::frame::Role;
use self::stream::{MAX_SENT, MessageStream};
pub use self::upgrade::UpgradeRefused;
use self::upgrade::Url;
#[cfg(feature = "_tls")]
use super::tls::TlsFault;
use super::{BindError, BoxedIo, DialError, HandshakeError, HandshakeOptions, Io, Listen, tcp};

/// The subprotocol that a client asks for and a server confirms.
pub const PROTOCOL: &str = "graft.v1";

/// How WebSocket is spoken. Each setting has a safe default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketOptions {
    max_message: u64,
    path: String,
    origins: Vec<String>,
}

impl Default for WebSocketOptions {
    fn default() -> Self {
        Self { max_message: 16 << 20, path: "/".to_owned(), origins: Vec::new() }
    }
}

impl WebSocketOptions {
    /// The longest message that this end takes, and so the longest frame, in bytes; 16 MiB by default, 64 KiB at
    /// least. A longer one ends the connection with close code 1009 before its payload is read. Messages are
    /// not gathered: whatever the limit, none of it is memory.
    #[must_use]
    pub fn with_max_message(self, max_message: u64) -> Self {
        Self { max_message: max_message.max(MAX_SENT as u64), ..self }
    }

    /// The path at which a listener upgrades, with its query if it is to have one; `/` by default. At the path
    /// of health nothing else can be.
    #[must_use]
    pub fn with_path(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// The path at which a listener upgrades.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Lets pages of one more origin in, as browsers write it: `https://app.example`, with the port if it is
    /// not the scheme's own, without a path.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }
}

/// How a WebSocket ended, inside an [`io::Error`] of reading:
/// `error.get_ref().and_then(|inner| inner.downcast_ref::<WebSocketFault>())`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketFault {
    /// The peer sent a text message; only binary ones carry graft. It was told 1003.
    #[error("the peer sent a text message; only binary ones carry graft")]
    Text,
    /// The peer sent a message over [`WebSocketOptions::with_max_message`]. It was told 1009.
    #[error("the peer sent a message that is too long; it has to send shorter ones")]
    TooBig,
    /// The peer broke RFC 6455. It was told 1002.
    #[error("the peer broke the WebSocket protocol")]
    Protocol,
    /// The peer closed with a code that is neither 1000 nor 1001.
    #[error("the peer closed the WebSocket with code {0}")]
    Closed(u16),
    /// The stream ended and the peer had not closed.
    #[error("the connection ended without a WebSocket close")]
    CutOff,
}

impl WebSocketFault {
    fn close_code(self) -> u16 {
        match self {
            Self::Text => 1003,
            Self::TooBig => 1009,
            Self::Protocol => 1002,
            Self::Closed(code) => code,
            Self::CutOff => 1000,
        }
    }
}

impl From<WebSocketFault> for io::Error {
    fn from(fault: WebSocketFault) -> Self {
        let kind = match fault {
            WebSocketFault::CutOff => io::ErrorKind::UnexpectedEof,
            WebSocketFault::Closed(_) => io::ErrorKind::ConnectionAborted,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, fault)
    }
}

/// Connects to a `ws://host:port/path`, `within` a time.
///
/// # Errors
/// [`DialError`], which says whether the URL, the address or what answers there is the trouble.
pub async fn dial(
    url: &str,
    options: &WebSocketOptions,
    within: Duration,
) -> Result<(BoxedIo, Peer), DialError> {
    let url = Url::parse(url, "ws://", 80)?;
    super::dialled(within, async {
        let (stream, peer) = tcp::connect((url.host, url.port)).await?;
        Ok((open(stream, &url, options).await?, peer))
    })
    .await
}

/// Connects to a `wss://host:port/path`, `within` a time. The certificate has to be for that host.
///
/// # Errors
/// As [`dial`], and what TLS says.
#[cfg(feature = "_tls")]
pub async fn dial_tls(
    url: &str,
    options: &WebSocketOptions,
    tls: &super::tls::TlsClientConfig,
    within: Duration,
) -> Result<(BoxedIo, Peer), DialError> {
    let url = Url::parse(url, "wss://", 443)?;
    super::dialled(within, async {
        let (stream, peer) = tcp::connect((url.host, url.port)).await?;
        let (stream, peer) = tls.connect_web(stream, peer, url.host).await?;
        // With TLS 1.3 a server judges this end's certificate after the handshake.
        let opened = open(stream, &url, options).await.map_err(|error| match error {
            DialError::Disconnected(error) => {
                TlsFault::of(&error).map_or(DialError::Disconnected(error), DialError::Tls)
            }
            other => other,
        });
        Ok((opened?, peer))
    })
    .await
}

async fn open(io: impl Io, url: &Url<'_>, options: &WebSocketOptions) -> Result<BoxedIo, DialError> {
    let io = upgrade::ask(io, url).await?;
    Ok(Box::new(MessageStream::new(io, Role::Client, options.max_message)))
}

/// Listens for WebSockets on a TCP address.
pub struct Listener {
    inner: tcp::Listener,
    options: WebSocketOptions,
    #[cfg(feature = "_tls")]
    tls: Option<super::tls::TlsServerConfig>,
}

impl Listener {
    /// Listens for `ws://` on `addr`, on the current tokio runtime.
    ///
    /// # Errors
    /// As [`tcp::Listener::bind`].
    pub fn bind(addr: impl std::net::ToSocketAddrs, options: WebSocketOptions) -> Result<Self, BindError> {
        Ok(Self {
            inner: tcp::Listener::bind(addr)?,
            options,
            #[cfg(feature = "_tls")]
            tls: None,
        })
    }

    /// Listens for `wss://`.
    ///
    /// # Errors
    /// As [`tcp::Listener::bind`].
    #[cfg(feature = "_tls")]
    pub fn bind_tls(
        addr: impl std::net::ToSocketAddrs,
        options: WebSocketOptions,
        tls: super::tls::TlsServerConfig,
    ) -> Result<Self, BindError> {
        Ok(Self { tls: Some(tls), ..Self::bind(addr, options)? })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> std::net::SocketAddr {
        self.inner.local_addr()
    }

    fn is_plain(&self) -> bool {
        #[cfg(feature = "_tls")]
        return self.tls.is_none();
        #[cfg(not(feature = "_tls"))]
        true
    }

    async fn upgrade(
        &self,
        stream: TcpStream,
        peer: Peer,
        healthy: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<(BoxedIo, Peer), HandshakeError> {
        #[cfg(feature = "_tls")]
        if let Some(tls) = &self.tls {
            let (stream, peer) = tls.accept_web(stream, peer).await?;
            return upgrade::accept(stream, peer, &self.options, healthy).await;
        }
        upgrade::accept(stream, peer, &self.options, healthy).await
    }
}

impl Listen for Listener {
    type Raw = tcp::Raw;

    async fn accept(&self) -> io::Result<tcp::Raw> {
        self.inner.accept().await
    }

    async fn handshake(
        &self,
        raw: tcp::Raw,
        options: &HandshakeOptions,
    ) -> Result<(BoxedIo, Peer), HandshakeError> {
        let (stream, peer) = raw.into_parts();
        super::settle(options.within, self.upgrade(stream, peer, &*options.healthy)).await
    }

    fn turn_away(&self, raw: tcp::Raw, _: &[u8]) {
        if self.is_plain() {
            raw.say(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("inner", &self.inner)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
