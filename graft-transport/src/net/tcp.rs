//! Plain TCP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use graft_core::Peer;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::runtime::Handle;

use super::{BindError, BoxedIo, DialError, HandshakeError, HandshakeOptions, Listen};

/// Connects to `addr`, looking up its name if it is one, `within` a time.
///
/// # Errors
/// [`DialError::Unreachable`] or [`DialError::TimedOut`].
pub async fn dial(addr: impl ToSocketAddrs, within: Duration) -> Result<(BoxedIo, Peer), DialError> {
    let (stream, peer) = super::dialled(within, connect(addr)).await?;
    Ok((Box::new(stream), peer))
}

pub(super) async fn connect(addr: impl ToSocketAddrs) -> Result<(TcpStream, Peer), DialError> {
    let connect = async {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let peer = Peer::at(stream.peer_addr()?.to_string());
        io::Result::Ok((stream, peer))
    };
    connect.await.map_err(DialError::Unreachable)
}

/// An accepted TCP connection.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    addr: SocketAddr,
}

impl Raw {
    pub(super) fn into_parts(self) -> (TcpStream, Peer) {
        // Without it calls are slower and still right.
        let _ = self.stream.set_nodelay(true);
        (self.stream, Peer::at(self.addr.to_string()))
    }

    /// Writes what the socket takes at once.
    pub(super) fn say(&self, goodbye: &[u8]) {
        let _ = self.stream.try_write(goodbye);
    }
}

/// Listens on a TCP address.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    addr: SocketAddr,
}

impl Listener {
    /// Listens on `addr`, on the current tokio runtime.
    ///
    /// Port 0 takes a free one; [`Listener::local_addr`] tells which. A host name is looked up while the
    /// thread waits; an address is not looked up.
    ///
    /// # Errors
    /// [`BindError`] if the address cannot be listened on or there is no runtime.
    pub fn bind(addr: impl std::net::ToSocketAddrs) -> Result<Self, BindError> {
        Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let listen = || {
            let listener = std::net::TcpListener::bind(addr)?;
            listener.set_nonblocking(true)?;
            let addr = listener.local_addr()?;
            io::Result::Ok(Self { inner: TcpListener::from_std(listener)?, addr })
        };
        listen().map_err(BindError::Address)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Listen for Listener {
    type Raw = Raw;

    async fn accept(&self) -> io::Result<Raw> {
        let (stream, addr) = self.inner.accept().await?;
        Ok(Raw { stream, addr })
    }

    async fn handshake(
        &self,
        raw: Raw,
        options: &HandshakeOptions,
    ) -> Result<(BoxedIo, Peer), HandshakeError> {
        let (stream, peer) = raw.into_parts();
        super::settle(options.within, super::graft_or_http(stream, peer, options)).await
    }

    fn turn_away(&self, raw: Raw, goodbye: &[u8]) {
        raw.say(goodbye);
    }
}
