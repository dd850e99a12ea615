//! A stream whose first bytes were looked at.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What is read at once to see what a peer speaks.
const SNIFF: usize = 128;

/// A stream that gives back bytes which were read from it, then goes on. Writes go straight through.
///
/// ```
/// use graft_transport::net::Prefixed;
/// use tokio::io::AsyncReadExt;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let mut io = Prefixed::new(&b"GET"[..], &b" /"[..]);
/// let mut all = String::new();
/// io.read_to_string(&mut all).await?;
/// assert_eq!(all, "GET /");
/// # std::io::Result::Ok(()) })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Prefixed<IO> {
    prefix: Bytes,
    io: IO,
}

impl<IO> Prefixed<IO> {
    /// `io` with `prefix` before what it gives.
    pub fn new(prefix: impl Into<Bytes>, io: IO) -> Self {
        Self { prefix: prefix.into(), io }
    }

    /// What is still to be given back.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }
}

impl<IO: AsyncRead + Unpin> Prefixed<IO> {
    /// Waits for the first bytes of `io`, at most 128 of them and at least one, and puts them back.
    ///
    /// # Errors
    /// What `io` says; `UnexpectedEof` if it ends without a byte.
    pub async fn sniff(mut io: IO) -> io::Result<Self> {
        let mut first = [0; SNIFF];
        match io.read(&mut first).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => Ok(Self::new(Bytes::copy_from_slice(&first[..n]), io)),
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Prefixed<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let n = self.prefix.len().min(buf.remaining());
        buf.put_slice(&self.prefix[..n]);
        self.prefix.advance(n);
        if self.prefix.is_empty() {
            // An idle connection keeps no buffer for what it has given back.
            self.prefix = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Prefixed<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
