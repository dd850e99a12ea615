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
        (state.sealing, state.writing) = (false, false);
        state.held.get_or_insert(Held { tried: Instant::now(), lost: 0, gap: None });
        self.publish(state)
    }

    /// Counts an event as lost, if there is no more room to hold it, and returns the sequence of the record that
    /// stands for it.
    pub(super) fn lose(&self, state: &mut State) -> Option<Seq> {
        let most = self.rules.hold?;
        let is_full = state.filling.is_full() || state.filling.sealed() > most;
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
            Err(error) => self.fail(self.state(), error),
        }
    }

    /// Opens the log again as [`LogOptions::open`](super::LogOptions::open) does, and writes what was held: one
    /// batch, with the records of what was set aside and lost.
    fn reopen(&self) -> Result<Guard<'_>, AuditError> {
        let kept = self.checkpoints.lock().map_err(|_| AuditError::Stopped)?.kept().copied();
        let (mut sealing, mut writing) = (self.sealing()?, self.writing()?);
        let disk = Arc::clone(&writing.disk);
        let opened = recover::open(&*disk, &sealing.key(), |_, _| Ok(kept))?;
        let (head, size, now) =
            (Head::from(&opened.tip), opened.tip.tree.size(), self.rules.clock.monotonic());
        let torn = recover::records(&*self.rules.clock, &opened.torn);
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
        } else if size != state.durable {
            return Err(AuditError::Stopped);
        }
        sealing.arena.append(&state.filling);
        state.filling.clear();
        if let Some(Held { lost, gap: Some(_), .. }) = state.held.take() {
            let fields = [("lost", FieldValue::U64(lost))];
            sealing.arena.push(&own::event(&*self.rules.clock, Action::LogGap, fields))?;
        }
        for record in &torn {
            sealing.arena.push(record)?;
            state.next += 1;
        }
        state.head = head;
        (state.durable, state.unwritten) = (size, sealing.arena.count());
        state.turn();
        drop(state);
        if sealing.arena.is_empty() {
            let mut state = self.state();
            state.sealing = false;
            return Ok(self.publish(state));
        }
        Ok(self.write(sealing, Mark::None, None, now))
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
