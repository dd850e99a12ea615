//! Where to find what in a log: one file beside each segment, made if the host asks for it, and made anew from the
//! segment at any time. `INDEX.md` draws the bytes.
//!
//! An index saves reading; it is never a witness. Everything in it is sealed under a key that comes from the
//! segment's, so nobody without the key reads it or makes one up; a record that it names is opened and held
//! against its seal like any other; one that is damaged, or does not belong to the segment as it is, is not
//! used, and the segment is read instead.

mod build;
mod file;
mod layout;
mod make;
mod prove;
mod record;
mod search;
mod tags;
#[cfg(test)]
mod tests;

use graft_core::Timestamp;

use crate::format::{Leaf, LogId, Salt, array};
use crate::seal::IndexKey;
use crate::tree::{Frontier, TreeHash};

pub(crate) use build::Builder;
pub(crate) use file::{Hit, IndexFile, Stopped};
pub use make::{Indexed, index_log};
pub use prove::{RecordProofError, prove_record};
pub use search::{Matches, Search, SearchNotes};
pub(crate) use tags::Wanted;

/// Where a record and the batch that it is in begin, in bytes from the start of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) record: u32,
    pub(crate) batch: u32,
}

/// Why an index is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotUsed {
    /// There is none.
    Missing,
    /// It is not as it was written, or was written with another key.
    Damaged,
    /// It is another segment's, or of a later version.
    Foreign,
}

/// The file name of the index of a segment.
pub(crate) fn index_name(number: u64) -> String {
    format!("index/{number:010}.idx")
}

const MAGIC: [u8; 8] = *b"graftidx";
const VERSION: u16 = 1;
/// The part of the header that is not sealed.
const FIXED: usize = 56;
const SUMMARY: usize = 72;
/// The number that the header is sealed under; blocks count from 0.
const HEADER_NUMBER: u64 = u64::MAX;
/// A tree of 2^64 records has as many whole subtrees at most.
const MAX_HASHES: usize = 64;
const HASH_COUNT_AT: usize = 52;

/// What an index speaks of: the records of a segment from its first on, up to a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The sequence of the segment's first record.
    pub(crate) first: u64,
    pub(crate) records: u32,
    pub(crate) entries: u32,
    /// Where the commit ends, in bytes from the start of the segment.
    pub(crate) end: u64,
    /// The times of the earliest and the latest record; the earliest is the later one if there is none.
    pub(crate) earliest: Timestamp,
    pub(crate) latest: Timestamp,
    /// The leaf and the tree that the commit tells of.
    pub(crate) last_leaf: Leaf,
    pub(crate) tree: Frontier,
}

impl Summary {
    const fn most() -> usize {
        FIXED + SUMMARY + 32 * MAX_HASHES + 16
    }

    /// The header of an index, sealed.
    fn encode(&self, log: LogId, number: u64, salt: Salt, key: &IndexKey) -> Vec<u8> {
        let hashes = self.tree.hashes();
        let mut bytes = Vec::with_capacity(Self::most());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&log.0);
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&salt.0);
        bytes.extend_from_slice(&[hashes.len() as u8, 0, 0, 0]);
        bytes.extend_from_slice(&self.first.to_be_bytes());
        bytes.extend_from_slice(&self.records.to_be_bytes());
        bytes.extend_from_slice(&self.entries.to_be_bytes());
        bytes.extend_from_slice(&self.end.to_be_bytes());
        bytes.extend_from_slice(&self.earliest.0.to_be_bytes());
        bytes.extend_from_slice(&self.latest.0.to_be_bytes());
        bytes.extend_from_slice(&self.last_leaf.0);
        hashes.iter().for_each(|hash| bytes.extend_from_slice(&hash.0));
        bytes.extend_from_slice(&[0; 16]);
        let (fixed, sealed) = bytes.split_at_mut(FIXED);
        key.seal(HEADER_NUMBER, fixed, sealed);
        bytes
    }

    /// The salt out of the part that is not sealed.
    fn salt(fixed: &[u8; FIXED], log: LogId, number: u64) -> Result<[u8; 16], NotUsed> {
        if fixed[..8] != MAGIC {
            return Err(NotUsed::Damaged);
        }
        let is_ours = fixed[8..10] == VERSION.to_be_bytes()
            && fixed[12..28] == log.0
            && fixed[28..36] == number.to_be_bytes();
        if is_ours { Ok(array(&fixed[36..52])) } else { Err(NotUsed::Foreign) }
    }

    /// Opens a header that `bytes` begin with; and how long it is.
    fn decode(bytes: &mut [u8], key: &IndexKey) -> Option<(Self, usize)> {
        let hashes = usize::from(*bytes.get(HASH_COUNT_AT)?);
        let end = FIXED + SUMMARY + 32 * hashes + 16;
        let (fixed, sealed) = bytes.get_mut(..end)?.split_at_mut(FIXED);
        let body = key.open(HEADER_NUMBER, fixed, sealed)?;
        let u64_at = |at: usize| u64::from_be_bytes(array(&body[at..]));
        let u32_at = |at: usize| u32::from_be_bytes(array(&body[at..]));
        let (first, records) = (u64_at(0), u32_at(8));
        let hashes: Vec<_> = body[SUMMARY..].chunks_exact(32).map(|hash| TreeHash(array(hash))).collect();
        let summary = Self {
            first,
            records,
            entries: u32_at(12),
            end: u64_at(16),
            earliest: Timestamp(u64_at(24)),
            latest: Timestamp(u64_at(32)),
            last_leaf: Leaf(array(&body[40..])),
            tree: Frontier::restore(first.checked_add(records.into())?, &hashes).ok()?,
        };
        Some((summary, end))
    }
}
