//! The credential, or where it lies.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use graft_core::Credential;

use super::Environment;

/// The longest credential, in bytes. With the labels of a call it has to fit `limits.max_metadata`.
pub const MAX_CREDENTIAL: usize = 8 << 10;

/// A credential, or the environment variable or the file that holds it. `Debug` shows only which of the three.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialSource(Place);

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Value(Credential),
    /// Its name, and what it held when the configuration was made.
    Variable(String, Option<Credential>),
    File(PathBuf),
}

/// Why there is no credential although one is configured. It names neither the variable nor the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The environment variable is not set.
    #[error("the environment variable that `credential` names is not set")]
    NoVariable,
    /// The file cannot be read.
    #[error("the file that `credential` names cannot be read")]
    File(#[source] io::Error),
    /// There is nothing in it.
    #[error("what `credential` names is empty")]
    Empty,
    /// Longer than [`MAX_CREDENTIAL`].
    #[error("what `credential` names is over 8 KiB")]
    TooLong,
}

impl CredentialSource {
    /// The credential itself.
    pub fn value(credential: Credential) -> Self {
        Self(Place::Value(credential))
    }

    /// The environment variable called `name`, looked up when the configuration is made.
    pub fn variable(name: impl Into<String>) -> Self {
        Self(Place::Variable(name.into(), None))
    }

    /// The file at `path`, read by each [`CredentialSource::load`]; a line end at its end is not part of it.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Place::File(path.into()))
    }

    /// `env:NAME`, `file:PATH`, or else the credential itself.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("env:") {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            return (!name.is_empty() && name.bytes().all(inner)).then(|| Self::variable(name));
        }
        if let Some(path) = text.strip_prefix("file:") {
            return (!path.is_empty() && !path.contains('\0')).then(|| Self::file(path));
        }
        let fits = (1..=MAX_CREDENTIAL).contains(&text.len());
        fits.then(|| Self::value(Credential::new(text)))
    }

    /// The name of the variable, if it is one.
    pub(super) fn variable_name(&self) -> Option<&str> {
        match &self.0 {
            Place::Variable(name, _) => Some(name),
            Place::Value(_) | Place::File(_) => None,
        }
    }

    /// The same with what the variable holds.
    pub(super) fn looked_up(self, environment: &Environment) -> Self {
        match self.0 {
            Place::Variable(name, _) => {
                let value = environment.value(&name).map(|value| Credential::new(value.as_encoded_bytes()));
                Self(Place::Variable(name, value))
            }
            place => Self(place),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match &self.0 {
            Place::Value(_) => "given in place",
            Place::Variable(..) => "a reference to a variable",
            Place::File(_) => "a reference to a file",
        }
    }

    /// The credential.
    ///
    /// # Errors
    /// [`CredentialError`] if the variable is not set, the file cannot be read, or there is nothing or too much
    /// in it.
    pub fn load(&self) -> Result<Credential, CredentialError> {
        let credential = match &self.0 {
            Place::Value(credential) => credential.clone(),
            Place::Variable(_, value) => value.clone().ok_or(CredentialError::NoVariable)?,
            Place::File(path) => read(path).map_err(CredentialError::File)?,
        };
        match credential.expose().len() {
            0 => Err(CredentialError::Empty),
            length if length > MAX_CREDENTIAL => Err(CredentialError::TooLong),
            _ => Ok(credential),
        }
    }
}

/// The file without a line end at its end; one byte too much of it, if it is too long.
fn read(path: &Path) -> io::Result<Credential> {
    // Room for all that is read and for the line end, so that growing leaves no copies.
    let limit = MAX_CREDENTIAL + 2;
    let mut bytes = Vec::with_capacity(limit + 64);
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(Credential::new(bytes))
}

impl std::fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CredentialSource({}, redacted)", self.kind())
    }
}
