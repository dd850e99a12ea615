//! The writer's pure core: bodies go in, the bytes of segments come out. No files, no clock, no randomness.

use crate::format::{
    BatchHeader, COMMIT_LEN, Commit, CommitDigest, Leaf, LogId, MAX_BATCH, MAX_BODY, Mark, Mode, PartHeader,
    PartKind, RecordHeader, Salt, SegmentHeader, TAG_LEN, record_header_len, sha256,
};
use crate::seal::{BatchKey, SegmentKeys};
use crate::tree::{Frontier, TierEntry, TreeHash};

/// Where a log stands behind a commit: all that its next batch depends on, keys aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    /// The tree over all records; its size is the sequence of the next one.
    pub(crate) tree: Frontier,
    pub(crate) last_leaf: Leaf,
    pub(crate) last_commit: CommitDigest,
}

impl Tip {
    /// That of a log without records.
    pub(crate) fn genesis(log: LogId) -> Self {
        Self { tree: Frontier::new(), last_leaf: Leaf::genesis(log), last_commit: CommitDigest::NONE }
    }
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    /// How many records the log has with it.
    pub(crate) size: u64,
    pub(crate) root: TreeHash,
    pub(crate) last_leaf: Leaf,
    pub(crate) digest: CommitDigest,
}

/// Why a record was not taken. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// A body is empty or longer than 64 KiB: no batch takes it.
    BadBody,
    /// The batch has no room left: commit it, and begin another.
    Full,
}

/// Seals records into batches, for one segment after the other.
pub(crate) struct Sealer {
    keys: SegmentKeys,
    tip: Tip,
    /// The tree's hashes before the open batch, for when it is abandoned. A buffer that is kept.
    before: Vec<TreeHash>,
    completed: Vec<TierEntry>,
}

impl Sealer {
    /// Begins a segment behind `tip`, and returns its header as well. `key_from` is the number of the first
    /// segment under the same key.
    pub(crate) fn start(keys: SegmentKeys, mode: Mode, key_from: u64, tip: Tip) -> (Self, Vec<u8>) {
        let header = SegmentHeader {
            log: keys.log(),
            mode,
            number: keys.number(),
            key_from,
            tree: tip.tree.clone(),
            previous_leaf: tip.last_leaf,
            previous_commit: tip.last_commit,
        };
        let bytes = header.encode(&keys.commitment(), |maced| keys.header_mac(maced));
        (Self::resume(keys, tip), bytes)
    }

    /// Goes on in a segment that is there already.
    pub(crate) fn resume(keys: SegmentKeys, tip: Tip) -> Self {
        Self { keys, tip, before: Vec::new(), completed: Vec::new() }
    }

    /// Where the log stands behind the last batch.
    pub(crate) fn tip(&self) -> &Tip {
        &self.tip
    }

    /// The subtrees that the records of the last batch completed, in order: what the files of the tree hold.
    pub(crate) fn completed(&self) -> &[TierEntry] {
        &self.completed
    }

    /// Begins a batch at the end of `out`. `salt` must be fresh randomness: with one that was used before,
    /// whoever holds both batches learns of what they say.
    pub(crate) fn begin<'a>(&'a mut self, salt: Salt, out: &'a mut Vec<u8>) -> Batch<'a> {
        self.before.clear();
        self.before.extend_from_slice(self.tip.tree.hashes());
        self.completed.clear();
        let (start, first, last_leaf) = (out.len(), self.tip.tree.size(), self.tip.last_leaf);
        out.extend_from_slice(&BatchHeader { first, salt }.encode());
        Batch {
            key: self.keys.batch(salt),
            sealer: self,
            out,
            salt,
            start,
            first,
            last_leaf,
            committed: false,
        }
    }
}

/// A batch that is being filled. Dropping it without a commit leaves no trace of it.
pub(crate) struct Batch<'a> {
    sealer: &'a mut Sealer,
    out: &'a mut Vec<u8>,
    key: BatchKey,
    salt: Salt,
    /// Where it begins in `out`.
    start: usize,
    /// The sequence of its first record, and the leaf before that.
    first: u64,
    last_leaf: Leaf,
    committed: bool,
}

impl Batch<'_> {
    /// Whether a record with these bodies fits, commit included.
    pub(crate) fn has_room(&self, event: &[u8], fields: Option<&[u8]>) -> bool {
        let fields_len = fields.map_or(0, |fields| fields.len() + TAG_LEN);
        let header = record_header_len(1 + usize::from(fields.is_some()));
        let record = header + event.len() + TAG_LEN + fields_len;
        self.out.len() - self.start + record + COMMIT_LEN <= MAX_BATCH
    }

    /// Seals a record of these bodies and returns its sequence and leaf.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub(crate) fn push(&mut self, event: &[u8], fields: Option<&[u8]>) -> Result<(u64, Leaf), NotTaken> {
        let is_body = |body: &[u8]| (1..=MAX_BODY).contains(&body.len());
        if !is_body(event) || !fields.is_none_or(is_body) {
            return Err(NotTaken::BadBody);
        }
        if !self.has_room(event, fields) {
            return Err(NotTaken::Full);
        }
        let (seq, at) = (self.sealer.tip.tree.size(), self.out.len());
        let header_len = record_header_len(1 + usize::from(fields.is_some()));
        self.out.resize(at + header_len, 0);
        let event = self.seal(seq, PartKind::Event, event);
        let header = match fields {
            None => RecordHeader::new(seq, self.sealer.tip.last_leaf, &[event]),
            Some(fields) => {
                let fields = self.seal(seq, PartKind::Fields, fields);
                RecordHeader::new(seq, self.sealer.tip.last_leaf, &[event, fields])
            }
        };
        let Some(header) = header else { unreachable!("there are one or two parts") };
        let leaf = header.encode(&mut self.out[at..at + header_len]);
        let Sealer { tip, completed, .. } = &mut *self.sealer;
        tip.tree.push_tiers(leaf, |entry| completed.push(entry));
        tip.last_leaf = leaf;
        Ok((seq, leaf))
    }

    /// Appends a part and returns what the header says of it.
    fn seal(&mut self, seq: u64, kind: PartKind, body: &[u8]) -> PartHeader {
        let at = self.out.len();
        self.out.extend_from_slice(body);
        self.out.extend_from_slice(&[0; TAG_LEN]);
        let part = &mut self.out[at..];
        self.key.seal(seq, kind, part);
        PartHeader { kind, length: part.len() as u32, digest: sha256(part) }
    }

    /// How many records it has.
    pub(crate) fn count(&self) -> u32 {
        // The bytes of a batch bound its records far below.
        (self.sealer.tip.tree.size() - self.first) as u32
    }

    /// Closes the batch. One without records and without a mark says nothing, and none is written: then the
    /// log stands where it stood.
    pub(crate) fn commit(mut self, mark: Mark) -> Committed {
        let count = self.count();
        let Sealer { keys, tip, .. } = &mut *self.sealer;
        let (size, root, last_leaf) = (tip.tree.size(), tip.tree.root(), tip.last_leaf);
        if count == 0 && mark == Mark::None {
            return Committed { size, root, last_leaf, digest: tip.last_commit };
        }
        let previous = tip.last_commit;
        let commit = Commit { mark, count, size, salt: self.salt, last_leaf, root, previous };
        let (bytes, digest) = commit.encode(|maced| keys.commit_mac(maced));
        self.out.extend_from_slice(&bytes);
        tip.last_commit = digest;
        self.committed = true;
        Committed { size, root, last_leaf, digest }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        self.out.truncate(self.start);
        self.sealer.completed.clear();
        if let Ok(tree) = Frontier::restore(self.first, &self.sealer.before) {
            self.sealer.tip.tree = tree;
        }
        self.sealer.tip.last_leaf = self.last_leaf;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AuditKey;
    use crate::format::array;

    fn sealer() -> (Sealer, Vec<u8>) {
        let log = LogId([1; 16]);
        let key: [u8; 32] = std::array::from_fn(|i| (i * i) as u8);
        let keys = SegmentKeys::readable(&AuditKey::new(key).expect("strong"), log, 0);
        Sealer::start(keys, Mode::Readable, 0, Tip::genesis(log))
    }

    #[test]
    fn a_record_with_a_200_byte_body_takes_308_bytes_and_a_batch_208_more() {
        let (mut sealer, mut out) = sealer();
        out.clear();
        let mut batch = sealer.begin(Salt([2; 16]), &mut out);
        for seq in 0..3 {
            assert_eq!(batch.push(&[9; 200], None).map(|(seq, _)| seq), Ok(seq));
        }
        let committed = batch.commit(Mark::None);
        assert_eq!((committed.size, out.len()), (3, 208 + 3 * 308));
        assert_eq!(sealer.tip().last_commit, committed.digest);
        let commit = Commit::decode(&array(&out[out.len() - COMMIT_LEN..])).expect("good");
        assert_eq!(
            (commit.commit.root, commit.commit.count, commit.digest),
            (committed.root, 3, committed.digest)
        );
    }

    #[test]
    fn an_abandoned_batch_leaves_no_trace() {
        let (mut sealer, mut out) = sealer();
        let mut batch = sealer.begin(Salt([2; 16]), &mut out);
        (0..37).for_each(|n| assert!(batch.push(&[n], None).is_ok()));
        batch.commit(Mark::None);
        let (tip, bytes) = (sealer.tip().clone(), out.clone());
        let mut batch = sealer.begin(Salt([3; 16]), &mut out);
        (0..60).for_each(|n| assert!(batch.push(&[n], Some(&[n])).is_ok()));
        drop(batch);
        assert_eq!((sealer.tip(), &out), (&tip, &bytes));
        assert_eq!(sealer.begin(Salt([4; 16]), &mut out).commit(Mark::None).digest, tip.last_commit);
        assert_eq!((sealer.tip(), &out, sealer.completed().len()), (&tip, &bytes, 0));
    }

    #[test]
    fn bodies_and_batches_are_bounded_and_what_is_refused_changes_nothing() {
        let (mut sealer, mut out) = sealer();
        let start = out.len();
        let mut batch = sealer.begin(Salt([2; 16]), &mut out);
        let large = vec![0; MAX_BODY];
        assert_eq!(batch.push(&[], None), Err(NotTaken::BadBody));
        assert_eq!(batch.push(&[0], Some(&[])), Err(NotTaken::BadBody));
        assert_eq!(batch.push(&[&large[..], &[0]].concat(), None), Err(NotTaken::BadBody));
        assert_eq!(batch.count(), 0);
        let mut pushed = 0;
        while batch.has_room(&large, Some(&large)) {
            assert!(batch.push(&large, Some(&large)).is_ok());
            pushed += 1;
        }
        assert_eq!(batch.push(&large, Some(&large)), Err(NotTaken::Full));
        assert_eq!((batch.count(), pushed), (31, 31));
        assert!(batch.push(&[0; 200], None).is_ok());
        batch.commit(Mark::Closed);
        assert!(out.len() - start <= MAX_BATCH);
    }
}
