//! Where the commands get records from: the one place that knows what a log is on the disk.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use graft_audit::{
    AuditError, Break, Folder, KeyRing, LogId, Query, Search, SearchNotes, StoredEvent, VerifyReport, What,
};
use graft_core::Seq;

use crate::failure::Failure;
use crate::output;

/// What a reader comes upon.
pub(super) enum Found {
    /// A record that verifies.
    Record(StoredEvent),
    /// A place that does not.
    Bad(Break),
}

/// A log that is only read.
pub(super) struct Log {
    path: PathBuf,
    pub(super) files: Folder,
    pub(super) keys: KeyRing,
}

impl Log {
    pub(super) fn new(path: &Path, keys: KeyRing) -> Self {
        Self { path: path.to_owned(), files: Folder::new(path), keys }
    }

    /// Opens it with what it has of indexes, and says what of them could not be used.
    pub(super) fn search(&self) -> Result<Search<'_>, Failure> {
        let search = Search::open(&self.files, &self.keys).map_err(|error| self.failure(error))?;
        if let Some(found) = search.notes().broken.iter().find(|found| is_no_log(found)) {
            return Err(Failure::file(&self.path, found));
        }
        self.note(search.notes());
        Ok(search)
    }

    /// All records that agree with `query`, from `from` on, and every place that does not verify.
    pub(super) fn find<'s>(
        &'s self,
        search: &'s Search<'s>,
        from: u64,
        query: &'s Query,
    ) -> impl Iterator<Item = Result<Found, Failure>> + use<'s> {
        let broken = search.notes().broken.iter().map(|found| Ok(Found::Bad(found.clone())));
        broken.chain(search.find_from(Seq(from), query).map(|found| match found {
            Ok(stored) => Ok(Found::Record(stored)),
            Err(AuditError::Broken(found)) => Ok(Found::Bad(found)),
            Err(error) => Err(self.failure(error)),
        }))
    }

    pub(super) fn id(&self) -> Result<Option<LogId>, Failure> {
        Search::log_id(&self.files).map_err(|error| self.failure(error))
    }

    /// A log that could not be looked at.
    pub(super) fn failure(&self, error: AuditError) -> Failure {
        match error {
            AuditError::Io(error) if error.kind() == ErrorKind::NotADirectory => {
                Failure::file(&self.path, "it is a file; a log is a folder, name that")
            }
            AuditError::Io(error) => Failure::io(&self.path, "read", &error),
            other => Failure::file(&self.path, other),
        }
    }

    /// Passes a report on, unless it is about something that is no log.
    pub(super) fn judged(&self, report: VerifyReport) -> Result<VerifyReport, Failure> {
        match report.first_bad() {
            Some(found) if report.log.is_none() && is_no_log(found) => Err(Failure::file(&self.path, found)),
            _ => Ok(report),
        }
    }

    fn note(&self, notes: &SearchNotes) {
        let segments =
            |count: u64| if count == 1 { "1 segment".to_owned() } else { format!("{count} segments") };
        let path = self.path.display();
        let unused = notes.damaged + notes.foreign;
        if unused > 0 {
            let of = segments(unused);
            output::note(&format!(
                "{path}: the index of {of} is not that of the log as it is, and was not used; `graft audit index` makes it anew"
            ));
        }
        if notes.closed > 0 {
            let closed = segments(notes.closed);
            output::note(&format!(
                "{path}: {closed} open with none of the keys and are left out; give the others as well"
            ));
        }
    }
}

/// A file that is no log, or one of a later version, is input of the wrong kind, not a log that was damaged.
fn is_no_log(found: &Break) -> bool {
    matches!(found.what, What::NotALog | What::UnknownVersion { .. })
}
