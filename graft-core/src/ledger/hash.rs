//! The keyed hash of the ledger: text is kept only as 64-bit values under a key that is the run's own.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{WeakKey, check_key};

/// The key of a run's ledger: 32 random bytes, new for each run. Replays supply a fixed one.
///
/// The hashes keep text out of memory; they are not confidentiality.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct LedgerKey([u64; 4]);

impl LedgerKey {
    /// Takes 32 random bytes.
    ///
    /// # Errors
    /// [`WeakKey`] for bytes that nobody would draw at random.
    pub fn new(bytes: [u8; 32]) -> Result<Self, WeakKey> {
        check_key(&bytes)?;
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = load(chunk);
        }
        Ok(Self(words))
    }

    /// The key that anyone can compute from `seed`: for replays and tests, which want the same answer twice.
    ///
    /// Never for a live run: who knows the key can look for texts that collide.
    pub fn danger_for_replay(seed: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(seed.as_bytes()).into();
        Self(std::array::from_fn(|i| load(&digest[i * 8..i * 8 + 8])))
    }

    /// The 32 bytes it was made of, for a snapshot.
    pub(super) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Hashes exactly 16 bytes: two loads and one wide multiplication, which is what a gram costs.
    pub(super) fn gram(&self, bytes: &[u8; 16]) -> u64 {
        mix(load(&bytes[..8]) ^ self.0[0], load(&bytes[8..]) ^ self.0[1])
    }

    /// Hashes text of any length. `domain` keeps the uses of one key apart.
    pub(super) fn text(&self, domain: u64, bytes: &[u8]) -> u64 {
        let mut state = mix(domain ^ self.0[2], bytes.len() as u64 ^ self.0[3]);
        for chunk in bytes.chunks(16) {
            let (low, high) = halves(chunk);
            state = mix(low ^ self.0[0] ^ state, high ^ self.0[1]);
        }
        state
    }

    /// Adds one hash to a running hash of several, in order.
    pub(super) fn extend(&self, state: u64, hash: u64) -> u64 {
        mix(state ^ self.0[2], hash ^ self.0[3])
    }
}

impl std::fmt::Debug for LedgerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LedgerKey(..)")
    }
}

/// A map whose keys are hashes of this module: keyed already, so hashing them again would add nothing.
pub(super) type KeyedMap<V> = HashMap<u64, V, BuildHasherDefault<AsIs>>;
/// A set likewise.
pub(super) type KeyedSet = HashSet<u64, BuildHasherDefault<AsIs>>;

/// Takes a 64-bit hash as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        // The upper bits too, since a token's lower ones say what kind it is.
        self.0 = hash ^ (hash >> 32);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }
}

/// Up to 16 bytes as two words that hold all of them: the first and the last, which may overlap. Texts of
/// one length have equal halves only if they are equal.
fn halves(bytes: &[u8]) -> (u64, u64) {
    let word = |four: Option<&[u8; 4]>| four.map_or(0, |four| u64::from(u32::from_le_bytes(*four)));
    match (bytes.first_chunk(), bytes.last_chunk(), bytes) {
        (Some(first), Some(last), _) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        (_, _, [_, _, _, _, ..]) => (word(bytes.first_chunk()), word(bytes.last_chunk())),
        (_, _, [first, .., last]) => {
            (u64::from(*first) | u64::from(bytes[bytes.len() / 2]) << 8, u64::from(*last))
        }
        (_, _, [only]) => (u64::from(*only), 0),
        _ => (0, 0),
    }
}

/// 8 bytes, little-endian, zero-filled.
fn load(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// The folded 128-bit product, twice, so that every input bit reaches every output bit.
fn mix(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    let folded = (wide as u64) ^ ((wide >> 64) as u64);
    let wide = u128::from(folded ^ a.rotate_left(32)) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
    (wide as u64) ^ ((wide >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_texts_keys_and_domains_give_different_hashes() {
        let mut seen = std::collections::HashSet::new();
        for seed in ["a", "b", ""] {
            let key = LedgerKey::danger_for_replay(seed);
            for domain in 0..4 {
                assert!(seen.insert(key.text(domain, b"")));
                for (byte, len) in (1..64).flat_map(|len| [(b'a', len), (b'b', len), (0, len)]) {
                    assert!(seen.insert(key.text(domain, &vec![byte; len])));
                }
            }
        }
    }

    #[test]
    fn a_weak_key_is_refused() {
        assert!(LedgerKey::new([0; 32]).is_err());
        assert_eq!(format!("{:?}", LedgerKey(Default::default())), "LedgerKey(..)");
    }
}
