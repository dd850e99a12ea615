//! The checks of proofs, by the algorithms of RFC 9162 sections 2.1.3.2 and 2.1.4.2. They allocate nothing
//! and read each hash once, whatever is handed to them.

use super::{TreeHash, TreeHead};
use crate::Leaf;

/// A proof does not prove what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The tree has no such leaf.
    #[error("leaf {index} is not in a tree of {size} leaves; the proof is for another tree")]
    PastEnd {
        /// The leaf's place, from 0.
        index: u64,
        /// How many leaves the tree has.
        size: u64,
    },
    /// The later tree is the smaller one.
    #[error(
        "the later tree has {new} leaves and the earlier one {old}; the log was cut, or they are swapped"
    )]
    Shrunk {
        /// The earlier size.
        old: u64,
        /// The later size.
        new: u64,
    },
    /// It has more or fewer hashes than a proof between these sizes.
    #[error(
        "the proof has {found} hashes, which no proof for these sizes has; it is torn or for other trees"
    )]
    WrongLength {
        /// How many hashes there are.
        found: usize,
    },
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the root of the tree; leaf, place, proof or root is another's")]
    WrongRoot,
    /// The hashes do not lead to the earlier root, or two trees of one size have two roots.
    #[error("the later tree does not contain the earlier one; the log shows two histories")]
    Fork,
}

/// Checks that `leaf` is the one with number `index` (from 0) in the tree of `head`.
///
/// # Errors
/// [`ProofError`] says what does not fit. All input may be hostile.
pub fn verify_inclusion(
    leaf: Leaf,
    index: u64,
    head: &TreeHead,
    proof: &[TreeHash],
) -> Result<(), ProofError> {
    if index >= head.size {
        return Err(ProofError::PastEnd { index, size: head.size });
    }
    // `at` is the place of `hash` in its level, `last` that of the last hash there.
    let (mut at, mut last, mut hash) = (index, head.size - 1, TreeHash::from(leaf));
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::WrongLength { found: proof.len() });
        }
        if at & 1 == 1 || at == last {
            hash = TreeHash::node(sibling, &hash);
            skip_lone_levels(&mut at, &mut last);
        } else {
            hash = TreeHash::node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength { found: proof.len() });
    }
    if hash == head.root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// Checks that the tree of `new` begins with all leaves of the tree of `old`.
///
/// From the empty tree there is nothing to prove, and between trees of one size only that the roots are one:
/// both take an empty proof.
///
/// # Errors
/// [`ProofError`] says what does not fit. All input may be hostile.
pub fn verify_consistency(old: &TreeHead, new: &TreeHead, proof: &[TreeHash]) -> Result<(), ProofError> {
    if old.size > new.size {
        return Err(ProofError::Shrunk { old: old.size, new: new.size });
    }
    let length = || ProofError::WrongLength { found: proof.len() };
    if old.size == new.size || old.size == 0 {
        let same = if old.size == 0 { old.root == TreeHash::EMPTY } else { old.root == new.root };
        let empty = new.size != 0 || new.root == TreeHash::EMPTY;
        return match (proof, same && empty) {
            ([], true) => Ok(()),
            ([], false) => Err(ProofError::Fork),
            _ => Err(length()),
        };
    }
    // A complete old tree is a node of the new one; its root is left out of the proof.
    let (seed, rest) = if old.size.is_power_of_two() {
        (&old.root, proof)
    } else {
        proof.split_first().ok_or_else(length)?
    };
    let (mut at, mut last) = (old.size - 1, new.size - 1);
    let levels = at.trailing_ones();
    at >>= levels;
    last >>= levels;
    let (mut old_hash, mut new_hash) = (*seed, *seed);
    for sibling in rest {
        if last == 0 {
            return Err(length());
        }
        if at & 1 == 1 || at == last {
            old_hash = TreeHash::node(sibling, &old_hash);
            new_hash = TreeHash::node(sibling, &new_hash);
            skip_lone_levels(&mut at, &mut last);
        } else {
            new_hash = TreeHash::node(&new_hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length());
    }
    if old_hash != old.root {
        return Err(ProofError::Fork);
    }
    if new_hash == new.root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// A last hash without a sibling rises unchanged, until it is a right one.
fn skip_lone_levels(at: &mut u64, last: &mut u64) {
    if *at & 1 == 0 {
        let levels = at.trailing_zeros().min(63);
        *at >>= levels;
        *last >>= levels;
    }
}
