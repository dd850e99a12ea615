//! The Merkle tree over a log's leaves, as RFC 9162 section 2.1 (and RFC 6962 before it) defines it.
//!
//! Nothing here knows of files or of what a record is: leaves come in as hashes, and what is needed of older
//! ones is asked for through [`HashSource`] or [`TierSource`].
//!
//! ```
//! use graft_audit::{Frontier, Leaf, prove_consistency, prove_inclusion, verify_consistency, verify_inclusion};
//! let leaves: Vec<Leaf> = (0..7).map(|n| Leaf([n; 32])).collect();
//!
//! let mut frontier = Frontier::new();
//! leaves[..4].iter().for_each(|leaf| frontier.push(*leaf));
//! let old = frontier.head();
//! leaves[4..].iter().for_each(|leaf| frontier.push(*leaf));
//! let new = frontier.head();
//!
//! let mut source = leaves.as_slice();
//! let path = prove_inclusion(&mut source, 5, new.size)?;
//! verify_inclusion(leaves[5], 5, &new, &path)?;
//! let proof = prove_consistency(&mut source, old.size, new.size)?;
//! verify_consistency(&old, &new, &proof)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod frontier;
mod prove;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
mod tiers;
mod verify;

use std::fmt;

pub use frontier::{Frontier, WrongCount};
pub use prove::{HashSource, ProveError, prove_consistency, prove_inclusion, root};
pub use tiers::{MAX_TIER, TIER_WIDTH, TierEntry, TierSource, Tiers, tier_len};
pub use verify::{ProofError, verify_consistency, verify_inclusion};

use crate::Leaf;
use crate::format::sha256_after;

/// The most leaves of a tree, 2^63 - 1: what other readers of checkpoints hold in a signed integer.
pub const MAX_TREE_SIZE: u64 = i64::MAX as u64;

/// The most hashes that a proof of any tree can have, so that whoever reads one is bounded.
pub const MAX_PROOF_HASHES: usize = 64;

/// A hash in the tree: that of a leaf, of a node or of a root.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TreeHash(pub [u8; 32]);

impl TreeHash {
    /// The root of a tree without leaves: SHA-256 of nothing.
    pub const EMPTY: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
        0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// The hash of the node over two others: `SHA-256(0x01 || left || right)`.
    pub fn node(left: &Self, right: &Self) -> Self {
        let mut both = [0; 64];
        both[..32].copy_from_slice(&left.0);
        both[32..].copy_from_slice(&right.0);
        Self(sha256_after(1, &both))
    }
}

impl From<Leaf> for TreeHash {
    fn from(leaf: Leaf) -> Self {
        Self(leaf.0)
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeHash({self})")
    }
}

/// A tree as a whole: how many leaves it has and what they hash to. It says nothing of who vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeHead {
    /// How many leaves.
    pub size: u64,
    /// The hash over all of them.
    pub root: TreeHash,
}

impl TreeHead {
    /// The tree without leaves.
    pub const EMPTY: Self = Self { size: 0, root: TreeHash::EMPTY };
}

/// A complete subtree: the one over the `2^level` leaves from `index * 2^level` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    level: u8,
    index: u64,
}

impl Node {
    /// The subtree of this level and index, unless it would reach past [`MAX_TREE_SIZE`].
    pub fn new(level: u8, index: u64) -> Option<Self> {
        let end = index.checked_add(1)?.checked_mul(1_u64.checked_shl(level.into())?)?;
        (end <= MAX_TREE_SIZE).then_some(Self { level, index })
    }

    /// The largest subtree that begins with leaf `first` and ends at `end` or before; both within a tree.
    fn largest(first: u64, end: u64) -> Self {
        let level = first.trailing_zeros().min((end - first).ilog2()) as u8;
        Self { level, index: first >> level }
    }

    /// Its height above the leaves, at most 62; a leaf has 0.
    pub fn level(self) -> u8 {
        self.level
    }

    /// Its place among the subtrees of its level, from the left.
    pub fn index(self) -> u64 {
        self.index
    }

    /// Its first leaf.
    pub fn first(self) -> u64 {
        self.index << self.level
    }

    /// The leaf behind its last.
    pub fn end(self) -> u64 {
        (self.index + 1) << self.level
    }

    /// The two subtrees that it is made of; a leaf has none.
    fn halves(self) -> Option<[Self; 2]> {
        let level = self.level.checked_sub(1)?;
        Some([Self { level, index: self.index * 2 }, Self { level, index: self.index * 2 + 1 }])
    }
}

/// The hash over a row of `2^n` hashes side by side, in place.
fn fold(row: &mut [TreeHash]) -> Option<TreeHash> {
    let mut width = row.len();
    while width > 1 {
        width /= 2;
        for i in 0..width {
            row[i] = TreeHash::node(&row[2 * i], &row[2 * i + 1]);
        }
    }
    row.first().copied()
}
