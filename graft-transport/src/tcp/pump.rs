//! Moves bytes between a stream and a session, and watches the clock over both.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::shared::Shared;
use crate::session::Session;
use crate::{CloseReason, Closed, Limits};

/// What is read at once; a longer frame grows its buffer by doubling, as its bytes arrive.
const READ: usize = 16 << 10;
/// A write buffer that grew beyond this is given back once it is written.
const KEEP: usize = 256 << 10;
/// For how long and how many bytes a closing side waits for its goodbye to be read.
const FAREWELL: Duration = Duration::from_millis(500);
const FAREWELL_BYTES: u64 = 1 << 20;

/// One connection's stream with what is half read and half written.
///
/// `F` is the shell's reaction to what arrived: it takes whole frames from the front of the buffer.
pub(super) struct Pump<'a, IO, S, F> {
    io: IO,
    shared: &'a Shared<S>,
    react: F,
    limits: Limits,
    input: BytesMut,
    out: Vec<u8>,
    written: usize,
    began: Instant,
    last_read: Instant,
    /// Since when a frame is half read.
    partial: Option<Instant>,
    /// Since when the peer takes no bytes.
    stalled: Option<Instant>,
    watches_idle: bool,
    timer: Pin<Box<Sleep>>,
}

impl<'a, IO, S, F> Pump<'a, IO, S, F>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: Session,
    F: FnMut(&mut S, &mut BytesMut) -> Result<(), Closed> + Unpin,
{
    pub(super) fn new(io: IO, shared: &'a Shared<S>, limits: Limits, react: F) -> Self {
        let now = Instant::now();
        Self {
            io,
            shared,
            react,
            limits,
            input: BytesMut::new(),
            out: Vec::new(),
            written: 0,
            began: now,
            last_read: now,
            partial: None,
            stalled: None,
            watches_idle: false,
            timer: Box::pin(sleep_until(now + limits.handshake_timeout())),
        }
    }

    /// Also ends the connection when it is idle for too long.
    pub(super) fn watching_idle(self) -> Self {
        Self { watches_idle: true, ..self }
    }

    /// Runs the connection until it ends.
    pub(super) fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        // Before looking at the session, so that what is queued in between is not missed.
        self.shared.pump_waker().register(cx.waker());
        loop {
            if let Err(closed) = self.poll_write(cx) {
                return Poll::Ready(closed);
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(closed)) => return Poll::Ready(closed),
                Poll::Pending => break,
            }
        }
        // What reading queued was written above; what other tasks queue from here on wakes us.
        self.poll_timer(cx)
    }

    /// Writes until there is nothing left or the stream takes no more. An error is the end.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        loop {
            if self.written == self.out.len() {
                self.written = 0;
                self.out.clear();
                if self.out.capacity() > KEEP {
                    self.out = Vec::new();
                }
                let mut session = self.shared.lock();
                if !session.poll_transmit(&mut self.out) {
                    return session.closed().map_or(Ok(()), Err);
                }
                drop(session);
                self.shared.made_room();
            }
            match Pin::new(&mut self.io).poll_write(cx, &self.out[self.written..]) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.written += n;
                    self.stalled = None;
                }
                Poll::Ready(_) => return Err(self.disconnected()),
                Poll::Pending => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return Ok(());
                }
            }
        }
    }

    /// Reads once and reacts.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        if !self.shared.lock().reads() {
            return Poll::Pending;
        }
        if self.input.capacity() - self.input.len() < READ / 4 {
            self.input.reserve(READ.max(self.input.len()));
        }
        let read = pin!(self.io.read_buf(&mut self.input)).poll(cx);
        let n = match read {
            Poll::Ready(Ok(n)) if n > 0 => n,
            Poll::Ready(_) => return Poll::Ready(Err(self.disconnected())),
            Poll::Pending => return Poll::Pending,
        };
        let before = self.input.len();
        let reacted = (self.react)(&mut self.shared.lock(), &mut self.input);
        if let Err(closed) = reacted {
            return Poll::Ready(Err(self.shared.close(closed)));
        }
        debug_assert!(n <= before, "the bytes that were read stand in the buffer");
        self.last_read = Instant::now();
        self.partial = match self.input.len() {
            0 => None,
            left if left < before => Some(self.last_read),
            _ => self.partial.or(Some(self.last_read)),
        };
        Poll::Ready(Ok(()))
    }

    /// Ends the connection if something took too long, else sees to it that the task is woken in time.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        loop {
            let Some((due, reason)) = self.due() else { return Poll::Pending };
            // A timer that is set too early is only woken in vain; setting it again for each frame costs more.
            if due < self.timer.deadline() {
                self.timer.as_mut().reset(due);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if due <= Instant::now() {
                return Poll::Ready(self.shared.close(Closed::by_us(reason)));
            }
            self.timer.as_mut().reset(due);
        }
    }

    fn due(&self) -> Option<(Instant, CloseReason)> {
        let (open, busy) = {
            let session = self.shared.lock();
            (session.is_open(), session.in_flight() > 0)
        };
        let frame = self.limits.frame_timeout();
        let idle = self.watches_idle && !busy && self.partial.is_none();
        [
            (!open).then(|| (self.began + self.limits.handshake_timeout(), CloseReason::HandshakeTimeout)),
            self.partial.map(|since| (since + frame, CloseReason::FrameTimeout)),
            self.stalled.map(|since| (since + frame, CloseReason::FrameTimeout)),
            idle.then(|| (self.last_read + self.limits.idle_timeout(), CloseReason::IdleTimeout)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(due, _)| *due)
    }

    fn disconnected(&self) -> Closed {
        self.shared.close(Closed::by_us(CloseReason::Disconnected))
    }

    /// Gives the goodbye a bounded chance to be read. A socket closed over unread bytes is reset, and the
    /// reset would overtake it.
    pub(super) async fn farewell(mut self) {
        let _ = timeout(FAREWELL, async {
            self.io.write_all(&self.out[self.written..]).await?;
            self.out.clear();
            self.shared.lock().poll_transmit(&mut self.out);
            self.io.write_all(&self.out).await?;
            self.io.shutdown().await?;
            tokio::io::copy(&mut (&mut self.io).take(FAREWELL_BYTES), &mut tokio::io::sink()).await?;
            io::Result::Ok(())
        })
        .await;
    }
}
