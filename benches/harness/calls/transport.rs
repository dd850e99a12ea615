//! What calls and bare bytes can go over. To measure another one, implement [`Transport`] for it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use graft::core::{Channel, Router};
use graft::transport::Limits;
use graft::{RemoteChannel, RemoteOptions, Server, SystemClock};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Keep;
use crate::harness::Failure;

/// Something that carries calls of graft, and bytes that are no calls as fast as it can.
pub trait Transport: Copy + Send + Sync + 'static {
    /// Where a server is.
    type Address: Clone + Send + Sync + 'static;
    /// The client's end of a connection that carries bytes only.
    type Raw: Raw;

    /// What it is called in titles.
    const NAME: &'static str;

    /// Serves calls on the runtime that it is polled on.
    fn serve(self, router: Router) -> impl Future<Output = Result<(Self::Address, Keep), Failure>> + Send;

    /// Connects for calls.
    fn connect(
        self,
        address: Self::Address,
    ) -> impl Future<Output = Result<Arc<dyn Channel>, Failure>> + Send;

    /// Answers each `request` bytes with `reply` bytes, on the runtime that it is polled on.
    fn serve_raw(
        self,
        request: usize,
        reply: usize,
    ) -> impl Future<Output = Result<(Self::Address, Keep), Failure>> + Send;

    /// Connects for bytes.
    fn connect_raw(self, address: Self::Address) -> impl Future<Output = Result<Self::Raw, Failure>> + Send;
}

/// A connection that knows nothing of calls. Every stream of bytes is one; of what carries messages, implement
/// it for a type of one's own around it.
pub trait Raw: Send + 'static {
    /// Writes the whole request and reads the whole reply.
    fn exchange(
        &mut self,
        request: &[u8],
        reply: &mut [u8],
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Raw for S {
    async fn exchange(&mut self, request: &[u8], reply: &mut [u8]) -> Result<(), Failure> {
        self.write_all(request).await?;
        self.flush().await?;
        self.read_exact(reply).await?;
        Ok(())
    }
}

/// The answering end over a stream of bytes; ends with the connection.
pub async fn answer_raw(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: usize, reply: usize) {
    let (mut incoming, outgoing) = (vec![0; request], vec![2; reply]);
    while stream.read_exact(&mut incoming).await.is_ok() {
        if stream.write_all(&outgoing).await.is_err() || stream.flush().await.is_err() {
            break;
        }
    }
}

/// TCP on loopback.
#[derive(Clone, Copy)]
pub struct Tcp;

impl Tcp {
    /// How its ends are set up.
    pub fn options() -> RemoteOptions {
        let limits = Limits::default().with_max_connections(20_000);
        RemoteOptions::new(Arc::new(SystemClock::new())).with_limits(limits)
    }
}

impl Transport for Tcp {
    type Address = SocketAddr;
    type Raw = TcpStream;

    const NAME: &'static str = "TCP";

    async fn serve(self, router: Router) -> Result<(SocketAddr, Keep), Failure> {
        let server = Server::tcp("127.0.0.1:0", router, Self::options())?;
        Ok((server.local_addr().ok_or("a TCP server has an address")?, Box::new(server)))
    }

    async fn connect(self, address: SocketAddr) -> Result<Arc<dyn Channel>, Failure> {
        Ok(Arc::new(RemoteChannel::tcp(address, Self::options()).await?))
    }

    async fn serve_raw(self, request: usize, reply: usize) -> Result<(SocketAddr, Keep), Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream.set_nodelay(true));
                tokio::spawn(answer_raw(stream, request, reply));
            }
        });
        Ok((address, Box::new(AbortOnDrop(listening))))
    }

    async fn connect_raw(self, address: SocketAddr) -> Result<TcpStream, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A task that ends with whoever keeps this.
pub struct AbortOnDrop(pub tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
