//! What is going to be tried in a world, and what became of it: the reference that the sessions are held to.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use graft_core::FaultCode;
use graft_transport::Limits;
use graft_transport::wire::Port;
use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// What goes wrong between the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// It breaks after so many bytes of one end.
    CutAtByte {
        by: usize,
        at: u64,
    },
    /// It breaks at this time.
    CutAt(Duration),
    /// From this time on nothing arrives.
    SilentFrom(Duration),
}

/// What holds for a whole world.
pub(crate) struct Setting {
    pub limits: [Limits; 2],
    /// Whether they are so low that calls may be refused.
    pub is_tight: bool,
    pub delay: Duration,
    pub capacity: usize,
    pub chunk: usize,
    pub trouble: Trouble,
    pub bursts: u64,
    pub calls: u64,
    pub longest_body: u64,
    pub pauses: u64,
}

impl Setting {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        // Both ends have more to say than there is room for.
        let is_crowded = rng.chance(4);
        let is_tight = is_crowded || rng.chance(40);
        let trouble = match rng.upto(9) {
            0..=4 => Trouble::None,
            5 | 6 => Trouble::CutAtByte { by: rng.upto(1) as usize, at: rng.upto(4000) },
            7 => Trouble::CutAt(rng.time(Duration::from_secs(3))),
            _ if rng.chance(10) => Trouble::SilentFrom(Duration::ZERO),
            _ => Trouble::SilentFrom(rng.time(Duration::from_secs(5))),
        };
        Self {
            limits: [0, 1].map(|_| limits(rng, is_tight, is_crowded)),
            is_tight,
            delay: rng.time(Duration::from_millis(20)),
            capacity: if is_crowded { 2 << 10 } else { rng.between(2 << 10, 64 << 10) as usize },
            chunk: rng.one_of(&[1, 7, 100, 1000, 16_000]),
            trouble,
            bursts: rng.between(1, 2),
            calls: if is_crowded { 30 } else { rng.between(1, 6) },
            longest_body: if is_crowded { 3000 } else { rng.one_of(&[10, 300, 3000]) },
            pauses: rng.upto(3),
        }
    }

    /// What an end reads ahead of one stream, and of all: no less than something, one no more than all.
    pub(crate) fn windows(&self, end: usize) -> (u32, u32) {
        let all = self.limits[end].window().max(1);
        (self.limits[end].stream_window().clamp(1, all), all)
    }

    /// A short exchange that has everything in it.
    pub(crate) fn short(trouble: Trouble) -> Self {
        Self {
            limits: [Limits::default().with_stream_window(200); 2],
            is_tight: false,
            delay: Duration::from_millis(1),
            capacity: 64 << 10,
            chunk: 100,
            trouble,
            bursts: 1,
            calls: 4,
            longest_body: 20,
            pauses: 0,
        }
    }
}

fn limits(rng: &mut Rng, is_tight: bool, is_crowded: bool) -> Limits {
    let seconds =
        |rng: &mut Rng, least: u64, most: u64| Duration::from_millis(rng.between(least * 1000, most * 1000));
    let limits = Limits::default()
        .with_keepalive(seconds(rng, 3, 12))
        .with_frame_timeout(seconds(rng, 8, 30))
        .with_lease(seconds(rng, 3, 20))
        .with_handshake_timeout(seconds(rng, 5, 10))
        .with_idle_timeout(seconds(rng, 10, 600))
        .with_window(window(rng, 8000))
        .with_stream_window(window(rng, 4000));
    if is_crowded {
        // A renewal waits behind everything else.
        let limits = limits.with_lease(Duration::from_secs(60));
        return limits.with_max_frame(4000).with_max_buffered(rng.between(1000, 3000) as usize);
    }
    if !is_tight {
        return limits;
    }
    limits
        .with_max_frame(rng.between(400, 4000) as u32)
        .with_max_in_flight(rng.between(1, 8) as u32)
        .with_max_arguments(rng.between(100, 10_000) as usize)
        .with_max_buffered(rng.between(1000, 10_000) as usize)
        .with_max_streams(rng.between(1, 5) as u32)
        .with_max_handles(rng.between(1, 3) as u32)
        .with_max_request_rate(rng.between(10, 1000) as u32)
}

/// Often one that items just fill, or fill by half.
fn window(rng: &mut Rng, most: u64) -> u32 {
    if rng.chance(30) {
        rng.one_of(&[1, 2, 64, 65, 127, 128, 129, 192, 256])
    } else {
        rng.between(1, most) as u32
    }
}

/// A port that a value will have.
#[derive(Clone, Debug)]
pub(crate) enum Give {
    Flow(FlowPlan),
    Object,
}

#[derive(Clone, Debug)]
pub(crate) struct FlowPlan {
    pub items: u32,
    pub longest: u64,
    pub end: Option<FaultCode>,
    pub produce_every: Duration,
    pub take_every: Duration,
    /// After how many items the reader has enough.
    pub stop_after: Option<u32>,
}

/// How the callee means to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Value(usize),
    Error(usize),
    Fault(FaultCode),
}

#[derive(Clone, Debug)]
pub(crate) struct CallPlan {
    pub by: usize,
    pub on: Option<u64>,
    pub body: usize,
    pub is_untrusted: bool,
    pub time: Option<Duration>,
    pub cancel_after: Option<Duration>,
    pub gives: Vec<Give>,
    pub work: Duration,
    pub answer: Said,
    pub returns: Vec<Give>,
}

impl CallPlan {
    pub(crate) fn random(rng: &mut Rng, by: usize, on: Option<u64>, longest: u64) -> Self {
        // Now and then a body that is handed on in one piece.
        let size = |rng: &mut Rng| if rng.chance(2) { 40_000 } else { rng.upto(longest) } as usize;
        let second = Duration::from_secs(1);
        let answer = match rng.upto(9) {
            0 => Said::Fault(rng.one_of(&[FaultCode::NotFound, FaultCode::Internal])),
            1 => Said::Error(size(rng)),
            _ => Said::Value(size(rng)),
        };
        Self {
            by,
            on,
            body: size(rng),
            is_untrusted: rng.chance(20),
            time: rng.chance(30).then(|| rng.time(second * 2)),
            cancel_after: rng.chance(15).then(|| rng.time(second)),
            gives: gives(rng, longest),
            work: if rng.chance(50) { Duration::ZERO } else { rng.time(second) },
            answer,
            returns: gives(rng, longest),
        }
    }
}

fn gives(rng: &mut Rng, longest: u64) -> Vec<Give> {
    if rng.chance(55) {
        return Vec::new();
    }
    let pace = |rng: &mut Rng| {
        if rng.chance(60) { Duration::ZERO } else { rng.time(Duration::from_millis(80)) }
    };
    let flow = |rng: &mut Rng| {
        let is_large = rng.chance(2);
        let items = rng.upto(if is_large { 3 } else { 20 }) as u32;
        FlowPlan {
            items,
            longest: if is_large { 40_000 } else { rng.one_of(&[0, longest.min(400)]) },
            end: rng.chance(15).then_some(FaultCode::Internal),
            produce_every: pace(rng),
            take_every: pace(rng),
            stop_after: rng.chance(20).then(|| rng.upto(items.into()) as u32),
        }
    };
    let count = rng.between(1, 3);
    (0..count).map(|_| if rng.chance(60) { Give::Flow(flow(rng)) } else { Give::Object }).collect()
}

/// What is attached to a call at either end; counts when it is let go of.
pub(crate) struct Ticket {
    pub call: usize,
    pub let_go: Rc<Cell<u32>>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.let_go.set(self.let_go.get() + 1);
    }
}

/// How a call ended at its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It never went out.
    Refused(FaultCode),
    Answered(Said),
    Cancelled,
    /// The session ended first.
    Lost,
}

/// A call and what became of it.
pub(crate) struct Call {
    pub plan: CallPlan,
    pub number: Option<u64>,
    pub due: Option<Duration>,
    pub given: Vec<Port>,
    pub has_arrived: bool,
    /// What the callee answered, and with which ports.
    pub said: Option<Said>,
    pub returned: Vec<Port>,
    pub outcome: Option<Outcome>,
    pub made: Rc<Cell<u32>>,
    pub served: Rc<Cell<u32>>,
}

impl Call {
    pub(crate) fn new(plan: CallPlan) -> Self {
        Self {
            plan,
            number: None,
            due: None,
            given: Vec::new(),
            has_arrived: false,
            said: None,
            returned: Vec::new(),
            outcome: None,
            made: Rc::default(),
            served: Rc::default(),
        }
    }
}

/// A stream and how far it is. Its key is the producing end and its number.
pub(crate) struct Flow {
    pub plan: FlowPlan,
    pub sent: u32,
    pub taken: u32,
    /// Cost of what was sent, and of what was taken.
    pub cost: [u64; 2],
    /// The producer waits for credit.
    pub waits: bool,
    /// The producer said that this is all.
    pub is_finished: bool,
    /// The producer was told that nobody wants more.
    pub is_gone: bool,
    /// The reader has it.
    pub is_read: bool,
    /// The reader waits for items.
    pub sleeps: bool,
    /// The reader stopped it.
    pub is_stopped: bool,
    /// The reader saw its end.
    pub is_over: bool,
}

impl Flow {
    pub(crate) fn new(plan: FlowPlan) -> Self {
        Self {
            plan,
            sent: 0,
            taken: 0,
            cost: [0; 2],
            waits: false,
            is_finished: false,
            is_gone: false,
            is_read: false,
            sleeps: false,
            is_stopped: false,
            is_over: false,
        }
    }
}

/// An object and who has to do with it. Its key is its id.
pub(crate) struct Object {
    pub host: usize,
    pub hosted_at: Duration,
    /// The holder has it.
    pub is_held: bool,
    /// The holder gave it up.
    pub is_released: bool,
    /// The host was told so.
    pub is_gone: bool,
}

/// What the bytes of a call and of its answer are.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub call: usize,
    pub fill: String,
}

impl Body {
    /// Of these many bytes, which differ from place to place and from call to call.
    pub(crate) fn new(call: usize, size: usize, salt: usize) -> Self {
        let pattern = format!("{salt} of {call}: that each piece finds its place");
        let mut fill = pattern.repeat(size / pattern.len() + 1);
        fill.truncate(size);
        Self { call, fill }
    }
}

/// What an item is.
pub(crate) fn item(key: (usize, u64), at: u32, longest: u64) -> Vec<u8> {
    let mut rng = Rng::new(key.1 << 32 | (key.0 as u64) << 31 | u64::from(at));
    vec![rng.next() as u8; rng.upto(longest) as usize]
}
