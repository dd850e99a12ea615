//! Where the commands get records from: the one place that knows what a log is on the disk.

use std::fs::File;
use std::path::Path;

use graft_audit::v0::VerifyReport;
use graft_audit::{AuditError, AuditKey, Break, StoredEvent, What};

use crate::failure::Failure;

/// What a reader comes upon.
pub(super) enum Found {
    /// A record that verifies.
    Record(StoredEvent),
    /// A place that does not.
    Bad(Break),
}

/// The records of a log in order, each verified before it is handed out. What cannot be read at all, because it is
/// not there, is no log or has another key, is an error before anything is handed out.
pub(super) fn records<'a>(
    log: &'a Path,
    keys: &[AuditKey],
) -> Result<impl Iterator<Item = Result<Found, Failure>> + use<'a>, Failure> {
    let file = open(log)?;
    let mut events = graft_audit::read(file, fitting(log, keys)?).map(move |stored| match stored {
        Ok(stored) => Ok(Found::Record(stored)),
        Err(error) => damage(log, error).map(Found::Bad),
    });
    let first = events.next().transpose()?;
    Ok(first.map(Ok).into_iter().chain(events))
}

/// What verification says of the log; the error is damage that leaves nothing to report on.
pub(super) fn verify(log: &Path, keys: &[AuditKey]) -> Result<Result<VerifyReport, Break>, Failure> {
    let file = open(log)?;
    let report = match keys {
        [] => graft_audit::v0::verify_structure(file),
        keys => graft_audit::v0::verify(file, fitting(log, keys)?),
    };
    report.map(Ok).or_else(|error| damage(log, error).map(Err))
}

/// The key among `keys` that the log takes, or the first one, which then says what is wrong.
fn fitting<'a>(log: &Path, keys: &'a [AuditKey]) -> Result<&'a AuditKey, Failure> {
    let (first, others) = keys.split_first().ok_or_else(|| Failure::new("no key was given"))?;
    for key in keys {
        if !matches!(graft_audit::read(open(log)?, key).next(), Some(Err(AuditError::WrongKey))) {
            return Ok(key);
        }
        if others.is_empty() {
            break;
        }
    }
    Ok(first)
}

fn open(log: &Path) -> Result<File, Failure> {
    File::open(log).map_err(|error| Failure::io(log, "read", &error))
}

/// The damage that `error` speaks of, or else why the log could not be looked at.
///
/// A file that is no log, or one of a later version, is input of the wrong kind, not a log that was damaged.
fn damage(log: &Path, error: AuditError) -> Result<Break, Failure> {
    match error {
        AuditError::Broken(found)
            if !matches!(
                found.what,
                What::NotALog | What::UnknownVersion { .. } | What::ShortFileHeader { found: 0 }
            ) =>
        {
            Ok(found)
        }
        AuditError::Io(error) => Err(Failure::io(log, "read", &error)),
        other => Err(Failure::file(log, other)),
    }
}
