//! Makes the index of one segment.

use std::io::{self, Write};

use graft_core::{Event, Timestamp};

use super::layout::{BLOCK, Layout, Row};
use super::tags::{MAX_TAGS, of_event};
use super::{Location, Summary};
use crate::format::{LogId, Salt};
use crate::seal::{IndexKey, SegmentKeys};

/// The most records that one index speaks of; what is behind them is read without it. With it, making an index takes
/// at most 68 MiB.
pub(crate) const MAX_RECORDS: usize = 1 << 19;

const _: () = assert!(MAX_RECORDS * MAX_TAGS <= u32::MAX as usize, "entries are counted in 32 bits");

/// Collects what the records of a segment are found by.
pub(crate) struct Builder {
    log: LogId,
    number: u64,
    salt: Salt,
    key: IndexKey,
    entries: Vec<(u64, u32)>,
    locations: Vec<Location>,
    earliest: Timestamp,
    latest: Timestamp,
}

impl Builder {
    /// For the segment whose keys these are. `salt` must be fresh randomness.
    pub(crate) fn new(keys: &SegmentKeys, salt: Salt) -> Self {
        Self {
            log: keys.log(),
            number: keys.number(),
            salt,
            key: keys.index(salt),
            entries: Vec::new(),
            locations: Vec::new(),
            earliest: Timestamp(u64::MAX),
            latest: Timestamp(0),
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.locations.len()
    }

    /// Whether as many records more, that end at this byte of the segment, fit.
    pub(crate) fn has_room(&self, records: usize, end: u64) -> bool {
        self.locations.len() + records <= MAX_RECORDS && u32::try_from(end).is_ok()
    }

    /// Adds the next record of the segment. One whose event was erased is found by nothing.
    pub(crate) fn add(&mut self, location: Location, event: Option<&Event>) {
        let ordinal = self.locations.len() as u32; // bounded by `has_room`
        self.locations.push(location);
        if let Some(event) = event {
            self.earliest = self.earliest.min(event.time);
            self.latest = self.latest.max(event.time);
            let entries = &mut self.entries;
            of_event(&self.key, event, |tag| entries.push((tag, ordinal)));
        }
    }

    /// Writes the index. `covered` says where the log stands behind the last record that was added; counts and
    /// times in it are not looked at.
    pub(crate) fn finish(mut self, covered: Summary, out: &mut impl Write) -> io::Result<()> {
        self.entries.sort_unstable();
        let summary = Summary {
            records: self.locations.len() as u32,
            entries: self.entries.len() as u32,
            earliest: self.earliest,
            latest: self.latest,
            ..covered
        };
        out.write_all(&summary.encode(self.log, self.number, self.salt, &self.key))?;
        let layout = Layout::new(summary.entries, summary.records);
        let mut blocks = Blocks { key: &self.key, out };
        let entry = |(tag, ordinal): &(u64, u32), to: &mut [u8]| {
            to[..8].copy_from_slice(&tag.to_be_bytes());
            to[8..].copy_from_slice(&ordinal.to_be_bytes());
        };
        blocks.row(&layout.entries, &self.entries, entry)?;
        blocks.row(&layout.locations, &self.locations, |location, to| {
            to[..4].copy_from_slice(&location.record.to_be_bytes());
            to[4..].copy_from_slice(&location.batch.to_be_bytes());
        })?;
        let per_block = layout.entries.per_block() as usize;
        let mut firsts: Vec<u64> = self.entries.iter().step_by(per_block).map(|(tag, _)| *tag).collect();
        for row in &layout.fences {
            blocks.row(row, &firsts, |tag, to| to.copy_from_slice(&tag.to_be_bytes()))?;
            firsts = firsts.into_iter().step_by(row.per_block() as usize).collect();
        }
        Ok(())
    }
}

/// Seals blocks one behind the other.
struct Blocks<'a, W> {
    key: &'a IndexKey,
    out: &'a mut W,
}

impl<W: Write> Blocks<'_, W> {
    fn row<T>(&mut self, row: &Row, things: &[T], put: impl Fn(&T, &mut [u8])) -> io::Result<()> {
        for (number, chunk) in (row.start..).zip(things.chunks(row.per_block() as usize)) {
            let mut block = [0; BLOCK];
            for (thing, at) in chunk.iter().zip(0..) {
                put(thing, &mut block[row.find(at).1]);
            }
            self.key.seal(number, &[], &mut block);
            self.out.write_all(&block)?;
        }
        Ok(())
    }
}
