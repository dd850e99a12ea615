//! Subtree hashes kept in streams, so that proofs of a long log read little.
//!
//! Tier `t`, from 1 on, holds the hash of each complete subtree of `32^t` leaves, in order, and only grows.
//! All tiers together are 1/31 of the leaves' own hashes. Tier 0 stands for those, which are the log's own.

use super::{Frontier, HashSource, Node, ProveError, TreeHash, fold};

/// The levels from one tier to the next.
pub(super) const RADIX_BITS: u32 = 5;
/// How many entries of a tier make one of the next.
pub const TIER_WIDTH: usize = 1 << RADIX_BITS;
/// The highest tier of any tree: a subtree of 32^13 leaves is larger than a tree can be.
pub const MAX_TIER: u8 = 12;

/// An entry to append to the stream of its tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierEntry {
    /// The tier, 1 to [`MAX_TIER`].
    pub tier: u8,
    /// Its place in the tier, from 0: with entries of 32 bytes it begins at byte `32 * index`.
    pub index: u64,
    /// The hash over `32^tier` leaves.
    pub hash: TreeHash,
}

/// How many entries a tier has in a tree of `size` leaves: those of the complete subtrees.
pub fn tier_len(tier: u8, size: u64) -> u64 {
    size.checked_shr(RADIX_BITS * u32::from(tier)).unwrap_or(0)
}

/// Where the entries of tiers are read from. Anybody may implement it.
pub trait TierSource {
    /// Why entries could not be read.
    type Error;

    /// Fills `entries`, at most [`TIER_WIDTH`] of them, with those from `first` on. Tier 0 is the leaves.
    ///
    /// # Errors
    /// If they cannot be read, or not all of them are there.
    fn read(&mut self, tier: u8, first: u64, entries: &mut [TreeHash]) -> Result<(), Self::Error>;
}

/// A tree over its tiers. Each subtree takes one read of at most 16 entries, in one tier.
pub struct Tiers<S> {
    source: S,
    size: u64,
    pruned: Frontier,
}

impl<S: TierSource> Tiers<S> {
    /// The tree of `size` leaves, which are all there with their tiers.
    pub fn new(source: S, size: u64) -> Self {
        Self::pruned(source, size, Frontier::new())
    }

    /// The tree of `size` leaves whose first ones are gone, with all entries of the tiers still there.
    ///
    /// `pruned` is the frontier of those that are gone. With it every leaf that is still there can be proved
    /// to be included, and each size from there on to be consistent with a later one.
    pub fn pruned(source: S, size: u64, pruned: Frontier) -> Self {
        Self { source, size, pruned }
    }

    /// An entry made from those below it, for a stream that lost its end.
    ///
    /// # Errors
    /// [`ProveError`] if the tree has no such entry yet, or what it is made of cannot be read.
    pub fn entry_from_below(&mut self, tier: u8, index: u64) -> Result<TreeHash, ProveError<S::Error>> {
        let Some(below) = tier.checked_sub(1).filter(|_| index < tier_len(tier, self.size)) else {
            return Err(ProveError::PastEnd { size: self.size, end: self.size.saturating_add(1) });
        };
        let first = index << RADIX_BITS;
        if below == 0 && first < self.pruned.size() {
            let node = Node { level: RADIX_BITS as u8, index };
            return self.below(node);
        }
        self.row(below, first, TIER_WIDTH)
    }

    fn row(&mut self, tier: u8, first: u64, count: usize) -> Result<TreeHash, ProveError<S::Error>> {
        let mut entries = [TreeHash::EMPTY; TIER_WIDTH];
        let row = &mut entries[..count];
        self.source.read(tier, first, row).map_err(ProveError::Source)?;
        fold(row).ok_or(ProveError::PastEnd { size: self.size, end: first })
    }

    /// A subtree of less than a tier's leaves, some of them pruned.
    fn below(&mut self, node: Node) -> Result<TreeHash, ProveError<S::Error>> {
        if node.first() >= self.pruned.size() {
            return self.row(0, node.first(), 1 << node.level());
        }
        if let Some(hash) = self.pruned.kept(node) {
            return Ok(hash);
        }
        // Only a subtree that reaches past the pruned leaves has a half that is worth asking about.
        match node.halves() {
            Some([left, right]) if node.end() > self.pruned.size() => {
                Ok(TreeHash::node(&self.below(left)?, &self.below(right)?))
            }
            _ => Err(ProveError::Pruned { leaf: node.first() }),
        }
    }
}

impl<S: TierSource> HashSource for Tiers<S> {
    type Error = S::Error;

    fn subtree(&mut self, node: Node) -> Result<TreeHash, ProveError<S::Error>> {
        if node.end() > self.size {
            return Err(ProveError::PastEnd { size: self.size, end: node.end() });
        }
        let (tier, rest) = (u32::from(node.level()) / RADIX_BITS, u32::from(node.level()) % RADIX_BITS);
        if tier == 0 {
            return self.below(node);
        }
        self.row(tier as u8, node.index() << rest, 1 << rest)
    }
}
