//! The host's own fields of a record: few, typed, and without room for text.

use std::fmt;
use std::sync::Arc;

use crate::{KeyedDigest, Name};

/// The value of a field. There is no text among them but a [`Name`], whose alphabet no sentence fits; a value that
/// must not be stored and yet be recognised is a [`KeyedDigest`].
///
/// Exhaustive on purpose: what stores or shows fields should not compile until a new kind is thought of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FieldValue {
    /// Yes or no.
    Bool(bool),
    /// A count, a size, an id.
    U64(u64),
    /// A number that may be negative.
    I64(i64),
    /// An identifier out of the host's own vocabulary, never one that a caller chose freely.
    Name(Name),
    /// What stands for a value that is not stored.
    Digest(KeyedDigest),
}

/// The fields that a host adds to an [`Event`](crate::Event): at most 16, each name once, ascending by name.
///
/// None at all allocates nothing; a clone never does.
///
/// ```
/// use graft_core::{DigestKey, FieldError, FieldValue, Fields, Name};
/// const TENANT: Name = Name::from_static("tenant");
/// const ACCOUNT: Name = Name::from_static("account");
/// let key = DigestKey::new(b"9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5c")?; // random, kept by the host
/// let account = key.digest(&ACCOUNT, b"DE89370400440532013000");
/// let fields = Fields::new([(TENANT, FieldValue::U64(7)), (ACCOUNT, FieldValue::Digest(account))])?;
/// assert_eq!(fields.find("tenant"), Some(&FieldValue::U64(7)));
/// assert!(fields.iter().map(|(name, _)| name.as_str()).eq(["account", "tenant"]));
/// let twice = [(TENANT, FieldValue::U64(7)), (TENANT, FieldValue::U64(8))];
/// assert_eq!(Fields::new(twice), Err(FieldError::Repeated));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Argument bytes do not fit:
///
/// ```compile_fail
/// graft_core::FieldValue::Name("please send all the money");
/// ```
/// ```compile_fail
/// graft_core::FieldValue::Digest(*b"please send all the money today!"); // 32 bytes, and no digest
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Fields(Option<Arc<[(Name, FieldValue)]>>);

impl Fields {
    /// None at all.
    pub const NONE: Self = Self(None);

    /// The most fields of one event.
    pub const MAX: usize = 16;

    /// Of `auth:granted` and `auth:denied`: who let in or refused.
    pub const AUTHENTICATOR: Name = Name::from_static("authenticator");

    /// Of `auth:granted` and `auth:denied`: how it was proved who calls.
    pub const PROOF: Name = Name::from_static("proof");

    /// Of `auth:denied`: the scope that lacked.
    pub const SCOPE: Name = Name::from_static("scope");

    /// Takes `fields` in any order. Takes no more than one past the bound from an iterator.
    ///
    /// # Errors
    /// [`FieldError`] if there are more than 16 or a name comes twice.
    pub fn new(fields: impl IntoIterator<Item = (Name, FieldValue)>) -> Result<Self, FieldError> {
        let mut all: Vec<_> = fields.into_iter().take(Self::MAX + 1).collect();
        if all.len() > Self::MAX {
            return Err(FieldError::TooMany);
        }
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        if all.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(FieldError::Repeated);
        }
        Ok(if all.is_empty() { Self::NONE } else { Self(Some(all.into())) })
    }

    /// Each with its name, ascending by the bytes of the name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Name, &FieldValue)> {
        self.as_slice().iter().map(|(name, value)| (name, value))
    }

    /// The value of one.
    pub fn find(&self, name: &str) -> Option<&FieldValue> {
        self.iter().find_map(|(found, value)| (found.as_str() == name).then_some(value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn as_slice(&self) -> &[(Name, FieldValue)] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// These are no [`Fields`] of one event. Holds nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// More than 16.
    #[error("an event has at most 16 fields")]
    TooMany,
    /// A name comes twice.
    #[error("each field of an event has a name of its own")]
    Repeated,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(n: u64) -> (Name, FieldValue) {
        (Name::new(format!("n{n}")).expect("a name"), FieldValue::U64(n))
    }

    #[test]
    fn fields_are_the_same_in_whichever_order_they_came() {
        let (up, down) = (Fields::new((0..16).map(numbered)), Fields::new((0..16).rev().map(numbered)));
        let fields = up.clone().expect("sixteen are allowed");
        assert_eq!((up, fields.len(), fields.iter().len()), (down, 16, 16));
        assert!(fields.iter().is_sorted_by(|(one, _), (next, _)| one < next));
        assert_eq!((fields.find("n3"), fields.find("n16")), (Some(&FieldValue::U64(3)), None));
    }

    #[test]
    fn too_many_and_repeated_fields_are_refused_without_reading_on() {
        assert_eq!(Fields::new((0..17).map(numbered)), Err(FieldError::TooMany));
        assert_eq!(Fields::new((0..).map(numbered)), Err(FieldError::TooMany));
        assert_eq!(Fields::new([5, 9, 5].map(numbered)), Err(FieldError::Repeated));
    }

    #[test]
    fn no_fields_are_one_value_however_they_were_made() {
        assert_eq!(Fields::new([]), Ok(Fields::NONE));
        assert_eq!((Fields::NONE.is_empty(), Fields::NONE.len()), (true, 0));
    }
}
