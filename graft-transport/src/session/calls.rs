//! The calls that are made here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use graft_core::{FaultCode, InterfaceId, Outgoing};

use super::numbers::NumberMap;
use super::{Frame, Port, RequestHead, Session};
use crate::wire::{LENGTH_SIZE, begin, end};
use crate::{CloseReason, Closed};

/// The most interfaces that one side calls over one connection.
pub(super) const MAX_INTERFACES: usize = 1024;

/// Unanswered calls with what is attached. `None` for one whose caller no longer waits: its answer still has to come.
pub(super) struct Calls<C> {
    open: NumberMap<Option<C>>,
    next: u64,
    deadlines: Deadlines,
    /// Interfaces by the number under which they were bound, and whether the peer said what it hosts.
    bound: Vec<(InterfaceId, bool)>,
}

impl<C> Calls<C> {
    pub(super) fn new() -> Self {
        Self { open: NumberMap::default(), next: 0, deadlines: Deadlines::default(), bound: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.deadlines = Deadlines::default();
    }

    /// The interface that the peer speaks of, which it does once.
    pub(super) fn bound(&mut self, index: u16) -> Result<InterfaceId, CloseReason> {
        match self.bound.get_mut(usize::from(index)) {
            Some((interface, is_said @ false)) => {
                *is_said = true;
                Ok(*interface)
            }
            _ => Err(CloseReason::UnexpectedFrame),
        }
    }

    /// Takes out a call that is answered; `None` if nobody waits for it any more.
    pub(super) fn answered(&mut self, number: u64) -> Result<Option<C>, CloseReason> {
        self.open.remove(&number).ok_or(CloseReason::UnknownCall)
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.deadlines.due()
    }

    /// The next call whose deadline has passed.
    pub(super) fn expired(&mut self, now: Duration) -> Option<(u64, C)> {
        loop {
            let number = self.deadlines.expired(now)?;
            if let Some(call) = self.open.get_mut(&number).and_then(Option::take) {
                return Some((number, call));
            }
        }
    }
}

impl<C, A> Session<C, A> {
    /// Queues a request and attaches `call` to it until it is answered. Returns the number of the call.
    ///
    /// `args` is used up if it is large, and `ports` are what its ports have become ([`Session::produce`],
    /// [`Session::host`]). A call that is not answered by its deadline is cancelled and answered with
    /// [`FaultCode::DeadlineExceeded`].
    ///
    /// # Errors
    /// [`FaultCode::LimitExceeded`] if the frame is longer than the peer reads, credential, label and headers
    /// are over [`Limits::max_metadata`](crate::Limits::max_metadata), or too many calls are unanswered; the
    /// fault of the end ([`Closed::fault_code`]) or [`FaultCode::Unavailable`] if the connection is not open or
    /// the peer takes no more calls; those of [`Session::bind`].
    pub fn request(
        &mut self,
        now: Duration,
        head: RequestHead<'_>,
        args: &mut Outgoing,
        ports: &[Port],
        call: C,
    ) -> Result<u64, FaultCode> {
        if !self.is_open() || self.is_draining {
            return Err(self.closed.map_or(FaultCode::Unavailable, Closed::fault_code));
        }
        let most = self.peer.map_or(0, |peer| peer.max_calls.min(self.limits.max_in_flight()) as usize);
        if self.calls.len() >= most {
            return Err(FaultCode::LimitExceeded);
        }
        // What goes with it is noted already and does not count; anything else that was under way has been waited
        // for, and a call more must not make that begin again.
        if !self.was_active_without(ports) {
            self.watch.quiet_since(now);
        }
        let interface = self.bind(head.request.interface)?;
        let number = self.calls.next;
        let longest = self.longest();
        let out = self.outbox.tail();
        let start = begin(out);
        // A peer would close the connection for too much metadata, and with it end every other call.
        let most = self.limits.max_metadata() as usize;
        let printed = head.print(number, interface, ports, out).and_then(|bounded| {
            let length = out.len() - start - LENGTH_SIZE + args.len();
            let fits = bounded <= most && length <= longest && end(start, out, args.len());
            if fits { Ok(()) } else { Err(FaultCode::LimitExceeded) }
        });
        if let Err(code) = printed {
            out.truncate(start);
            return Err(code);
        }
        self.outbox.push_body(args);
        self.calls.next += 1;
        self.calls.open.insert(number, Some(call));
        if let Some(left) = head.remaining {
            let open = &self.calls.open;
            self.calls.deadlines.add(now.saturating_add(left), number, open.len(), |number| {
                matches!(open.get(&number), Some(Some(_)))
            });
        }
        Ok(number)
    }

    fn was_active_without(&self, ports: &[Port]) -> bool {
        let streams = ports.iter().filter(|port| matches!(port, Port::Items(_))).count();
        self.calls.len() + self.serving.len() > 0
            || self.streams.len() > streams
            || self.objects.len() > ports.len() - streams
    }

    /// Says that nobody waits for call `number` any more. Does nothing if it is answered.
    pub fn cancel(&mut self, number: u64) {
        if let Some(call @ Some(_)) = self.calls.open.get_mut(&number) {
            *call = None;
            self.say(&Frame::Cancel { number });
        }
    }

    /// The number under which the peer knows `interface`; it is told first if it does not. Whether the peer hosts
    /// it for everybody comes back as an event.
    ///
    /// # Errors
    /// [`FaultCode::LimitExceeded`] if there are too many; [`FaultCode::NotFound`] for a server whose client
    /// handed it no object, and so hosts nothing.
    pub fn bind(&mut self, interface: InterfaceId) -> Result<u16, FaultCode> {
        let bound = &self.calls.bound;
        // Callers of one connection mostly use few interfaces, the last one most.
        if let Some(index) = bound.iter().rposition(|(bound, _)| *bound == interface) {
            return Ok(index as u16);
        }
        if !self.may_call() {
            return Err(FaultCode::NotFound);
        }
        if bound.len() >= MAX_INTERFACES {
            return Err(FaultCode::LimitExceeded);
        }
        let index = bound.len() as u16;
        self.calls.bound.push((interface, false));
        self.say(&Frame::Bind { index, interface });
        Ok(index)
    }
}

/// Deadlines by time. Those of calls that ended stay until there are more of them than of others.
#[derive(Default)]
pub(super) struct Deadlines(BinaryHeap<Reverse<(Duration, u64)>>);

impl Deadlines {
    pub(super) fn add(&mut self, at: Duration, number: u64, open: usize, is_open: impl Fn(u64) -> bool) {
        if self.0.len() > 64 + 2 * open {
            self.0.retain(|Reverse((_, number))| is_open(*number));
        }
        self.0.push(Reverse((at, number)));
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// The next number whose time has come, whether it is still open or not.
    pub(super) fn expired(&mut self, now: Duration) -> Option<u64> {
        self.due().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse((_, number))| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_of_calls_that_ended_do_not_pile_up() {
        let mut deadlines = Deadlines::default();
        for number in 0..10_000 {
            deadlines.add(Duration::from_secs(number), number, 1, |open| open == number || open == 7);
        }
        assert!(deadlines.0.len() <= 64 + 3, "{}", deadlines.0.len());
        assert_eq!(deadlines.expired(Duration::from_secs(7)), Some(7), "one that is open stays");
    }
}
