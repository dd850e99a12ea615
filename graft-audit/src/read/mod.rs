//! Reading the events of a log, in order.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use graft_core::{Event, Seq};

use crate::format::{Leaf, LogId, Mark, Mode, PartKind};
use crate::keyring::{KeyRing, Opener};
use crate::scan::{Batch, Files, Folder, Item, Opened, Part, Record, SegmentScan, open_segment};
use crate::seal::SegmentKeys;
use crate::sealer::Tip;
use crate::verify::segment_numbers;
use crate::{AuditError, Break, Place, What, body, fields};

/// How many records are read ahead at a time: those of a batch, at least.
const AHEAD: usize = 512;

/// One record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredEvent {
    /// Its position in the log, from 0.
    pub seq: Seq,
    /// Its link in the chain.
    pub leaf: Leaf,
    /// What was recorded.
    pub event: Event,
}

/// A record, with or without what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
// Nearly every one is an event, so a box would be an allocation for each.
#[allow(clippy::large_enum_variant)]
pub enum Entry {
    /// The record and what it says.
    Event(StoredEvent),
    /// The record is there, and what it says was overwritten.
    Erased(Seq, Leaf),
    /// The record is there, in a segment that opens with the master key alone.
    Closed(Seq, Leaf),
}

impl Entry {
    /// Its position in the log.
    pub fn seq(&self) -> Seq {
        match self {
            Self::Event(stored) => stored.seq,
            Self::Erased(seq, _) | Self::Closed(seq, _) => *seq,
        }
    }

    /// The event, if it is there to be read.
    pub fn into_event(self) -> Option<StoredEvent> {
        match self {
            Self::Event(stored) => Some(stored),
            Self::Erased(..) | Self::Closed(..) => None,
        }
    }
}

/// Reads the committed records of a log, each verified from the header of its segment on. Memory is bounded by a
/// few batches.
///
/// As an iterator, `None` means that there is nothing more yet: who follows a log that is being written asks again
/// later. After an error there is nothing more ever.
///
/// ```no_run
/// use graft_audit::{AuditKey, Reader};
/// # let bytes = [0; 32];
/// let key = AuditKey::new(bytes)?;
/// for entry in Reader::open("audit", key)?.from(1000)? {
///     if let Some(stored) = entry?.into_event() {
///         println!("{} {}", stored.seq.0, stored.event.action.as_str());
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reader<F: Files = Folder> {
    files: F,
    keys: KeyRing,
    /// Whether the last segment opened with the host's key, so that those before need not open.
    is_host: bool,
    at: Position,
    /// Records before this one are passed over.
    from: u64,
    ready: VecDeque<Entry>,
    failed: Option<AuditError>,
    has_ended: bool,
}

/// Where in the log the reader stands: behind a commit or a segment's header.
struct Position {
    number: u64,
    offset: u64,
    tip: Tip,
    mark: Mark,
    keys: Option<SegmentKeys>,
}

impl Reader<Folder> {
    /// A reader of the log in a folder, from its first record on.
    ///
    /// # Errors
    /// [`AuditError::Missing`] if there is no log; [`AuditError::WrongKey`] if none of the keys opens its last
    /// segment; [`AuditError::Broken`] if the header of the first or the last segment is damaged;
    /// [`AuditError::Io`] from the disk.
    pub fn open(folder: impl AsRef<Path>, keys: impl Into<KeyRing>) -> Result<Self, AuditError> {
        Self::open_files(Folder::new(folder), keys)
    }
}

impl<F: Files> Reader<F> {
    /// As [`open`](Reader::open), of a log that lies wherever `files` says.
    ///
    /// # Errors
    /// As [`open`](Reader::open).
    pub fn open_files(files: F, keys: impl Into<KeyRing>) -> Result<Self, AuditError> {
        let keys = keys.into();
        let numbers = segment_numbers(&files)?;
        let mut opener = Opener::new(&keys, &files)?;
        let Some(&first) = numbers.first() else { return Err(AuditError::Missing) };
        let last = numbers.last().copied().unwrap_or(first);
        let broken = |what| header_break(last, what);
        let opened = open_segment(&files, last)?.map_err(broken)?;
        let is_host = opener.find(&opened).map_err(broken)?.ok_or(AuditError::WrongKey)?.is_host;
        let mut reader = Self {
            at: open_at(&files, &keys, first, is_host)?,
            files,
            keys,
            is_host,
            from: 0,
            ready: VecDeque::new(),
            failed: None,
            has_ended: false,
        };
        reader.from = reader.at.tip.tree.size();
        Ok(reader)
    }

    /// Goes to record `seq`, or to the first that was not pruned. Segments before it are not read.
    ///
    /// # Errors
    /// As [`open`](Reader::open).
    pub fn from(mut self, seq: u64) -> Result<Self, AuditError> {
        let numbers = segment_numbers(&self.files)?;
        let first_behind = |number: u64| -> Result<bool, AuditError> {
            // One without a whole header is found when the reader comes to it.
            Ok(open_segment(&self.files, number)?.map_or(true, |opened| opened.header.tree.size() > seq))
        };
        let (mut low, mut high) = (0, numbers.len());
        while low < high {
            let middle = low.midpoint(high);
            if first_behind(numbers[middle])? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let number = numbers[low.saturating_sub(1)];
        self.at = open_at(&self.files, &self.keys, number, self.is_host)?;
        (self.from, self.has_ended) = (seq, false);
        self.ready.clear();
        Ok(self)
    }

    /// The id of the log.
    pub fn log(&self) -> Result<LogId, AuditError> {
        let opened = open_segment(&self.files, self.at.number)?;
        Ok(opened.map_err(|what| header_break(self.at.number, what))?.header.log)
    }

    /// Reads on until something is ready or there is nothing more.
    fn read_on(&mut self) -> Result<(), AuditError> {
        loop {
            // Looked at before the segment is read: whoever writes finishes a segment before the next is there.
            let next = self.at.number.checked_add(1);
            let has_next = next.map_or(Ok(false), |number| self.has_segment(number))?;
            self.read_segment(!has_next)?;
            if !self.ready.is_empty() || self.failed.is_some() {
                return Ok(());
            }
            let Some(next) = next else { return Ok(()) };
            if self.at.mark != Mark::SegmentEnd {
                return if has_next { Err(header_break(next, What::Seam).into()) } else { Ok(()) };
            }
            if !self.has_segment(next)? {
                return Ok(());
            }
            // It gets its name with its header in it.
            let next = open_at(&self.files, &self.keys, next, self.is_host)?;
            if next.tip != self.at.tip {
                return Err(header_break(next.number, What::Seam).into());
            }
            self.at = next;
        }
    }

    fn has_segment(&self, number: u64) -> Result<bool, AuditError> {
        match self.files.read_at(&crate::segment_name(number), 0, &mut [0]) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            // Opening it says what is wrong with it.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads some batches of the segment that the reader is in.
    fn read_segment(&mut self, is_last: bool) -> Result<(), AuditError> {
        let Position { number, offset, tip, keys, .. } = &self.at;
        let mut scan =
            SegmentScan::resume(&self.files, *number, *offset, tip, keys.as_ref()).in_last(is_last);
        let mut first_bad: Option<Break> = None;
        // Of a batch that holds something broken, what lies before that.
        let mut doubtful = VecDeque::new();
        while self.ready.len() < AHEAD || first_bad.is_some() {
            match scan.next()? {
                Item::Batch(mut batch) if batch.commit.is_some() && self.failed.is_none() => {
                    let ready = if first_bad.is_some() { &mut doubtful } else { &mut self.ready };
                    let taken = take(&mut batch, *number, self.from, ready);
                    if let (Err(found), None) = (taken, &first_bad) {
                        self.failed = Some(found.into());
                        break;
                    }
                }
                Item::Batch(_) => {}
                Item::Break(found) => {
                    first_bad.get_or_insert(found);
                }
                Item::End => break,
            }
            // Behind a break it matters alone whether a commit follows.
            if first_bad.is_some() && (!is_last || scan.is_commit_behind()) && !doubtful.is_empty() {
                break;
            }
        }
        let end = scan.so_far()?;
        if let Some(found) = first_bad
            && !(is_last && end.tail.is_some())
        {
            self.ready.extend(doubtful);
            self.failed = Some(found.into());
        }
        if end.end > self.at.offset {
            self.at.mark = end.mark;
        }
        (self.at.offset, self.at.tip) = (end.end, end.tip);
        Ok(())
    }
}

impl<F: Files> Iterator for Reader<F> {
    type Item = Result<Entry, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty()
            && self.failed.is_none()
            && !self.has_ended
            && let Err(error) = self.read_on()
        {
            self.failed = Some(error);
        }
        if let Some(entry) = self.ready.pop_front() {
            return Some(Ok(entry));
        }
        let error = self.failed.take()?;
        self.has_ended = true;
        Some(Err(error))
    }
}

/// Opens the records of a batch, up to the first that does not open.
fn take(batch: &mut Batch<'_>, number: u64, from: u64, ready: &mut VecDeque<Entry>) -> Result<(), Break> {
    for index in 0..batch.len() {
        let Some(record) = batch.record(index) else { break };
        if record.seq < from {
            continue;
        }
        let (seq, offset) = (record.seq, record.offset);
        let broken = |what| Break { segment: number, place: Place::Record(seq), seq, offset, what };
        ready.push_back(entry(record).map_err(broken)?);
    }
    Ok(())
}

fn entry(record: Record<'_>) -> Result<Entry, What> {
    let (seq, leaf, is_erased) = (Seq(record.seq), record.leaf, record.erased);
    let (mut event, mut own_fields) = (None, None);
    record.open(|kind, part| {
        match (kind, part) {
            (PartKind::Event, Part::Body(bytes)) => event = Some(body::decode(bytes)?),
            (PartKind::Fields, Part::Body(bytes)) => own_fields = Some(fields::decode(bytes)?),
            (_, Part::Erased | Part::Closed) => {}
        }
        Ok(())
    })?;
    Ok(match event {
        _ if is_erased => Entry::Erased(seq, leaf),
        None => Entry::Closed(seq, leaf),
        Some(mut event) => {
            event.fields = own_fields.unwrap_or_default();
            Entry::Event(StoredEvent { seq, leaf, event })
        }
    })
}

/// The beginning of a segment.
fn open_at(files: &dyn Files, keys: &KeyRing, number: u64, is_host: bool) -> Result<Position, AuditError> {
    let opened = open_segment(files, number)?.map_err(|what| header_break(number, what))?;
    let found = Opener::new(keys, files)?.find(&opened).map_err(|what| header_break(number, what))?;
    let Opened { header, len, .. } = opened;
    if found.is_none() && !(is_host && header.mode == Mode::Sealed) {
        return Err(header_break(number, What::NoKey).into());
    }
    Ok(Position {
        number,
        offset: len as u64,
        tip: Tip { tree: header.tree, last_leaf: header.previous_leaf, last_commit: header.previous_commit },
        mark: Mark::None,
        keys: found.map(|found| found.keys),
    })
}

fn header_break(segment: u64, what: What) -> Break {
    Break { segment, place: Place::Segment, seq: 0, offset: 0, what }
}
