//! Signed notes: text, an empty line, and a line for each signature
//! ([C2SP signed-note](https://c2sp.org/signed-note)).
//!
//! Only what prints as the bytes that were read is parsed, so a note has one form.

pub(crate) mod key;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use std::fmt;

use key::{KeyName, VerifierKey};

/// The most bytes of a note that is read.
pub(crate) const MAX_NOTE: usize = 64 * 1024;
/// The most signatures; others read at least 16.
pub(crate) const MAX_SIGNATURES: usize = 32;

/// A note could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Longer than is read.
    #[error("the note is longer than 64 KiB")]
    TooLong,
    /// Not text, or with bytes that only confuse a terminal.
    #[error("the note is not UTF-8 text without control characters")]
    NotText,
    /// No empty line with signatures behind it.
    #[error("the note does not end in an empty line and its signatures; it was cut or something was added")]
    NoSignatures,
    /// More signatures than are read.
    #[error("the note has more than 32 signatures")]
    TooManySignatures,
    /// A signature that is not in its one form.
    #[error("line {line} of the signatures is not `— name base64`; it was changed or cut")]
    Signature {
        /// Which line, from 1.
        line: usize,
    },
}

/// One signature: who is said to have made it, and its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SignatureLine {
    pub(crate) name: KeyName,
    pub(crate) id: [u8; 4],
    pub(crate) bytes: Vec<u8>,
}

impl SignatureLine {
    pub(crate) fn new(key: &VerifierKey, bytes: Vec<u8>) -> Self {
        Self { name: key.name().clone(), id: key.id(), bytes }
    }

    /// A line without its newline.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = text::base64(signature)?;
        let (id, bytes) = bytes.split_first_chunk()?;
        let whole = !bytes.is_empty();
        whole.then_some(Self { name: name.parse().ok()?, id: *id, bytes: bytes.to_vec() })
    }

    /// Whether it says to be of this key. Name and id together are what a key is known by.
    pub(crate) fn is_of(&self, key: &VerifierKey) -> bool {
        self.name == *key.name() && self.id == key.id()
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id[..], &self.bytes].concat();
        writeln!(f, "— {} {}", self.name, text::print_base64(&bytes))
    }
}

/// A note as it was read. Nobody looked at its signatures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UnverifiedNote {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl UnverifiedNote {
    /// The caller's text ends in a newline and has no empty line.
    pub(crate) fn new(text: String, signature: SignatureLine) -> Self {
        Self { text, signatures: vec![signature] }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(NoteError::NotText);
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::NoSignatures)?;
        Ok(Self { text: format!("{text}\n"), signatures: parse_lines(lines)? })
    }

    /// The signed text, with its last newline.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn signatures_of(&self, key: &VerifierKey) -> impl Iterator<Item = &SignatureLine> {
        self.signatures.iter().filter(move |line| line.is_of(key))
    }

    pub(crate) fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Appends those that are not there already, or none if they are too many.
    pub(crate) fn add(&mut self, lines: Vec<SignatureLine>) -> Result<(), NoteError> {
        let mut signatures = self.signatures.clone();
        for line in lines {
            if !signatures.contains(&line) {
                signatures.push(line);
            }
        }
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        self.signatures = signatures;
        Ok(())
    }
}

impl fmt::Display for UnverifiedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| write!(f, "{line}"))
    }
}

/// Signature lines, each with its newline, and at least one.
pub(crate) fn parse_lines(lines: &str) -> Result<Vec<SignatureLine>, NoteError> {
    if lines.len() > MAX_NOTE {
        return Err(NoteError::TooLong);
    }
    let lines = lines.strip_suffix('\n').ok_or(NoteError::NoSignatures)?;
    if lines.split('\n').nth(MAX_SIGNATURES).is_some() {
        return Err(NoteError::TooManySignatures);
    }
    let parse = |(at, line)| SignatureLine::parse(line).ok_or(NoteError::Signature { line: at + 1 });
    lines.split('\n').enumerate().map(parse).collect()
}
