//! Which words stood beside each other: a filter that grows.
//!
//! A scalable Bloom filter (Almeida and others, 2007) of blocked layers (Putze, Sanders and Singler, 2007):
//! 24 bits a pair, no false negatives, and of pairs that never stood there about one in fifty is taken
//! for one that did.

use serde::{Deserialize, Serialize};

use super::packed;
use super::table::{filter_bits, share};

/// Words of the first layer; each further one has twice as many.
const FIRST: usize = 256;
/// Bits for one pair.
const BITS: usize = 24;

/// A set of hashes.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub(super) struct Neighbours {
    #[serde(serialize_with = "packed::serialize_each")]
    layers: Vec<Vec<u64>>,
    /// How many the last layer has taken.
    taken: usize,
}

/// The bits as they stand in a snapshot: a filter has no entries that could be put in anew.
#[derive(Deserialize)]
struct Unchecked {
    #[serde(deserialize_with = "packed::deserialize_each")]
    layers: Vec<Vec<u64>>,
    taken: usize,
}

impl TryFrom<Unchecked> for Neighbours {
    type Error = packed::Unsound;

    fn try_from(Unchecked { layers, taken }: Unchecked) -> Result<Self, Self::Error> {
        let fits = layers.iter().enumerate().all(|(at, layer)| layer.len() == Self::words(at));
        let room = layers.last().map_or(0, |last| last.len() * 64 / BITS);
        packed::sound(fits && taken <= room, Self { layers, taken })
    }
}

impl Neighbours {
    /// The length of the layer with this number.
    fn words(layer: usize) -> usize {
        FIRST << layer.min(usize::BITS as usize / 2)
    }

    pub(super) fn add(&mut self, hash: u64) {
        let room = self.layers.last().map_or(0, |last| last.len() * 64 / BITS);
        if self.taken >= room {
            self.layers.push(vec![0; Self::words(self.layers.len())]);
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
