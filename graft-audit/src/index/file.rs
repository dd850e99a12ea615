//! An index as it is searched: believed only behind its seals.

use std::io;

use super::layout::{BLOCK, FENCE, Layout, Row};
use super::{FIXED, Location, NotUsed, Summary, index_name};
use crate::format::{COMMIT_LEN, COMMIT_MACED, Commit, Mark, Salt, array, segment_name};
use crate::scan::{Files, read_full};
use crate::seal::{IndexKey, SegmentKeys};
use crate::sealer::Tip;

/// Why a search in an index ended.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The disk.
    Io(io::Error),
    /// A block is not as it was written.
    Damaged,
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A record that has what was searched for, or, once in 2^64, one that looks so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Its place among the records of the segment, from 0.
    pub(crate) ordinal: u32,
    pub(crate) location: Location,
}

/// The index of one segment.
pub(crate) struct IndexFile<'f> {
    files: &'f dyn Files,
    name: String,
    key: IndexKey,
    summary: Summary,
    layout: Layout,
    /// Where the blocks begin.
    start: u64,
}

impl<'f> IndexFile<'f> {
    /// Opens the index of the segment whose keys these are, if there is one that is to be believed.
    pub(crate) fn open(files: &'f dyn Files, keys: &SegmentKeys) -> io::Result<Result<Self, NotUsed>> {
        let name = index_name(keys.number());
        let mut head = [0; Summary::most()];
        let read = match read_full(files, &name, 0, &mut head) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(NotUsed::Missing)),
            read => read?,
        };
        let Some(fixed) = head[..read].first_chunk::<FIXED>() else { return Ok(Err(NotUsed::Damaged)) };
        let salt = match Summary::salt(fixed, keys.log(), keys.number()) {
            Ok(salt) => salt,
            Err(why) => return Ok(Err(why)),
        };
        let key = keys.index(Salt(salt));
        let Some((summary, start)) = Summary::decode(&mut head[..read], &key) else {
            return Ok(Err(NotUsed::Damaged));
        };
        let layout = Layout::new(summary.entries, summary.records);
        Ok(Ok(Self { files, name, key, summary, layout, start: start as u64 }))
    }

    pub(crate) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Where the log stands behind what the index speaks of; `None` if the segment does not have the very commit there,
    /// and so is not the one that was indexed. And whether that commit ends the segment.
    pub(crate) fn tip(&self, keys: &SegmentKeys) -> io::Result<Option<(Tip, bool)>> {
        let summary = &self.summary;
        let Some(at) = summary.end.checked_sub(COMMIT_LEN as u64) else { return Ok(None) };
        let mut bytes = [0; COMMIT_LEN];
        read_full(self.files, &segment_name(keys.number()), at, &mut bytes)?;
        let read = Commit::decode(&bytes).ok().filter(|read| {
            read.commit.size == summary.tree.size()
                && read.commit.last_leaf == summary.last_leaf
                && keys.is_commit_mac(&bytes[..COMMIT_MACED], &read.mac)
        });
        Ok(read.map(|read| {
            let (tree, last_leaf) = (summary.tree.clone(), summary.last_leaf);
            (Tip { tree, last_leaf, last_commit: read.digest }, read.commit.mark == Mark::SegmentEnd)
        }))
    }

    pub(crate) fn key(&self) -> &IndexKey {
        &self.key
    }

    /// Everything with this tag, in the order of the log. At most as much as the index has records.
    pub(crate) fn find(&self, tag: u64) -> Result<Vec<Hit>, Stopped> {
        let mut hits = Vec::new();
        let mut locations = Cached::default();
        for ordinal in self.ordinals(tag)? {
            let location = self.location(ordinal, &mut locations)?;
            hits.push(Hit { ordinal, location });
        }
        Ok(hits)
    }

    /// Where a record is, by its place in the segment; `None` if the index does not speak of it.
    pub(crate) fn locate(&self, ordinal: u64) -> Result<Option<Location>, Stopped> {
        match u32::try_from(ordinal) {
            Ok(ordinal) if ordinal < self.summary.records => {
                self.location(ordinal, &mut Cached::default()).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn ordinals(&self, tag: u64) -> Result<Vec<u32>, Stopped> {
        let (row, mut found) = (&self.layout.entries, Vec::new());
        for block in self.first_block(tag)?..row.blocks() {
            let bytes = self.block(row, block)?;
            for place in 0..row.in_block(block) as u64 {
                let entry = &bytes[row.find(place).1];
                match u64::from_be_bytes(array(entry)).cmp(&tag) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => found.push(u32::from_be_bytes(array(&entry[8..]))),
                    std::cmp::Ordering::Greater => return Ok(found),
                }
            }
        }
        Ok(found)
    }

    /// The block of entries with the first that has this tag, if any has. The block in front of the first one that
    /// begins with the tag may end in it.
    fn first_block(&self, tag: u64) -> Result<u64, Stopped> {
        let mut child = 0;
        for row in self.layout.fences.iter().rev() {
            let bytes = self.block(row, child)?;
            let fences = bytes[..row.in_block(child) * FENCE].chunks_exact(FENCE);
            let below = fences.take_while(|fence| u64::from_be_bytes(array(fence)) < tag).count() as u64;
            child = child * row.per_block() + below.saturating_sub(1);
        }
        Ok(child)
    }

    fn location(&self, ordinal: u32, cached: &mut Cached) -> Result<Location, Stopped> {
        let row = &self.layout.locations;
        let (block, at) = row.find(ordinal.into());
        if ordinal >= self.summary.records {
            return Err(Stopped::Damaged);
        }
        if cached.number != Some(block) {
            *cached = Cached { number: Some(block), bytes: self.block(row, block)? };
        }
        let location = &cached.bytes[at];
        let (record, batch) = location.split_at(4);
        Ok(Location { record: u32::from_be_bytes(array(record)), batch: u32::from_be_bytes(array(batch)) })
    }

    /// The `block`th block of a row, opened.
    fn block(&self, row: &Row, block: u64) -> Result<Vec<u8>, Stopped> {
        let number = row.start + block;
        let mut bytes = vec![0; BLOCK];
        let read = read_full(self.files, &self.name, self.start + number * BLOCK as u64, &mut bytes)?;
        if read < BLOCK || self.key.open(number, &[], &mut bytes).is_none() {
            return Err(Stopped::Damaged);
        }
        Ok(bytes)
    }
}

/// The block that was read last: hits come in the order of the log, so the next one often stands in it too.
#[derive(Default)]
struct Cached {
    number: Option<u64>,
    bytes: Vec<u8>,
}
