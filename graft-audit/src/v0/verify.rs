//! Verification of a whole log, streaming and in bounded memory.

use std::fmt;
use std::io::{BufReader, Read};

use super::{AuditError, AuditKey, Break, Leaf, LogId};
use crate::v0::walk::Walk;

/// How closely a log was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Digests and chain, without a key: damage and disorder show, a chain that somebody made anew does not.
    Structure,
    /// Digests, chain, seals, MACs and the canonical form of every event.
    Sealed,
}

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was closed, and nothing is missing before that.
    Closed,
    /// It was not closed: it is in use, or its writer stopped, or records were cut off its end.
    Open,
}

/// What verification found. A log with a [`first_bad`](Self::first_bad) place is good up to there.
///
/// Its `Display` is three short lines for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a report may name a bad record: look at `first_bad` or call `ensure_intact`"]
#[non_exhaustive]
pub struct VerifyReport {
    /// Which log it is.
    pub log: LogId,
    /// How closely it was looked at.
    pub depth: Depth,
    /// The good records before the end or the first bad place.
    pub records: u64,
    /// How often it was opened for writing.
    pub openings: u64,
    /// Bytes of torn tails that openings set aside and vouched for.
    pub quarantined: u64,
    /// The leaf of the last good frame: keep it elsewhere to see a later cut.
    pub last_leaf: Leaf,
    /// The length of the good part, in bytes from the start of the file.
    pub good_bytes: u64,
    /// How the good part ends.
    pub state: State,
    /// The first place that is not what it must be.
    pub first_bad: Option<Break>,
}

impl VerifyReport {
    /// The report itself if nothing is bad.
    ///
    /// # Errors
    /// [`AuditError::Broken`] with the first bad place.
    pub fn ensure_intact(self) -> Result<Self, AuditError> {
        match self.first_bad {
            Some(first_bad) => Err(first_bad.into()),
            None => Ok(self),
        }
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, records, openings, last_leaf, .. } = self;
        let (noun, times) = (if *records == 1 { "record" } else { "records" }, "opened for writing");
        write!(f, "log {log}: {records} good {noun}, {times} {openings}x, last leaf {last_leaf}")?;
        if self.quarantined > 0 {
            write!(f, ", {} torn bytes set aside", self.quarantined)?;
        }
        match (&self.first_bad, self.state) {
            (Some(bad), _) => write!(f, "\nnot intact: {bad}")?,
            (None, State::Closed) => write!(f, "\nclosed cleanly: no record is missing before the close")?,
            (None, State::Open) => write!(
                f,
                "\nnot closed: records cut off at the end cannot be told from a log that is still open, \
                 unless you kept the last leaf elsewhere"
            )?,
        }
        match self.depth {
            Depth::Sealed if self.first_bad.is_some() => {
                write!(f, "\nchecked with the key: the good records were sealed with it")
            }
            Depth::Sealed => write!(f, "\nchecked with the key: every record was sealed with it"),
            Depth::Structure => {
                write!(f, "\nchecked without the key: a chain that somebody made anew would pass")
            }
        }
    }
}

/// Verifies a log with its key, in memory bounded by one record. `reader` need not be buffered.
///
/// Damage is not an error here but the report's [`first_bad`](VerifyReport::first_bad), so that what is good
/// can be told as well.
///
/// # Errors
/// [`AuditError::WrongKey`]; [`AuditError::Broken`] if not even the file header can be used;
/// [`AuditError::Io`] from the reader.
///
/// ```
/// use graft_audit::v0::{AuditError, AuditKey, Place, verify};
/// let key = AuditKey::generate()?;
/// let error = verify(&b"a plain text file"[..], &key).expect_err("not a log");
/// assert!(matches!(error, AuditError::Broken(found) if found.place == Place::FileHeader));
/// # Ok::<(), AuditError>(())
/// ```
pub fn verify(reader: impl Read, key: &AuditKey) -> Result<VerifyReport, AuditError> {
    walk_through(reader, Some(key))
}

/// Verifies the structure of a log without its key: digests, order and chain of exactly the stored bytes.
///
/// # Errors
/// As [`verify`], without the wrong key.
///
/// ```
/// use graft_audit::v0::{AuditError, Place, What, verify_structure};
/// let Err(AuditError::Broken(found)) = verify_structure(&b"graftlog"[..]) else { unreachable!() };
/// assert_eq!((found.place, found.what), (Place::FileHeader, What::ShortFileHeader { found: 8 }));
/// ```
pub fn verify_structure(reader: impl Read) -> Result<VerifyReport, AuditError> {
    walk_through(reader, None)
}

fn walk_through(reader: impl Read, key: Option<&AuditKey>) -> Result<VerifyReport, AuditError> {
    let mut walk = Walk::start(BufReader::with_capacity(64 * 1024, reader), key)?;
    let first_bad = loop {
        match walk.step() {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(AuditError::Broken(found)) => break Some(found),
            Err(error) => return Err(error),
        }
    };
    let progress = walk.progress();
    Ok(VerifyReport {
        log: progress.log,
        depth: if key.is_some() { Depth::Sealed } else { Depth::Structure },
        records: progress.records,
        openings: progress.openings,
        quarantined: progress.quarantined,
        last_leaf: progress.last_leaf,
        good_bytes: progress.end,
        state: if progress.closed { State::Closed } else { State::Open },
        first_bad,
    })
}
