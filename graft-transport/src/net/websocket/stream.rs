//! A stream of bytes over the binary messages of a WebSocket.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::WebSocketFault;
use super::frame::{Decoder, Event, Opcode, Role, header, mask};

/// The longest message that this end sends. Every receiver of graft takes at least that.
pub(super) const MAX_SENT: usize = 64 << 10;
/// A buffer of bytes to write that grew beyond this is given back once it is written.
const KEEP: usize = 1 << 10;
/// How many slices of a vectored write go into one message; the rest waits for the next write.
const SLICES: usize = 32;

/// Bytes over a WebSocket whose handshake is done.
///
/// Reading decodes in the caller's own buffer. Writing puts each call's bytes into one message of at most
/// [`MAX_SENT`]; unmasked ones go to the inner stream from where they stand, and what it did not take at once is
/// kept, so that no message is ever left half given.
#[derive(Debug)]
pub(super) struct MessageStream<IO> {
    io: IO,
    role: Role,
    decoder: Decoder,
    masks: RandomState,
    masked: u64,
    /// Whole frames and the ends of frames that the inner stream has not taken.
    out: Vec<u8>,
    written: usize,
    pong: Option<Vec<u8>>,
    close: Option<u16>,
    sent_close: bool,
    end: Option<End>,
    /// Whoever waits to write. The reading side writes too, and the inner stream wakes only the last that asked.
    writer: Option<Waker>,
}

/// How reading ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Closed,
    Fault(WebSocketFault),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> MessageStream<IO> {
    pub(super) fn new(io: IO, role: Role, max_message: u64) -> Self {
        Self {
            io,
            role,
            decoder: Decoder::new(role, max_message),
            masks: RandomState::new(),
            masked: 0,
            out: Vec::new(),
            written: 0,
            pong: None,
            close: None,
            sent_close: false,
            end: None,
            writer: None,
        }
    }

    /// A masking key that a peer cannot foresee (RFC 6455, 5.3): a keyed hash of a counter.
    fn next_mask(&mut self) -> Option<[u8; 4]> {
        self.masked += 1;
        let fresh = self.masks.hash_one(self.masked) as u32;
        (self.role == Role::Client).then_some(fresh.to_ne_bytes())
    }

    /// Appends a frame to what is to be written.
    fn queue<'a>(&mut self, opcode: Opcode, len: usize, payload: impl Iterator<Item = &'a [u8]>) {
        let key = self.next_mask();
        let (head, head_len) = header(opcode, len, key);
        self.out.reserve(head_len + len);
        self.out.extend_from_slice(&head[..head_len]);
        let begin = self.out.len();
        payload.for_each(|part| self.out.extend_from_slice(part));
        if let Some(key) = key {
            mask(&mut self.out[begin..], key, 0);
        }
    }

    /// Writes what is queued, then what is owed: a pong, a close. Ready when all of it was taken.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.written < self.out.len() {
                match ready!(Pin::new(&mut self.io).poll_write(cx, &self.out[self.written..]))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    n => self.written += n,
                }
            }
            self.written = 0;
            self.out.clear();
            if self.out.capacity() > KEEP {
                self.out = Vec::new();
            }
            if self.sent_close {
                return Poll::Ready(Ok(()));
            } else if let Some(pong) = self.pong.take() {
                self.queue(Opcode::Pong, pong.len(), std::iter::once(&pong[..]));
            } else if let Some(code) = self.close {
                self.sent_close = true;
                self.queue(Opcode::Close, 2, std::iter::once(&code.to_be_bytes()[..]));
            } else {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// For the writing side: remembers who waits.
    fn poll_out_for_writer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.poll_out(cx);
        self.writer = polled.is_pending().then(|| cx.waker().clone());
        polled
    }

    /// For the reading side: sends what is owed, if it can be sent. An error shows where one reads or writes.
    fn send_owed(&mut self, cx: &mut Context<'_>) {
        if (self.pong.is_some() || self.close.is_some()) && !self.sent_close {
            if self.poll_out(cx).is_ready() {
                let _ = Pin::new(&mut self.io).poll_flush(cx);
            }
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
        }
    }

    /// Notes what the peer said besides bytes.
    fn note(&mut self, event: Event) {
        let (end, code) = match event {
            // Of several pings the last may be answered alone (RFC 6455, 5.5.3).
            Event::Ping => return self.pong = Some(self.decoder.control().to_vec()),
            Event::Close(code) => match code {
                None | Some(1000 | 1001) => (End::Closed, 1000),
                Some(code) => (End::Fault(WebSocketFault::Closed(code)), code),
            },
            Event::Fault(fault) => (End::Fault(fault), fault.close_code()),
        };
        self.end = Some(end);
        self.close.get_or_insert(code);
    }

    /// One message out of `slices`, or as much of them as fits. The out buffer is empty.
    fn poll_message(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut room = MAX_SENT;
        let parts = slices.iter().take(SLICES - 1).map(|slice| {
            let part = &slice[..slice.len().min(room)];
            room -= part.len();
            part
        });
        let mut payload = [&[][..]; SLICES];
        let mut count = 0;
        for part in parts.filter(|part| !part.is_empty()) {
            payload[count] = part;
            count += 1;
        }
        let payload = &payload[..count];
        let len = MAX_SENT - room;
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        if self.role == Role::Client || !self.io.is_write_vectored() {
            self.queue(Opcode::Binary, len, payload.iter().copied());
        } else {
            self.send_or_keep(cx, len, payload)?;
        }
        // What is not taken now is written when one flushes or writes again.
        match self.poll_out_for_writer(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(len)),
        }
    }

    /// Offers an unmasked message to the inner stream and keeps what it does not take.
    fn send_or_keep(&mut self, cx: &mut Context<'_>, len: usize, payload: &[&[u8]]) -> io::Result<()> {
        let (head, head_len) = header(Opcode::Binary, len, None);
        let mut slices = [IoSlice::new(&[]); SLICES];
        let frame = || std::iter::once(&head[..head_len]).chain(payload.iter().copied());
        for (slice, part) in slices.iter_mut().zip(frame()) {
            *slice = IoSlice::new(part);
        }
        let mut taken = match Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..=payload.len()]) {
            Poll::Ready(taken) => taken?,
            Poll::Pending => 0,
        };
        for part in frame() {
            let skipped = taken.min(part.len());
            self.out.extend_from_slice(&part[skipped..]);
            taken -= skipped;
        }
        Ok(())
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for MessageStream<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            this.send_owed(cx);
            match this.end {
                Some(End::Closed) => return Poll::Ready(Ok(())),
                Some(End::Fault(fault)) => return Poll::Ready(Err(fault.into())),
                None if buf.remaining() == 0 => return Poll::Ready(Ok(())),
                None => {}
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
            let raw = &mut buf.filled_mut()[before..];
            if raw.is_empty() {
                this.end = Some(End::Fault(WebSocketFault::CutOff));
                continue;
            }
            let (mut from, mut to) = (0, 0);
            while let Some(event) = this.decoder.decode(raw, &mut from, &mut to) {
                this.note(event);
                if this.end.is_some() {
                    break;
                }
            }
            buf.set_filled(before + to);
            if to > 0 {
                this.send_owed(cx);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MessageStream<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_out_for_writer(cx))?;
        if this.sent_close {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        this.poll_message(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_out_for_writer(cx))?;
        let polled = Pin::new(&mut this.io).poll_flush(cx);
        this.writer = polled.is_pending().then(|| cx.waker().clone());
        polled
    }

    /// Says goodbye with code 1000, unless something was said already, and ends the inner stream.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.close.get_or_insert(1000);
        ready!(this.poll_out_for_writer(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
