//! A record's proof out of the files of its log; no key is needed.

use std::io;

use crate::bundle::{BundleError, ProofBundle};
use crate::format::{
    BATCH_HEADER_LEN, CHECK_LEN, COMMIT_LEN, Leaf, MAX_RECORD_HEADER, RecordHeader, segment_name,
};
use crate::scan::{Files, Frame, Item, SegmentScan, Window, open_segment, read_full};
use crate::tree::{ProveError, TIER_WIDTH, TierSource, Tiers, TreeHash, prove_inclusion};
use crate::verify::segment_numbers;
use crate::{AuditError, Checkpoint};

/// A record could not be proved to be in its log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordProofError {
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// The record is none of those that the checkpoint speaks of.
    #[error(
        "the checkpoint is of {size} records, numbered from 0, and has no record {seq}; make a newer one"
    )]
    NotYet {
        /// How many records the checkpoint speaks of.
        size: u64,
        /// The record that was asked for.
        seq: u64,
    },
    /// Old records were removed, and with them what the proof needs.
    #[error("leaf {leaf} was pruned and the proof needs it; take the proof from a copy that still has it")]
    Pruned {
        /// The first leaf that would have to be read.
        leaf: u64,
    },
    /// A hash that the log's files do not have.
    #[error("the log does not have all of what the proof is made of; verify it")]
    Incomplete,
    /// The hashes do not lead to the checkpoint.
    #[error("the log and the checkpoint are not of one history; verify the log against it: {0}")]
    Bundle(#[from] BundleError),
}

/// The proof that record `seq` is in the log that `checkpoint` speaks of: it says so by the hashes of its header, and
/// tells nothing of what the record says.
///
/// Reads the files of the tree, and the few records whose leaves it needs, which it finds by halving their segment: a
/// frame can be recognised anywhere. Only where that fails, as it may beside damage, a segment is read through.
///
/// # Errors
/// [`RecordProofError`].
pub fn prove_record(
    files: &dyn Files,
    seq: u64,
    checkpoint: &Checkpoint,
) -> Result<ProofBundle, RecordProofError> {
    let size = checkpoint.head().size;
    if seq >= size {
        return Err(RecordProofError::NotYet { size, seq });
    }
    let mut source = Source::new(files)?;
    let first = source.segments.first().ok_or(AuditError::Missing)?;
    if seq < first.1 {
        return Err(RecordProofError::Pruned { leaf: seq });
    }
    let pruned =
        open_segment(files, first.0).map_err(AuditError::from)?.map_err(|_| RecordProofError::Incomplete)?;
    source.load(seq)?;
    let (_, at) = source.entry(seq).ok_or(RecordProofError::Incomplete)?;
    let header = header(files, source.loaded, at)?.ok_or(RecordProofError::Incomplete)?;
    let mut tree = Tiers::pruned(source, size, pruned.header.tree);
    let path = prove_inclusion(&mut tree, seq, size).map_err(|error| match error {
        ProveError::Pruned { leaf } => RecordProofError::Pruned { leaf },
        ProveError::Source(error) => error,
        ProveError::PastEnd { .. } => RecordProofError::Incomplete,
    })?;
    Ok(ProofBundle::new(&header, seq, &path, checkpoint)?)
}

/// The header of the record that begins at this byte, without its check.
fn header(files: &dyn Files, number: u64, at: u64) -> Result<Option<Vec<u8>>, AuditError> {
    let mut bytes = vec![0; MAX_RECORD_HEADER];
    let read = read_full(files, &segment_name(number), at, &mut bytes)?;
    let length = RecordHeader::len_of([bytes[0], bytes[1]]).filter(|length| *length <= read);
    Ok(length.map(|length| bytes[..length - CHECK_LEN].to_vec()))
}

/// The tree of a log: its upper tiers from their files, its leaves from the segments.
struct Source<'a> {
    files: &'a dyn Files,
    /// Each segment, its first record, and where that begins.
    segments: Vec<(u64, u64, u64)>,
    /// The segment of which leaves are here, the first of them, and each with the place of its record.
    loaded: u64,
    first: u64,
    leaves: Vec<(Leaf, u64)>,
}

impl<'a> Source<'a> {
    fn new(files: &'a dyn Files) -> Result<Self, RecordProofError> {
        let mut segments = Vec::new();
        for number in segment_numbers(files)? {
            // What lies in one with a bad header is missing later on, if it is needed.
            if let Ok(opened) = open_segment(files, number).map_err(AuditError::from)? {
                segments.push((number, opened.header.tree.size(), opened.len as u64));
            }
        }
        Ok(Self { files, segments, loaded: u64::MAX, first: 0, leaves: Vec::new() })
    }

    /// Reads the leaf of this record, and those of the others in its subtree of 32.
    fn load(&mut self, seq: u64) -> Result<(), AuditError> {
        if self.entry(seq).is_some() {
            return Ok(());
        }
        let at = self.segments.partition_point(|segment| segment.1 <= seq);
        let Some(&(number, first, begin)) = at.checked_sub(1).and_then(|at| self.segments.get(at)) else {
            return Ok(());
        };
        let wanted = first.max(seq - seq % TIER_WIDTH as u64);
        (self.loaded, self.first) = (number, wanted);
        self.leaves.clear();
        let near = locate(self.files, number, begin, wanted)?;
        self.walk(near)?;
        match self.entry(seq) {
            Some(_) => Ok(()),
            None => self.read_through(number, first),
        }
    }

    /// Collects the leaves from the first on, walking from frame to frame.
    fn walk(&mut self, from: u64) -> Result<(), AuditError> {
        let mut window = Window::at(self.files, segment_name(self.loaded), from);
        while self.leaves.len() < TIER_WIDTH {
            let length = match Frame::read(&mut window, 0)? {
                Ok(Frame::Batch(_)) => BATCH_HEADER_LEN,
                Ok(Frame::Commit(_)) => COMMIT_LEN,
                Ok(Frame::Record(header, leaf)) => {
                    if header.seq == self.first + self.leaves.len() as u64 {
                        self.leaves.push((leaf, window.offset()));
                    }
                    header.len() + header.parts_len()
                }
                Err(_) => break,
            };
            if !window.fill(length)? {
                break;
            }
            window.advance(length);
        }
        Ok(())
    }

    /// Collects the leaves of a whole segment.
    fn read_through(&mut self, number: u64, first: u64) -> Result<(), AuditError> {
        self.leaves.clear();
        self.first = first;
        let Ok(opened) = open_segment(self.files, number)? else { return Ok(()) };
        let mut scan = SegmentScan::new(self.files, &opened.header, opened.len, None);
        // Behind a broken place, the places of records are not certain.
        while let Item::Batch(mut batch) = scan.next()? {
            for place in 0..batch.len() {
                let Some(record) = batch.record(place) else { break };
                self.leaves.push((record.leaf, record.offset));
            }
        }
        Ok(())
    }

    fn entry(&self, seq: u64) -> Option<(Leaf, u64)> {
        let place = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.leaves.get(place).copied()
    }
}

/// How near to a record its place is found.
const NEAR: u64 = 16 * 1024;
/// The most bytes in which some frame begins, if there is one.
const MAX_APART: u64 = 512 * 1024;

/// The place of a frame at or before record `wanted` of a segment whose first batch begins at `begin`.
fn locate(files: &dyn Files, number: u64, begin: u64, wanted: u64) -> Result<u64, AuditError> {
    let name = segment_name(number);
    let (mut low, mut high) = (begin, begin + NEAR);
    while files.read_at(&name, high, &mut [0])? > 0 {
        high = high.saturating_mul(2);
    }
    while high - low > NEAR {
        let middle = low + (high - low) / 2;
        match next_record(files, &name, middle, high)? {
            Some((at, next)) if next <= wanted => low = at,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The first frame from `from` on that begins before `until`, and which record comes at it or next.
fn next_record(
    files: &dyn Files,
    name: &str,
    from: u64,
    until: u64,
) -> Result<Option<(u64, u64)>, AuditError> {
    let mut window = Window::at(files, name.to_owned(), from);
    // Behind the last commit there is room, and in it no frame: it is not read through.
    if !window.fill(1)? || window.bytes().iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    let found = Frame::find_within(&mut window, MAX_APART.min(until - from))?;
    if !found {
        return Ok(None);
    }
    let next = match Frame::read(&mut window, 0)? {
        Ok(Frame::Batch(header)) => header.first,
        Ok(Frame::Record(header, _)) => header.seq,
        Ok(Frame::Commit(read)) => read.commit.size,
        Err(_) => return Ok(None),
    };
    Ok(Some((window.offset(), next)))
}

impl TierSource for Source<'_> {
    type Error = RecordProofError;

    fn read(&mut self, tier: u8, first: u64, entries: &mut [TreeHash]) -> Result<(), RecordProofError> {
        if tier == 0 {
            for (seq, entry) in (first..).zip(entries) {
                self.load(seq)?;
                let (leaf, _) = self.entry(seq).ok_or(RecordProofError::Incomplete)?;
                *entry = TreeHash::from(leaf);
            }
            return Ok(());
        }
        let mut bytes = vec![0; 32 * entries.len()];
        let read = match read_full(self.files, &format!("tree/{tier}"), 32 * first, &mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            read => read.map_err(AuditError::from)?,
        };
        if read < bytes.len() {
            return Err(RecordProofError::Incomplete);
        }
        for (entry, hash) in entries.iter_mut().zip(bytes.chunks_exact(32)) {
            entry.0.copy_from_slice(hash);
        }
        Ok(())
    }
}
