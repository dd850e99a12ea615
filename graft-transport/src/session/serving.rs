//! The calls that are carried out here.

use std::time::Duration;

use graft_core::{FaultCode, InterfaceId, Label, Outgoing, ReplyKind, TraceId};

use super::calls::{Deadlines, MAX_INTERFACES};
use super::numbers::{Bucket, NumberMap};
use super::{Event, Frame, Port, Session};
use crate::wire::{LENGTH_SIZE, begin, end, print_reply_head};
use crate::{CloseReason, Limits};

pub(super) struct Serving<A> {
    active: NumberMap<Active<A>>,
    /// Bytes of the arguments of active calls.
    bytes: usize,
    max_bytes: usize,
    max_active: usize,
    /// No call number below it comes again.
    next: u64,
    deadlines: Deadlines,
    bound: Vec<InterfaceId>,
    requests: Bucket,
    cheap: Bucket,
    pub(super) is_draining: bool,
}

struct Active<A> {
    trace: TraceId,
    /// Bytes of its arguments.
    bytes: usize,
    attached: Option<A>,
}

impl<A> Serving<A> {
    pub(super) fn new(limits: &Limits, now: Duration) -> Self {
        Self {
            active: NumberMap::default(),
            bytes: 0,
            max_bytes: limits.max_arguments(),
            max_active: limits.max_in_flight() as usize,
            next: 0,
            deadlines: Deadlines::default(),
            bound: Vec::new(),
            requests: Bucket::new(limits.max_request_rate(), now),
            cheap: Bucket::new(limits.max_cancel_rate(), now),
            is_draining: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.active.len()
    }

    /// Gives back what is attached to the active calls, none of which go on.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Option<A>> {
        self.bytes = 0;
        self.deadlines = Deadlines::default();
        std::mem::take(&mut self.active).into_values().map(|active| active.attached)
    }

    pub(super) fn bind(&mut self, index: u16, interface: InterfaceId) -> Result<(), CloseReason> {
        let is_next = usize::from(index) == self.bound.len() && self.bound.len() < MAX_INTERFACES;
        if !is_next || self.bound.contains(&interface) {
            return Err(CloseReason::UnexpectedFrame);
        }
        self.bound.push(interface);
        Ok(())
    }

    pub(super) fn interface(&self, index: u16) -> Result<InterfaceId, CloseReason> {
        self.bound.get(usize::from(index)).copied().ok_or(CloseReason::UnboundInterface)
    }

    /// Takes note of a call number. The last one has no successor, so it cannot be used either.
    pub(super) fn numbered(&mut self, number: u64) -> Result<(), CloseReason> {
        if number < self.next || number == u64::MAX {
            return Err(CloseReason::CallNumberReused);
        }
        self.next = number + 1;
        Ok(())
    }

    pub(super) fn has_room(&mut self, now: Duration, bytes: usize) -> bool {
        self.active.len() < self.max_active
            && self.bytes.saturating_add(bytes) <= self.max_bytes
            && self.requests.take(now)
    }

    pub(super) fn begin(&mut self, number: u64, trace: TraceId, bytes: usize, deadline: Option<Duration>) {
        self.bytes += bytes;
        self.active.insert(number, Active { trace, bytes, attached: None });
        if let Some(at) = deadline {
            let active = &self.active;
            self.deadlines.add(at, number, active.len(), |number| active.contains_key(&number));
        }
    }

    fn take(&mut self, number: u64) -> Option<Active<A>> {
        let active = self.active.remove(&number)?;
        self.bytes -= active.bytes;
        Some(active)
    }

    /// Whether a cancel ends its call. Of too many in a second the rest does not: their calls go on and keep
    /// their place among those in flight, so that whoever asks and cancels without pause soon waits.
    pub(super) fn cancel_arrived(&mut self, now: Duration, number: u64) -> Result<bool, CloseReason> {
        if number >= self.next {
            return Err(CloseReason::UnknownCall);
        }
        if !self.active.contains_key(&number) {
            return self.is_cheap(now).map(|()| false);
        }
        Ok(self.cheap.take(now))
    }

    /// Takes note of a frame that costs its sender nothing.
    pub(super) fn is_cheap(&mut self, now: Duration) -> Result<(), CloseReason> {
        if self.cheap.take(now) { Ok(()) } else { Err(CloseReason::RateExceeded) }
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.deadlines.due()
    }

    /// The next active call whose deadline has passed.
    pub(super) fn expired(&mut self, now: Duration) -> Option<u64> {
        loop {
            let number = self.deadlines.expired(now)?;
            if self.active.contains_key(&number) {
                return Some(number);
            }
        }
    }
}

impl<C, A> Session<C, A> {
    /// Attaches `call` to an active call until it ends; gives it back if it has ended already.
    pub fn attach(&mut self, number: u64, call: A) -> Option<A> {
        match self.serving.active.get_mut(&number) {
            Some(active) => active.attached.replace(call),
            None => Some(call),
        }
    }

    /// Whether a call is active: it was neither answered nor cancelled.
    pub fn is_serving(&self, number: u64) -> bool {
        self.serving.active.contains_key(&number)
    }

    /// Answers a call with a reply; `reply` is used up if it is large. Does nothing if the call was cancelled.
    ///
    /// A reply longer than the peer reads, or than this side's own limit, becomes
    /// [`FaultCode::LimitExceeded`].
    pub fn reply(
        &mut self,
        number: u64,
        kind: ReplyKind,
        label: &Label,
        reply: &mut Outgoing,
        ports: &[Port],
    ) -> bool {
        if !self.is_serving(number) {
            return false;
        }
        let longest = self.longest();
        let out = self.outbox.tail();
        let start = begin(out);
        let printed = print_reply_head(number, kind, label, ports, out);
        let length = out.len() - start - LENGTH_SIZE + reply.len();
        if printed.is_err() || length > longest || !end(start, out, reply.len()) {
            out.truncate(start);
            self.fault(number, printed.err().unwrap_or(FaultCode::LimitExceeded));
            return false;
        }
        self.serving.take(number);
        self.outbox.push_body(reply);
        true
    }

    /// Answers a call with a fault, and gives back what was attached; `None` if the call had ended.
    pub fn fault(&mut self, number: u64, code: FaultCode) -> Option<Option<A>> {
        let Active { trace, attached, .. } = self.serving.take(number)?;
        self.say_fault(number, code, trace);
        Some(attached)
    }

    pub(super) fn end_call(&mut self, number: u64, code: FaultCode) {
        if let Some(call) = self.fault(number, code) {
            self.events.push_back(Event::Cancelled(call));
        }
    }

    /// Says whether an interface that the peer named is hosted for everybody; once for each
    /// [`Event::Bind`].
    pub fn bound(&mut self, interface: InterfaceId, is_hosted: bool) {
        if let Some(index) = self.serving.bound.iter().rposition(|bound| *bound == interface) {
            self.say(&Frame::Bound { index: index as u16, is_hosted });
        }
    }

    /// Whether this side has said that it takes no more calls.
    pub fn drains(&self) -> bool {
        self.serving.is_draining
    }
}
