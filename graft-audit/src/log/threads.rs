//! The threads of a log, which lead where no caller does.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::queue::{Guard, Order, Shared, State};
use crate::AuditError;

/// With so much waiting, a batch is sealed while the one before is still being synced, and the log's thread is
/// called although nobody waits: sealing then takes about as long as a sync.
pub(super) const EARLY: usize = 128 * 1024;

impl Shared {
    /// Has the log's thread write what is there soon, though nobody waits for it.
    pub(super) fn soon(self: &Arc<Self>, mut state: Guard<'_>) {
        if state.filling.is_empty() {
            return;
        }
        // Also while somebody leads: who that is does not come back for these.
        self.start(&mut state);
        if state.due.is_none() {
            state.due = Some(Instant::now() + self.rules.linger);
            if state.nobody_leads() {
                self.work.notify_one();
            }
        }
    }

    /// Calls the log's threads; `false` if there are none and none can be made.
    pub(super) fn call(self: &Arc<Self>, state: &mut State) -> bool {
        if !self.start(state) {
            return false;
        }
        if !std::mem::replace(&mut state.called, true) {
            self.work.notify_one();
        }
        true
    }

    /// Starts a thread if there is none, and a second one that seals while the first waits for the disk.
    pub(super) fn start(self: &Arc<Self>, state: &mut State) -> bool {
        state.threads.retain(|thread| !thread.is_finished());
        let enough = if state.writing && state.filling.sealed() >= EARLY { 2 } else { 1 };
        if self.rules.threads && !state.closing && state.threads.len() < enough {
            let shared = Arc::clone(self);
            let thread = std::thread::Builder::new().name("graft-audit".into());
            if let Ok(handle) = thread.spawn(move || shared.work()) {
                state.threads.push(handle);
            }
        }
        !state.threads.is_empty()
    }

    /// What a thread of the log does.
    fn work(&self) {
        let mut state = self.state();
        while !state.closing && state.stopped.is_none() {
            if state.held.is_some() {
                state = self.resume_in_time(state);
                let wait = if state.held.is_some() { self.rules.retry } else { Duration::ZERO };
                let waited = self.work.wait_timeout(state, wait);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            if state.due.is_some_and(|due| due <= Instant::now()) {
                (state.called, state.due) = (true, None);
            }
            if state.called && state.filling.is_empty() {
                state.called = false;
            }
            if state.called && state.may_lead(self.rules.hold.is_none()) {
                state = self.lead(state, Order::default());
                state.called |= state.is_awaited();
                continue;
            }
            state = match state.due {
                Some(due) => {
                    let waited = self.work.wait_timeout(state, due.saturating_duration_since(Instant::now()));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Ends the threads.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closing = true;
        let threads = std::mem::take(&mut state.threads);
        self.work.notify_all();
        drop(state);
        for thread in threads {
            // It does not panic, and if it did the log stopped.
            _ = thread.join();
        }
    }
}

/// How long a thread still waits.
pub(super) struct Patience {
    whole: Duration,
    until: Option<Instant>,
}

impl Patience {
    pub(super) fn new(whole: Duration) -> Self {
        Self { whole, until: None }
    }

    /// The clock is not asked before somebody has to wait.
    pub(super) fn left(&mut self) -> Result<Duration, AuditError> {
        let now = Instant::now();
        let until = *self.until.get_or_insert(now + self.whole);
        match until.saturating_duration_since(now) {
            Duration::ZERO => Err(AuditError::Busy),
            left => Ok(left),
        }
    }
}
