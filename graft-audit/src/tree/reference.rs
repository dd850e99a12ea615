//! MTH, PATH and SUBPROOF as RFC 6962 section 2.1 writes them down: short, slow and recursive.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::{TreeHash, TreeHead};
use crate::Leaf;

/// The leaves `D[n]` of one log, with what was hashed already, so that a test may ask often.
pub(crate) struct Defined {
    pub(crate) leaves: Vec<Leaf>,
    hashed: RefCell<HashMap<Range<usize>, TreeHash>>,
}

impl Defined {
    /// A log whose leaf `n` is the hash of the eight bytes of `n`.
    pub(crate) fn counting(count: usize) -> Self {
        Self::of((0..count as u64).map(|n| Leaf::of(&n.to_be_bytes())).collect())
    }

    pub(crate) fn of(leaves: Vec<Leaf>) -> Self {
        Self { leaves, hashed: RefCell::default() }
    }

    pub(crate) fn head(&self, n: usize) -> TreeHead {
        TreeHead { size: n as u64, root: self.mth(0..n) }
    }

    pub(crate) fn path(&self, m: usize, n: usize) -> Vec<TreeHash> {
        self.path_in(m, 0..n)
    }

    /// The RFC defines it for `0 < m < n`; from nothing there is nothing to prove.
    pub(crate) fn proof(&self, m: usize, n: usize) -> Vec<TreeHash> {
        if m == 0 { Vec::new() } else { self.subproof(m, 0..n, true) }
    }

    fn mth(&self, d: Range<usize>) -> TreeHash {
        if let Some(known) = self.hashed.borrow().get(&d) {
            return *known;
        }
        let hash = match d.len() {
            0 => TreeHash(Sha256::digest([]).into()),
            1 => TreeHash(self.leaves[d.start].0),
            n => {
                let k = d.start + k(n);
                let (left, right) = (self.mth(d.start..k), self.mth(k..d.end));
                TreeHash(Sha256::digest([&[1][..], &left.0, &right.0].concat()).into())
            }
        };
        self.hashed.borrow_mut().insert(d, hash);
        hash
    }

    fn path_in(&self, m: usize, d: Range<usize>) -> Vec<TreeHash> {
        if d.len() == 1 {
            return Vec::new();
        }
        let (left, right) = halves(&d);
        let (mut path, sibling) = if m < left.len() {
            (self.path_in(m, left), self.mth(right))
        } else {
            (self.path_in(m - left.len(), right), self.mth(left))
        };
        path.push(sibling);
        path
    }

    fn subproof(&self, m: usize, d: Range<usize>, b: bool) -> Vec<TreeHash> {
        if m == d.len() {
            return if b { Vec::new() } else { vec![self.mth(d)] };
        }
        let (left, right) = halves(&d);
        let (mut proof, other) = if m <= left.len() {
            (self.subproof(m, left, b), self.mth(right))
        } else {
            (self.subproof(m - left.len(), right, false), self.mth(left))
        };
        proof.push(other);
        proof
    }
}

fn halves(d: &Range<usize>) -> (Range<usize>, Range<usize>) {
    let k = d.start + k(d.len());
    (d.start..k, k..d.end)
}

/// The largest power of two smaller than `n`.
fn k(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}
