//! The byte streams under a connection: dialling, listening, and what has to be settled before a session.
//!
//! Everything here ends in a [`BoxedIo`], which keeps bytes in order and says nothing about frames, and a
//! [`Peer`], which the transport found out and does not judge. TLS checks the chain that the host configured;
//! there is no way to switch that off.
//!
//! Accepting is in two steps, so that a slow peer holds up nobody else: [`Listen::accept`] gives a raw
//! socket at once, [`Listen::handshake`] settles the rest in a task of its own, within a time.
//!
//! Every listener answers `GET /v1/health` with `200 ok` or `503 not ok` and nothing else, then closes. On a
//! listener that is no web server the first byte tells: a graft connection begins with a length of at most
//! 64, a HTTP request with a capital letter.
//!
//! ```
//! use std::time::Duration;
//! use graft_transport::net::{HandshakeOptions, Listen, tcp};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let listener = tcp::Listener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr();
//! let server = tokio::spawn(async move {
//!     let raw = listener.accept().await?;
//!     let options = HandshakeOptions::new(Duration::from_secs(10), || true);
//!     let (mut io, peer) = listener.handshake(raw, &options).await?;
//!     let mut first = [0; 5];
//!     io.read_exact(&mut first).await?;
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>((first, peer))
//! });
//! let (mut io, _) = tcp::dial(address, Duration::from_secs(10)).await?;
//! io.write_all(&[1, 0, 0, 0, 9]).await?;
//! io.flush().await?;
//! let (first, peer) = server.await?.map_err(|error| error.to_string())?;
//! assert_eq!(first, [1, 0, 0, 0, 9]);
//! assert!(peer.address.is_some_and(|address| address.starts_with("127.0.0.1:")));
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use graft_core::Peer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

mod error;
pub mod http;
mod prefixed;
pub mod tcp;
#[cfg(feature = "_tls")]
pub mod tls;
#[cfg(all(unix, feature = "unix"))]
pub mod unix;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use error::{BindError, DialError, HandshakeError};
pub use prefixed::Prefixed;

/// A stream of bytes in both directions.
///
/// What is written may wait inside until [`AsyncWrite::poll_flush`] is ready: TLS and WebSocket have buffers
/// of their own. Whoever has nothing more to write has to flush.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Any stream. Vectored writes go through to the stream inside.
pub type BoxedIo = Box<dyn Io>;

/// Where connections come from.
pub trait Listen: Send + Sync + 'static {
    /// A connection about which nothing is settled.
    type Raw: Send + 'static;

    /// The next connection. Cancelling it loses none.
    ///
    /// # Errors
    /// What the system says. Being out of descriptors or a peer that left the queue passes; the listener
    /// stays good.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Raw>> + Send;

    /// Settles what comes before the session, within [`HandshakeOptions::within`].
    ///
    /// # Errors
    /// [`HandshakeError`]; the connection is then closed, and only this one.
    fn handshake(
        &self,
        raw: Self::Raw,
        options: &HandshakeOptions,
    ) -> impl Future<Output = Result<(BoxedIo, Peer), HandshakeError>> + Send;

    /// Closes a connection for which there is no place. It never waits; where plain bytes can be sent at once
    /// the peer is told `goodbye`, which is a whole frame.
    fn turn_away(&self, raw: Self::Raw, goodbye: &[u8]);
}

/// What a listener needs for a handshake.
#[derive(Clone)]
pub struct HandshakeOptions {
    /// How long a peer may take over it.
    pub within: Duration,
    /// What `GET /v1/health` says. It is asked once for each such request.
    pub healthy: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl HandshakeOptions {
    /// Handshakes `within` a time, and what health says.
    pub fn new(within: Duration, healthy: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { within, healthy: Arc::new(healthy) }
    }
}

impl fmt::Debug for HandshakeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeOptions").field("within", &self.within).finish_non_exhaustive()
    }
}

/// Settles a stream on which graft is spoken without a web server's help: gives it back, or answers HTTP.
async fn graft_or_http(
    io: impl Io,
    peer: Peer,
    options: &HandshakeOptions,
) -> Result<(BoxedIo, Peer), HandshakeError> {
    let mut io = Prefixed::sniff(io).await.map_err(HandshakeError::Disconnected)?;
    if !io.prefix()[0].is_ascii_uppercase() {
        return Ok((Box::new(io), peer));
    }
    let status = http::answer(&mut io, &*options.healthy).await.map_err(HandshakeError::Disconnected)?;
    Err(HandshakeError::Answered { status })
}

/// Bounds a handshake in time.
async fn settle<T>(
    within: Duration,
    work: impl Future<Output = Result<T, HandshakeError>>,
) -> Result<T, HandshakeError> {
    timeout(within, work).await.unwrap_or(Err(HandshakeError::TimedOut))
}

/// Bounds dialling in time.
async fn dialled<T>(
    within: Duration,
    work: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    timeout(within, work).await.unwrap_or(Err(DialError::TimedOut))
}
