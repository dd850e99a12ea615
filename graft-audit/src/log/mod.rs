//! The log as a host holds it: a folder, a lock, a queue and one writer.

mod arena;
mod checkpoints;
mod hold;
mod keys;
mod options;
mod own;
mod queue;
mod recover;
mod retain;
mod segment;
#[cfg(test)]
mod simulation;
mod stages;
mod threads;
mod tiers;
mod walk;

use std::fmt;
use std::future::Future;
use std::io::ErrorKind;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use graft_core::{Action, Event, FieldValue, Name, RecordError, Recorder, Seq};

use crate::anchor::AnchorError;
use crate::disk::{Disk, Lock};
use crate::format::{Leaf, LogId, Mark};
use crate::seal::ratchet::Ratchet;
use crate::sealer::{Committed, Tip};
use crate::tree::TreeHash;
use crate::{AuditError, AuditKey};

pub use options::{Durability, LogOptions};
pub use recover::Recovered;
pub use retain::Pruned;

use checkpoints::Checkpoints;
use keys::HostKeys;
use queue::{Order, Shared};
use segment::Segment;
use stages::{Sealing, Writing, begin_first};
use tiers::TierFiles;

/// Where a log stands: all that is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// How many records.
    pub size: u64,
    /// The root of the tree over them.
    pub root: TreeHash,
    /// The leaf of the last one.
    pub last_leaf: Leaf,
}

impl From<&Committed> for Head {
    fn from(committed: &Committed) -> Self {
        Self { size: committed.size, root: committed.root, last_leaf: committed.last_leaf }
    }
}

impl From<&Tip> for Head {
    fn from(tip: &Tip) -> Self {
        Self { size: tip.tree.size(), root: tip.tree.root(), last_leaf: tip.last_leaf }
    }
}

/// What ended the log for its handle.
struct Stop {
    /// For the first who asks.
    first: Option<AuditError>,
}

/// An audit log that is open for writing; nobody else can open it for that until it is dropped.
///
/// Threads share it by reference. Records get their order when they are taken; the disk has them when
/// [`durable`](Self::durable) is above their sequence. After a write or a sync failed, nothing more is taken:
/// what the disk then has is only known once the log is opened again.
///
/// Dropping it writes what is waiting, if it can. [`close`](Self::close) says whether it could, and leaves a mark that
/// the log is complete.
///
/// ```
/// use graft_audit::{AuditError, AuditKey, AuditLog};
/// # let folder = std::env::temp_dir().join(format!("graft-audit-log-{}", std::process::id()));
/// let key = AuditKey::generate()?;
/// let log = AuditLog::create(&folder, &key)?;
/// assert!(matches!(AuditLog::open(&folder, &key), Err(AuditError::Locked)));
/// log.close()?;
/// assert!(AuditLog::open(&folder, &key)?.recovered().is_empty());
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AuditLog {
    shared: Arc<Shared>,
    log: LogId,
    durability: Durability,
    recovered: Vec<Recovered>,
}

impl AuditLog {
    /// Creates a log in mode *readable* with the default options.
    ///
    /// # Errors
    /// As [`LogOptions::create`].
    pub fn create(folder: impl AsRef<Path>, key: &AuditKey) -> Result<Self, AuditError> {
        LogOptions::new().create(folder, key)
    }

    /// Opens a log with the default options.
    ///
    /// # Errors
    /// As [`LogOptions::open`].
    pub fn open(folder: impl AsRef<Path>, key: &AuditKey) -> Result<Self, AuditError> {
        LogOptions::new().open(folder, key)
    }

    /// The id of the log.
    pub fn id(&self) -> LogId {
        self.log
    }

    /// What opening it had to set aside, if anything: worth an operator's look.
    pub fn recovered(&self) -> &[Recovered] {
        &self.recovered
    }

    /// Appends one event at the durability of the log, as [`Recorder::record`] does, and says why if it cannot.
    ///
    /// # Errors
    /// As [`append_with`](Self::append_with).
    pub fn append(&self, event: &Event) -> Result<Seq, AuditError> {
        self.append_with(event, self.durability)
    }

    /// Appends one event and returns once it has survived what `durability` says.
    ///
    /// # Errors
    /// [`AuditError::OwnAction`] if it is for the log to say that; [`AuditError::TooLarge`] or
    /// [`AuditError::Busy`], after which the log goes on as well; after `Busy` the event may be
    /// in the log later. [`AuditError::Io`] if the disk refused, and [`AuditError::Stopped`] from then on; the event
    /// may then be in the log or not.
    pub fn append_with(&self, event: &Event, durability: Durability) -> Result<Seq, AuditError> {
        if own::is_own(event.action) {
            return Err(AuditError::OwnAction);
        }
        self.append_own(event, durability)
    }

    /// The same, of an event that the log may have made itself.
    fn append_own(&self, event: &Event, durability: Durability) -> Result<Seq, AuditError> {
        let (state, seq) = self.shared.push(event)?;
        match durability {
            Durability::Fsync => match self.shared.wait(state, seq) {
                // So the host chose.
                Err(AuditError::Held) => {}
                waited => waited?,
            },
            Durability::Buffered => self.shared.soon(state),
            Durability::Memory => {}
        }
        Ok(seq)
    }

    /// Appends one event and returns at once; the disk has it when [`wait_durable`](Self::wait_durable) of its
    /// sequence returns, or of any behind. As [`append_with`](Self::append_with) at [`Durability::Buffered`].
    ///
    /// ```
    /// use graft_audit::{AuditKey, AuditLog};
    /// # use graft_core::{Action, Ending, Event, Name, Timestamp};
    /// # let folder = std::env::temp_dir().join(format!("graft-audit-submit-{}", std::process::id()));
    /// # let log = AuditLog::create(&folder, &AuditKey::generate()?)?;
    /// # let me = Name::from_static("agent:7");
    /// # let event = Event::new(Timestamp(1), me.clone(), Action::RunBegin, me, Ending::Ok);
    /// let mut last = log.submit(&event)?;
    /// for _ in 0..1000 {
    ///     last = log.submit(&event)?;
    /// }
    /// log.wait_durable(last)?;
    /// assert_eq!(log.durable().0, 1001);
    /// # drop(log);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`append_with`](Self::append_with).
    pub fn submit(&self, event: &Event) -> Result<Seq, AuditError> {
        self.append_with(event, Durability::Buffered)
    }

    /// Returns once the disk has the record of this sequence and all before it.
    ///
    /// # Errors
    /// [`AuditError::Io`], [`AuditError::Stopped`] or [`AuditError::Busy`]: it is not certain that it has.
    /// [`AuditError::NoRecord`] if there is none of this sequence yet.
    pub fn wait_durable(&self, seq: Seq) -> Result<(), AuditError> {
        let state = self.shared.state();
        if seq.0 >= state.next() {
            return Err(AuditError::NoRecord);
        }
        self.shared.wait(state, seq)
    }

    /// Like [`wait_durable`](Self::wait_durable), for tasks: no thread waits. It has no bound of its own in time.
    pub fn until_durable(&self, seq: Seq) -> UntilDurable<'_> {
        UntilDurable { log: self, seq }
    }

    /// The watermark: the disk has all records below it.
    pub fn durable(&self) -> Seq {
        Seq(self.shared.state().durable())
    }

    /// Returns once the disk has everything that was appended before.
    ///
    /// # Errors
    /// As [`wait_durable`](Self::wait_durable).
    pub fn flush(&self) -> Result<(), AuditError> {
        let mut state = self.shared.state();
        state.refuse()?;
        match state.next().checked_sub(1) {
            Some(last) => self.shared.wait(state, Seq(last)),
            None => Ok(()),
        }
    }

    /// Whether records are held in memory because the disk takes none; only if the host
    /// [chose](LogOptions::danger_go_on_without_disk) that.
    pub fn is_holding(&self) -> bool {
        self.shared.state().is_holding()
    }

    /// Where the log stands on the disk. Kept where the log's owner cannot write, it shows a later cut or exchange.
    pub fn head(&self) -> Head {
        self.shared.state().head()
    }

    /// The leaf of the last record that is on the disk.
    pub fn last_leaf(&self) -> Leaf {
        self.head().last_leaf
    }

    /// Ends the segment and begins another. In mode *sealed* what was recorded up to here can then be read with
    /// the master key alone.
    ///
    /// # Errors
    /// As [`wait_durable`](Self::wait_durable).
    pub fn rotate(&self) -> Result<(), AuditError> {
        self.batch(Order { mark: Mark::SegmentEnd, change: None }).map(drop)
    }

    /// Ends the segment and begins another under a new key, in mode *sealed* a new master key; nothing is encrypted
    /// anew, and older segments keep the keys that they have. Keep both keys until this returns: only then is it
    /// certain which one opens the log.
    ///
    /// # Errors
    /// As [`wait_durable`](Self::wait_durable).
    pub fn rotate_key(&self, key: &AuditKey) -> Result<(), AuditError> {
        self.batch(Order { mark: Mark::SegmentEnd, change: Some(key.clone()) }).map(drop)
    }

    /// Signs the tree as it is on the disk, keeps the note in the folder `checkpoints`, moves the anchor, and records
    /// that; whichever of signer and anchor the host gave.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use graft_audit::{Anchor, AuditKey, AuditSigner, MemoryAnchor, LogOptions};
    /// # let folder = std::env::temp_dir().join(format!("graft-audit-sign-{}", std::process::id()));
    /// let (key, anchor) = (AuditKey::generate()?, Arc::new(MemoryAnchor::new()));
    /// let signer = AuditSigner::generate("example.com/audit".parse()?)?;
    /// let log = LogOptions::new().signer(signer).anchor(anchor.clone()).create(&folder, &key)?;
    /// let head = log.checkpoint()?;
    /// assert_eq!(anchor.load(log.id())?.map(|kept| kept.head.root), Some(head.root));
    /// # drop(log);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AuditError::NoSigner`] if the host gave neither; [`AuditError::Anchor`] or [`AuditError::Checkpoint`]:
    /// if the anchor says that the log has two histories, nothing more is appended; otherwise as
    /// [`append`](Self::append).
    pub fn checkpoint(&self) -> Result<Head, AuditError> {
        self.flush()?;
        self.shared.checkpoint()
    }

    /// Writes what is waiting and a mark that the log is complete, and returns where it stands. Before that comes
    /// a checkpoint, where there is a signer or an anchor and something new.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint); the log is then as if it had been dropped.
    pub fn close(self) -> Result<Head, AuditError> {
        self.flush()?;
        self.shared.last_checkpoint()?;
        self.batch(Order { mark: Mark::Closed, change: None })
    }

    /// Records, on the disk, that `by` is about to read records out of this log, and what of each record is withheld.
    ///
    /// # Errors
    /// As [`append`](Self::append): whoever cannot record it does not export.
    ///
    /// ```
    /// use graft_audit::{AuditKey, AuditLog};
    /// use graft_core::Name;
    /// # let folder = std::env::temp_dir().join(format!("graft-audit-export-{}", std::process::id()));
    /// let log = AuditLog::create(&folder, &AuditKey::generate()?)?;
    /// let seq = log.record_export(Name::from_static("auditor:ann"), 0)?;
    /// assert_eq!(log.durable().0, seq.0 + 1);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_export(&self, by: Name, withheld: u64) -> Result<Seq, AuditError> {
        let fields = [("withheld", FieldValue::U64(withheld))];
        let mut event = own::event(&*self.shared.rules.clock, Action::LogExport, fields);
        event.actor = by;
        self.append_own(&event, Durability::Fsync)
    }

    /// Writes one batch, whatever is in it.
    fn batch(&self, order: Order) -> Result<Head, AuditError> {
        let mut state = self.shared.lead(self.shared.alone()?, order);
        state.refuse()?;
        // What holds records is not there, nor is a key exchanged.
        state.ensure_not_held()?;
        Ok(state.head())
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        // Whoever must know whether it worked closes the log.
        _ = self.flush();
        self.shared.close();
    }
}

impl Recorder for AuditLog {
    fn record(&self, event: &Event) -> Result<Seq, RecordError> {
        self.append(event).map_err(|_| RecordError)
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").field("head", &self.head()).finish_non_exhaustive()
    }
}

/// Resolves once the disk has a record. Made by [`AuditLog::until_durable`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct UntilDurable<'a> {
    log: &'a AuditLog,
    seq: Seq,
}

impl Future for UntilDurable<'_> {
    type Output = Result<(), AuditError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.log.shared.poll(self.seq, context.waker()) {
            Some(done) => Poll::Ready(done),
            None => Poll::Pending,
        }
    }
}

impl LogOptions {
    fn create_on(
        &self,
        disk: Arc<dyn Disk>,
        key: &AuditKey,
        host: Option<&AuditKey>,
    ) -> Result<AuditLog, AuditError> {
        let lock = lock(&*disk)?;
        recover::ensure_none(&*disk)?;
        let log = LogId(random()?);
        let ring = match host {
            None => HostKeys::Readable { key: key.clone(), log, number: 0 },
            Some(host) => HostKeys::Sealed { ratchet: Ratchet::root(key, log, 0), host: host.clone() },
        };
        let options = self.for_mode(host.is_some());
        let (sealing, job) = Sealing::start(ring, Tip::genesis(log), options.rules.clock.monotonic())?;
        let now = options.rules.clock.monotonic();
        let checkpoints = Checkpoints::load(self.vouching.clone(), log, 0, now)?;
        if checkpoints.kept().is_some() {
            return Err(AnchorError::Conflict.into());
        }
        let segment = begin_first(&*disk, &job, options.rules.room)?;
        let writing = Writing::new(disk, lock, segment, TierFiles::default(), options.rules.room);
        Ok(options.begin((sealing, writing, checkpoints), log, Vec::new()))
    }

    fn open_on(&self, disk: Arc<dyn Disk>, key: &AuditKey) -> Result<AuditLog, AuditError> {
        let lock = lock(&*disk)?;
        let mut checkpoints = None;
        let opened = recover::open(&*disk, key, |log, size| {
            let now = self.rules.clock.monotonic();
            let loaded = Checkpoints::load(self.vouching.clone(), log, size, now)?;
            let kept = loaded.kept().copied();
            checkpoints = Some(loaded);
            Ok(kept)
        })?;
        let Some(checkpoints) = checkpoints else { return Err(AuditError::Stopped) };
        let options = self.for_mode(matches!(opened.ring, HostKeys::Sealed { .. }));
        let rules = &options.rules;
        let segment = Segment::resume(opened.file, opened.end, rules.room)?;
        let now = rules.clock.monotonic();
        let sealing = Sealing::resume(opened.ring, opened.key_from, opened.tip, opened.end, now);
        let writing = Writing::new(disk, lock, segment, opened.tiers, rules.room);
        let log = options.begin((sealing, writing, checkpoints), opened.log, opened.torn);
        if opened.ended {
            // The crash came between the end of one segment and the beginning of the next.
            log.shared.begin_segment()?;
        }
        let mut state = log.shared.alone()?;
        for record in recover::records(&*log.shared.rules.clock, &log.recovered) {
            state.put(&record)?;
        }
        state.put(&own::event(&*log.shared.rules.clock, Action::LogOpen, []))?;
        // What was set aside is recorded before anything else is; that it was opened can wait for company.
        if log.recovered.is_empty() {
            drop(state);
        } else {
            log.shared.lead(state, Order::default()).refuse()?;
        }
        Ok(log)
    }

    fn for_mode(&self, sealed: bool) -> Self {
        let mut options = self.clone();
        if sealed {
            options.rules.segment_time.get_or_insert(std::time::Duration::from_secs(3600));
        }
        options
    }

    fn begin(
        self,
        (sealing, writing, checkpoints): (Sealing, Writing, Checkpoints),
        log: LogId,
        recovered: Vec<Recovered>,
    ) -> AuditLog {
        let head = Head::from(sealing.tip());
        let durability = self.durability;
        let shared = Arc::new(Shared::new(self.rules, sealing, writing, checkpoints, head));
        AuditLog { shared, log, durability, recovered }
    }
}

fn lock(disk: &dyn Disk) -> Result<Box<dyn Lock>, AuditError> {
    disk.lock("lock").map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => AuditError::Locked,
        _ => AuditError::Io(error),
    })
}

fn random<const N: usize>() -> Result<[u8; N], AuditError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| AuditError::Randomness)?;
    Ok(bytes)
}
