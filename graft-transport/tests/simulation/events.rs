//! What comes out of a session, held against what the world knows.

use std::rc::Rc;
use std::time::Duration;

use graft_core::{FaultCode, ReplyKind};
use graft_transport::session::{Answer, Event, IncomingRequest};
use graft_transport::wire::Port;
use graft_transport::{CloseReason, Closed, ClosedBy};

use crate::acts::{INTERFACE, label};
use crate::plan::{Body, Outcome, Said, Ticket};
use crate::world::{Task, World};

impl World {
    pub(crate) fn happens(&mut self, end: usize, event: Event<Ticket, Ticket>) {
        assert!(self.ends[end].closed.is_none(), "nothing comes after the end");
        match event {
            Event::Request(request) => self.request_arrives(end, &request),
            Event::Answer(ticket, answer) => self.answer_arrives(end, &ticket, answer),
            Event::Cancelled(ticket) => {
                // Nothing was attached if it came with the request itself.
                let Some(ticket) = ticket else { return };
                let given = self.calls[ticket.call].given.clone();
                if self.rng.chance(50) {
                    self.discard(end, &given);
                }
            }
            Event::Readable(number) => {
                let key = (1 - end, number);
                let flow = self.flows.get_mut(&key).expect("a stream that was announced");
                if std::mem::take(&mut flow.sleeps) {
                    let every = flow.plan.take_every;
                    self.after(every, Task::Take(key.0, number));
                }
            }
            Event::Writable(number) => self.goes_on_producing(end, number),
            Event::Stopped(number) => {
                self.flows.get_mut(&(end, number)).expect("a stream that was produced").is_gone = true;
            }
            Event::Released(handle) => {
                let object = self.objects.get_mut(&handle.0).expect("an object that was hosted");
                assert!(object.host == end && !object.is_gone, "an object goes once");
                object.is_gone = true;
                if object.is_held && !object.is_released {
                    let silent = self.troubled.expect("while the network works a lease is renewed");
                    let lease = self.setting.limits[end].lease();
                    assert!(self.now >= lease && self.now <= silent.max(object.hosted_at) + lease);
                    self.seen.leases += 1;
                }
            }
            Event::Bound(interface, is_hosted) => assert!(interface == INTERFACE && is_hosted),
            Event::HealthAsked => {
                let drains = self.drains[end];
                self.ends[end].session.answer_health(!drains);
            }
            Event::Health(is_ok) => {
                self.ends[end].told += 1;
                assert!(is_ok || self.drains[1 - end]);
            }
            Event::Draining => assert!(self.drains[1 - end]),
            Event::Closed(closed) => self.ended(end, closed),
            _ => {}
        }
    }

    fn request_arrives(&mut self, end: usize, request: &IncomingRequest) {
        let frame = &request.frame;
        let body: Body = postcard::from_bytes(&frame.body).expect("what was encoded");
        let id = body.call;
        let call = &mut self.calls[id];
        assert!(!call.has_arrived, "a call arrives once");
        call.has_arrived = true;
        assert_eq!((1 - end, Some(frame.number)), (call.plan.by, call.number));
        assert_eq!(body, Body::new(id, call.plan.body, 1));
        assert_eq!(frame.label, label(call.plan.is_untrusted));
        assert_eq!((request.interface, frame.handle.map(|handle| handle.0)), (INTERFACE, call.plan.on));
        assert_eq!((&frame.ports, frame.remaining), (&call.given, call.plan.time));
        let work = call.plan.work;
        let session = &mut self.ends[end].session;
        let ticket = Ticket { call: id, let_go: Rc::clone(&call.served) };
        if session.attach(frame.number, ticket).is_some() {
            // It was cancelled or too late in the same breath.
            return self.discard(end, &frame.ports);
        }
        if !std::mem::replace(&mut self.ends[end].said_bound, true) {
            self.ends[end].session.bound(INTERFACE, true);
        }
        let session = &self.ends[end].session;
        if frame.handle.is_some_and(|handle| !session.hosts(handle)) {
            self.discard(end, &frame.ports);
            self.fault(id, FaultCode::HandleGone);
        } else if session.drains() {
            self.discard(end, &frame.ports);
            self.fault(id, FaultCode::Unavailable);
        } else {
            self.accept(end, &frame.ports);
            self.after(work, Task::Answer(id));
        }
    }

    /// The application has these ports now.
    fn accept(&mut self, end: usize, ports: &[Port]) {
        for port in ports {
            match port {
                Port::Items(number) => {
                    let key = (1 - end, *number);
                    let flow = self.flows.get_mut(&key).expect("a stream that was produced");
                    assert!(!flow.is_read, "a stream arrives once");
                    flow.is_read = true;
                    // Items may have come with it.
                    self.after(Duration::ZERO, Task::Take(key.0, *number));
                }
                Port::Object(handle) => {
                    let id = handle.0;
                    let object = self.objects.get_mut(&id).expect("an object that was hosted");
                    assert!(object.host == 1 - end && !object.is_held, "an object arrives once");
                    object.is_held = true;
                    let second = Duration::from_secs(1);
                    let uses = self.rng.upto(2);
                    for _ in 0..uses {
                        let time = self.rng.time(second);
                        self.after(time, Task::Use { object: id });
                    }
                    // Some are kept until the end.
                    if self.rng.chance(60) {
                        let time = self.rng.time(second * 2);
                        self.after(time, Task::Release { object: id });
                    }
                }
            }
        }
    }

    /// The application lets go of these ports.
    fn discard(&mut self, end: usize, ports: &[Port]) {
        for port in ports {
            match port {
                Port::Items(number) => {
                    let flow = self.flows.get_mut(&(1 - end, *number)).expect("a stream that was produced");
                    if !flow.is_over && !std::mem::replace(&mut flow.is_stopped, true) {
                        self.ends[end].session.stop(*number);
                    }
                }
                Port::Object(handle) => self.release(handle.0),
            }
        }
    }

    fn answer_arrives(&mut self, end: usize, ticket: &Ticket, answer: Answer) {
        let id = ticket.call;
        let call = &mut self.calls[id];
        assert_eq!(call.plan.by, end);
        assert_eq!(call.outcome, None, "a call ends once");
        assert!(call.due.is_none_or(|due| self.now <= due), "nothing comes after the deadline");
        match answer {
            Answer::Reply { kind, label: said, ports, body } => {
                let body: Body = postcard::from_bytes(&body).expect("what was encoded");
                let (size, is_right) = match call.said {
                    Some(Said::Value(size)) => (size, kind == ReplyKind::Ok),
                    Some(Said::Error(size)) => (size, kind == ReplyKind::Err),
                    _ => unreachable!("nothing like that was answered"),
                };
                assert!(is_right && body == Body::new(id, size, 2) && ports == call.returned);
                assert_eq!(said, label(call.plan.is_untrusted));
                call.outcome = call.said.map(Outcome::Answered);
                self.seen.values += 1;
                self.accept(end, &ports);
            }
            Answer::Fault { code, trace } => {
                call.outcome = Some(Outcome::Answered(Said::Fault(code)));
                self.seen.faults += 1;
                let is_late =
                    code == FaultCode::DeadlineExceeded && call.due.is_some_and(|due| self.now >= due);
                self.seen.late += u64::from(is_late);
                let is_refused = code == FaultCode::LimitExceeded
                    && self.setting.is_tight
                    && match call.said {
                        None => !call.has_arrived && trace.is_some(),
                        // More streams came with the answer than may be read.
                        Some(_) => !call.returned.is_empty() && trace.is_none(),
                    };
                let is_said = call.said == Some(Said::Fault(code)) && trace.is_some();
                assert!(is_late || is_refused || is_said, "nobody answered with {code:?}");
            }
        }
    }

    fn ended(&mut self, end: usize, closed: Closed) {
        assert_eq!(self.ends[end].session.closed(), Some(closed));
        self.ends[end].closed = Some(closed);
        let is_alone = self.ends[1 - end].closed.is_some();
        let is_silent = self.troubled.is_some() && self.pipes[end].is_silent;
        let idle = self.setting.limits[1].idle_timeout();
        let is_right = match closed.reason {
            CloseReason::Done => self.is_closing,
            CloseReason::Disconnected => self.seen.broken > 0 || is_alone,
            CloseReason::IdleTimeout if closed.by == ClosedBy::Us => {
                self.seen.idle += 1;
                end == 1 && self.ends[end].heard + idle <= self.now
            }
            CloseReason::IdleTimeout => is_alone,
            CloseReason::HandshakeTimeout | CloseReason::FrameTimeout | CloseReason::PeerSilent => is_silent,
            _ => false,
        };
        assert!(is_right, "end {end} at {:?}: {closed}", self.now);
        self.lingers(end);
        // Whoever waits for a stream finds that it is over.
        let waiting: Vec<u64> = self
            .flows
            .iter()
            .filter(|(key, flow)| key.0 != end && flow.sleeps)
            .map(|(key, _)| key.1)
            .collect();
        for number in waiting {
            self.after(Duration::ZERO, Task::Take(1 - end, number));
        }
        self.goes_on_producing(end, 0);
    }
}
