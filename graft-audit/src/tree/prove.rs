//! Proofs, from the definitions of RFC 9162 sections 2.1.3.1 and 2.1.4.1.

use std::convert::Infallible;

use super::frontier::join;
use super::{MAX_TREE_SIZE, Node, TreeHash, fold};
use crate::Leaf;

/// Where the hashes of a tree's complete subtrees are read from. Anybody may implement it.
pub trait HashSource {
    /// Why a hash could not be read.
    type Error;

    /// The hash over the leaves of `node`, which all are in the tree that is asked about.
    ///
    /// # Errors
    /// [`ProveError::Source`] if it could not be read, [`ProveError::Pruned`] if it is no longer kept.
    fn subtree(&mut self, node: Node) -> Result<TreeHash, ProveError<Self::Error>>;
}

/// All leaves of a small tree. Each question hashes anew what it is about.
impl HashSource for &[Leaf] {
    type Error = Infallible;

    fn subtree(&mut self, node: Node) -> Result<TreeHash, ProveError<Infallible>> {
        let past = ProveError::PastEnd { end: node.end(), size: self.len() as u64 };
        let range = usize::try_from(node.first()).ok().zip(usize::try_from(node.end()).ok());
        let leaves = range.and_then(|(first, end)| self.get(first..end)).ok_or(past)?;
        let mut row: Vec<_> = leaves.iter().map(|leaf| TreeHash::from(*leaf)).collect();
        fold(&mut row).ok_or(ProveError::PastEnd { end: node.end(), size: self.len() as u64 })
    }
}

/// A proof could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError<E> {
    /// The question reaches past the tree.
    #[error("there are {size} leaves and the proof needs {end}; ask about a smaller tree or an earlier leaf")]
    PastEnd {
        /// How many leaves there are.
        size: u64,
        /// How many would have to be there.
        end: u64,
    },
    /// What the proof needs was dropped with old records.
    #[error("leaf {leaf} was pruned and the proof needs it; take the proof from a copy that still has it")]
    Pruned {
        /// The first leaf that would have to be read.
        leaf: u64,
    },
    /// The source failed.
    #[error("a hash of the tree could not be read")]
    Source(#[source] E),
}

/// The root of the tree of the first `size` leaves, with one read for each one bit of `size`.
///
/// # Errors
/// [`ProveError`] if the source cannot give a hash.
pub fn root<S: HashSource + ?Sized>(source: &mut S, size: u64) -> Result<TreeHash, ProveError<S::Error>> {
    if size == 0 {
        return Ok(TreeHash::EMPTY);
    }
    range(source, 0, size)
}

/// The path that proves leaf `index` to be in the tree of `size` leaves: the siblings from the leaf up.
///
/// Reads at most twice as many hashes as the tree is high.
///
/// # Errors
/// [`ProveError::PastEnd`] if the tree has no such leaf; else what the source says.
pub fn prove_inclusion<S: HashSource + ?Sized>(
    source: &mut S,
    index: u64,
    size: u64,
) -> Result<Vec<TreeHash>, ProveError<S::Error>> {
    if index >= size {
        return Err(ProveError::PastEnd { size, end: index.saturating_add(1) });
    }
    let mut hashes = Vec::new();
    let (mut first, mut end) = (0, size);
    while end - first > 1 {
        let middle = first + split(end - first);
        if index < middle {
            hashes.push(range(source, middle, end)?);
            end = middle;
        } else {
            hashes.push(range(source, first, middle)?);
            first = middle;
        }
    }
    hashes.reverse();
    Ok(hashes)
}

/// The proof that the tree of `new` leaves begins with the leaves of the tree of `old`. It is empty if the
/// trees are one and the same or the old one has no leaves.
///
/// Reads at most three times as many hashes as the tree is high.
///
/// # Errors
/// [`ProveError::PastEnd`] if `old` is larger than `new`; else what the source says.
pub fn prove_consistency<S: HashSource + ?Sized>(
    source: &mut S,
    old: u64,
    new: u64,
) -> Result<Vec<TreeHash>, ProveError<S::Error>> {
    if old > new {
        return Err(ProveError::PastEnd { size: new, end: old });
    }
    let mut hashes = Vec::new();
    if old == 0 {
        return Ok(hashes);
    }
    let (mut first, mut end) = (0, new);
    while old != end {
        let middle = first + split(end - first);
        if old <= middle {
            hashes.push(range(source, middle, end)?);
            end = middle;
        } else {
            hashes.push(range(source, first, middle)?);
            first = middle;
        }
    }
    // From leaf 0 on it is the whole old tree, whose root the verifier has.
    if first != 0 {
        hashes.push(range(source, first, end)?);
    }
    hashes.reverse();
    Ok(hashes)
}

/// The largest power of two below `count`, which is 2 or more: where RFC 9162 divides.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The hash over the leaves `first..end`, where a complete subtree of that many leaves or more may begin at
/// `first`. Then the complete subtrees in it shrink from left to right.
fn range<S: HashSource + ?Sized>(
    source: &mut S,
    mut first: u64,
    end: u64,
) -> Result<TreeHash, ProveError<S::Error>> {
    if end > MAX_TREE_SIZE {
        return Err(ProveError::PastEnd { size: MAX_TREE_SIZE, end });
    }
    let mut hashes = Vec::new();
    while first < end {
        let node = Node::largest(first, end);
        hashes.push(source.subtree(node)?);
        first = node.end();
    }
    join(&hashes).ok_or(ProveError::PastEnd { size: first, end })
}
