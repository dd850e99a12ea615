//! The log as a host holds it: a file, a lock and a [`Recorder`].

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use graft_core::{Event, RecordError, Recorder, Seq};

use super::{AuditError, AuditKey, Durability, Leaf, Recovered};
use crate::v0::storage::FileStorage;
use crate::v0::writer::Writer;

/// An audit log that is open for writing; nobody else can open it for that until it is dropped.
///
/// Threads share it by reference; records get their order from a lock. Dropping it without
/// [`close`](Self::close) leaves a log that opens and verifies, but that does not say where it ends.
///
/// ```
/// use graft_audit::v0::{AuditError, AuditKey, AuditLog};
/// # let folder = std::env::temp_dir().join(format!("graft-audit-log-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("acts.graft-log");
/// let key = AuditKey::generate()?;
/// let log = AuditLog::create(&path, &key)?;
/// assert!(matches!(AuditLog::open(&path, &key), Err(AuditError::Locked)));
/// log.close()?;
/// assert!(AuditLog::open(&path, &key)?.recovered().is_none());
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AuditLog {
    writer: Mutex<Writer<FileStorage>>,
    recovered: Option<Recovered>,
}

impl AuditLog {
    /// Creates a log with the default options.
    ///
    /// # Errors
    /// As [`LogOptions::create`].
    pub fn create(path: impl AsRef<Path>, key: &AuditKey) -> Result<Self, AuditError> {
        LogOptions::new().create(path, key)
    }

    /// Opens a log with the default options.
    ///
    /// # Errors
    /// As [`LogOptions::open`].
    pub fn open(path: impl AsRef<Path>, key: &AuditKey) -> Result<Self, AuditError> {
        LogOptions::new().open(path, key)
    }

    /// What opening it had to set aside, if anything: worth an operator's look.
    pub fn recovered(&self) -> Option<Recovered> {
        self.recovered
    }

    /// Appends one event, as [`Recorder::record`] does, and says why if it cannot.
    ///
    /// # Errors
    /// [`AuditError::TooLarge`], after which the log goes on; [`AuditError::Io`] if the disk refused, and
    /// [`AuditError::Stopped`] from then on. The event may then be in the log or not.
    pub fn append(&self, event: &Event) -> Result<Seq, AuditError> {
        self.writer.lock().map_err(stopped)?.append(event)
    }

    /// Returns once every acknowledged record is on the disk. Only [`Durability::Buffered`] needs it.
    ///
    /// # Errors
    /// [`AuditError::Io`] or [`AuditError::Stopped`]: records that were acknowledged before may be lost.
    pub fn flush(&self) -> Result<(), AuditError> {
        self.writer.lock().map_err(stopped)?.flush()
    }

    /// The leaf of the last frame. Kept where the log's owner cannot write, it shows a later cut or exchange.
    pub fn last_leaf(&self) -> Leaf {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).last_leaf()
    }

    /// Writes the closing frame, so that a later cut shows, and returns the last leaf.
    ///
    /// # Errors
    /// [`AuditError::Io`] or [`AuditError::Stopped`]; the log is then as if it had been dropped.
    pub fn close(self) -> Result<Leaf, AuditError> {
        self.writer.into_inner().map_err(stopped)?.close()
    }
}

impl Recorder for AuditLog {
    fn record(&self, event: &Event) -> Result<Seq, RecordError> {
        self.append(event).map_err(|_| RecordError)
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").field("last_leaf", &self.last_leaf()).finish_non_exhaustive()
    }
}

/// How to create or open a log.
///
/// ```
/// use graft_audit::v0::{AuditKey, Durability, LogOptions};
/// # let folder = std::env::temp_dir().join(format!("graft-audit-options-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("acts.graft-log");
/// let key = AuditKey::generate()?;
/// let log = LogOptions::new().durability(Durability::Buffered).create(&path, &key)?;
/// log.flush()?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LogOptions {
    durability: Durability,
}

impl LogOptions {
    /// The defaults: [`Durability::Sync`].
    pub fn new() -> Self {
        Self::default()
    }

    /// What an acknowledged record has survived.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Creates a log where there is no file yet; on Unix for its owner alone.
    ///
    /// # Errors
    /// [`AuditError::Exists`] if there is a file; [`AuditError::Io`] if it cannot be written. A failure in
    /// the middle leaves a file that [`open`](Self::open) names as such, to be removed by hand.
    pub fn create(&self, path: impl AsRef<Path>, key: &AuditKey) -> Result<AuditLog, AuditError> {
        let writer = Writer::create(FileStorage::create(path.as_ref())?, key, self.durability)?;
        Ok(AuditLog { writer: Mutex::new(writer), recovered: None })
    }

    /// Opens a log to append to it, after verifying all of it with the key.
    ///
    /// A last record that is not whole, with none behind it, is what a crash leaves: it is moved to a file next
    /// to the log, and [`AuditLog::recovered`] and the log's own opening frame say so. Damage to the last
    /// record looks the same and is treated the same.
    ///
    /// # Errors
    /// [`AuditError::Missing`]; [`AuditError::Locked`] by another writer; [`AuditError::WrongKey`];
    /// [`AuditError::Broken`] if anything else is not as it must be: keep the file, and begin a new log.
    pub fn open(&self, path: impl AsRef<Path>, key: &AuditKey) -> Result<AuditLog, AuditError> {
        let (writer, recovered) = Writer::open(FileStorage::open(path.as_ref())?, key, self.durability)?;
        Ok(AuditLog { writer: Mutex::new(writer), recovered })
    }
}

/// A thread panicked while it held the writer: what it wrote is not known.
fn stopped<T>(_: PoisonError<T>) -> AuditError {
    AuditError::Stopped
}
