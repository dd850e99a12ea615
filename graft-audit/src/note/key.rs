//! Names and Ed25519 keys of those who sign notes.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use graft_core::{WeakKey, check_key};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::text;
use crate::AuditError;

/// The most bytes of a name: what later forms of cosignatures have room for.
const MAX_NAME: usize = 255;

/// The name of a signer, and of a log: 1 to 255 bytes without `+`, spaces and control characters.
///
/// A URL without its scheme is the recommended form, such as `example.com/agents/audit`; nothing needs to be
/// reachable there.
///
/// ```
/// use graft_audit::{KeyError, KeyName};
/// assert_eq!("example.com/audit".parse::<KeyName>()?.as_str(), "example.com/audit");
/// assert_eq!("two words".parse::<KeyName>(), Err(KeyError::Name));
/// # Ok::<(), KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        let refused = |char: char| char == '+' || char.is_whitespace() || char.is_control();
        if name.is_empty() || name.len() > MAX_NAME || name.contains(refused) {
            return Err(KeyError::Name);
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A name or a verifier key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a name of a signer.
    #[error("a key name is 1 to 255 bytes without plus signs, spaces and control characters")]
    Name,
    /// Not of the form of a verifier key.
    #[error("a verifier key is `name+id+key`: eight small hex digits, then base64; copy it whole")]
    Form,
    /// A kind of signature that is not made or checked here, or not for this use.
    #[error("the verifier key is of type {found}, expected {expected} (1 for a log, 4 for a witness)")]
    Type {
        /// The type in the key.
        found: u8,
        /// The type of keys for this use.
        expected: u8,
    },
    /// The id was not made from this name and key.
    #[error("the verifier key's id does not match its name and key; one of them was changed")]
    Id,
    /// Not a point of the curve, or one under which anybody can sign.
    #[error("the public key is not one that Ed25519 makes; signatures under it would mean nothing")]
    Weak,
}

/// What a key's signatures say. The byte is that of C2SP signed-note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyType {
    /// A log's, over a note's text.
    Ed25519 = 1,
    /// A witness's, over a time and a note's text.
    Cosignature = 4,
}

/// A public key with its name: `name+id+base64(type || key)`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct VerifierKey {
    name: KeyName,
    kind: KeyType,
    key: VerifyingKey,
}

impl VerifierKey {
    pub(crate) fn parse(vkey: &str, kind: KeyType) -> Result<Self, KeyError> {
        let (name, rest) = vkey.split_once('+').ok_or(KeyError::Form)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError::Form)?;
        let name: KeyName = name.parse()?;
        let bytes = (key.len() <= 64).then(|| text::base64(key)).flatten().ok_or(KeyError::Form)?;
        let (&found, key) = bytes.split_first().ok_or(KeyError::Form)?;
        if found != kind as u8 {
            return Err(KeyError::Type { found, expected: kind as u8 });
        }
        let key = VerifyingKey::from_bytes(key.try_into().map_err(|_| KeyError::Form)?);
        let key = key.ok().filter(|key| !key.is_weak()).ok_or(KeyError::Weak)?;
        let parsed = Self { name, kind, key };
        // The id has one spelling too, so what was parsed prints as it was.
        if id.len() != 8 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(KeyError::Form);
        }
        if id != parsed.hex_id() { Err(KeyError::Id) } else { Ok(parsed) }
    }

    pub(crate) fn name(&self) -> &KeyName {
        &self.name
    }

    /// The first bytes of `SHA-256(name || "\n" || type || key)`.
    pub(crate) fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(self.name.as_str())
            .chain_update([b'\n', self.kind as u8])
            .chain_update(self.key.as_bytes())
            .finalize();
        crate::format::array(&hash)
    }

    fn hex_id(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id()))
    }

    /// Whether it is the same public key, under whatever name.
    pub(crate) fn same_key(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// Strictly: no signature that several messages or keys share.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let signature = Signature::from_slice(signature);
        signature.is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[self.kind as u8], &self.key.as_bytes()[..]].concat();
        write!(f, "{}+{}+{}", self.name, self.hex_id(), text::print_base64(&bytes))
    }
}

/// A secret key with its name. Wiped when dropped.
#[derive(Clone)]
pub(crate) struct SignerKey {
    verifier: VerifierKey,
    secret: SigningKey,
}

impl SignerKey {
    pub(crate) fn new(name: KeyName, kind: KeyType, seed: &[u8; 32]) -> Result<Self, WeakKey> {
        check_key(seed)?;
        let secret = SigningKey::from_bytes(seed);
        let verifier = VerifierKey { name, kind, key: secret.verifying_key() };
        Ok(Self { verifier, secret })
    }

    pub(crate) fn generate(name: KeyName, kind: KeyType) -> Result<Self, AuditError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|_| AuditError::Randomness)?;
        // A seed that is not random means that the system's randomness is none.
        Self::new(name, kind, &seed).map_err(|_| AuditError::Randomness)
    }

    pub(crate) fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    pub(crate) fn expose_secret(&self) -> &[u8; 32] {
        self.secret.as_bytes()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message).to_bytes()
    }
}
