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
    /// The reading side owes the peer a pong or a close that is not flushed.
    owes: bool,
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
            owes: false,
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

    /// Writes and flushes everything, for the writing side.
    fn poll_out_and_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out_for_writer(cx))?;
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.writer = polled.is_pending().then(|| cx.waker().clone());
        self.owes &= polled.is_pending();
        polled
    }

    /// For the reading side: sends what is owed, if it can be sent. An error shows where one reads or writes.
    fn send_owed(&mut self, cx: &mut Context<'_>) {
        if !self.owes {
            return;
        }
        let writer = self.writer.take();
        self.owes = self.poll_out_and_flush(cx).is_pending();
        // The inner stream would wake only this task now. One that is both needs no second word, and would go
        // round for ever with it.
        if let Some(writer) = writer.filter(|writer| !writer.will_wake(cx.waker())) {
            writer.wake();
        }
    }

    /// Notes what the peer said besides bytes.
    fn note(&mut self, event: Event) {
        let (end, code) = match event {
            // Of several pings the last may be answered alone (RFC 6455, 5.5.3).
            Event::Ping => {
                self.pong = Some(self.decoder.control().to_vec());
                self.owes = true;
                return;
            }
            Event::Close(code) => match code {
                None | Some(1000 | 1001) => (End::Closed, 1000),
                Some(code) => (End::Fault(WebSocketFault::Closed(code)), code),
            },
            Event::Fault(fault) => (End::Fault(fault), fault.close_code()),
        };
        self.end = Some(end);
        self.close.get_or_insert(code);
        self.owes = true;
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
        self.get_mut().poll_out_and_flush(cx)
    }

    /// Says goodbye with code 1000, unless something was said already, and ends the inner stream.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.close.get_or_insert(1000);
        ready!(this.poll_out_and_flush(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const PING: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];

    fn poll_read<IO: AsyncRead + AsyncWrite + Unpin>(ours: &mut MessageStream<IO>, cx: &mut Context<'_>) {
        let mut room = [0; 16];
        assert!(Pin::new(ours).poll_read(cx, &mut ReadBuf::new(&mut room)).is_pending());
    }

    #[tokio::test]
    async fn a_pong_that_finds_no_room_goes_out_when_there_is_some() {
        // Six bytes and their header fill it.
        let (mut theirs, inner) = duplex(8);
        let mut ours = MessageStream::new(inner, Role::Server, 100);
        assert_eq!(ours.write(b"123456").await.expect("written"), 6);
        theirs.write_all(&PING).await.expect("written");
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let cx = &mut Context::from_waker(&waker);
        poll_read(&mut ours, cx);
        let mut got = [0; 8];
        theirs.read_exact(&mut got).await.expect("read");
        assert!(count.0.load(Ordering::Relaxed) > 0, "the reader is woken for what it owes");
        poll_read(&mut ours, cx);
        let mut pong = [0; 2];
        theirs.read_exact(&mut pong).await.expect("read");
        assert_eq!(pong, [0x8A, 0]);
    }

    #[tokio::test]
    async fn a_task_that_reads_and_writes_does_not_wake_itself_over_a_pong() {
        let (mut theirs, inner) = duplex(8);
        let mut ours = MessageStream::new(inner, Role::Server, 100);
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let cx = &mut Context::from_waker(&waker);
        assert!(Pin::new(&mut ours).poll_write(cx, &[7; 32]).is_ready());
        assert!(Pin::new(&mut ours).poll_flush(cx).is_pending());
        theirs.write_all(&PING).await.expect("written");
        for _ in 0..10 {
            poll_read(&mut ours, cx);
            assert!(Pin::new(&mut ours).poll_flush(cx).is_pending());
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 0, "nothing can go on before the peer reads");
    }

    #[tokio::test]
    async fn a_writer_of_another_task_is_woken_when_the_reader_takes_its_place() {
        let (mut theirs, inner) = duplex(8);
        let mut ours = MessageStream::new(inner, Role::Server, 100);
        let (reads, writes) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (reader, writer) = (Waker::from(reads.clone()), Waker::from(writes.clone()));
        assert!(Pin::new(&mut ours).poll_write(&mut Context::from_waker(&writer), &[7; 32]).is_ready());
        assert!(Pin::new(&mut ours).poll_flush(&mut Context::from_waker(&writer)).is_pending());
        theirs.write_all(&PING).await.expect("written");
        poll_read(&mut ours, &mut Context::from_waker(&reader));
        assert_eq!(writes.0.load(Ordering::Relaxed), 1, "the inner stream would wake the reader alone");
    }
}
