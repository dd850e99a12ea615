//! Signed checkpoints, and the anchor that follows them.

use std::fmt;
use std::io;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use graft_core::{Action, Clock, Event, FieldValue};

use super::queue::{Guard, Shared};
use super::{Head, own};
use crate::AuditError;
use crate::anchor::{Anchor, AnchorError, Anchored};
use crate::checkpoint::AuditSigner;
use crate::disk::Disk;
use crate::format::LogId;
use crate::tree::TreeHead;

/// What the host gave: either may be missing.
#[derive(Clone, Default)]
pub(super) struct Vouching {
    pub(super) signer: Option<Arc<AuditSigner>>,
    pub(super) anchor: Option<Arc<dyn Anchor>>,
    /// After so many records, and after so much time with at least one.
    pub(super) records: Option<u64>,
    pub(super) time: Option<Duration>,
}

/// How far the log is vouched for.
pub(super) struct Checkpoints {
    vouching: Vouching,
    log: LogId,
    /// What the anchor holds, as far as is known.
    kept: Option<Anchored>,
    /// An advance failed, and may have happened all the same.
    unsure: Option<Anchored>,
    /// How many records the log had at the last one, and when that was.
    pub(super) size: u64,
    began: Duration,
}

impl Checkpoints {
    /// Reads the anchor. Whether the log extends it is judged by who reads the log.
    pub(super) fn load(vouching: Vouching, log: LogId, size: u64, now: Duration) -> Result<Self, AuditError> {
        let kept = vouching.anchor.as_ref().map(|anchor| anchor.load(log)).transpose()?.flatten();
        Ok(Self { vouching, log, kept, unsure: None, size, began: now })
    }

    /// What the log has to extend.
    pub(super) fn kept(&self) -> Option<&Anchored> {
        self.kept.as_ref()
    }

    /// Whether there is anything to make one with.
    pub(super) fn is_wanted(&self) -> bool {
        self.vouching.signer.is_some() || self.vouching.anchor.is_some()
    }

    /// Whether one is due, of a log of `size` records. The record of the last one is not worth another.
    pub(super) fn is_due(&self, size: u64, now: Duration) -> bool {
        let new = size.saturating_sub(self.size + 1);
        let Vouching { records, time, .. } = self.vouching;
        self.is_wanted()
            && new > 0
            && (records.is_some_and(|records| new >= records)
                || time.is_some_and(|time| now.saturating_sub(self.began) >= time))
    }

    /// Signs and keeps one, moves the anchor, and returns the record of it.
    ///
    /// # Errors
    /// After any error the next try begins again.
    pub(super) fn make(
        &mut self,
        disk: &dyn Disk,
        head: &Head,
        clock: &dyn Clock,
    ) -> Result<Event, AuditError> {
        let tree = TreeHead { size: head.size, root: head.root };
        // Tried again only when it is due again, or the host asks.
        (self.size, self.began) = (head.size, clock.monotonic());
        if let Some(signer) = &self.vouching.signer {
            let note = signer.sign(&tree, &[]).map_err(AuditError::Checkpoint)?.to_string();
            disk.replace(&format!("checkpoints/{:020}", head.size), note.as_bytes())?;
        }
        self.advance(Anchored { log: self.log, head: tree })?;
        let fields = [("size", FieldValue::U64(head.size)), ("root", own::hex(&head.root.0))];
        Ok(own::event(clock, Action::LogCheckpoint, fields))
    }

    fn advance(&mut self, to: Anchored) -> Result<(), AnchorError> {
        let Some(anchor) = &self.vouching.anchor else { return Ok(()) };
        if let Some(tried) = self.unsure {
            let found = anchor.load(self.log)?;
            if found != self.kept && found != Some(tried) {
                return Err(AnchorError::Conflict);
            }
            (self.kept, self.unsure) = (found, None);
        }
        self.unsure = Some(to);
        let moved = anchor.advance(self.kept.as_ref(), &to);
        if moved.is_ok() {
            (self.kept, self.unsure) = (Some(to), None);
        }
        moved
    }
}

impl Shared {
    /// Makes a checkpoint if one is due. Whoever led does it, when nobody waits for the batch any more.
    pub(super) fn vouch_if_due<'a>(&'a self, state: Guard<'a>) -> Guard<'a> {
        // If somebody else is making one, that is enough.
        let Ok(checkpoints) = self.checkpoints.try_lock() else { return state };
        if !checkpoints.is_due(state.head.size, self.rules.clock.monotonic()) {
            return state;
        }
        let head = state.head;
        drop(state);
        match self.vouch(checkpoints, head) {
            Err(error) if is_fatal(&error) => self.fail(self.state(), error),
            // The host sees what is wrong when it asks for one; the log goes on as it would without.
            _ => self.state(),
        }
    }

    /// Makes a checkpoint of what is on the disk.
    pub(super) fn checkpoint(&self) -> Result<Head, AuditError> {
        let checkpoints = self.checkpoints.lock().map_err(|_| AuditError::Stopped)?;
        if !checkpoints.is_wanted() {
            return Err(AuditError::NoSigner);
        }
        let head = self.state().head;
        match self.vouch(checkpoints, head) {
            Ok(()) => Ok(head),
            Err(error) => {
                match &error {
                    AuditError::Io(io) if self.rules.hold.is_some() => {
                        drop(self.fail(self.state(), io::Error::from(io.kind()).into()));
                    }
                    error if is_fatal(error) => drop(self.stop(self.state(), None)),
                    _ => {}
                }
                Err(error)
            }
        }
    }

    /// The one before the log is closed, if there is anything new.
    pub(super) fn last_checkpoint(&self) -> Result<(), AuditError> {
        let checkpoints = self.checkpoints.lock().map_err(|_| AuditError::Stopped)?;
        let is_new = self.state().head.size > checkpoints.size + 1;
        let is_wanted = checkpoints.is_wanted() && is_new;
        drop(checkpoints);
        if is_wanted { self.checkpoint().map(drop) } else { Ok(()) }
    }

    pub(super) fn is_vouched_for(&self) -> bool {
        self.checkpoints.lock().is_ok_and(|checkpoints| checkpoints.is_wanted())
    }

    fn vouch(&self, mut checkpoints: MutexGuard<'_, Checkpoints>, head: Head) -> Result<(), AuditError> {
        let disk = self.writing()?.disk.clone();
        let record = checkpoints.make(&*disk, &head, &*self.rules.clock)?;
        drop(checkpoints);
        let mut state = self.state();
        // An arena that is just full is no reason to fail: the note itself is kept.
        if state.stopped.is_none() && !state.filling.is_full() {
            state.put(&record)?;
        }
        Ok(())
    }
}

/// Whether this says that the log has two histories or two writers: then nothing more may be appended.
fn is_fatal(error: &AuditError) -> bool {
    use AnchorError::{Backwards, Conflict, Fork, WrongLog};
    matches!(error, AuditError::Io(_) | AuditError::Anchor(Conflict | Backwards { .. } | Fork | WrongLog))
}

impl fmt::Debug for Vouching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vouching")
            .field("signer", &self.signer)
            .field("anchor", &self.anchor.is_some())
            .field("records", &self.records)
            .field("time", &self.time)
            .finish()
    }
}
