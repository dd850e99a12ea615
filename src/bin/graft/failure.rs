//! How the command ends when it cannot do what it was asked.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

/// Bad input or usage: one sentence on standard error, status 2.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(what: impl Display) -> Self {
        Self(what.to_string())
    }

    /// A file that could not be read or written.
    pub(crate) fn io(path: &Path, what: &str, error: &std::io::Error) -> Self {
        let next = match error.kind() {
            std::io::ErrorKind::NotFound => "; check the path",
            std::io::ErrorKind::PermissionDenied => "; check its permissions",
            _ => "",
        };
        Self(format!("{}: it cannot be {what}: {}{next}", path.display(), error.kind()))
    }

    pub(crate) fn report(self) -> ExitCode {
        eprintln!("graft: {}", self.0);
        ExitCode::from(2)
    }
}
