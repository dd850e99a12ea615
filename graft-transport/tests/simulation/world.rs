//! Two ends, the network between them and the time that passes for all of them.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::time::Duration;

use bytes::BytesMut;
use graft_transport::session::{Role, Session, Transmit};
use graft_transport::{CloseReason, Closed};

use crate::net::{Arrival, Pipe};
use crate::plan::{Call, Flow, Object, Setting, Ticket, Trouble};
use crate::rng::Rng;

/// A world that has not come to rest by then never does.
const MOST_STEPS: u64 = 100_000;
/// How long a closed end tries to say goodbye.
const LINGER: Duration = Duration::from_secs(1);

/// Something to be done at its time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    Burst,
    Call(usize),
    Cancel(usize),
    Answer(usize),
    Produce(usize, u64),
    Take(usize, u64),
    Use { object: u64 },
    Release { object: u64 },
    AskHealth(usize),
    Drain(usize),
    Close(usize),
    GiveUp(usize),
    Pause(usize),
    Resume,
    Trouble,
}

/// A session with what a shell has around it.
pub(crate) struct End {
    pub session: Session<Ticket, Ticket>,
    pub input: BytesMut,
    sent: Transmit,
    /// It does not read until then.
    pub paused: Duration,
    /// When something arrived last.
    pub heard: Duration,
    /// Since when something waits for the peer.
    pub active_since: Option<Duration>,
    pub said_bound: bool,
    pub asked: u64,
    pub told: u64,
    pub closed: Option<Closed>,
    has_left: bool,
}

impl End {
    fn new(role: Role, setting: &Setting, at: usize) -> Self {
        Self {
            session: Session::new(role, setting.limits[at], Duration::ZERO),
            input: BytesMut::new(),
            sent: Transmit::default(),
            paused: Duration::ZERO,
            heard: Duration::ZERO,
            active_since: None,
            said_bound: false,
            asked: 0,
            told: 0,
            closed: None,
            has_left: false,
        }
    }

    fn reads(&self, now: Duration) -> bool {
        self.paused <= now && (self.closed.is_some() || self.session.reads())
    }
}

/// What happened in one world or many.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub worlds: u64,
    pub steps: u64,
    pub values: u64,
    pub faults: u64,
    pub late: u64,
    pub cancelled: u64,
    pub refused: u64,
    pub lost: u64,
    pub items: u64,
    pub stopped: u64,
    pub waited: u64,
    pub released: u64,
    pub leases: u64,
    pub broken: u64,
    pub silent: u64,
    pub idle: u64,
    pub bytes: [u64; 2],
}

impl Seen {
    fn numbers(&mut self) -> [&mut u64; 17] {
        [
            &mut self.worlds,
            &mut self.steps,
            &mut self.values,
            &mut self.faults,
            &mut self.late,
            &mut self.cancelled,
            &mut self.refused,
            &mut self.lost,
            &mut self.items,
            &mut self.stopped,
            &mut self.waited,
            &mut self.released,
            &mut self.leases,
            &mut self.broken,
            &mut self.silent,
            &mut self.idle,
            &mut self.bytes[0],
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let mut other = *other;
        for (sum, more) in self.numbers().into_iter().zip(other.numbers()) {
            *sum += *more;
        }
        self.bytes[1] += other.bytes[1];
    }

    /// Whether each of them happened.
    pub(crate) fn is_everything(mut self) -> bool {
        self.numbers().into_iter().all(|number| *number > 0)
    }
}

pub(crate) struct World {
    pub rng: Rng,
    pub now: Duration,
    pub setting: Setting,
    pub ends: [End; 2],
    pub pipes: [Pipe; 2],
    pub calls: Vec<Call>,
    pub flows: BTreeMap<(usize, u64), Flow>,
    pub objects: BTreeMap<u64, Object>,
    tasks: BTreeMap<(Duration, u64), Task>,
    sequence: u64,
    /// When the trouble came.
    pub troubled: Option<Duration>,
    pub drains: [bool; 2],
    /// An application closed its end.
    pub is_closing: bool,
    pub bursts: u64,
    pub is_settled: bool,
    pub seen: Seen,
}

impl World {
    pub(crate) fn new(mut rng: Rng, setting: Setting) -> Self {
        let cut = |end| match setting.trouble {
            Trouble::CutAtByte { by, at } if by == end => Some(at),
            _ => None,
        };
        let pipes = [0, 1].map(|end| Pipe::new(setting.capacity, cut(end)));
        let ends = [End::new(Role::Client, &setting, 0), End::new(Role::Server, &setting, 1)];
        let seed = rng.next();
        let mut world = Self {
            rng: Rng::new(seed),
            now: Duration::ZERO,
            bursts: setting.bursts - 1,
            setting,
            ends,
            pipes,
            calls: Vec::new(),
            flows: BTreeMap::new(),
            objects: BTreeMap::new(),
            tasks: BTreeMap::new(),
            sequence: 0,
            troubled: None,
            drains: [false; 2],
            is_closing: false,
            is_settled: false,
            seen: Seen::default(),
        };
        let first = world.rng.time(Duration::from_millis(500));
        world.at(first, Task::Burst);
        if let Trouble::CutAt(at) | Trouble::SilentFrom(at) = world.setting.trouble {
            world.at(at, Task::Trouble);
        }
        world
    }

    /// Lets time pass until nothing is left to happen.
    pub(crate) fn run(mut self) -> Seen {
        loop {
            self.seen.steps += 1;
            assert!(self.seen.steps < MOST_STEPS, "the world does not come to rest");
            self.settle();
            self.check();
            match self.next() {
                Some(next) if !self.rests() => {
                    self.now = self.now.max(next);
                    self.step();
                }
                _ if self.goes_on() => {}
                _ => break,
            }
        }
        self.check_end();
        self.seen.worlds = 1;
        self.seen.bytes = [0, 1].map(|end| self.pipes[end].written);
        self.seen
    }

    pub(crate) fn at(&mut self, at: Duration, task: Task) {
        self.sequence += 1;
        self.tasks.insert((at, self.sequence), task);
    }

    pub(crate) fn after(&mut self, time: Duration, task: Task) {
        self.at(self.now + time, task);
    }

    fn arrival(&self, end: usize) -> Option<Duration> {
        self.pipes[1 - end].due().filter(|_| self.ends[end].reads(self.now))
    }

    fn next(&self) -> Option<Duration> {
        let arrivals = [0, 1].map(|end| self.arrival(end));
        let timeouts = [0, 1].map(|end| self.ends[end].session.poll_timeout());
        let tasks = self.tasks.first_key_value().map(|((at, _), _)| *at);
        arrivals.into_iter().chain(timeouts).flatten().chain(tasks).min()
    }

    /// Whether nothing is left but what comes of time alone.
    fn rests(&self) -> bool {
        self.troubled.is_none()
            && self.tasks.is_empty()
            && self.ends.iter().all(|end| end.sent.is_empty())
            && self.pipes.iter().all(|pipe| pipe.due().is_none())
            && !self.is_settled
    }

    /// What is due now, in any order.
    fn step(&mut self) {
        let first = self.rng.upto(2);
        for turn in 0..3 {
            match (first + turn) % 3 {
                0 => {
                    let first = self.rng.upto(1) as usize;
                    self.deliver(first);
                    self.deliver(1 - first);
                }
                1 => {
                    while let Some(entry) = self.tasks.first_entry().filter(|entry| entry.key().0 <= self.now)
                    {
                        let task = entry.remove();
                        self.perform(task);
                    }
                }
                _ => {
                    for end in [0, 1] {
                        self.time_out(end);
                    }
                }
            }
        }
    }

    fn deliver(&mut self, end: usize) {
        if self.arrival(end).is_none_or(|at| at > self.now) {
            return;
        }
        match self.pipes[1 - end].read(self.now) {
            Some(Arrival::Bytes(chunk)) if self.ends[end].closed.is_none() => {
                let here = &mut self.ends[end];
                here.heard = self.now;
                here.input.extend_from_slice(&chunk);
                while self.rng.chance(60) && self.pipes[1 - end].holds_bytes(self.now) {
                    if let Some(Arrival::Bytes(chunk)) = self.pipes[1 - end].read(self.now) {
                        here.input.extend_from_slice(&chunk);
                    }
                }
                here.session.handle(self.now, &mut here.input);
            }
            Some(Arrival::End) => {
                self.ends[end].session.close(Closed::by_us(CloseReason::Disconnected));
            }
            _ => {}
        }
    }

    fn time_out(&mut self, end: usize) {
        for _ in 0..8 {
            if self.ends[end].session.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
            self.ends[end].session.handle_timeout(self.now);
        }
        unreachable!("what was due is still due");
    }

    /// Events and bytes go where they belong until there are no more.
    fn settle(&mut self) {
        loop {
            let mut is_changed = false;
            for end in [0, 1] {
                while let Some(event) = self.ends[end].session.poll_event() {
                    is_changed = true;
                    self.happens(end, event);
                }
                is_changed |= self.flush(end);
                let here = &mut self.ends[end];
                let is_active = here.session.is_open() && here.session.is_active();
                here.active_since = is_active.then(|| here.active_since.unwrap_or(self.now));
            }
            if !is_changed {
                return;
            }
        }
    }

    /// Writes what goes; whether there is room for more to be said.
    fn flush(&mut self, end: usize) -> bool {
        let mut is_fetched = false;
        loop {
            let here = &mut self.ends[end];
            if here.sent.is_empty() {
                let limits = self.setting.limits[end];
                is_fetched |= here.session.poll_transmit(&mut here.sent);
                // Beyond the room: what was said last, and what is said without asking.
                let most = limits.max_buffered() * 2 + limits.max_frame() as usize + (16 << 10);
                assert!(here.sent.len() <= most, "{} bytes are said at once", here.sent.len());
            }
            if here.sent.is_empty() {
                here.session.writing(self.now, false);
                break;
            }
            // Small pieces, but not a thousand of them.
            let most = self.rng.between(1, self.setting.chunk as u64).max(here.sent.len() as u64 / 50);
            let mut slices = [IoSlice::new(&[]); 3];
            let used = here.sent.slices(&mut slices);
            let mut bytes = Vec::new();
            for slice in &slices[..used] {
                let left = (most as usize).saturating_sub(bytes.len()).min(slice.len());
                bytes.extend_from_slice(&slice[..left]);
            }
            let delay = Duration::from_micros(1) + self.rng.time(self.setting.delay);
            let was_broken = self.pipes[end].is_broken;
            let n = self.pipes[end].write(self.now + delay, &bytes);
            here.sent.advance(n);
            here.session.writing(self.now, n == 0);
            if self.pipes[end].is_broken && !was_broken || self.pipes[end].cut_at == Some(0) {
                self.break_off();
            }
            if n == 0 {
                break;
            }
        }
        let here = &mut self.ends[end];
        if here.closed.is_some() && here.sent.is_empty() && !here.has_left {
            here.has_left = true;
            self.pipes[end].end(self.now + self.setting.delay);
        }
        if is_fetched {
            self.has_room_again(end);
        }
        is_fetched
    }

    /// Both ends find out, now or later, and lose a part of what was under way.
    pub(crate) fn break_off(&mut self) {
        if self.troubled.is_some() {
            return;
        }
        self.troubled = Some(self.now);
        self.seen.broken += 1;
        for end in [0, 1] {
            let under_way = self.pipes[end].under_way();
            let is_cut_here = self.pipes[end].is_broken;
            let kept = if is_cut_here || self.rng.chance(50) {
                under_way
            } else {
                self.rng.upto(under_way as u64) as usize
            };
            self.pipes[end].cut_at = None;
            self.pipes[end].lose(kept);
            let delay = self.rng.time(self.setting.delay);
            self.pipes[end].end(self.now + delay);
        }
    }

    pub(crate) fn lingers(&mut self, end: usize) {
        self.after(LINGER, Task::GiveUp(end));
    }

    pub(crate) fn give_up(&mut self, end: usize) {
        let here = &mut self.ends[end];
        let len = here.sent.len();
        here.sent.advance(len);
    }
}
