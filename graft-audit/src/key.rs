//! The key of a log.

use std::fmt;

use graft_core::{WeakKey, check_key};
use zeroize::Zeroizing;

use crate::AuditError;

/// The key that seals a log and opens it again. Wiped from memory when dropped; `Debug` shows nothing of it.
///
/// One key may serve several logs: the log's id goes into everything that is derived.
///
/// ```
/// use graft_audit::AuditKey;
/// use graft_core::WeakKey;
/// assert_eq!(AuditKey::new([]).err(), Some(WeakKey::Empty));
/// assert_eq!(format!("{:?}", AuditKey::generate()?), "AuditKey(redacted)");
/// # Ok::<(), graft_audit::AuditError>(())
/// ```
#[derive(Clone)]
pub struct AuditKey(Zeroizing<Vec<u8>>);

impl AuditKey {
    /// Checks `bytes` (at least 32, random) and keeps a copy; wiping the original is the caller's part.
    ///
    /// # Errors
    /// [`WeakKey`] if the bytes are empty, short or not random.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, WeakKey> {
        check_key(bytes.as_ref())?;
        Ok(Self(Zeroizing::new(bytes.as_ref().to_vec())))
    }

    /// A fresh key of 32 bytes out of the operating system's randomness.
    ///
    /// # Errors
    /// [`AuditError::Randomness`] if the system has none to give.
    pub fn generate() -> Result<Self, AuditError> {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        getrandom::fill(&mut bytes).map_err(|_| AuditError::Randomness)?;
        Ok(Self(bytes))
    }

    /// The key's bytes, to put them into a key store: the one door to them.
    pub fn expose_secret(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_keys_are_refused() {
        for (bytes, why) in [
            (&b""[..], WeakKey::Empty),
            (&[0x5a; 31], WeakKey::Short),
            (&[0; 32], WeakKey::Repeats),
            (b"0123456789abcdef0123456789abcdef", WeakKey::Repeats),
        ] {
            assert_eq!(AuditKey::new(bytes).err(), Some(why));
        }
    }

    #[test]
    fn generated_keys_differ_and_pass_the_check() {
        let keys = [(); 2].map(|()| AuditKey::generate().expect("randomness"));
        assert_ne!(keys[0].expose_secret(), keys[1].expose_secret());
        assert!(AuditKey::new(keys[0].expose_secret()).is_ok());
    }
}
