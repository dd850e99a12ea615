//! The two stages that a batch goes through: sealed from bodies to bytes, then written and synced.
//!
//! Each is under a lock of its own, so that one batch is sealed while the one before is on its way to the disk.
//! No batch is written before the one before it is synced: a crash leaves one torn batch at most.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::arena::Arena;
use super::keys::{self, HostKeys};
use super::segment::Segment;
use super::tiers::TierFiles;
use crate::disk::{Disk, Lock};
use crate::format::{Mark, RATCHET_LEN, Salt};
use crate::sealer::{Committed, Sealer, Tip};
use crate::tree::TierEntry;
use crate::{AuditError, AuditKey};

/// The first stage.
pub(super) struct Sealing {
    sealer: Sealer,
    ring: HostKeys,
    /// The key before, until the first segment under another is on the disk.
    key_before: Option<AuditKey>,
    /// The number of the first segment under the same key.
    key_from: u64,
    /// The records of the batch that is being sealed.
    pub(super) arena: Arena,
    out: Vec<u8>,
    completed: Vec<TierEntry>,
    /// What the segment's file holds, once everything sealed is written.
    pub(super) segment_bytes: u64,
    /// When the segment began, by the host's monotonic clock.
    pub(super) segment_began: Duration,
}

/// What the second stage is to do, beside the bytes.
pub(super) struct Job {
    pub(super) committed: Committed,
    next: Option<Next>,
}

/// The segment behind a batch that ends one.
struct Next {
    number: u64,
    header: Vec<u8>,
    ratchet: Option<[u8; RATCHET_LEN]>,
}

impl Sealing {
    pub(super) fn resume(ring: HostKeys, key_from: u64, tip: Tip, segment_bytes: u64, now: Duration) -> Self {
        Self {
            sealer: Sealer::resume(ring.segment(), tip),
            ring,
            key_before: None,
            key_from,
            arena: Arena::default(),
            out: Vec::new(),
            completed: Vec::new(),
            segment_bytes,
            segment_began: now,
        }
    }

    /// Goes on where a log was opened again, with the records that are not on the disk.
    pub(super) fn reopen(
        &mut self,
        ring: HostKeys,
        key_from: u64,
        tip: Tip,
        segment_bytes: u64,
        now: Duration,
    ) {
        let arena = std::mem::take(&mut self.arena);
        *self = Self { arena, ..Self::resume(ring, key_from, tip, segment_bytes, now) };
    }

    /// The key that opens the log.
    pub(super) fn key(&self) -> AuditKey {
        self.ring.key()
    }

    /// The key that opens the log if the batch that was to end the segment under it was not written.
    pub(super) fn key_before(&self) -> Option<&AuditKey> {
        self.key_before.as_ref()
    }

    pub(super) fn tip(&self) -> &Tip {
        self.sealer.tip()
    }

    /// Seals the records of the arena. If the batch ends the segment, the next one goes under `change` if that
    /// is a key, and what follows is sealed for it.
    pub(super) fn seal(
        &mut self,
        mark: Mark,
        change: Option<AuditKey>,
        now: Duration,
    ) -> Result<Job, AuditError> {
        self.key_before = None;
        self.out.clear();
        let mut batch = self.sealer.begin(Salt(super::random()?), &mut self.out);
        for (event, fields) in self.arena.iter() {
            batch.push(event, fields).map_err(|_| AuditError::TooLarge)?;
        }
        let committed = batch.commit(mark);
        self.completed.clear();
        self.completed.extend_from_slice(self.sealer.completed());
        self.segment_bytes += self.out.len() as u64;
        let next = if mark == Mark::SegmentEnd { Some(self.turn(change, now)?) } else { None };
        Ok(Job { committed, next })
    }

    fn turn(&mut self, change: Option<AuditKey>, now: Duration) -> Result<Next, AuditError> {
        let changes = change.is_some();
        self.key_before = changes.then(|| self.ring.key());
        self.ring = self.ring.next(change);
        let keys = self.ring.segment();
        let number = keys.number();
        if changes {
            self.key_from = number;
        }
        let tip = self.sealer.tip().clone();
        let (sealer, header) = Sealer::start(keys, self.ring.mode(), self.key_from, tip);
        self.sealer = sealer;
        (self.segment_bytes, self.segment_began) = (header.len() as u64, now);
        Ok(Next { number, header, ratchet: self.ring.file()? })
    }

    /// The segment behind one that has ended.
    pub(super) fn begin_segment(&mut self, now: Duration) -> Result<Job, AuditError> {
        let next = Some(self.turn(None, now)?);
        Ok(Job { committed: committed(self.sealer.tip()), next })
    }

    /// Gives what was sealed to the second stage, for buffers that are empty.
    pub(super) fn hand_over(&mut self, writing: &mut Writing) {
        std::mem::swap(&mut self.out, &mut writing.bytes);
        std::mem::swap(&mut self.completed, &mut writing.completed);
    }

    /// The header and the key file of the very first segment.
    pub(super) fn start(ring: HostKeys, tip: Tip, now: Duration) -> Result<(Self, Job), AuditError> {
        let (keys, mode) = (ring.segment(), ring.mode());
        let number = keys.number();
        let committed = committed(&tip);
        let (_, header) = Sealer::start(keys, mode, number, tip.clone());
        let next = Next { number, ratchet: ring.file()?, header };
        let sealing = Self::resume(ring, number, tip, next.header.len() as u64, now);
        Ok((sealing, Job { committed, next: Some(next) }))
    }
}

/// A batch of nothing.
fn committed(tip: &Tip) -> Committed {
    let (size, root) = (tip.tree.size(), tip.tree.root());
    Committed { size, root, last_leaf: tip.last_leaf, digest: tip.last_commit }
}

/// The second stage.
pub(super) struct Writing {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) segment: Segment,
    pub(super) tiers: TierFiles,
    room: usize,
    bytes: Vec<u8>,
    completed: Vec<TierEntry>,
    /// Keeps other writers out.
    _lock: Box<dyn Lock>,
}

impl Writing {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        lock: Box<dyn Lock>,
        segment: Segment,
        tiers: TierFiles,
        room: usize,
    ) -> Self {
        Self { disk, segment, tiers, room, bytes: Vec::new(), completed: Vec::new(), _lock: lock }
    }

    /// Goes on where the log was opened again.
    pub(super) fn reopen(&mut self, segment: Segment, tiers: TierFiles) {
        (self.segment, self.tiers) = (segment, tiers);
        self.bytes.clear();
        self.completed.clear();
    }

    /// The room that is made ahead, in bytes.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Writes what was handed over, and returns once it is on the disk.
    pub(super) fn write(&mut self, job: &Job) -> io::Result<()> {
        if !self.bytes.is_empty() {
            self.segment.append(&self.bytes)?;
        }
        self.tiers.append(&*self.disk, &self.completed)?;
        if let Some(next) = &job.next {
            self.segment.finish()?;
            // At open, only what the last segment completed is made anew.
            self.tiers.sync(&*self.disk)?;
            self.segment = begin(&*self.disk, next, self.room)?;
        }
        Ok(())
    }
}

/// Begins the first segment of all.
pub(super) fn begin_first(disk: &dyn Disk, job: &Job, room: usize) -> io::Result<Segment> {
    match &job.next {
        Some(next) => begin(disk, next, room),
        None => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Makes a segment, and then exchanges the key file. A crash in between leaves both, and opening goes on here.
fn begin(disk: &dyn Disk, next: &Next, room: usize) -> io::Result<Segment> {
    if let Some(file) = &next.ratchet {
        keys::prepare(disk, file)?;
    }
    let segment = Segment::create(disk, next.number, &next.header, room)?;
    if next.ratchet.is_some() {
        keys::take_place(disk)?;
    }
    Ok(segment)
}
