//! Verification of a whole log, parallel by segment and in bounded memory.

#[cfg(test)]
mod commits;
#[cfg(test)]
mod own_records;
mod report;
mod seams;
mod segment;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::format::segment_number;
use crate::keyring::{KeyRing, Opener};
use crate::scan::{Files, Folder, Opened, open_segment};
use crate::seal::SegmentKeys;
use crate::tree::TreeHead;
use crate::{AuditError, What};

pub use report::{AnchorCheck, AnchorFound, Depth, Erased, Front, State, Torn, VerifyReport};
pub(crate) use segment::{Checked, check_segment};

/// How far a verification has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Segments that are done.
    pub segments: u64,
    /// Segments in all.
    pub of_segments: u64,
    /// Records that were looked at.
    pub records: u64,
    /// Bytes that were looked at.
    pub bytes: u64,
}

/// How to verify a log.
///
/// ```no_run
/// use graft_audit::{AuditKey, Verifier};
/// # let bytes = [0; 32];
/// let key = AuditKey::new(bytes)?;
/// let report = Verifier::new().key(key).threads(2).verify("audit")?;
/// println!("{report}");
/// report.ensure_intact()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Verifier<'a> {
    keys: KeyRing,
    threads: usize,
    all: bool,
    anchors: Vec<TreeHead>,
    progress: Option<&'a (dyn Fn(Progress) + Sync)>,
}

impl<'a> Verifier<'a> {
    /// Without a key, on one thread, up to the first break, against no anchor.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key. Without any, structure alone is checked: a log that somebody made anew would pass.
    #[must_use]
    pub fn key(mut self, key: crate::AuditKey) -> Self {
        self.keys.add(key);
        self
    }

    /// Uses these keys.
    #[must_use]
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = keys;
        self
    }

    /// At most this many threads; 0 counts as 1. Each has a segment at a time and a few MiB of memory.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Goes on behind a break and reports each, up to [`VerifyReport::MAX_BREAKS`].
    #[must_use]
    pub fn all(mut self, all: bool) -> Self {
        self.all = all;
        self
    }

    /// Checks that the log extends this state, which was kept where whoever writes the log cannot change it.
    #[must_use]
    pub fn anchor(mut self, anchor: TreeHead) -> Self {
        self.anchors.push(anchor);
        self
    }

    /// Is called from time to time, from any of the threads.
    #[must_use]
    pub fn progress(mut self, progress: &'a (dyn Fn(Progress) + Sync)) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Verifies the log in a folder. It may be written meanwhile: what is committed later may be missed.
    ///
    /// Damage is not an error here but is in the report, so that what is good can be told as well.
    ///
    /// # Errors
    /// [`AuditError::Missing`] if there is no log; [`AuditError::WrongKey`] if there are keys, and none of them is
    /// that of any segment; [`AuditError::Io`] from the disk.
    pub fn verify(&self, folder: impl AsRef<Path>) -> Result<VerifyReport, AuditError> {
        self.verify_files(&Folder::new(folder))
    }

    /// As [`verify`](Self::verify), of a log that lies wherever `files` says.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_files(&self, files: &dyn Files) -> Result<VerifyReport, AuditError> {
        let jobs = self.open_all(files)?;
        let checked = self.check_all(files, &jobs)?;
        Ok(seams::join(self, jobs, checked))
    }

    /// Reads the headers, which are small, and finds the key of each.
    fn open_all(&self, files: &dyn Files) -> Result<Vec<Job>, AuditError> {
        let numbers = segment_numbers(files)?;
        let Some(&last) = numbers.last() else { return Err(AuditError::Missing) };
        let mut opener = Opener::new(&self.keys, files)?;
        let mut jobs = Vec::new();
        let mut readable = 0_u64;
        for number in numbers {
            let opened = match open_segment(files, number) {
                // Pruned since the folder was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound && number != last => continue,
                opened => opened?,
            };
            readable += u64::from(opened.is_ok());
            let mut job = Job { number, is_last: number == last, opened, keys: None, is_host: false };
            if let Ok(opened) = &job.opened {
                match opener.find(opened) {
                    Ok(Some(found)) => (job.keys, job.is_host) = (Some(found.keys), found.is_host),
                    Ok(None) => {}
                    Err(what) => job.opened = Err(what),
                }
            }
            jobs.push(job);
        }
        let opens_none =
            jobs.iter().all(|job| job.keys.is_none() && !matches!(job.opened, Err(What::Forged)));
        if !self.keys.is_empty() && readable > 0 && opens_none {
            return Err(AuditError::WrongKey);
        }
        Ok(jobs)
    }

    /// Walks over each segment, as many at a time as there are threads.
    fn check_all(&self, files: &dyn Files, jobs: &[Job]) -> Result<Vec<Checked>, AuditError> {
        let shared = Shared {
            next: AtomicUsize::new(0),
            // Without `all`, nothing behind the first broken segment is looked at.
            end: AtomicUsize::new(jobs.len()),
            segments: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            results: Mutex::new(Vec::new()),
        };
        let work = || loop {
            let index = shared.next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index).filter(|_| index < shared.end.load(Ordering::Relaxed)) else {
                break;
            };
            let report = |records, bytes| self.report(&shared, jobs.len(), records, bytes);
            let checked = check_segment(files, job, self.all, &self.anchors, &report);
            let is_end = checked.as_ref().map_or(true, |checked| !self.all && checked.first_bad().is_some());
            if is_end {
                shared.end.fetch_min(index + 1, Ordering::Relaxed);
            }
            shared.segments.fetch_add(1, Ordering::Relaxed);
            let mut results = shared.results.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            results.push((index, checked));
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.min(jobs.len()) {
                scope.spawn(work);
            }
            work();
        });
        self.report(&shared, jobs.len(), 0, 0);
        let mut results = shared.results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        results.sort_by_key(|(index, _)| *index);
        results.truncate(shared.end.into_inner());
        results.into_iter().map(|(_, checked)| checked.map_err(AuditError::from)).collect()
    }

    fn report(&self, shared: &Shared, of_segments: usize, records: u64, bytes: u64) {
        let records = shared.records.fetch_add(records, Ordering::Relaxed) + records;
        let bytes = shared.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(progress) = self.progress {
            let segments = shared.segments.load(Ordering::Relaxed);
            progress(Progress { segments, of_segments: of_segments as u64, records, bytes });
        }
    }
}

/// What the threads share.
struct Shared {
    next: AtomicUsize,
    end: AtomicUsize,
    segments: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    results: Mutex<Vec<(usize, io::Result<Checked>)>>,
}

/// A segment to check.
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) is_last: bool,
    pub(crate) opened: Result<Opened, What>,
    pub(crate) keys: Option<SegmentKeys>,
    pub(crate) is_host: bool,
}

/// The numbers of the segments in a folder, ascending.
pub(crate) fn segment_numbers(files: &dyn Files) -> Result<Vec<u64>, AuditError> {
    let names = files.list().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => AuditError::Missing,
        _ => AuditError::Io(error),
    })?;
    let mut numbers: Vec<_> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
