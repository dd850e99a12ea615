//! What the applications at both ends do, and how a shell reacts to its session.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use graft_core::port::Outgoing;
use graft_core::{
    CallId, FaultCode, HandleId, InterfaceId, Label, Metadata, MethodId, Origin, ReplyKind, Request, RunId,
};
use graft_transport::session::{Room, Taken};
use graft_transport::wire::{Port, RequestHead, item_cost};
use graft_transport::{CloseReason, Closed};

use crate::plan::{Body, Call, CallPlan, Flow, FlowPlan, Give, Object, Outcome, Said, Ticket, Trouble, item};
use crate::world::{Task, World};

pub(crate) const INTERFACE: InterfaceId = InterfaceId([7; 32]);
/// Until there is room, whoever has something to say looks again.
const AGAIN: Duration = Duration::from_millis(10);

pub(crate) fn label(is_untrusted: bool) -> Label {
    if is_untrusted { Label::untrusted(Origin::MCP_DERIVED) } else { Label::default() }
}

impl World {
    pub(crate) fn perform(&mut self, task: Task) {
        match task {
            Task::Burst => self.burst(),
            Task::Call(call) => self.call(call),
            Task::Cancel(call) => self.cancel(call),
            Task::Answer(call) => self.answer(call),
            Task::Produce(end, number) => self.produce((end, number)),
            Task::Take(end, number) => self.take((end, number)),
            Task::Use { object } => self.use_object(object),
            Task::Release { object } => self.release(object),
            Task::AskHealth(end) => {
                if self.ends[end].session.is_open() {
                    self.ends[end].asked += 1;
                }
                self.ends[end].session.ask_health();
            }
            Task::Drain(end) => {
                self.drains[end] = true;
                self.ends[end].session.drain();
            }
            Task::Close(end) => {
                self.is_closing = true;
                self.ends[end].session.close(Closed::by_us(CloseReason::Done));
            }
            Task::GiveUp(end) => self.give_up(end),
            Task::Pause(end) => {
                let until = self.now + self.rng.time(Duration::from_millis(400));
                self.ends[end].paused = until;
                self.at(until, Task::Resume);
            }
            Task::Resume => {}
            Task::Trouble => match self.setting.trouble {
                Trouble::SilentFrom(_) => {
                    self.troubled = Some(self.now);
                    self.seen.silent += 1;
                    self.pipes.iter_mut().for_each(|pipe| pipe.is_silent = true);
                }
                _ => self.break_off(),
            },
        }
    }

    /// A number of calls, and what else applications do.
    pub(crate) fn burst(&mut self) {
        let longest = self.setting.longest_body;
        let spread = Duration::from_millis(self.rng.one_of(&[0, 50, 1500]));
        for _ in 0..self.setting.calls {
            let on = self.rng.chance(3).then_some(1 << 50);
            let plan = CallPlan::random(&mut self.rng, 0, on, longest);
            self.plan_call(plan, spread);
        }
        for _ in 0..self.setting.pauses {
            let (end, time) = (self.rng.upto(1) as usize, self.rng.time(spread));
            self.after(time, Task::Pause(end));
        }
        for end in [0, 1] {
            if self.rng.chance(20) {
                let time = self.rng.time(spread);
                self.after(time, Task::AskHealth(end));
            }
            if self.bursts == 0 && self.rng.chance(5) {
                let time = self.rng.time(spread);
                self.after(time, Task::Drain(end));
            }
            if self.rng.chance(3) {
                let time = self.rng.time(spread * 2);
                self.after(time, Task::Close(end));
            }
        }
    }

    pub(crate) fn plan_call(&mut self, plan: CallPlan, spread: Duration) {
        self.calls.push(Call::new(plan));
        let time = self.rng.time(spread);
        self.after(time, Task::Call(self.calls.len() - 1));
    }

    fn call(&mut self, id: usize) {
        let plan = self.calls[id].plan.clone();
        let here = &self.ends[plan.by];
        let is_early = !here.session.is_open() || !here.session.has_room();
        if is_early && here.session.closed().is_none() {
            return self.after(AGAIN, Task::Call(id));
        }
        if !self.ends[plan.by].session.is_active() {
            self.ends[plan.by].active_since = Some(self.now);
        }
        let Some(ports) = self.make_ports(plan.by, &plan.gives) else {
            self.calls[id].outcome = Some(Outcome::Refused(FaultCode::LimitExceeded));
            return;
        };
        let mut meta = Metadata::new(RunId([1; 16]), CallId(id as u64));
        meta.deadline = None;
        let label = label(plan.is_untrusted);
        let mut request = Request::new(INTERFACE, MethodId([2; 8]), &meta, &label);
        request.handle = plan.on.map(HandleId);
        let mut args = Outgoing::default();
        args.encode(&Body::new(id, plan.body, 1)).expect("plain values can be encoded");
        let head = RequestHead { request: &request, remaining: plan.time };
        let ticket = Ticket { call: id, let_go: Rc::clone(&self.calls[id].made) };
        let (session, call) = (&mut self.ends[plan.by].session, &mut self.calls[id]);
        match session.request(self.now, head, &mut args, &ports, ticket) {
            Ok(number) => {
                (call.number, call.given) = (Some(number), ports.clone());
                call.due = plan.time.map(|time| self.now + time);
                self.ports_are_out(plan.by, &ports);
                if let Some(time) = plan.cancel_after {
                    self.after(time, Task::Cancel(id));
                }
            }
            Err(code) => {
                call.outcome = Some(Outcome::Refused(code));
                self.seen.refused += 1;
                self.take_back(plan.by, &ports);
                self.check_refusal(id, code);
            }
        }
    }

    /// What the ports of a value have become; nothing if there are too many objects.
    fn make_ports(&mut self, end: usize, gives: &[Give]) -> Option<Vec<Port>> {
        let mut ports = Vec::new();
        for give in gives {
            let session = &mut self.ends[end].session;
            match give {
                Give::Flow(plan) => {
                    let number = session.produce();
                    self.flows.insert((end, number), Flow::new(plan.clone()));
                    ports.push(Port::Items(number));
                }
                Give::Object => {
                    let id = self.objects.last_key_value().map_or(1, |(last, _)| last + 1);
                    if session.host(self.now, HandleId(id)).is_err() {
                        self.take_back(end, &ports);
                        return None;
                    }
                    let object = Object {
                        host: end,
                        hosted_at: self.now,
                        is_held: false,
                        is_released: false,
                        is_gone: false,
                    };
                    self.objects.insert(id, object);
                    ports.push(Port::Object(HandleId(id)));
                }
            }
        }
        Some(ports)
    }

    fn take_back(&mut self, end: usize, ports: &[Port]) {
        for port in ports {
            match port {
                Port::Items(number) => {
                    self.ends[end].session.unproduce(*number);
                    self.flows.remove(&(end, *number));
                }
                Port::Object(handle) => {
                    self.ends[end].session.unhost(*handle);
                    self.objects.get_mut(&handle.0).expect("was made").is_gone = true;
                }
            }
        }
    }

    fn ports_are_out(&mut self, end: usize, ports: &[Port]) {
        for port in ports {
            if let Port::Items(number) = port {
                self.after(Duration::ZERO, Task::Produce(end, *number));
            }
        }
    }

    fn cancel(&mut self, id: usize) {
        let call = &mut self.calls[id];
        let (Some(number), None) = (call.number, call.outcome) else { return };
        if self.ends[call.plan.by].session.closed().is_none() {
            self.ends[call.plan.by].session.cancel(number);
            call.outcome = Some(Outcome::Cancelled);
            self.seen.cancelled += 1;
        }
    }

    fn answer(&mut self, id: usize) {
        let plan = self.calls[id].plan.clone();
        let end = 1 - plan.by;
        let number = self.calls[id].number.expect("it arrived");
        if !self.ends[end].session.is_serving(number) {
            return;
        }
        if !self.ends[end].session.has_room() {
            return self.after(AGAIN, Task::Answer(id));
        }
        let (kind, size) = match plan.answer {
            Said::Value(size) => (ReplyKind::Ok, size),
            Said::Error(size) => (ReplyKind::Err, size),
            Said::Fault(code) => return self.fault(id, code),
        };
        let Some(ports) = self.make_ports(end, &plan.returns) else {
            return self.fault(id, FaultCode::LimitExceeded);
        };
        let mut reply = Outgoing::default();
        reply.encode(&Body::new(id, size, 2)).expect("plain values can be encoded");
        let session = &mut self.ends[end].session;
        if session.reply(number, kind, &label(plan.is_untrusted), &mut reply, &ports) {
            self.calls[id].said = Some(plan.answer);
            self.calls[id].returned = ports.clone();
            self.ports_are_out(end, &ports);
        } else {
            assert!(self.setting.is_tight, "a reply is too long");
            self.calls[id].said = Some(Said::Fault(FaultCode::LimitExceeded));
            self.take_back(end, &ports);
        }
    }

    pub(crate) fn fault(&mut self, id: usize, code: FaultCode) {
        let call = &mut self.calls[id];
        let number = call.number.expect("it arrived");
        let ticket = self.ends[1 - call.plan.by].session.fault(number, code);
        assert!(ticket.flatten().is_some_and(|ticket| ticket.call == id), "what was attached comes back");
        call.said = Some(Said::Fault(code));
    }

    fn produce(&mut self, key: (usize, u64)) {
        let session = &mut self.ends[key.0].session;
        let Some(flow) = self.flows.get_mut(&key).filter(|flow| !flow.is_finished) else { return };
        flow.waits = false;
        while flow.sent < flow.plan.items {
            let item = Bytes::from(item(key, flow.sent, flow.plan.longest));
            match session.room(key.1, item.len()) {
                Room::Gone => return flow.is_gone = true,
                Room::Later => {
                    self.seen.waited += 1;
                    return flow.waits = true;
                }
                Room::Now => {}
            }
            if session.send(key.1, &item).is_err() {
                assert!(self.setting.is_tight, "an item is too long");
                // Nothing more of it; the reader sees why.
                (flow.plan.items, flow.plan.end) = (flow.sent, Some(FaultCode::LimitExceeded));
                break;
            }
            flow.sent += 1;
            self.seen.items += 1;
            let window = self.setting.windows(1 - key.0).0;
            flow.cost[0] += u64::from(item_cost(item.len(), window));
            if !flow.plan.produce_every.is_zero() && flow.sent < flow.plan.items {
                let every = flow.plan.produce_every;
                return self.after(every, Task::Produce(key.0, key.1));
            }
        }
        if session.room(key.1, 0) == Room::Gone {
            return flow.is_gone = true;
        }
        session.finish(key.1, flow.plan.end);
        flow.is_finished = true;
    }

    /// Whoever waited for bytes to be fetched, or for credit, goes on; 0 stands for all of them.
    pub(crate) fn goes_on_producing(&mut self, end: usize, number: u64) {
        let of_end = self.flows.iter().filter(|(key, flow)| key.0 == end && flow.waits);
        let waiting: Vec<u64> =
            of_end.map(|(key, _)| key.1).filter(|key| number == 0 || *key == number).collect();
        for number in waiting {
            self.produce((end, number));
        }
    }

    pub(crate) fn has_room_again(&mut self, end: usize) {
        self.goes_on_producing(end, 0);
    }

    fn take(&mut self, key: (usize, u64)) {
        let reader = 1 - key.0;
        let (session, flow) = (&mut self.ends[reader].session, self.flows.get_mut(&key).expect("was read"));
        if flow.is_over || flow.is_stopped {
            return;
        }
        let FlowPlan { longest, take_every, stop_after, items, end, .. } = flow.plan.clone();
        if stop_after.is_some_and(|most| flow.taken >= most) {
            flow.is_stopped = true;
            self.seen.stopped += 1;
            return session.stop(key.1);
        }
        match session.take(key.1) {
            Taken::Item(bytes) => {
                assert!(flow.taken < flow.sent, "nothing is taken that was not sent");
                assert_eq!(bytes, item(key, flow.taken, longest), "items come in order, each once");
                flow.taken += 1;
                let window = self.setting.windows(reader).0;
                flow.cost[1] += u64::from(item_cost(bytes.len(), window));
                self.after(take_every, Task::Take(key.0, key.1));
            }
            Taken::Nothing => flow.sleeps = true,
            Taken::End(code) => {
                flow.is_over = true;
                // What came in before the end of the session can be taken, the end of the stream too.
                let is_whole = flow.is_finished && flow.taken == items && code == end;
                let closed = self.ends[reader].session.closed();
                let is_lost = closed.is_some_and(|closed| code == Some(closed.fault_code()));
                assert!(is_whole || is_lost, "a stream ends where its producer ended it: {code:?}");
            }
        }
    }

    fn use_object(&mut self, object: u64) {
        let (host, longest) = (self.objects[&object].host, self.setting.longest_body);
        if !self.objects[&object].is_released && self.calls.len() < 60 {
            let plan = CallPlan::random(&mut self.rng, 1 - host, Some(object), longest);
            self.plan_call(plan, Duration::ZERO);
        }
    }

    pub(crate) fn release(&mut self, id: u64) {
        let object = self.objects.get_mut(&id).expect("was made");
        if !object.is_released {
            object.is_released = true;
            self.seen.released += 1;
            self.ends[1 - object.host].session.release(HandleId(id));
        }
    }
}
