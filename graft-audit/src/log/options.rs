//! How a log is created or opened.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use graft_core::{Clock, Timestamp};

use super::checkpoints::Vouching;
use super::stages::Sealing;
use super::{AuditLog, segment};
use crate::disk::{Disk, FolderDisk};
use crate::{Anchor, AuditError, AuditKey, AuditSigner};

/// What an acknowledged record has survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// It is on the disk: it survives a crash of the machine.
    #[default]
    Fsync,
    /// It waits in memory to be written, which happens within [`LogOptions::linger`]: a crash of the process loses
    /// no more than that time.
    Buffered,
    /// It waits in memory to be written together with others: when 128 KiB are waiting, when a record of
    /// another durability comes, or at [`AuditLog::flush`]. A crash of the process loses what was waiting.
    Memory,
}

/// How to create or open a log.
///
/// ```
/// use graft_audit::{AuditKey, Durability, LogOptions};
/// # let folder = std::env::temp_dir().join(format!("graft-audit-options-{}", std::process::id()));
/// let key = AuditKey::generate()?;
/// let log = LogOptions::new().durability(Durability::Buffered).create(&folder, &key)?;
/// log.flush()?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LogOptions {
    pub(super) durability: Durability,
    pub(super) rules: Rules,
    pub(super) vouching: Vouching,
}

/// What holds while a log is open.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) segment_bytes: u64,
    pub(super) segment_time: Option<Duration>,
    pub(super) linger: Duration,
    pub(super) patience: Duration,
    pub(super) clock: Arc<dyn Clock>,
    /// In nanoseconds.
    pub(super) clock_bound: u64,
    /// Whether the log may have threads of its own; without them whoever waits leads.
    pub(super) threads: bool,
    /// In bytes.
    pub(super) room: usize,
    /// How many bytes of records are held in memory while the disk takes none, if the host chose that.
    pub(super) hold: Option<usize>,
    /// After how long a disk that took nothing is tried again.
    pub(super) retry: Duration,
}

impl Rules {
    /// Whether the segment is to end with the next batch, which has so many bytes.
    pub(super) fn is_due(&self, sealing: &Sealing, batch: usize, now: Duration) -> bool {
        sealing.segment_bytes + batch as u64 >= self.segment_bytes
            || self.segment_time.is_some_and(|time| now.saturating_sub(sealing.segment_began) >= time)
    }
}

impl LogOptions {
    /// The defaults: [`Durability::Fsync`], segments of 64 MiB, the system's clock.
    pub fn new() -> Self {
        let rules = Rules {
            segment_bytes: 64 * 1024 * 1024,
            segment_time: None,
            linger: Duration::from_millis(10),
            patience: Duration::from_secs(30),
            clock: Arc::new(Machine(Instant::now())),
            clock_bound: 1_000_000_000,
            threads: true,
            room: segment::ROOM,
            hold: None,
            retry: Duration::from_secs(1),
        };
        Self { durability: Durability::default(), rules, vouching: Vouching::default() }
    }

    /// What an acknowledged record has survived, unless [`AuditLog::append_with`] says otherwise.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// After how many bytes another segment begins: 64 MiB by default. Opening a log reads its last segment, and
    /// removing old records removes whole ones. The last batch of a segment may take it 2 MiB further.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.rules.segment_bytes = bytes;
        self
    }

    /// After how much time another segment begins, with the first record after it; by default only bytes count,
    /// and an hour as well in mode *sealed*, in which the key of a segment goes with it.
    #[must_use]
    pub fn segment_time(mut self, time: Duration) -> Self {
        self.rules.segment_time = Some(time);
        self
    }

    /// How long a record of [`Durability::Buffered`] waits for others before it is written: 10 ms by default.
    #[must_use]
    pub fn linger(mut self, time: Duration) -> Self {
        self.rules.linger = time;
        self
    }

    /// How long a call waits for the disk before it fails with [`AuditError::Busy`]: 30 s by default. A call that
    /// writes itself waits as long as the system does.
    #[must_use]
    pub fn patience(mut self, time: Duration) -> Self {
        self.rules.patience = time;
        self
    }

    /// The host's clock: for the records that the log makes of itself, and for the age of segments.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.rules.clock = clock;
        self
    }

    /// By how much the time of an event may lie before that of an earlier one without a record `log:clock`: 1 s
    /// by default, which the events of several threads stay within.
    #[must_use]
    pub fn clock_bound(mut self, bound: Duration) -> Self {
        self.rules.clock_bound = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        self
    }

    /// Lets acts go on while the disk takes no records. Without it, a log that cannot write refuses everything, and
    /// so do those who ask it first.
    ///
    /// Records are then acknowledged at every durability while they are in memory alone, up to so many `bytes` (2 MiB
    /// at most), and the rest is dropped. The log opens its disk again by itself, once a second at most; then
    /// what was held is written, with a record `log:gap` that says how many were dropped. Each of those was given
    /// the sequence of that record. A crash of the process loses what was held, and nothing says so.
    #[must_use]
    pub fn danger_go_on_without_disk(mut self, bytes: usize) -> Self {
        self.rules.hold = Some(bytes);
        self
    }

    /// Who signs the log's checkpoints.
    #[must_use]
    pub fn signer(mut self, signer: AuditSigner) -> Self {
        self.vouching.signer = Some(Arc::new(signer));
        self
    }

    /// Where the newest state of the log is kept. A log that does not extend it is not opened; without an anchor
    /// a log that was cut at a commit, or an old copy, cannot be told from what it was.
    #[must_use]
    pub fn anchor(mut self, anchor: Arc<dyn Anchor>) -> Self {
        self.vouching.anchor = Some(anchor);
        self
    }

    /// When the log makes a checkpoint by itself, with the batch that comes first: after so many records. By default
    /// it makes one at [`close`](AuditLog::close) alone, and when [`checkpoint`](AuditLog::checkpoint) is called.
    #[must_use]
    pub fn checkpoint_records(mut self, records: u64) -> Self {
        self.vouching.records = Some(records);
        self
    }

    /// The same after so much time since the last one, with the batch that comes first.
    #[must_use]
    pub fn checkpoint_time(mut self, time: Duration) -> Self {
        self.vouching.time = Some(time);
        self
    }

    /// Creates a log in mode *readable*: `key` reads all of it. The folder is made unless it is there; on Unix it
    /// and its files are for their owner alone.
    ///
    /// # Errors
    /// [`AuditError::Exists`] if there is a log; [`AuditError::Locked`] if it is just being made;
    /// [`AuditError::Io`] if it cannot be written. A failure in the middle leaves no log.
    pub fn create(&self, folder: impl AsRef<Path>, key: &AuditKey) -> Result<AuditLog, AuditError> {
        self.create_on(disk(FolderDisk::create(folder.as_ref()))?, key, None)
    }

    /// Creates a log in mode *sealed*: `host` opens it to go on writing and reads the last segment; `master` reads
    /// all of it and is to be kept elsewhere.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_sealed(
        &self,
        folder: impl AsRef<Path>,
        master: &AuditKey,
        host: &AuditKey,
    ) -> Result<AuditLog, AuditError> {
        self.create_on(disk(FolderDisk::create(folder.as_ref()))?, master, Some(host))
    }

    /// Opens a log to append to it. In mode *sealed* `key` is the host's.
    ///
    /// The structure of the last segment is checked, and the MACs of its commits; the rest is for `verify`. A
    /// batch that is not whole, with no other behind it, is what a crash leaves: it is moved to the folder `torn`,
    /// and [`AuditLog::recovered`] and a record `log:recover` say so.
    ///
    /// # Errors
    /// [`AuditError::Missing`]; [`AuditError::Locked`] by another writer; [`AuditError::WrongKey`];
    /// [`AuditError::NoRatchet`]; [`AuditError::Anchor`] if the log does not extend its anchor, or that cannot be
    /// read; [`AuditError::Broken`] if anything else is not as it must be: keep the folder,
    /// and begin a new log.
    pub fn open(&self, folder: impl AsRef<Path>, key: &AuditKey) -> Result<AuditLog, AuditError> {
        self.open_on(disk(FolderDisk::open(folder.as_ref()))?, key)
    }
}

fn disk(folder: std::io::Result<FolderDisk>) -> Result<Arc<dyn Disk>, AuditError> {
    match folder {
        Ok(disk) => Ok(Arc::new(disk)),
        Err(error) => match error.kind() {
            std::io::ErrorKind::NotFound => Err(AuditError::Missing),
            std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => Err(AuditError::Exists),
            _ => Err(AuditError::Io(error)),
        },
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LogOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rules { segment_bytes, segment_time, linger, patience, clock_bound, .. } = &self.rules;
        f.debug_struct("LogOptions")
            .field("durability", &self.durability)
            .field("segment_bytes", segment_bytes)
            .field("segment_time", segment_time)
            .field("linger", linger)
            .field("patience", patience)
            .field("clock_bound_ns", clock_bound)
            .field("vouching", &self.vouching)
            .finish_non_exhaustive()
    }
}

/// The clocks of the machine, for a host that gave none.
struct Machine(Instant);

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp(since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}
