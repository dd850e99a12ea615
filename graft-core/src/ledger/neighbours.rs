//! Which words stood beside each other: a filter that grows.
//!
//! A scalable Bloom filter (Almeida and others, 2007) of blocked layers (Putze, Sanders and Singler, 2007):
//! 24 bits a pair, no false negatives, and of pairs that never stood there about one in fifty is taken
//! for one that did.

use super::table::{filter_bits, share};

/// Words of the first layer; each further one has twice as many.
const FIRST: usize = 256;
/// Bits for one pair.
const BITS: usize = 24;

/// A set of hashes.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    layers: Vec<Vec<u64>>,
    /// How many the last layer has taken.
    taken: usize,
}

impl Neighbours {
    pub(super) fn add(&mut self, hash: u64) {
        let room = self.layers.last().map_or(0, |last| last.len() * 64 / BITS);
        if self.taken >= room {
            self.layers.push(vec![0; FIRST << self.layers.len().min(usize::BITS as usize / 2)]);
            self.taken = 0;
        }
        let Some(last) = self.layers.last_mut() else { return };
        let (word, bits) = (share(hash, last.len()), filter_bits(hash));
        self.taken += usize::from(last[word] & bits != bits);
        last[word] |= bits;
    }

    pub(super) fn contains(&self, hash: u64) -> bool {
        let bits = filter_bits(hash);
        self.layers.iter().any(|layer| layer[share(hash, layer.len())] & bits == bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LedgerKey;

    #[test]
    fn it_forgets_none_and_invents_few() {
        let key = LedgerKey::danger_for_replay("neighbours");
        let hash = |n: u64| key.text(0, &n.to_le_bytes());
        let mut set = Neighbours::default();
        assert!(!set.contains(hash(0)));
        (0..50_000).for_each(|n| set.add(hash(n)));
        assert!((0..50_000).all(|n| set.contains(hash(n))));
        let invented = (50_000..150_000).filter(|&n| set.contains(hash(n))).count();
        assert!(invented < 3_000, "{invented}");
        assert!(set.layers.iter().map(Vec::len).sum::<usize>() * 64 < 50_000 * BITS * 4);
    }
}
