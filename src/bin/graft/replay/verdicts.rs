//! The file that `--verdicts` names.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A file that appears under its name only once it is complete.
pub(super) struct Verdicts {
    target: PathBuf,
    part: PathBuf,
    writer: BufWriter<File>,
    finished: bool,
}

impl Verdicts {
    /// Begins the file `target`, which replaces an earlier one, but none of `inputs`.
    pub(super) fn create<'a>(
        target: &Path,
        mut inputs: impl Iterator<Item = &'a Path>,
    ) -> Result<Self, Failure> {
        if let Ok(there) = fs::metadata(target) {
            // Renaming over a device or a pipe would replace it.
            if !there.is_file() {
                return Err(Failure::file(target, "it is not a plain file; name one for --verdicts"));
            }
            if inputs.any(|input| is_same(input, target)) {
                return Err(Failure::file(
                    target,
                    "it is read by this replay; name another file for --verdicts",
                ));
            }
        }
        let mut part = target.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        // Never into a file that is there: another replay may be writing it, or a link may lead elsewhere.
        let file = File::create_new(&part).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Failure::file(&part, "it is there already; remove it, if no other replay is writing it")
            }
            _ => Failure::io(target, "written", &error),
        })?;
        Ok(Self { target: target.to_owned(), part, writer: BufWriter::new(file), finished: false })
    }

    pub(super) fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.writer, "{line}").map_err(|error| self.failure(&error))
    }

    /// Puts the complete file under its name.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let written = self.writer.flush().and_then(|()| fs::rename(&self.part, &self.target));
        self.finished = written.is_ok();
        written.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        Failure::io(&self.target, "written", error)
    }
}

impl Drop for Verdicts {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.part);
        }
    }
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
