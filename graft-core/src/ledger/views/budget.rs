//! What one judgement may decode.

use std::ops::Range;

use super::Frame;
use crate::ledger::hash::{KeyedMap, LedgerKey};

/// Decoded bytes that a judgement may have for each byte of its arguments, and beside that.
pub(super) const RATIO: usize = 4;
pub(super) const SLACK: usize = 64 << 10;

const DOMAIN_WALKED: u64 = 0x7761_6c6b;

/// What one judgement may still decode, and the buffers it decodes into.
#[derive(Debug)]
pub(in crate::ledger) struct Budget {
    left: usize,
    complete: bool,
    key: LedgerKey,
    /// The texts that were looked into, by hash: how many views more were taken off each, and where it came from.
    walked: KeyedMap<(Option<usize>, Range<usize>)>,
    /// Bytes that any pass has looked at: what the tests of linear time count.
    pub(super) scanned: usize,
    pub(super) frames: Vec<Frame>,
}

impl Budget {
    /// A budget for arguments of `len` bytes in all: four times as many decoded bytes, and 64 KiB. Texts are told
    /// apart by hashes under `key`.
    pub(in crate::ledger) fn for_input(len: usize, key: &LedgerKey) -> Self {
        let left = len.saturating_mul(RATIO).saturating_add(SLACK);
        let (key, walked) = (key.clone(), KeyedMap::default());
        Self { left, complete: true, key, walked, scanned: 0, frames: Vec::new() }
    }

    /// Whether everything was decoded. If not, what was not seen counts as carrying.
    pub(in crate::ledger) fn complete(&self) -> bool {
        self.complete
    }

    /// Begins with another text as given, in which what was walked in the one before counts for nothing.
    pub(super) fn next_text(&mut self) {
        self.walked.clear();
    }

    /// Whether `text` still has to be looked into for `depth` views, and whether it is new. The same text from
    /// elsewhere in what was given is, since it may be in another argument.
    pub(super) fn enter(&mut self, text: &str, depth: usize, range: &Range<usize>) -> (bool, bool) {
        let known = self.walked.entry(self.key.text(DOMAIN_WALKED, text.as_bytes()));
        let known = known.or_insert_with(|| (None, range.clone()));
        let same = known.1.start <= range.start && range.end <= known.1.end;
        let new = !same || known.0.is_none();
        if new || known.0 < Some(depth) {
            *known = (Some(depth), range.clone());
            return (true, new);
        }
        (false, false)
    }

    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) if self.complete => self.left = left,
            _ => self.complete = false,
        }
        self.complete
    }
}
