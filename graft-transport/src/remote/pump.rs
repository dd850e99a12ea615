//! Moves bytes between a stream and a session.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::link::Link;
use crate::net::BoxedIo;
use crate::session::{Session, Transmit};
use crate::{CloseReason, Closed};

/// What is read at once, at first and at most. A connection that says little holds little.
const READ: std::ops::RangeInclusive<usize> = 1 << 10..=64 << 10;
/// Pieces of one write.
const SLICES: usize = 16;
/// For how long and how many bytes a closing side waits for its goodbye to be read.
const FAREWELL: std::time::Duration = std::time::Duration::from_millis(500);
const FAREWELL_BYTES: u64 = 1 << 20;

/// The stream is at its end or does not work. Whoever drives closes the session once the pump is let go.
pub(super) struct Broken(pub(super) Option<std::io::Error>);

/// The stream, what is half read and what is half written.
pub(super) struct Pump {
    io: BoxedIo,
    pub(super) input: BytesMut,
    read: usize,
    /// Whether the buffer grew for one long frame.
    has_grown: bool,
    transmit: Transmit,
    is_stalled: bool,
    needs_flush: bool,
}

impl Pump {
    pub(super) fn new(io: BoxedIo) -> Self {
        Self {
            io,
            input: BytesMut::new(),
            read: *READ.start(),
            has_grown: false,
            transmit: Transmit::default(),
            is_stalled: false,
            needs_flush: false,
        }
    }

    /// Writes until there is nothing left or the stream takes no more.
    pub(super) fn write(&mut self, link: &Link, cx: &mut Context<'_>) -> Result<(), Broken> {
        loop {
            if self.transmit.is_empty() && !link.fetch(&mut self.transmit) {
                break;
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let used = self.transmit.slices(&mut slices);
            let io = Pin::new(&mut self.io);
            let written = match used {
                1 => io.poll_write(cx, &slices[0]),
                _ => io.poll_write_vectored(cx, &slices[..used]),
            };
            match written {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.transmit.advance(n);
                    self.needs_flush = true;
                    self.stalled(link, false);
                }
                Poll::Ready(Ok(_)) => return Err(Broken(None)),
                Poll::Ready(Err(error)) => return Err(Broken(Some(error))),
                Poll::Pending => {
                    self.stalled(link, true);
                    return Ok(());
                }
            }
        }
        if self.needs_flush {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.needs_flush = false;
                    self.stalled(link, false);
                }
                Poll::Ready(Err(error)) => return Err(Broken(Some(error))),
                Poll::Pending => self.stalled(link, true),
            }
        }
        Ok(())
    }

    fn stalled(&mut self, link: &Link, is_stalled: bool) {
        if std::mem::replace(&mut self.is_stalled, is_stalled) != is_stalled {
            link.writing(is_stalled);
        }
    }

    /// Reads once into `input`.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Broken> {
        // A frame longer than a read gets its whole room at once; its length was checked when its head came.
        let missing = if self.input.is_empty() { 0 } else { Session::<(), ()>::missing(&self.input) };
        let is_long = missing > *READ.end();
        if self.has_grown && !is_long {
            // What comes next may be kept for long, and would keep all of the room of the long frame.
            self.input = BytesMut::from(&self.input[..]);
            self.has_grown = false;
        }
        if self.input.capacity() - self.input.len() < missing.max(self.read / 2) {
            self.input.reserve(missing.max(self.read));
            self.has_grown |= is_long;
        }
        let room = self.input.capacity() - self.input.len();
        let read = std::pin::pin!(self.io.read_buf(&mut self.input));
        match read.poll(cx) {
            Poll::Ready(Ok(n)) if n > 0 => {
                if n == room {
                    self.read = (self.read * 4).min(*READ.end());
                }
                Ok(Poll::Ready(()))
            }
            Poll::Ready(Ok(_)) => Err(Broken(None)),
            Poll::Ready(Err(error)) => Err(Broken(Some(error))),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// Whether everything that was fetched went out.
    pub(super) fn is_written(&self) -> bool {
        self.transmit.is_empty() && !self.needs_flush
    }

    /// Gives back the memory of a connection that has nothing to do.
    pub(super) fn rest(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
            self.read = *READ.start();
        }
        if self.transmit.is_empty() {
            self.transmit = Transmit::default();
        }
    }

    /// Gives the goodbye a bounded chance to be read. A socket closed over unread bytes is reset, and the
    /// reset would overtake it.
    pub(super) async fn farewell(mut self, link: &Link) {
        let _ = timeout(FAREWELL, async {
            link.fetch(&mut self.transmit);
            for piece in self.transmit.pieces() {
                self.io.write_all(piece).await?;
            }
            self.io.flush().await?;
            self.io.shutdown().await?;
            let mut rest = (&mut self.io).take(FAREWELL_BYTES);
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
            std::io::Result::Ok(())
        })
        .await;
    }
}

impl Link {
    /// Gives back what a connection that has nothing to do does not need.
    pub(super) fn rest(&self) {
        if let Some(pump) = self.pump().as_mut() {
            pump.rest();
        }
        self.lock().requests.shrink_to_fit();
    }

    /// The stream broke, and perhaps said why.
    pub(super) fn broke(&self, Broken(error): Broken) -> Closed {
        if let Some(error) = error {
            let _ = self.broken.set(error);
        }
        self.disconnected()
    }

    /// The stream broke.
    pub(super) fn disconnected(&self) -> Closed {
        self.close(Closed::by_us(CloseReason::Disconnected))
    }
}
