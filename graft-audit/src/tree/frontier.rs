//! The right border of a tree, which is all that its next leaf needs.

use super::tiers::{RADIX_BITS, TierEntry};
use super::{MAX_TREE_SIZE, Node, TreeHash, TreeHead};
use crate::Leaf;

/// A growing tree that keeps one hash for each one bit of its size, so 63 at most ("compact range").
///
/// The hashes are those of the largest complete subtrees from the left, so they shrink from first to last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<TreeHash>,
}

/// The number of hashes is not that of a tree of this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the frontier of {size} leaves came with {found} hashes, or that is more leaves than a tree can have"
)]
pub struct WrongCount {
    /// The size that was given.
    pub size: u64,
    /// How many hashes came with it.
    pub found: usize,
}

impl Frontier {
    /// That of a tree without leaves.
    pub fn new() -> Self {
        Self { size: 0, hashes: Vec::new() }
    }

    /// What [`size`](Self::size) and [`hashes`](Self::hashes) gave earlier. That the hashes are those of
    /// the leaves is not seen here: compare [`head`](Self::head) with one that is known.
    ///
    /// # Errors
    /// [`WrongCount`] if there is not one hash for each one bit of `size`, or `size` is above [`MAX_TREE_SIZE`].
    pub fn restore(size: u64, hashes: &[TreeHash]) -> Result<Self, WrongCount> {
        if size > MAX_TREE_SIZE || hashes.len() != size.count_ones() as usize {
            return Err(WrongCount { size, found: hashes.len() });
        }
        Ok(Self { size, hashes: hashes.to_vec() })
    }

    /// Appends a leaf, with one hash on average and one for each level at most.
    pub fn push(&mut self, leaf: Leaf) {
        self.push_tiers(leaf, |_| ());
    }

    /// Like [`push`](Self::push), and hands out the entries that this leaf completes, lowest tier first:
    /// each is to be appended to the stream of its tier, where [`Tiers`](super::Tiers) reads them.
    ///
    /// ```
    /// use graft_audit::{Frontier, Leaf, tier_len};
    /// let (mut frontier, mut streams) = (Frontier::new(), vec![Vec::new(); 3]);
    /// for n in 0..2000 {
    ///     let leaf = Leaf([n as u8; 32]);
    ///     frontier.push_tiers(leaf, |entry| streams[usize::from(entry.tier)].push(entry.hash));
    /// }
    /// assert_eq!([streams[1].len(), streams[2].len()], [2000 / 32, 2000 / 1024]);
    /// assert_eq!(streams[1].len() as u64, tier_len(1, frontier.size()));
    /// ```
    pub fn push_tiers(&mut self, leaf: Leaf, mut completed: impl FnMut(TierEntry)) {
        let mut hash = TreeHash::from(leaf);
        // The size restored is below 2^63, and nobody lives to push as many leaves again.
        self.size += 1;
        for level in 1..=self.size.trailing_zeros() {
            // Each level below the lowest one bit of the new size had its left half waiting.
            let Some(left) = self.hashes.pop() else { break };
            hash = TreeHash::node(&left, &hash);
            if level % RADIX_BITS == 0 {
                let tier = (level / RADIX_BITS) as u8;
                completed(TierEntry { tier, index: (self.size >> level) - 1, hash });
            }
        }
        self.hashes.push(hash);
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes to keep, for [`restore`](Self::restore).
    pub fn hashes(&self) -> &[TreeHash] {
        &self.hashes
    }

    /// The root over all leaves, with at most one hash for each that is kept.
    pub fn root(&self) -> TreeHash {
        join(&self.hashes).unwrap_or(TreeHash::EMPTY)
    }

    /// Size and root.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }

    /// The hash of a subtree, if it is one of those that are kept.
    pub(super) fn kept(&self, node: Node) -> Option<TreeHash> {
        let bit = 1_u64.checked_shl(node.level().into()).filter(|bit| self.size & bit != 0)?;
        let before = self.size & !(bit | (bit - 1));
        (node.first() == before).then(|| self.hashes[before.count_ones() as usize])
    }
}

impl Default for Frontier {
    fn default() -> Self {
        Self::new()
    }
}

/// The hash over subtrees that shrink from left to right; none if there are none.
pub(super) fn join(hashes: &[TreeHash]) -> Option<TreeHash> {
    hashes.iter().copied().rev().reduce(|right, left| TreeHash::node(&left, &right))
}
