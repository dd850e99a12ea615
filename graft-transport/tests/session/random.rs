//! Valid use of both ends in any order, the bytes between them cut anywhere, and a referee who reads along.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use graft_core::{FaultCode, HandleId};
use graft_transport::Limits;
use graft_transport::session::{Event, Role, Room, Taken};
use graft_transport::wire::Port;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::pair::{Call, End, reply, request};
use crate::referee::{Referee, STREAM_WINDOW, WINDOW};

#[derive(Clone, Debug)]
enum Op {
    Call {
        streams: usize,
        objects: usize,
        on: Option<Index>,
        remaining: Option<u64>,
    },
    Reply {
        call: Index,
        streams: usize,
        objects: usize,
    },
    Fault {
        call: Index,
    },
    Cancel {
        call: Index,
    },
    Send {
        stream: Index,
        len: usize,
    },
    Finish {
        stream: Index,
        is_whole: bool,
    },
    Take {
        stream: Index,
    },
    Stop {
        stream: Index,
    },
    Release {
        object: Index,
    },
    Renew {
        object: Index,
    },
    Health,
    /// So many of the bytes under way to this end arrive.
    Deliver {
        share: Index,
    },
    Wait {
        millis: u64,
    },
}

fn op() -> impl Strategy<Value = (bool, Op)> {
    let index = any::<Index>;
    let op = prop_oneof![
        3 => (0..3_usize, 0..2_usize, proptest::option::of(index()), proptest::option::of(0..300_u64))
            .prop_map(|(streams, objects, on, remaining)| Op::Call { streams, objects, on, remaining }),
        3 => (index(), 0..3_usize, 0..2_usize)
            .prop_map(|(call, streams, objects)| Op::Reply { call, streams, objects }),
        1 => index().prop_map(|call| Op::Fault { call }),
        1 => index().prop_map(|call| Op::Cancel { call }),
        6 => (index(), 0..400_usize).prop_map(|(stream, len)| Op::Send { stream, len }),
        1 => (index(), any::<bool>()).prop_map(|(stream, is_whole)| Op::Finish { stream, is_whole }),
        5 => index().prop_map(|stream| Op::Take { stream }),
        1 => index().prop_map(|stream| Op::Stop { stream }),
        1 => index().prop_map(|object| Op::Release { object }),
        1 => index().prop_map(|object| Op::Renew { object }),
        1 => Just(Op::Health),
        8 => index().prop_map(|share| Op::Deliver { share }),
        1 => (0..200_u64).prop_map(|millis| Op::Wait { millis }),
    ];
    (any::<bool>(), op)
}

/// One end and its shell.
struct Shell {
    end: End,
    /// Bytes that the other end said and that did not arrive.
    under_way: Vec<u8>,
    made: u32,
    /// Calls that nobody answered or cancelled, by what is attached to them.
    waiting: HashMap<u32, u64>,
    settled: HashSet<u32>,
    serving: Vec<u64>,
    produced: Vec<u64>,
    consumed: Vec<u64>,
    held: Vec<HandleId>,
    hosted: u64,
}

impl Shell {
    fn new(role: Role) -> Self {
        let limits = Limits::default()
            .with_stream_window(STREAM_WINDOW)
            .with_window(WINDOW)
            .with_max_streams(4)
            .with_max_handles(4)
            .with_max_in_flight(5)
            .with_lease(Duration::from_millis(500));
        Self {
            end: End::new(role, limits),
            under_way: Vec::new(),
            made: 0,
            waiting: HashMap::new(),
            settled: HashSet::new(),
            serving: Vec::new(),
            produced: Vec::new(),
            consumed: Vec::new(),
            held: Vec::new(),
            hosted: 0,
        }
    }

    fn ports(&mut self, now: Duration, streams: usize, objects: usize) -> Vec<Port> {
        let mut ports = Vec::new();
        for _ in 0..streams {
            ports.push(Port::Items(self.end.session.produce()));
        }
        for _ in 0..objects {
            self.hosted += 1;
            if self.end.session.host(now, HandleId(self.hosted)).is_ok() {
                ports.push(Port::Object(HandleId(self.hosted)));
            }
        }
        ports
    }

    /// Ports that went out are served, others are taken back.
    fn went_out(&mut self, ports: &[Port], did: bool) {
        for port in ports {
            match *port {
                Port::Items(stream) if did => self.produced.push(stream),
                Port::Items(stream) => self.end.session.unproduce(stream),
                Port::Object(_) if did => {}
                Port::Object(handle) => self.end.session.unhost(handle),
            }
        }
    }

    fn imported(&mut self, ports: &[Port]) {
        for port in ports {
            match *port {
                Port::Items(stream) => self.consumed.push(stream),
                Port::Object(handle) => self.held.push(handle),
            }
        }
    }

    fn settle(&mut self, tag: u32) {
        assert!(self.waiting.remove(&tag).is_some(), "a call that nobody waits for is answered");
        assert!(self.settled.insert(tag), "a call is answered twice");
    }

    fn listen(&mut self) {
        self.end.listen();
        while let Some(event) = self.end.events.pop_front() {
            match event {
                Event::Request(call) => {
                    self.imported(&call.frame.ports);
                    if self.end.session.is_serving(call.frame.number) {
                        self.serving.push(call.frame.number);
                    }
                }
                Event::Answer(tag, answer) => {
                    self.settle(tag);
                    if let graft_transport::session::Answer::Reply { ports, .. } = answer {
                        self.imported(&ports);
                    }
                }
                Event::Stopped(stream) => self.produced.retain(|produced| *produced != stream),
                Event::Closed(closed) => unreachable!("{closed}"),
                _ => {}
            }
        }
        let session = &self.end.session;
        self.serving.retain(|number| session.is_serving(*number));
    }

    fn act(&mut self, now: Duration, op: &Op) {
        fn pick<T: Copy>(from: &[T], index: &Index) -> Option<T> {
            (!from.is_empty()).then(|| from[index.index(from.len())])
        }
        match op {
            Op::Call { streams, objects, on, remaining } => {
                let handle = on.as_ref().and_then(|on| pick(&self.held, on));
                let remaining = remaining.map(Duration::from_millis);
                let ports = self.ports(now, *streams, *objects);
                let (tag, call) = (self.made, Call { body: b"args", ports: &ports, handle, remaining });
                let made = request(&mut self.end.session, now, call, tag);
                if let Ok(number) = made {
                    self.made += 1;
                    self.waiting.insert(tag, number);
                }
                self.went_out(&ports, made.is_ok());
            }
            Op::Reply { call, streams, objects } => {
                let Some(number) = pick(&self.serving, call) else { return };
                let ports = self.ports(now, *streams, *objects);
                let did = reply(&mut self.end.session, number, b"result", &ports);
                self.went_out(&ports, did);
            }
            Op::Fault { call } => {
                let Some(number) = pick(&self.serving, call) else { return };
                self.end.session.fault(number, FaultCode::NotFound);
            }
            Op::Cancel { call } => {
                let mut tags: Vec<u32> = self.waiting.keys().copied().collect();
                tags.sort_unstable();
                let Some(tag) = pick(&tags, call) else { return };
                self.end.session.cancel(self.waiting[&tag]);
                self.settle(tag);
            }
            Op::Send { stream, len } => {
                let Some(stream) = pick(&self.produced, stream) else { return };
                if self.end.session.room(stream, *len) == Room::Now {
                    self.end.session.send(stream, &Bytes::from(vec![1; *len])).expect("fits");
                }
            }
            Op::Finish { stream, is_whole } => {
                let Some(stream) = pick(&self.produced, stream) else { return };
                self.end.session.finish(stream, (!is_whole).then_some(FaultCode::Internal));
                self.produced.retain(|produced| *produced != stream);
            }
            Op::Take { stream } => {
                let Some(stream) = pick(&self.consumed, stream) else { return };
                if let Taken::End(_) = self.end.session.take(stream) {
                    self.consumed.retain(|consumed| *consumed != stream);
                }
            }
            Op::Stop { stream } => {
                let Some(stream) = pick(&self.consumed, stream) else { return };
                self.end.session.stop(stream);
                self.consumed.retain(|consumed| *consumed != stream);
            }
            Op::Release { object } => {
                let Some(object) = pick(&self.held, object) else { return };
                self.end.session.release(object);
                self.held.retain(|held| *held != object);
            }
            Op::Renew { object } => {
                let Some(object) = pick(&self.held, object) else { return };
                self.end.session.renew(object);
            }
            Op::Health => self.end.session.ask_health(),
            Op::Deliver { .. } | Op::Wait { .. } => {}
        }
    }
}

struct World {
    now: Duration,
    shells: [Shell; 2],
    referee: Referee,
}

impl World {
    fn new() -> Self {
        let shells = [Role::Client, Role::Server].map(Shell::new);
        let mut world = Self { now: Duration::ZERO, shells, referee: Referee::default() };
        world.settle();
        world
    }

    /// What both said is under way.
    fn collect(&mut self) {
        for from in [0, 1] {
            self.shells[from].listen();
            let said = self.shells[from].end.said();
            self.referee.read(from, &said);
            self.shells[1 - from].under_way.extend(said);
        }
    }

    fn deliver(&mut self, to: usize, count: usize) {
        let shell = &mut self.shells[to];
        let bytes: Vec<u8> = shell.under_way.drain(..count).collect();
        shell.end.hear(self.now, &bytes);
        shell.listen();
        let closed = shell.end.closed();
        assert_eq!(closed, None, "{to}");
    }

    /// Everything arrives.
    fn settle(&mut self) {
        loop {
            self.collect();
            let counts = [0, 1].map(|to| self.shells[to].under_way.len());
            if counts == [0, 0] {
                break;
            }
            (0..2).for_each(|to| self.deliver(to, counts[to]));
        }
    }

    fn act(&mut self, who: usize, op: &Op) {
        match op {
            Op::Deliver { share } => {
                let count = share.index(self.shells[who].under_way.len() + 1);
                self.deliver(who, count);
            }
            Op::Wait { millis } => {
                self.now += Duration::from_millis(*millis);
                self.shells.iter_mut().for_each(|shell| shell.end.session.handle_timeout(self.now));
            }
            op => self.shells[who].act(self.now, op),
        }
        self.collect();
    }

    /// Every call is answered, every stream read to its end, every object released.
    fn finish(&mut self) {
        for _ in 0..1000 {
            self.settle();
            for shell in &mut self.shells {
                for number in std::mem::take(&mut shell.serving) {
                    shell.end.session.fault(number, FaultCode::Unavailable);
                }
                for stream in std::mem::take(&mut shell.produced) {
                    shell.end.session.finish(stream, None);
                }
                for handle in std::mem::take(&mut shell.held) {
                    shell.end.session.release(handle);
                }
                let session = &mut shell.end.session;
                shell.consumed.retain(|stream| {
                    loop {
                        match session.take(*stream) {
                            Taken::Item(_) => {}
                            Taken::Nothing => break true,
                            Taken::End(_) => break false,
                        }
                    }
                });
            }
            self.collect();
            let is_quiet = |shell: &Shell| shell.under_way.is_empty() && shell.consumed.is_empty();
            if self.shells.iter().all(is_quiet) {
                return;
            }
        }
        unreachable!("it does not come to rest");
    }
}

proptest! {
    #[test]
    fn valid_use_in_any_order_breaks_no_rule_and_answers_each_call_once(ops in vec(op(), 0..150)) {
        let mut world = World::new();
        for (is_server, op) in &ops {
            world.act(usize::from(*is_server), op);
        }
        world.finish();
        for (shell, said) in world.shells.iter().zip(&world.referee.0) {
            prop_assert_eq!(shell.settled.len(), shell.made as usize);
            prop_assert!(shell.waiting.is_empty() && said.calls.is_empty());
            prop_assert_eq!((shell.end.session.in_flight(), shell.end.session.serving()), (0, 0));
            // What was given back and what was not comes to the whole window at both ends.
            prop_assert!(said.all > i64::from(WINDOW / 2), "{} of {WINDOW} is left", said.all);
        }
        let hosts = |shell: &Shell| (1..=shell.hosted).any(|handle| shell.end.session.hosts(HandleId(handle)));
        prop_assert!(!world.shells.iter().any(hosts), "what nobody holds is gone");
        prop_assert!(!world.shells.iter().any(|shell| shell.end.session.has_ports()));
    }
}
