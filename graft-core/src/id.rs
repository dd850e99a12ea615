//! Identifiers: a newtype for each, so that none can stand in for another.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

hex_id! {
    /// SHA-256 over the contract of an interface: names, method ids, types and errors.
    InterfaceId, 32
}
hex_id! {
    /// The first 8 bytes of SHA-256 over `interface.method`: what the wire carries in place of a name.
    MethodId, 8
}
hex_id! {
    /// A W3C trace id (16 bytes; all zero means absent), <https://www.w3.org/TR/trace-context/>.
    TraceId, 16
}
hex_id! {
    /// A W3C span id (8 bytes; all zero means absent).
    SpanId, 8
}
hex_id! {
    /// One run of an agent: the life of one taint ledger.
    RunId, 16
}

impl MethodId {
    /// The id of `method` on `interface`.
    ///
    /// ```
    /// use graft_core::MethodId;
    /// assert_eq!(MethodId::of("Bank", "send_money"), MethodId::of("Bank", "send_money"));
    /// assert_ne!(MethodId::of("Bank", "send_money"), MethodId::of("Bank", "balance"));
    /// ```
    pub fn of(interface: &str, method: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(interface.as_bytes());
        hash.update(b".");
        hash.update(method.as_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        Self(id)
    }
}

/// Numbers the calls of a run, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An object that one end of a connection hosts for the other. It means nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HandleId(pub u64);

/// An identifier fit for a log: 1 to 128 bytes out of `A-Z a-z 0-9 . _ - : / @`.
///
/// The narrow alphabet is what keeps argument text out of records: a sentence is not a `Name`. A clone allocates
/// nothing, since every label and every record holds some.
#[derive(Clone)]
pub struct Name(Text);

#[derive(Clone)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Name {
    /// The most bytes that a name has.
    pub const MAX_LEN: usize = 128;

    /// A name known at compile time.
    ///
    /// # Panics
    /// If `name` is not a legal name; in a `const` that is a compile error.
    #[allow(clippy::panic)] // a constant that is wrong is our own bug
    pub const fn from_static(name: &'static str) -> Self {
        assert!(is_name(name.as_bytes()), "a name is 1 to 128 bytes out of A-Z a-z 0-9 . _ - : / @");
        Self(Text::Static(name))
    }

    /// Checks `name` and keeps it.
    ///
    /// # Errors
    /// [`NameError`] if it is empty, longer than 128 bytes, or has a character outside the alphabet.
    ///
    /// ```
    /// use graft_core::Name;
    /// assert_eq!(Name::new("Bank.send_money")?.as_str(), "Bank.send_money");
    /// assert!(Name::new("please send all the money").is_err());
    /// # Ok::<(), graft_core::NameError>(())
    /// ```
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if is_name(name.as_bytes()) { Ok(Self(Text::Shared(name.into()))) } else { Err(NameError) }
    }

    /// Whether `text` is a legal name, without making one.
    pub const fn is_legal(text: &str) -> bool {
        is_name(text.as_bytes())
    }

    /// The name as text.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(name) => name,
            Text::Shared(name) => name,
        }
    }
}

impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.as_str(), other.as_str());
        // Mostly the very same text; then not a byte of it is read.
        std::ptr::eq(a, b) || a == b
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

const fn is_name(bytes: &[u8]) -> bool {
    if bytes.is_empty() || bytes.len() > Name::MAX_LEN {
        return false;
    }
    let mut i = 0;
    while i < bytes.len() {
        if !matches!(bytes[i], b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b':' | b'/' | b'@')
        {
            return false;
        }
        i += 1;
    }
    true
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        Name::new(String::deserialize(de)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The text is not a legal [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 128 bytes out of A-Z a-z 0-9 . _ - : / @")]
pub struct NameError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_refused_when_it_could_hold_argument_text() {
        for bad in ["", "two words", "line\nbreak", "ünïcode", &"x".repeat(129)] {
            assert_eq!(Name::new(bad), Err(NameError), "{bad:?}");
        }
        assert!(Name::new("x".repeat(128)).is_ok());
        assert!(postcard::from_bytes::<Name>(&postcard::to_stdvec("a b").expect("encodes")).is_err());
    }

    #[test]
    fn a_name_is_its_text_wherever_that_is_kept() {
        let (fixed, given) = (Name::from_static("a.b"), Name::new("a.b").expect("a legal name"));
        let hash = |name: &Name| {
            let mut state = std::hash::DefaultHasher::new();
            name.hash(&mut state);
            state.finish()
        };
        assert_eq!((&fixed, hash(&fixed)), (&given, hash(&given)));
        assert!(given < Name::from_static("a.c") && given != Name::from_static("a.c"));
        assert_eq!(postcard::to_stdvec(&given), postcard::to_stdvec("a.b"));
    }

    #[test]
    fn method_ids_are_the_documented_hash() {
        // printf 'Bank.balance' | sha256sum
        let digest: [u8; 32] = Sha256::digest(b"Bank.balance").into();
        assert_eq!(MethodId::of("Bank", "balance").0, digest[..8]);
        assert_eq!(MethodId([0xab; 8]).to_string(), "abababababababab");
    }
}
