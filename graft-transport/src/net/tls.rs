//! TLS over TCP, with rustls.
//!
//! A client always checks the server's chain, name and dates against roots that the host gives, and a server
//! that was told to asks every client for a chain of its own. There is no way to switch either off. TLS 1.2 is
//! the oldest version; the rest is rustls' choice for the provider. Sessions are not resumed and no early data is
//! taken: every connection is checked anew, and replays have no door. Lists of revoked certificates are not read.
//!
//! The provider is ring with the feature `tls-ring`, else aws-lc with `tls-aws-lc`. It is passed to each
//! configuration; no process-wide one is installed or used.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use graft_core::{Peer, TlsPeer};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, CommonState, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::{BindError, BoxedIo, DialError, HandshakeError, HandshakeOptions, Listen, tcp};

mod config;
mod fault;

pub use config::{TlsClientConfig, TlsConfigError, TlsIdentity, TlsRoots, TlsServerConfig};
pub use fault::{CertificateFault, TlsFault};

/// The application protocol (RFC 7301) that a client offers. A server without one is taken too, since what ends
/// TLS in front of it may know none.
pub const ALPN: &[u8] = b"graft/1";
/// The one of web servers, for WebSocket and health.
const HTTP: &[u8] = b"http/1.1";

/// Connects to `addr` and checks that the certificate there is for `server_name`, a DNS name or an IP address,
/// `within` a time.
///
/// With TLS 1.3 a server judges this end's certificate after the handshake. Its refusal then comes as an error
/// of the first read; [`TlsFault::of`] reads it.
///
/// # Errors
/// [`DialError`]; [`DialError::Tls`] says which side refused what.
pub async fn dial(
    addr: impl ToSocketAddrs,
    server_name: &str,
    config: &TlsClientConfig,
    within: Duration,
) -> Result<(BoxedIo, Peer), DialError> {
    super::dialled(within, async {
        let (stream, peer) = tcp::connect(addr).await?;
        let (stream, peer) = connect(stream, peer, server_name, &config.graft).await?;
        Ok((Box::new(stream) as BoxedIo, peer))
    })
    .await
}

async fn connect(
    stream: TcpStream,
    mut peer: Peer,
    server_name: &str,
    config: &Arc<ClientConfig>,
) -> Result<(client::TlsStream<TcpStream>, Peer), DialError> {
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|_| DialError::Address("the server's name is neither a DNS name nor an IP address"))?;
    let stream = TlsConnector::from(config.clone()).connect(name, stream).await.map_err(|error| {
        TlsFault::of(&error).map_or_else(|| DialError::Disconnected(error), DialError::Tls)
    })?;
    peer.tls = Some(found(stream.get_ref().1));
    Ok((stream, peer))
}

async fn accept(
    stream: TcpStream,
    mut peer: Peer,
    config: &Arc<ServerConfig>,
) -> Result<(server::TlsStream<TcpStream>, Peer), HandshakeError> {
    let stream = TlsAcceptor::from(config.clone()).accept(stream).await.map_err(|error| {
        TlsFault::of(&error).map_or_else(|| HandshakeError::Disconnected(error), HandshakeError::Tls)
    })?;
    peer.tls = Some(found(stream.get_ref().1));
    Ok((stream, peer))
}

#[cfg(feature = "websocket")]
impl TlsClientConfig {
    pub(super) async fn connect_web(
        &self,
        stream: TcpStream,
        peer: Peer,
        server_name: &str,
    ) -> Result<(client::TlsStream<TcpStream>, Peer), DialError> {
        connect(stream, peer, server_name, &self.web).await
    }
}

#[cfg(feature = "websocket")]
impl TlsServerConfig {
    pub(super) async fn accept_web(
        &self,
        stream: TcpStream,
        peer: Peer,
    ) -> Result<(server::TlsStream<TcpStream>, Peer), HandshakeError> {
        accept(stream, peer, &self.web).await
    }
}

fn found(connection: &CommonState) -> TlsPeer {
    let chain: &[CertificateDer<'_>] = connection.peer_certificates().unwrap_or_default();
    TlsPeer {
        certificates: chain.iter().map(|der| Bytes::copy_from_slice(der)).collect(),
        alpn: connection.alpn_protocol().map(Bytes::copy_from_slice),
    }
}

/// Listens for TLS on a TCP address.
pub struct Listener {
    inner: tcp::Listener,
    config: TlsServerConfig,
}

impl Listener {
    /// Listens on `addr`, on the current tokio runtime.
    ///
    /// # Errors
    /// As [`tcp::Listener::bind`].
    pub fn bind(addr: impl std::net::ToSocketAddrs, config: TlsServerConfig) -> Result<Self, BindError> {
        Ok(Self { inner: tcp::Listener::bind(addr)?, config })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> std::net::SocketAddr {
        self.inner.local_addr()
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
        super::settle(options.within, async {
            let (stream, peer) = accept(stream, peer, &self.config.graft).await?;
            super::graft_or_http(stream, peer, options).await
        })
        .await
    }

    /// Closes it; nothing can be said before TLS is up.
    fn turn_away(&self, raw: tcp::Raw, _: &[u8]) {
        drop(raw);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("inner", &self.inner).field("config", &self.config).finish()
    }
}
