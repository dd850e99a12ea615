//! The check that every key of the family passes before it is held.

/// The fewest bytes of a key.
pub const MIN_KEY_LEN: usize = 32;

/// Refuses a key that is empty, short or made by hand.
///
/// The bar: at least [`MIN_KEY_LEN`] bytes, no repetition with a period of up to half the key, and at
/// least 12 different byte values (32 random bytes have fewer with a chance below 2^-70).
///
/// # Errors
/// [`WeakKey`] says which bar it missed.
///
/// ```
/// use graft_core::{check_key, WeakKey};
/// assert_eq!(check_key(b""), Err(WeakKey::Empty));
/// assert_eq!(check_key(b"abcdefghabcdefghabcdefghabcdefgh"), Err(WeakKey::Repeats));
/// ```
pub fn check_key(key: &[u8]) -> Result<(), WeakKey> {
    if key.is_empty() {
        return Err(WeakKey::Empty);
    }
    if key.len() < MIN_KEY_LEN {
        return Err(WeakKey::Short);
    }
    if (1..=key.len() / 2).any(|period| key.iter().zip(&key[period..]).all(|(a, b)| a == b)) {
        return Err(WeakKey::Repeats);
    }
    let step = key[1].wrapping_sub(key[0]);
    if key.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step) {
        return Err(WeakKey::Sequence);
    }
    let mut seen = [false; 256];
    key.iter().for_each(|&byte| seen[usize::from(byte)] = true);
    if seen.iter().filter(|&&seen| seen).count() < 12 {
        return Err(WeakKey::FewValues);
    }
    Ok(())
}

/// Why a key was refused. Holds nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// No bytes at all.
    #[error("the key is empty: use at least 32 random bytes")]
    Empty,
    /// Fewer than 32 bytes.
    #[error("the key is shorter than 32 bytes: use at least 32 random bytes")]
    Short,
    /// One piece over and over.
    #[error("the key repeats itself: use at least 32 random bytes")]
    Repeats,
    /// Each byte follows from the one before.
    #[error("the key is a sequence: use at least 32 random bytes")]
    Sequence,
    /// Too few different bytes.
    #[error("the key has fewer than 12 different bytes: use at least 32 random bytes")]
    FewValues,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_weak_key_is_named() {
        let count: Vec<u8> = (0..32).collect();
        for (key, why) in [
            (&b""[..], WeakKey::Empty),
            (&[7; 31], WeakKey::Short),
            (&[0; 32], WeakKey::Repeats),
            (b"0123456789abcdef0123456789abcdef", WeakKey::Repeats),
            (&count, WeakKey::Sequence),
            (b"aaaabbbbccccddddaaaabbbbddddccccaa", WeakKey::FewValues),
        ] {
            assert_eq!(check_key(key), Err(why));
        }
    }

    #[test]
    fn digests_pass() {
        for n in 0..1000_u32 {
            use sha2::Digest;
            let key: [u8; 32] = sha2::Sha256::digest(n.to_le_bytes()).into();
            assert_eq!(check_key(&key), Ok(()));
        }
    }
}
