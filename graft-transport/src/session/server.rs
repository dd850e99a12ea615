//! The end that answers calls.

use std::collections::HashMap;

use bytes::BytesMut;
use graft_core::{FaultCode, Label, TraceId};

use super::link::Link;
use crate::wire::{FaultFrame, Frame, RequestFrame, Unnumbered};
use crate::{CloseReason, Closed, Limits};

/// The answering end of a connection.
pub struct ServerSession<T> {
    link: Link,
    calls: HashMap<u64, Active<T>>,
    /// Bytes of the arguments of active calls.
    bytes: usize,
    /// No call number below it comes again.
    next: u64,
}

struct Active<T> {
    trace: TraceId,
    /// Bytes of its arguments.
    bytes: usize,
    attached: Option<T>,
}

/// What came in for the answering end.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "requests are the common case and not worth an allocation")]
pub enum ServerEvent<T> {
    /// The peer said hello.
    Open,
    /// A call to carry out. Its label is already joined with [`Label::default`]: a peer can raise it only.
    Request(RequestFrame),
    /// Nobody waits for this call any more. It is answered; drop what runs for it.
    Cancel(Option<T>),
}

impl<T> ServerSession<T> {
    /// A session that is about to say hello.
    pub fn new(limits: Limits) -> Self {
        Self { link: Link::new(limits), calls: HashMap::new(), bytes: 0, next: 0 }
    }

    /// Takes the frame at the front of `input`, if it is whole, and says what it meant. Call it until it
    /// gives nothing. A request over the in-flight limit is answered here and gives no event.
    ///
    /// # Errors
    /// The connection is at its end. What was attached to calls is dropped.
    pub fn handle(&mut self, input: &mut BytesMut) -> Result<Option<ServerEvent<T>>, Closed> {
        loop {
            let frame = match self.link.next(input) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(None),
                Err(closed) => return Err(self.close(closed)),
            };
            match frame {
                Frame::Hello(_) => return Ok(Some(ServerEvent::Open)),
                Frame::Request(request) => {
                    if let Some(request) = self.accept(request)? {
                        return Ok(Some(ServerEvent::Request(request)));
                    }
                }
                Frame::Cancel { number } if number >= self.next => {
                    return Err(self.close(Closed::by_us(CloseReason::UnknownCall)));
                }
                // The answer to a call that is no longer active crossed its cancel on the way.
                Frame::Cancel { number } => {
                    if let Some(call) = self.fault(number, FaultCode::Cancelled) {
                        return Ok(Some(ServerEvent::Cancel(call)));
                    }
                }
                _ => return Err(self.close(Closed::by_us(CloseReason::UnexpectedFrame))),
            }
        }
    }

    fn accept(&mut self, mut request: RequestFrame) -> Result<Option<RequestFrame>, Closed> {
        let (number, trace) = (request.number, request.meta.trace.trace);
        // The last number has no successor, so it cannot be used either.
        if number < self.next || number == u64::MAX {
            return Err(self.close(Closed::by_us(CloseReason::CallNumberReused)));
        }
        self.next = number + 1;
        let bytes = request.body.len();
        let limits = self.link.limits();
        let is_full = self.calls.len() >= limits.max_in_flight() as usize;
        if is_full || self.bytes.saturating_add(bytes) > limits.max_arguments() {
            FaultFrame { number, code: FaultCode::LimitExceeded.number(), trace }.print(self.link.out());
            return Ok(None);
        }
        self.bytes += bytes;
        self.calls.insert(number, Active { trace, bytes, attached: None });
        request.label = request.label.join(&Label::default());
        Ok(Some(request))
    }

    /// Attaches `call` to an active call until it ends; gives it back if it has ended already.
    pub fn attach(&mut self, number: u64, call: T) -> Option<T> {
        match self.calls.get_mut(&number) {
            Some(active) => active.attached.replace(call),
            None => Some(call),
        }
    }

    /// Answers a call with a reply. Does nothing if the call was cancelled.
    ///
    /// A reply longer than the peer reads, or than this side's own limit, becomes
    /// [`FaultCode::LimitExceeded`].
    pub fn reply(&mut self, number: u64, frame: Unnumbered) {
        let longest = self.link.peer_frame().min(self.link.limits().max_frame() as usize);
        if frame.length() > longest {
            self.fault(number, FaultCode::LimitExceeded);
        } else if self.take(number).is_some() {
            self.link.push(frame.numbered(number));
        }
    }

    /// Answers a call with a fault, and gives back what was attached; `None` if the call had ended.
    pub fn fault(&mut self, number: u64, code: FaultCode) -> Option<Option<T>> {
        let Active { trace, attached, .. } = self.take(number)?;
        FaultFrame { number, code: code.number(), trace }.print(self.link.out());
        Some(attached)
    }

    fn take(&mut self, number: u64) -> Option<Active<T>> {
        let active = self.calls.remove(&number)?;
        self.bytes -= active.bytes;
        Some(active)
    }

    /// Ends the session, queues the goodbye and drops what is attached. The first end stays and is returned.
    pub fn close(&mut self, closed: Closed) -> Closed {
        let closed = self.link.close(closed);
        self.calls.clear();
        self.bytes = 0;
        closed
    }

    /// Swaps what is to be written into `out`, which has to be empty; whether there is anything.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.link.poll_transmit(out)
    }

    /// Whether less than [`Limits::max_buffered`] waits to be fetched. Before it does, whoever has a reply to
    /// queue should wait, and a shell should not read on, for what it reads may add to it.
    pub fn has_room(&self) -> bool {
        self.link.has_room()
    }

    /// How many calls are active.
    pub fn in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Whether the peer has said hello and the session has not ended.
    pub fn is_open(&self) -> bool {
        self.link.is_open()
    }

    /// How it ended.
    pub fn closed(&self) -> Option<Closed> {
        self.link.closed()
    }
}

#[cfg(feature = "tcp")]
impl<T: Send + 'static> super::Session for ServerSession<T> {
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

    fn reads(&self) -> bool {
        self.has_room()
    }
}
