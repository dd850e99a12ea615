//! What both ends have in common: the handshake, cutting frames, the bytes to write, the end.

use bytes::{Buf, BytesMut};

use crate::wire::{Frame, Hello, LENGTH_SIZE, MAX_HELLO, print_goodbye};
use crate::{CloseReason, Closed, ClosedBy, Limits};

/// From this size on a frame becomes the next write itself and is not copied behind others.
const LARGE: usize = 64 << 10;

pub(crate) struct Link {
    limits: Limits,
    peer: Option<Hello>,
    out: Vec<u8>,
    closed: Option<Closed>,
}

impl Link {
    /// A link whose first bytes to write are its hello.
    pub(crate) fn new(limits: Limits) -> Self {
        let mut out = Vec::with_capacity(256);
        let (max_frame, max_in_flight) = (limits.max_frame(), limits.max_in_flight());
        Hello { max_frame, max_in_flight }.print(&mut out);
        Self { limits, peer: None, out, closed: None }
    }

    /// The next frame at the front of `input`, once it is whole.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Closed> {
        if let Some(closed) = self.closed {
            return Err(closed);
        }
        let Some(length) = input.first_chunk::<LENGTH_SIZE>().map(|bytes| u32::from_le_bytes(*bytes)) else {
            return Ok(None);
        };
        match self.peer {
            None if length > MAX_HELLO => return Err(self.violation(CloseReason::NotGraft)),
            Some(_) if length > self.limits.max_frame() => {
                return Err(self.violation(CloseReason::FrameTooLarge));
            }
            _ => {}
        }
        let whole = LENGTH_SIZE + length as usize;
        if input.len() < whole {
            return Ok(None);
        }
        let mut frame = input.split_to(whole).freeze();
        frame.advance(LENGTH_SIZE);
        match (Frame::parse(frame, &self.limits), self.peer) {
            (Ok(Frame::Hello(hello)), None) => {
                self.peer = Some(hello);
                Ok(Some(Frame::Hello(hello)))
            }
            (Ok(Frame::Goodbye { reason }), Some(_)) => {
                Err(self.close(Closed::by_peer(CloseReason::from_number(reason))))
            }
            // A full server greets and says goodbye at once; any other frame first is not our protocol.
            (Ok(Frame::Hello(_)), Some(_)) => Err(self.violation(CloseReason::UnexpectedFrame)),
            (Ok(frame), Some(_)) => Ok(Some(frame)),
            (Err(CloseReason::VersionMismatch), None) => Err(self.violation(CloseReason::VersionMismatch)),
            (_, None) => Err(self.violation(CloseReason::NotGraft)),
            (Err(reason), Some(_)) => Err(self.violation(reason)),
        }
    }

    /// Queues whole frames.
    pub(crate) fn push(&mut self, mut frame: Vec<u8>) {
        if self.out.is_empty() && frame.len() >= LARGE {
            std::mem::swap(&mut self.out, &mut frame);
        } else {
            self.out.extend_from_slice(&frame);
        }
    }

    /// The buffer of bytes to write, for small frames printed in place.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Swaps what is to be written into `out`, which has to be empty and whose memory is used again.
    pub(crate) fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        debug_assert!(out.is_empty(), "bytes that were not written yet would be sent twice");
        std::mem::swap(&mut self.out, out);
        !out.is_empty()
    }

    pub(crate) fn violation(&mut self, reason: CloseReason) -> Closed {
        self.close(Closed::by_us(reason))
    }

    /// Ends the link and queues the goodbye, once; the first reason stays.
    pub(crate) fn close(&mut self, closed: Closed) -> Closed {
        if let Some(first) = self.closed {
            return first;
        }
        self.closed = Some(closed);
        match closed {
            // Nobody is left to read it.
            Closed { by: ClosedBy::Peer, .. } | Closed { reason: CloseReason::Disconnected, .. } => {
                self.out.clear();
            }
            Closed { by: ClosedBy::Us, reason } => print_goodbye(reason.number(), &mut self.out),
        }
        closed
    }

    pub(crate) fn closed(&self) -> Option<Closed> {
        self.closed
    }

    pub(crate) fn is_open(&self) -> bool {
        self.peer.is_some() && self.closed.is_none()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.out.len() < self.limits.max_buffered()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The longest frame that the peer reads; nothing before its hello.
    pub(crate) fn peer_frame(&self) -> usize {
        self.peer.map_or(0, |peer| peer.max_frame as usize)
    }

    /// The most calls in flight that suit both ends.
    pub(crate) fn max_in_flight(&self) -> usize {
        let own = self.limits.max_in_flight();
        self.peer.map_or(0, |peer| own.min(peer.max_in_flight)) as usize
    }
}
