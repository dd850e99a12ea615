//! What all threads of a log share: the arena that fills, the watermark, and who leads.
//!
//! Whoever waits for a record and finds nobody writing *leads*: takes the arena, seals it and writes it, itself.
//! Meanwhile the other arena fills, and its records share the next sync. From two waiters on, and for records that
//! nobody waits for, the log's own thread leads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use graft_core::{Action, Event, FieldValue, Seq};

use super::arena::Arena;
use super::checkpoints::Checkpoints;
use super::hold::Held;
use super::options::Rules;
use super::own;
use super::stages::{Sealing, Writing};
use super::threads::{EARLY, Patience};
use super::{Head, Recovered, Stop};
use crate::format::Mark;
use crate::{AuditError, AuditKey};

/// So many batches at most are on their way at once, one for each who may lead and one that fills, and one to spare.
const TURNS: usize = 4;

pub(super) struct Shared {
    pub(super) rules: Rules,
    state: Mutex<State>,
    sealing: Mutex<Sealing>,
    writing: Mutex<Writing>,
    pub(super) checkpoints: Mutex<Checkpoints>,
    /// A batch is on the disk: those who wait for it are told, and nobody else. Of batches, one fills, one is sealed
    /// and one is written, so they take turns here.
    turned: [Condvar; TURNS],
    /// Nobody leads any more.
    idle: Condvar,
    /// The arena was taken.
    taken: Condvar,
    /// There is something for the log's threads.
    pub(super) work: Condvar,
}

pub(super) struct State {
    pub(super) filling: Arena,
    /// The sequence of the next record.
    pub(super) next: u64,
    /// All records below are on the disk.
    pub(super) durable: u64,
    pub(super) head: Head,
    /// Who leads is in the first stage.
    pub(super) sealing: bool,
    /// Who leads, or who led before, is in the second.
    pub(super) writing: bool,
    pub(super) stopped: Option<Stop>,
    /// The disk took nothing, and the host chose to go on.
    pub(super) held: Option<Held>,
    /// What was set aside since, without a record, and with one that is not on the disk yet.
    pub(super) torn: Vec<Recovered>,
    pub(super) vouched: Vec<Recovered>,
    /// How many records are in the batch that is being written.
    pub(super) unwritten: u64,
    /// How many bytes they take once they are sealed.
    pub(super) unwritten_bytes: usize,
    /// The latest time that a record has.
    latest: u64,
    /// The number of the batch that fills, and behind which record each of the last ones ended.
    filling_turn: usize,
    ends: [u64; TURNS],
    /// How many threads wait for each of the last batches.
    waiting: [usize; TURNS],
    /// How many wait for nobody to lead.
    idling: usize,
    /// How many wait for the arena to be taken.
    crowded: usize,
    pub(super) wakers: Vec<(u64, Waker)>,
    /// The log's threads are to lead.
    pub(super) called: bool,
    /// When the oldest record of [`Durability::Buffered`](super::Durability::Buffered) has waited long enough.
    pub(super) due: Option<Instant>,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) closing: bool,
}

pub(super) type Guard<'a> = MutexGuard<'a, State>;

/// What a batch does beside holding records.
#[derive(Default)]
pub(super) struct Order {
    pub(super) mark: Mark,
    /// The key of the next segment.
    pub(super) change: Option<AuditKey>,
}

impl Shared {
    pub(super) fn new(
        rules: Rules,
        sealing: Sealing,
        writing: Writing,
        checkpoints: Checkpoints,
        head: Head,
    ) -> Self {
        let state = State {
            filling: Arena::default(),
            next: head.size,
            durable: head.size,
            head,
            sealing: false,
            writing: false,
            stopped: None,
            held: None,
            torn: Vec::new(),
            vouched: Vec::new(),
            unwritten: 0,
            unwritten_bytes: 0,
            latest: 0,
            filling_turn: 0,
            ends: [0; TURNS],
            waiting: [0; TURNS],
            idling: 0,
            crowded: 0,
            wakers: Vec::new(),
            called: false,
            due: None,
            threads: Vec::new(),
            closing: false,
        };
        Self {
            rules,
            state: Mutex::new(state),
            sealing: Mutex::new(sealing),
            writing: Mutex::new(writing),
            checkpoints: Mutex::new(checkpoints),
            turned: Default::default(),
            idle: Condvar::new(),
            taken: Condvar::new(),
            work: Condvar::new(),
        }
    }

    pub(super) fn state(&self) -> Guard<'_> {
        // Nothing in it is half done where a panic could be.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Puts an event into the arena, behind a record of its own if the clock went back.
    pub(super) fn push(self: &Arc<Self>, event: &Event) -> Result<(Guard<'_>, Seq), AuditError> {
        let mut state = self.with_room()?;
        if let Some(lost) = self.lose(&mut state) {
            return Ok((state, lost));
        }
        if event.time.0 < state.latest.saturating_sub(self.rules.clock_bound) {
            let [from, to] = [state.latest, event.time.0].map(FieldValue::U64);
            let mut noticed = own::event(&*self.rules.clock, Action::LogClock, [("from", from), ("to", to)]);
            (noticed.time, noticed.monotonic) = (event.time, event.monotonic);
            state.latest = event.time.0;
            state.put(&noticed)?;
        }
        state.latest = state.latest.max(event.time.0);
        let seq = state.put(event)?;
        if state.filling.sealed() >= EARLY && !state.called {
            self.call(&mut state);
        }
        Ok((state, seq))
    }

    /// The state, with room for a record.
    fn with_room(self: &Arc<Self>) -> Result<Guard<'_>, AuditError> {
        let mut state = self.state();
        let mut patience = Patience::new(self.rules.patience);
        loop {
            state.refuse()?;
            if state.held.is_some() {
                state = self.resume_in_time(state);
                state.refuse()?;
                if state.held.is_some() {
                    return Ok(state);
                }
                continue;
            }
            if !state.filling.is_full() {
                return Ok(state);
            }
            if state.may_lead(self.rules.hold.is_none()) {
                state = self.lead(state, Order::default());
                continue;
            }
            state.crowded += 1;
            let waited = self.taken.wait_timeout(state, patience.left()?);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            state.crowded -= 1;
        }
    }

    /// Returns once the record of this sequence is on the disk.
    pub(super) fn wait<'a>(self: &'a Arc<Self>, mut state: Guard<'a>, seq: Seq) -> Result<(), AuditError> {
        let mut patience = Patience::new(self.rules.patience);
        loop {
            if state.durable > seq.0 {
                return Ok(());
            }
            state.refuse()?;
            if state.held.is_some() {
                state = self.resume_in_time(state);
                state.ensure_not_held()?;
                continue;
            }
            let is_alone = !state.has_waiters();
            if state.nobody_leads() && (is_alone || !self.call(&mut state)) {
                state = self.lead(state, Order::default());
                continue;
            }
            let turn = state.turn_of(seq);
            if !is_alone && turn == state.filling_turn && self.start(&mut state) {
                // Whoever leads now calls the thread when it is done.
                state.called = true;
            }
            state.waiting[turn] += 1;
            let left = patience.left();
            let waited = self.turned[turn].wait_timeout(state, *left.as_ref().unwrap_or(&Duration::ZERO));
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            state.waiting[turn] -= 1;
            left?;
        }
    }

    /// Whether the record is on the disk; if not yet, `waker` is told when there is news.
    pub(super) fn poll(self: &Arc<Self>, seq: Seq, waker: &Waker) -> Option<Result<(), AuditError>> {
        let mut state = self.state();
        loop {
            if state.durable > seq.0 {
                return Some(Ok(()));
            }
            if let Err(stopped) = state.refuse().and_then(|()| state.ensure_not_held()) {
                return Some(Err(stopped));
            }
            // Whoever leads now may not come back for this one.
            if self.call(&mut state) || !state.nobody_leads() {
                break;
            }
            state = self.lead(state, Order::default());
        }
        match state.wakers.iter_mut().find(|(at, known)| *at == seq.0 && known.will_wake(waker)) {
            Some(_) => {}
            None => state.wakers.push((seq.0, waker.clone())),
        }
        None
    }

    /// Leads alone: for what is more than a batch of records.
    pub(super) fn alone(&self) -> Result<Guard<'_>, AuditError> {
        let mut state = self.state();
        let mut patience = Patience::new(self.rules.patience);
        loop {
            state.refuse()?;
            if state.held.is_some() {
                state = self.resume_in_time(state);
                state.ensure_not_held()?;
                continue;
            }
            if state.nobody_leads() && !state.filling.is_full() {
                return Ok(state);
            }
            if state.nobody_leads() {
                state = self.lead(state, Order::default());
                continue;
            }
            state.idling += 1;
            let left = patience.left();
            let waited = self.idle.wait_timeout(state, *left.as_ref().unwrap_or(&Duration::ZERO));
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            state.idling -= 1;
            left?;
        }
    }

    /// Writes one batch: all records that are there. What became of it is in the state that comes back.
    pub(super) fn lead<'a>(&'a self, mut state: Guard<'a>, order: Order) -> Guard<'a> {
        let Ok(mut sealing) = self.sealing.lock() else {
            return self.stop(state, None);
        };
        let now = self.rules.clock.monotonic();
        let mut mark = order.mark;
        if mark == Mark::None && self.rules.is_due(&sealing, state.filling.sealed(), now) {
            mark = Mark::SegmentEnd;
        }
        if mark == Mark::SegmentEnd {
            let action = if order.change.is_some() { Action::LogRotateKey } else { Action::LogRotate };
            if let Err(error) = state.put(&own::event(&*self.rules.clock, action, [])) {
                return self.stop(state, Some(error));
            }
        }
        (state.sealing, state.called, state.due) = (true, false, None);
        sealing.arena.clear();
        std::mem::swap(&mut state.filling, &mut sealing.arena);
        if state.crowded > 0 {
            self.taken.notify_all();
        }
        (state.unwritten, state.unwritten_bytes) = (sealing.arena.count(), sealing.arena.sealed());
        state.turn();
        drop(state);
        self.write(sealing, mark, order.change, now)
    }

    /// Seals what is in the arena of the first stage, and writes it.
    pub(super) fn write<'a>(
        &'a self,
        mut sealing: MutexGuard<'a, Sealing>,
        mark: Mark,
        change: Option<AuditKey>,
        now: Duration,
    ) -> Guard<'a> {
        let guard = StopOnPanic(self);
        let job = sealing.seal(mark, change, now);
        let Ok(mut writing) = self.writing.lock() else {
            drop(sealing);
            return self.stop(self.state(), None);
        };
        sealing.hand_over(&mut writing);
        drop(sealing);
        let mut state = self.state();
        (state.sealing, state.writing) = (false, true);
        let stopped = state.stopped.is_some();
        if state.called {
            self.work.notify_one();
        }
        drop(state);
        let written = match job {
            // The batch before was not written, so this one cannot be.
            _ if stopped => Err(AuditError::Stopped),
            Ok(job) => writing.write(&job).map(|()| job.committed).map_err(AuditError::Io),
            Err(error) => Err(error),
        };
        std::mem::forget(guard);
        let mut state = self.state();
        state.writing = false;
        drop(writing);
        match written {
            Ok(committed) => {
                (state.durable, state.unwritten, state.unwritten_bytes) = (committed.size, 0, 0);
                state.vouched.clear();
                state.head = Head::from(&committed);
            }
            Err(error) => return self.fail(state, error),
        }
        let state = self.publish(state);
        self.vouch_if_due(state)
    }

    /// Tells everybody that there is news.
    pub(super) fn publish<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        let is_over = state.stopped.is_some() || state.held.is_some();
        for turn in 0..TURNS {
            let is_done = state.ends[turn] <= state.durable && turn != state.filling_turn;
            if state.waiting[turn] > 0 && (is_done || is_over) {
                self.turned[turn].notify_all();
            } else if state.waiting[turn] > 0 && turn == state.filling_turn && !state.called {
                // A lone one leads itself.
                self.turned[turn].notify_one();
            }
        }
        if state.idling > 0 {
            self.idle.notify_all();
        }
        if state.crowded > 0 {
            self.taken.notify_all();
        }
        if state.called || state.due.is_some() {
            self.work.notify_one();
        }
        if !state.wakers.is_empty() {
            // Without a thread, who is told leads.
            let all = is_over || state.threads.is_empty();
            let durable = state.durable;
            let ready: Vec<_> = state.wakers.extract_if(.., |(seq, _)| all || *seq < durable).collect();
            drop(state);
            for (_, waker) in ready {
                // It is the host's: if it panics, the others are told all the same.
                _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            }
            return self.state();
        }
        state
    }

    /// Ends the log for this handle: the first error does.
    pub(super) fn stop<'a>(&'a self, mut state: Guard<'a>, error: Option<AuditError>) -> Guard<'a> {
        (state.sealing, state.writing) = (false, false);
        state.stopped.get_or_insert(Stop { first: error });
        self.taken.notify_all();
        self.work.notify_all();
        self.publish(state)
    }

    /// Begins the segment behind one that ended and was not followed, before anything else is done.
    pub(super) fn begin_segment(&self) -> Result<(), AuditError> {
        let mut sealing = self.sealing.lock().map_err(|_| AuditError::Stopped)?;
        let job = sealing.begin_segment(self.rules.clock.monotonic())?;
        Ok(self.writing()?.write(&job)?)
    }

    /// The first stage, likewise.
    pub(super) fn sealing(&self) -> Result<MutexGuard<'_, Sealing>, AuditError> {
        self.sealing.lock().map_err(|_| AuditError::Stopped)
    }

    /// The second stage, while this thread leads alone or nobody does.
    pub(super) fn writing(&self) -> Result<MutexGuard<'_, Writing>, AuditError> {
        self.writing.lock().map_err(|_| AuditError::Stopped)
    }
}

impl State {
    /// Takes a record that there is room for.
    pub(super) fn put(&mut self, event: &Event) -> Result<Seq, AuditError> {
        self.filling.push(event)?;
        let seq = Seq(self.next);
        self.next += 1;
        Ok(seq)
    }

    /// # Errors
    /// What stopped the log, to the first who asks, and [`AuditError::Stopped`] from then on.
    pub(super) fn refuse(&mut self) -> Result<(), AuditError> {
        match &mut self.stopped {
            None => Ok(()),
            Some(stop) => Err(stop.first.take().unwrap_or(AuditError::Stopped)),
        }
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn durable(&self) -> u64 {
        self.durable
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// What filled is a batch now, and another fills.
    pub(super) fn turn(&mut self) {
        self.ends[self.filling_turn] = self.next;
        self.filling_turn = (self.filling_turn + 1) % TURNS;
    }

    /// Which batch a record is in.
    fn turn_of(&self, seq: Seq) -> usize {
        let before = (1..TURNS).rev().map(|back| (self.filling_turn + TURNS - back) % TURNS);
        before.into_iter().find(|turn| seq.0 < self.ends[*turn]).unwrap_or(self.filling_turn)
    }

    fn has_waiters(&self) -> bool {
        self.waiting.iter().any(|waiting| *waiting > 0)
    }

    /// Whether anybody waits for the batch that fills.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting[self.filling_turn] > 0 || !self.wakers.is_empty()
    }

    pub(super) fn nobody_leads(&self) -> bool {
        !self.sealing && !self.writing
    }

    /// Whether a thread of the log may: early, if what it takes need not be kept until it is on the disk.
    pub(super) fn may_lead(&self, early: bool) -> bool {
        !self.sealing && (!self.writing || early && self.filling.sealed() >= EARLY)
    }
}

/// A panic of whoever leads leaves nobody waiting.
struct StopOnPanic<'a>(&'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        drop(self.0.stop(self.0.state(), None));
    }
}
