//! Going on while the disk takes nothing, where the host chose that.

use std::sync::Arc;
use std::time::Instant;

use graft_core::{Action, FieldValue, Seq};

use super::queue::{Guard, Shared, State};
use super::segment::Segment;
use super::{Head, own, recover};
use crate::AuditError;
use crate::format::Mark;

/// What is held back since a write or a sync failed.
pub(super) struct Held {
    /// When the disk was tried last.
    tried: Instant,
    /// How many records were dropped, and the sequence of the record that will say so.
    lost: u64,
    gap: Option<Seq>,
}

impl Shared {
    /// What becomes of the log when a batch could not be written.
    pub(super) fn fail<'a>(&'a self, mut state: Guard<'a>, error: AuditError) -> Guard<'a> {
        if self.rules.hold.is_none() || !matches!(error, AuditError::Io(_)) {
            return self.stop(state, Some(error));
        }
        // Who else leads is not done with it: the flags are for those who set them.
        state.held.get_or_insert(Held { tried: Instant::now(), lost: 0, gap: None });
        self.publish(state)
    }

    /// Counts an event as lost, if there is no more room to hold it, and returns the sequence of the record that
    /// stands for it.
    pub(super) fn lose(&self, state: &mut State) -> Option<Seq> {
        let most = self.rules.hold?;
        let is_full = state.filling.is_full() || state.filling.sealed() + state.unwritten_bytes > most;
        let next = Seq(state.next);
        let held = state.held.as_mut()?;
        // Once one was lost all are, until the gap is written: a record has one place.
        if held.gap.is_none() && !is_full {
            return None;
        }
        held.lost += 1;
        let gap = *held.gap.get_or_insert(next);
        state.next = state.next.max(gap.0 + 1);
        Some(gap)
    }

    /// Tries the disk again, unless that was just done.
    pub(super) fn resume_in_time<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        let retry = self.rules.retry;
        let is_time = state.held.as_ref().is_some_and(|held| held.tried.elapsed() >= retry);
        if !is_time || !state.nobody_leads() {
            return state;
        }
        if let Some(held) = &mut state.held {
            held.tried = Instant::now();
        }
        state.sealing = true;
        drop(state);
        match self.reopen() {
            Ok(state) => state,
            Err(error) => {
                let mut state = self.state();
                state.sealing = false;
                self.fail(state, error)
            }
        }
    }

    /// Opens the log again as [`LogOptions::open`](super::LogOptions::open) does, and writes the batch that failed;
    /// once that is on the disk, nothing is held any more.
    fn reopen(&self) -> Result<Guard<'_>, AuditError> {
        let kept = self.checkpoints.lock().map_err(|_| AuditError::Stopped)?.kept().copied();
        let (mut sealing, mut writing) = (self.sealing()?, self.writing()?);
        let disk = Arc::clone(&writing.disk);
        let opened = match recover::open(&*disk, &sealing.key(), |_, _| Ok(kept)) {
            // The segment under the new key was not begun.
            Err(AuditError::WrongKey) if let Some(before) = sealing.key_before() => {
                recover::open(&*disk, before, |_, _| Ok(kept))?
            }
            opened => opened?,
        };
        let (head, size, now) =
            (Head::from(&opened.tip), opened.tip.tree.size(), self.rules.clock.monotonic());
        let segment = Segment::resume(opened.file, opened.end, writing.room())?;
        sealing.reopen(opened.ring, opened.key_from, opened.tip, opened.end, now);
        writing.reopen(segment, opened.tiers);
        if opened.ended {
            let job = sealing.begin_segment(now)?;
            writing.write(&job)?;
        }
        drop(writing);

        let mut state = self.state();
        if size == state.durable + state.unwritten {
            // The batch that failed got there all the same, or there was none.
            sealing.arena.clear();
            state.vouched.clear();
        } else if size != state.durable {
            return Err(AuditError::Stopped);
        }
        for torn in opened.torn {
            if !state.torn.contains(&torn) && !state.vouched.contains(&torn) {
                state.torn.push(torn);
            }
        }
        (state.head, state.durable) = (head, size);
        (state.unwritten, state.unwritten_bytes) = (sealing.arena.count(), sealing.arena.sealed());
        if sealing.arena.is_empty() {
            state.sealing = false;
        } else {
            drop(state);
            // Alone: if it was joined by what came since, each try would make it larger.
            state = self.write(sealing, Mark::None, None, now);
            if state.unwritten > 0 {
                return Ok(state);
            }
        }
        self.release(&mut state)?;
        Ok(self.publish(state))
    }

    /// The disk takes records again: what was held is a batch like any other, behind it the record of what was lost.
    fn release(&self, state: &mut State) -> Result<(), AuditError> {
        if let Some(Held { lost, gap: Some(_), .. }) = state.held.take() {
            let fields = [("lost", FieldValue::U64(lost))];
            // Its sequence was taken when the first was lost.
            state.filling.push(&own::event(&*self.rules.clock, Action::LogGap, fields))?;
        }
        while let Some(torn) = state.torn.pop_if(|_| !state.filling.is_full()) {
            for record in recover::records(&*self.rules.clock, &[torn]) {
                state.put(&record)?;
            }
            state.vouched.push(torn);
        }
        state.called |= !state.filling.is_empty() && !state.threads.is_empty();
        Ok(())
    }
}

impl State {
    pub(super) fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    pub(super) fn ensure_not_held(&self) -> Result<(), AuditError> {
        if self.is_holding() { Err(AuditError::Held) } else { Ok(()) }
    }
}
