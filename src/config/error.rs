//! What is wrong with a configuration.

use super::Source;

/// What is wrong, where, and what would be right. It repeats no value, since any may be a secret in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ConfigError {
    place: Source,
    key: Option<String>,
    kind: ConfigErrorKind,
    what: String,
}

/// The kinds of [`ConfigError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// A key that there is not; [`ConfigError::key`] is the nearest one.
    UnknownKey,
    /// A key that one source gives twice.
    RepeatedKey,
    /// A value that its key does not take.
    BadValue,
    /// The file is not TOML.
    NotToml,
    /// The file is over 64 KiB, cannot be read, or is not UTF-8.
    Unreadable,
}

impl ConfigError {
    pub(super) fn unknown(place: Source, nearest: &str, nearest_there: &str) -> Self {
        let what = format!("no such key; the nearest is `{nearest_there}`");
        Self { place, key: Some(nearest.to_owned()), kind: ConfigErrorKind::UnknownKey, what }
    }

    pub(super) fn repeated(place: Source, key: Option<&str>) -> Self {
        let what = match key {
            Some(key) => format!("`{key}` is given twice; keep one"),
            None => "a key or section is given twice; keep one".to_owned(),
        };
        Self { place, key: key.map(str::to_owned), kind: ConfigErrorKind::RepeatedKey, what }
    }

    pub(super) fn bad_value(place: Source, key: &str, takes: &str) -> Self {
        let what = format!("`{key}` must be {takes}");
        Self { place, key: Some(key.to_owned()), kind: ConfigErrorKind::BadValue, what }
    }

    #[cfg(feature = "files")]
    pub(super) fn file(place: Source, kind: ConfigErrorKind, what: &str) -> Self {
        Self { place, key: None, kind, what: what.to_owned() }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ConfigErrorKind {
        self.kind
    }

    /// The key that it is about, if one is known.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Where it is.
    pub fn place(&self) -> &Source {
        &self.place
    }
}
