//! How the command ends when it cannot do what it was asked.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::output;

/// Bad input or usage: one sentence on standard error, status 2.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(what: impl Display) -> Self {
        Self(what.to_string())
    }

    /// Something is wrong with the file at `path`.
    pub(crate) fn file(path: &Path, what: impl Display) -> Self {
        Self(format!("{}: {what}", path.display()))
    }

    /// A file that could not be read or written.
    pub(crate) fn io(path: &Path, what: &str, error: &io::Error) -> Self {
        let (why, next) = match error.kind() {
            io::ErrorKind::NotFound => ("it is not there".to_owned(), "; check the path"),
            io::ErrorKind::PermissionDenied => ("permission denied".to_owned(), "; check its permissions"),
            io::ErrorKind::IsADirectory => ("it is a folder".to_owned(), "; name a file in it"),
            kind => (kind.to_string(), ""),
        };
        Self::file(path, format!("it cannot be {what}: {why}{next}"))
    }

    pub(crate) fn report(self) -> ExitCode {
        output::note(&self.0);
        ExitCode::from(2)
    }
}
