//! The end that makes calls.

use std::collections::HashMap;

use bytes::BytesMut;
use graft_core::{FaultCode, Label, ReplyKind, TraceId};

use super::link::Link;
use crate::wire::{Encoded, Frame, Unnumbered, print_cancel};
use crate::{CloseReason, Closed, Limits};

/// The calling end of a connection.
pub struct ClientSession<T> {
    link: Link,
    /// Unanswered calls. `None` for one whose caller no longer waits: its answer still has to come.
    calls: HashMap<u64, Option<T>>,
    next: u64,
}

/// What came in for the calling end.
#[derive(Debug)]
pub enum ClientEvent<T> {
    /// The peer said hello; calls can be made.
    Open,
    /// A call is answered; here is what was attached to it.
    Answer(T, Answer),
}

/// How a call was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A value or the method's own error.
    Reply {
        /// Which of the two.
        kind: ReplyKind,
        /// What the receiver says of it.
        label: Label,
        /// It, encoded.
        body: Encoded,
    },
    /// Neither.
    Fault {
        /// Why.
        code: FaultCode,
        /// The trace id under which the receiver logged it.
        trace: TraceId,
    },
}

impl<T> ClientSession<T> {
    /// A session that is about to say hello.
    pub fn new(limits: Limits) -> Self {
        Self { link: Link::new(limits), calls: HashMap::new(), next: 0 }
    }

    /// Takes the frame at the front of `input`, if it is whole, and says what it meant. Call it until it
    /// gives nothing. Frames that mean nothing to the shell are passed over.
    ///
    /// # Errors
    /// The connection is at its end. What was attached to unanswered calls is dropped.
    pub fn handle(&mut self, input: &mut BytesMut) -> Result<Option<ClientEvent<T>>, Closed> {
        loop {
            let frame = match self.link.next(input) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(None),
                Err(closed) => return Err(self.close(closed)),
            };
            let (number, answer) = match frame {
                Frame::Hello(_) => return Ok(Some(ClientEvent::Open)),
                Frame::Reply(reply) => {
                    let (kind, label, body) = (reply.kind, reply.label, reply.body);
                    (reply.number, Answer::Reply { kind, label, body })
                }
                Frame::Fault(fault) => {
                    (fault.number, Answer::Fault { code: fault.fault_code(), trace: fault.trace })
                }
                _ => return Err(self.close(Closed::by_us(CloseReason::UnexpectedFrame))),
            };
            match self.calls.remove(&number) {
                Some(Some(call)) => return Ok(Some(ClientEvent::Answer(call, answer))),
                Some(None) => {}
                None => return Err(self.close(Closed::by_us(CloseReason::UnknownCall))),
            }
        }
    }

    /// Queues a request and attaches `call` to it until it is answered. Returns the number of the call.
    ///
    /// # Errors
    /// [`FaultCode::LimitExceeded`] if the frame is longer than the peer reads or too many calls are
    /// unanswered; the fault of the end ([`Closed::fault_code`]) or [`FaultCode::Unavailable`] if the
    /// connection is not open.
    pub fn request(&mut self, frame: Unnumbered, call: T) -> Result<u64, FaultCode> {
        if !self.link.is_open() {
            return Err(self.link.closed().map_or(FaultCode::Unavailable, Closed::fault_code));
        }
        let longest = self.link.peer_frame().min(self.link.limits().max_frame() as usize);
        if frame.length() > longest || self.calls.len() >= self.link.max_in_flight() {
            return Err(FaultCode::LimitExceeded);
        }
        let number = self.next;
        self.next += 1;
        self.link.push(frame.numbered(number));
        self.calls.insert(number, Some(call));
        Ok(number)
    }

    /// Says that nobody waits for call `number` any more. Does nothing if it is answered.
    pub fn cancel(&mut self, number: u64) {
        if let Some(call @ Some(_)) = self.calls.get_mut(&number) {
            *call = None;
            print_cancel(number, self.link.out());
        }
    }

    /// Ends the session, queues the goodbye and drops what is attached. The first end stays and is returned.
    pub fn close(&mut self, closed: Closed) -> Closed {
        let closed = self.link.close(closed);
        self.calls.clear();
        closed
    }

    /// Swaps what is to be written into `out`, which has to be empty; whether there is anything.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.link.poll_transmit(out)
    }

    /// Whether less than [`Limits::max_buffered`] waits to be fetched. Before it does, whoever has a request
    /// to queue should wait.
    pub fn has_room(&self) -> bool {
        self.link.has_room()
    }

    /// How many calls are unanswered, those that nobody waits for included.
    pub fn in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Whether calls can be made.
    pub fn is_open(&self) -> bool {
        self.link.is_open()
    }

    /// How it ended.
    pub fn closed(&self) -> Option<Closed> {
        self.link.closed()
    }
}

#[cfg(feature = "tcp")]
impl<T: Send + 'static> super::Session for ClientSession<T> {
    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.poll_transmit(out)
    }

    fn has_room(&self) -> bool {
        self.has_room()
    }

    fn in_flight(&self) -> usize {
        self.in_flight()
    }

    fn is_open(&self) -> bool {
        self.is_open()
    }

    fn closed(&self) -> Option<Closed> {
        self.closed()
    }

    fn close(&mut self, closed: Closed) -> Closed {
        self.close(closed)
    }

    /// Answers only ever make room.
    fn reads(&self) -> bool {
        true
    }
}
