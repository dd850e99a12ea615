//! Files that other parties write: tool registries, recorded runs, plans and policies; and the replay of runs.
//!
//! The formats are in `graft-security/FORMATS.md`. Every reader is bounded and says in one sentence what
//! is wrong with a file, in which line and what to do, without repeating what the file says.

mod json;
mod plan;
mod policy;
mod python;
mod registry;
mod replay;
mod report;
mod run;
mod structure;
mod trace;
mod yaml;

pub use plan::Plans;
pub use policy::read_policy;
pub use registry::Registry;
pub use replay::{Judged, ReplayOptions, Replayed, replay};
pub use report::{Report, SuiteReport, verdict_line};
pub use run::{Driver, MAX_LINE, ResultFormat, Run, RunEvent, RunInput, Runs, Scoring};
pub use trace::{TraceError, TraceRun, TraceWriter};

/// What is wrong with a file: whose, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    file: String,
    line: Option<usize>,
    what: String,
}

impl FileError {
    /// A fault of the whole file, which the user knows as `file`.
    pub fn new(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, what: what.into() }
    }

    /// A fault in one line, from 1.
    #[must_use]
    pub fn at_line(self, line: usize) -> Self {
        Self { line: Some(line), ..self }
    }

    /// The line, from 1, where one is known.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

impl std::error::Error for FileError {}
