//! Goes through a segment's batches to where they end: structure, tree and the MACs of commits.

use sha2::{Digest, Sha256};

use crate::disk::DiskFile;
use crate::format::{
    BATCH_HEADER_LEN, BatchHeader, COMMIT_LEN, Commit, Leaf, MAX_BATCH, Mark, RecordHeader, array,
};
use crate::seal::SegmentKeys;
use crate::sealer::Tip;
use crate::tree::TierEntry;
use crate::{AuditError, What};

/// A power failure leaves each sector of a write as it was or as it is to be.
const SECTOR: u64 = 512;

/// Where it stands: behind the last good commit.
pub(super) struct Walk<'f> {
    file: &'f dyn DiskFile,
    /// Without them neither MACs nor parts are looked at: the leaves alone make the tree.
    keys: Option<&'f SegmentKeys>,
    pub(super) tip: Tip,
    pub(super) end: u64,
    pub(super) mark: Mark,
    /// What lies at `window_at` in the file.
    window: Vec<u8>,
    window_at: u64,
}

/// One record, without its parts.
pub(super) struct Walked<'h> {
    pub(super) header: &'h RecordHeader,
    /// Where its parts begin in the file.
    pub(super) parts_at: u64,
    pub(super) leaf: Leaf,
    /// Whether one of the parts is zeros.
    pub(super) is_erased: bool,
    /// What it completes of the tree.
    pub(super) completed: &'h [TierEntry],
}

/// Why it does not go on.
pub(super) enum Stop {
    /// Behind it nothing was written.
    End,
    Broken(What),
}

impl<'f> Walk<'f> {
    /// Begins behind the header of a segment, which `tip` is from.
    pub(super) fn new(
        file: &'f dyn DiskFile,
        keys: Option<&'f SegmentKeys>,
        tip: Tip,
        header_len: u64,
    ) -> Self {
        Self { file, keys, tip, end: header_len, mark: Mark::None, window: Vec::new(), window_at: header_len }
    }

    /// Goes over one batch; `Err(Ok(..))` says why there is none. Nothing moves unless all of it is good.
    pub(super) fn batch(&mut self, mut each: impl FnMut(Walked<'_>)) -> Result<(), Result<Stop, AuditError>> {
        let mut at = self.end;
        let Some(head) = self.bytes(at, BATCH_HEADER_LEN)? else { return Err(Ok(Stop::End)) };
        if head.iter().all(|byte| *byte == 0) {
            return Err(Ok(Stop::End));
        }
        let header = BatchHeader::decode(&array(head)).map_err(broken)?;
        if self.mark == Mark::SegmentEnd {
            return Err(broken(What::Misplaced));
        }
        let mut tip = self.tip.clone();
        if header.first != tip.tree.size() {
            let (found, expected) = (header.first, tip.tree.size());
            return Err(broken(What::OutOfOrder { found, expected }));
        }
        at += BATCH_HEADER_LEN as u64;
        let mut completed = Vec::new();
        loop {
            let Some(kind) = self.bytes(at, 2)? else { return Err(broken(What::DamagedHeader)) };
            if kind[0] == Commit::KIND {
                break;
            }
            let length =
                RecordHeader::len_of([kind[0], kind[1]]).ok_or(What::DamagedHeader).map_err(broken)?;
            let Some(bytes) = self.bytes(at, length)? else { return Err(broken(What::DamagedHeader)) };
            let (record, leaf) = RecordHeader::decode(bytes).map_err(broken)?;
            if record.seq != tip.tree.size() {
                let (found, expected) = (record.seq, tip.tree.size());
                return Err(broken(What::OutOfOrder { found, expected }));
            }
            if record.previous != tip.last_leaf {
                let (found, expected) = (record.previous, tip.last_leaf);
                return Err(broken(What::WrongPrevious { found, expected }));
            }
            at += length as u64;
            let (parts_at, mut is_erased) = (at, false);
            for part in record.parts() {
                let length = part.length as usize;
                if self.keys.is_none() {
                    at += length as u64;
                    continue;
                }
                let Some(bytes) = self.bytes(at, length)? else { return Err(broken(What::DamagedBody)) };
                if Sha256::digest(bytes)[..] != part.digest {
                    if bytes.iter().any(|byte| *byte != 0) {
                        return Err(broken(What::DamagedBody));
                    }
                    is_erased = true;
                }
                at += length as u64;
            }
            if at - self.end > MAX_BATCH as u64 {
                return Err(broken(What::BadLength { found: (at - self.end) as u32 }));
            }
            completed.clear();
            tip.tree.push_tiers(leaf, |entry| completed.push(entry));
            tip.last_leaf = leaf;
            each(Walked { header: &record, parts_at, leaf, is_erased, completed: &completed });
        }
        let Some(bytes) = self.bytes(at, COMMIT_LEN)? else { return Err(broken(What::DamagedHeader)) };
        let bytes: [u8; COMMIT_LEN] = array(bytes);
        let read = Commit::decode(&bytes).map_err(broken)?;
        let commit = read.commit;
        let expected = Commit {
            mark: commit.mark,
            count: (tip.tree.size() - self.tip.tree.size()) as u32,
            size: tip.tree.size(),
            salt: header.salt,
            last_leaf: tip.last_leaf,
            root: tip.tree.root(),
            previous: self.tip.last_commit,
        };
        if commit != expected {
            return Err(broken(What::Impossible));
        }
        if self.keys.is_some_and(|keys| !keys.is_commit_mac(&bytes[..128], &read.mac)) {
            return Err(broken(What::Forged));
        }
        tip.last_commit = read.digest;
        (self.tip, self.mark, self.end) = (tip, commit.mark, at + COMMIT_LEN as u64);
        Ok(())
    }

    /// Whether what lies behind the end is what a crash leaves of one batch: no header and no commit but its own, and
    /// if the commit is there, a sector of the batch that is not. No batch is written before the last one is synced.
    pub(super) fn is_torn(&mut self) -> Result<bool, AuditError> {
        let (mut at, mut own) = (self.end, None);
        loop {
            let is_behind = at > self.end;
            let Some(bytes) = self.bytes(at, COMMIT_LEN).map_err(flat)? else { break };
            let bytes: [u8; COMMIT_LEN] = array(bytes);
            if is_behind && bytes[0] == BatchHeader::KIND && BatchHeader::decode(&array(&bytes)).is_ok() {
                return Ok(false);
            }
            if bytes[0] == Commit::KIND
                && let Ok(found) = Commit::decode(&bytes)
            {
                if found.commit.previous != self.tip.last_commit || own.is_some() {
                    return Ok(false);
                }
                own = Some(at + COMMIT_LEN as u64);
            }
            at += 1;
        }
        match own {
            None => Ok(true),
            Some(end) => self.has_empty_sector(end),
        }
    }

    fn has_empty_sector(&mut self, end: u64) -> Result<bool, AuditError> {
        let mut at = self.end;
        while at < end {
            let next = end.min((at / SECTOR + 1) * SECTOR);
            let sector = self.bytes(at, (next - at) as usize).map_err(flat)?;
            if sector.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0)) {
                return Ok(true);
            }
            at = next;
        }
        Ok(false)
    }

    /// The next `length` bytes of the file from `at` on; `None` if it ends before.
    fn bytes(&mut self, at: u64, length: usize) -> Result<Option<&[u8]>, Result<Stop, AuditError>> {
        const WINDOW: usize = 256 * 1024;
        let holds = |walk: &Self| {
            at >= walk.window_at && at + length as u64 <= walk.window_at + walk.window.len() as u64
        };
        if !holds(self) {
            self.window.resize(WINDOW.max(length), 0);
            let read = self.file.read_full_at(&mut self.window, at).map_err(|error| Err(error.into()))?;
            self.window.truncate(read);
            self.window_at = at;
        }
        let from = (at - self.window_at) as usize;
        Ok(if holds(self) { Some(&self.window[from..from + length]) } else { None })
    }
}

fn broken(what: What) -> Result<Stop, AuditError> {
    Ok(Stop::Broken(what))
}

fn flat(error: Result<Stop, AuditError>) -> AuditError {
    match error {
        Err(error) => error,
        Ok(_) => AuditError::Stopped,
    }
}
