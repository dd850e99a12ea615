//! Where a walk over a segment stands, and how it ends.

use crate::format::{CommitDigest, Leaf, Mark};
use crate::sealer::Tip;
use crate::tree::Frontier;
use crate::{Break, What};

/// How a segment ends.
#[derive(Clone, Debug)]
pub(crate) struct SegmentEnd {
    /// Where the log stands behind the last batch before which nothing is broken.
    pub(crate) tip: Tip,
    /// Where in the file that batch ends.
    pub(crate) end: u64,
    /// What its commit said of what comes behind it.
    pub(crate) mark: Mark,
    /// How the segment stands at its end, broken places passed over, as far as that can be known: what the next
    /// segment's header has to agree with.
    pub(crate) last: Reached,
    /// What a crash may have left behind `end`. Only in the last segment it is that, elsewhere it is damage.
    pub(crate) tail: Option<Tail>,
}

/// Bytes behind the last good commit that a crash may have left there: no commit lies behind them but, perhaps,
/// that of the batch that was being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Where they begin, in bytes from the start of the segment.
    pub(crate) offset: u64,
    /// How many there are up to the last that is not zero.
    pub(crate) length: u64,
    /// The first place in them that is not as it must be.
    pub(crate) first_bad: Break,
}

/// Where a walk stands. What is `None` got lost at a broken place.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    /// The sequence of the next record.
    pub(crate) next: u64,
    pub(crate) last_leaf: Option<Leaf>,
    pub(crate) last_commit: Option<CommitDigest>,
    pub(crate) tree: Option<Frontier>,
    /// Records that were passed over right before `next`.
    pub(super) gap: u64,
}

impl Reached {
    /// Behind a commit.
    pub(super) fn at(tip: &Tip) -> Self {
        Self {
            next: tip.tree.size(),
            last_leaf: Some(tip.last_leaf),
            last_commit: Some(tip.last_commit),
            tree: Some(tip.tree.clone()),
            gap: 0,
        }
    }

    /// A frame says that the next record is `seq`. What is wrong with that, if it is not what was expected; the walk
    /// goes on from there either way.
    pub(super) fn meet(&mut self, seq: u64, was_lost: bool) -> Option<What> {
        let expected = self.next;
        if seq == expected {
            return None;
        }
        self.gap = seq.checked_sub(expected).unwrap_or(u64::MAX);
        self.next = seq;
        self.last_leaf = None;
        (!was_lost || seq < expected).then_some(What::OutOfOrder { found: seq, expected })
    }

    /// A frame says what the last leaf is. What is wrong with that, if it is not what was expected.
    pub(super) fn follow(&mut self, previous: Leaf) -> Option<What> {
        match self.gap {
            0 => {}
            // The leaf of the one record that was passed over, from the frame behind it.
            1 => self.tree.iter_mut().for_each(|tree| tree.push(previous)),
            _ => self.tree = None,
        }
        self.gap = 0;
        let expected = self.last_leaf.replace(previous)?;
        if expected == previous {
            return None;
        }
        self.tree = None;
        Some(What::WrongPrevious { found: previous, expected })
    }

    pub(super) fn push(&mut self, leaf: Leaf) {
        self.last_leaf = Some(leaf);
        self.next = self.next.saturating_add(1);
        if let Some(tree) = &mut self.tree {
            tree.push(leaf);
        }
    }
}
