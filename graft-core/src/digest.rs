//! Keyed digests: how records point at a value without holding it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Name, WeakKey, check_key};

/// Ends in a zero byte, as the domain behind it does, and no [`Name`] has one: no two inputs run together.
const LABEL: &[u8] = b"graft-core 1 keyed digest\0";

/// The host's key for [`KeyedDigest`]s: at least 32 random bytes. Wiped from memory when dropped.
///
/// Whoever has the key can try out guesses, so it is not kept where the records are.
///
/// ```
/// use graft_core::{DigestKey, Name, WeakKey};
/// const ACCOUNT: Name = Name::from_static("account");
/// const USER: Name = Name::from_static("user");
/// let key = DigestKey::new(b"9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5c")?; // random, kept by the host
/// let seen = key.digest(&ACCOUNT, b"DE89370400440532013000");
/// assert_eq!(seen, key.digest(&ACCOUNT, b"DE89370400440532013000"));
/// assert_ne!(seen, key.digest(&USER, b"DE89370400440532013000"));
/// assert_eq!(DigestKey::new("password").err(), Some(WeakKey::Short));
/// # Ok::<(), WeakKey>(())
/// ```
#[derive(Clone)]
pub struct DigestKey(Zeroizing<Vec<u8>>);

impl DigestKey {
    /// Checks `bytes` and keeps a copy; wiping the original is the caller's part.
    ///
    /// # Errors
    /// [`WeakKey`] if the bytes are empty, short or not random.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, WeakKey> {
        check_key(bytes.as_ref())?;
        Ok(Self(Zeroizing::new(bytes.as_ref().to_vec())))
    }

    /// HMAC-SHA256 (RFC 2104) of `value`. Equal values have equal digests within a `domain`, such as `account`, and
    /// never across two, so that a digest of one kind says nothing about values of another.
    pub fn digest(&self, domain: &Name, value: &[u8]) -> KeyedDigest {
        let Ok(mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length")
        };
        let mac = mac.chain_update(LABEL).chain_update(domain.as_str()).chain_update([0]);
        KeyedDigest(mac.chain_update(value).finalize().into_bytes().into())
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(redacted)")
    }
}

/// What [`DigestKey::digest`] makes of a value: tells whether two records mean the same one, and without the key
/// nothing else. A plain hash would not do, since whoever can guess a value can hash the guess.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyedDigest([u8; 32]);

impl KeyedDigest {
    /// A digest that was stored. Never bytes of anything else: they would be stored as they are.
    pub const fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, to be stored.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for KeyedDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyedDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedDigest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: u8) -> DigestKey {
        DigestKey::new([&b"9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5"[..], &[last]].concat()).expect("a strong key")
    }

    const DOMAIN: Name = Name::from_static("d");

    #[test]
    fn a_digest_depends_on_key_domain_and_every_byte_of_the_value() {
        let of = |last, domain: &str, value: &[u8]| {
            key(last).digest(&Name::new(domain).expect("a name"), value).to_string()
        };
        let all = [of(1, "d", b"v"), of(2, "d", b"v"), of(1, "dv", b""), of(1, "d", b""), of(1, "d", b"v\0")];
        assert_eq!(std::collections::HashSet::from(all).len(), 5);
    }

    #[test]
    fn the_digest_is_hmac_sha256_over_label_domain_and_value() {
        // printf 'graft-core 1 keyed digest\0d\0value' | openssl dgst -sha256 -hmac '9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5c'
        let digest = key(b'c').digest(&DOMAIN, b"value");
        assert_eq!(digest.to_string(), "11325f2734139613e5324950466b48c1e3146b6988c8be2b25c5d8bf93c17dd1");
        assert_eq!(KeyedDigest::from_stored(*digest.as_bytes()), digest);
    }

    #[test]
    fn nothing_of_a_key_is_shown_and_weak_ones_are_refused() {
        assert_eq!(format!("{:?}", key(1)), "DigestKey(redacted)");
        assert_eq!(DigestKey::new([7; 32]).err(), Some(WeakKey::Repeats));
    }
}
