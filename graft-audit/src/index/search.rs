//! Answers questions about a log without reading all of it.

use std::collections::VecDeque;
use std::io;
use std::iter::FusedIterator;

use graft_core::{Seq, Timestamp};

use super::record::{Fetch, event};
use super::{Hit, IndexFile, NotUsed, Stopped, Wanted};
use crate::keyring::{KeyRing, Opener};
use crate::scan::{Files, Item, SegmentScan, open_segment};
use crate::seal::SegmentKeys;
use crate::sealer::Tip;
use crate::verify::segment_numbers;
use crate::{AuditError, Break, LogId, Place, Query, StoredEvent, What};

/// The most broken places that are held back.
const MAX_HELD: usize = 1000;

/// A log that questions are asked of: through the indexes of its segments where there are any that are to be
/// believed, and by reading where there are none.
///
/// Opening it reads the header of each segment and of each index, and keeps some hundred bytes of each. It sees
/// the segments that were there then, and of the last one whatever was committed when a question is asked.
///
/// What it finds was opened with its key and held against its seal. That nothing was taken out of the log in
/// between, cut off it or put in another order is what [`Verifier`](crate::Verifier) looks at.
pub struct Search<'a> {
    files: &'a dyn Files,
    segments: Vec<Segment<'a>>,
    notes: SearchNotes,
}

/// What a [`Search`] could not use when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchNotes {
    /// Segments in all.
    pub segments: u64,
    /// Segments with an index that is used.
    pub indexed: u64,
    /// Indexes that are damaged, and not used.
    pub damaged: u64,
    /// Indexes that are not of the segment as it is, and not used.
    pub foreign: u64,
    /// Segments that no key opens. Nothing is found in them.
    pub closed: u64,
    /// Segments whose header is not as it was written. Nothing is found in them.
    pub broken: Vec<Break>,
}

struct Segment<'a> {
    keys: SegmentKeys,
    is_last: bool,
    /// Where its first batch begins, and how the log stands there.
    start: u64,
    tip: Tip,
    index: Option<Covered<'a>>,
}

/// An index, and where the log stands behind what it speaks of.
struct Covered<'a> {
    index: IndexFile<'a>,
    tip: Tip,
    /// Whether the segment ends there.
    is_all: bool,
}

impl<'a> Search<'a> {
    /// Opens the log that `files` has.
    ///
    /// # Errors
    /// [`AuditError::Missing`] if there is none; [`AuditError::WrongKey`] if no key opens any segment of it;
    /// [`AuditError::Io`] from the disk.
    pub fn open(files: &'a dyn Files, keys: &KeyRing) -> Result<Self, AuditError> {
        let numbers = segment_numbers(files)?;
        let Some(&last) = numbers.last() else { return Err(AuditError::Missing) };
        let mut opener = Opener::new(keys, files)?;
        let (mut segments, mut notes) = (Vec::new(), SearchNotes::default());
        for number in numbers {
            let opened = match open_segment(files, number) {
                // Pruned since the folder was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            notes.segments += 1;
            let found = opened.and_then(|opened| Ok(opener.find(&opened)?.map(|found| (opened, found.keys))));
            match found {
                Ok(Some((opened, keys))) => {
                    let header = opened.header;
                    let tip = Tip {
                        tree: header.tree,
                        last_leaf: header.previous_leaf,
                        last_commit: header.previous_commit,
                    };
                    let index = notes.index(files, &keys)?;
                    let start = opened.len as u64;
                    segments.push(Segment { keys, is_last: number == last, start, tip, index });
                }
                Ok(None) => notes.closed += 1,
                Err(what) => {
                    let (place, seq, offset) = (Place::Segment, 0, 0);
                    notes.broken.push(Break { segment: number, place, seq, offset, what });
                }
            }
        }
        if segments.is_empty() && notes.closed > 0 {
            return Err(AuditError::WrongKey);
        }
        Ok(Self { files, segments, notes })
    }

    /// Which log `files` has, by the first header that is whole; no key is needed.
    ///
    /// # Errors
    /// [`AuditError::Missing`] or [`AuditError::Io`].
    pub fn log_id(files: &dyn Files) -> Result<Option<LogId>, AuditError> {
        let numbers = segment_numbers(files)?;
        if numbers.is_empty() {
            return Err(AuditError::Missing);
        }
        for number in numbers {
            if let Ok(opened) = open_segment(files, number)? {
                return Ok(Some(opened.header.log));
            }
        }
        Ok(None)
    }

    /// What could not be used.
    pub fn notes(&self) -> &SearchNotes {
        &self.notes
    }

    /// Uses no index and reads everything, so that whatever is not as it was written shows.
    #[must_use]
    pub fn without_indexes(mut self) -> Self {
        self.segments.iter_mut().for_each(|segment| segment.index = None);
        self.notes.indexed = 0;
        self
    }

    /// The records that agree with `query`, in the order of the log.
    ///
    /// Memory is that of one batch where a segment is read, and a few bytes for each record that an index names.
    pub fn find<'s>(&'s self, query: &'s Query) -> Matches<'s> {
        self.find_from(Seq(0), query)
    }

    /// The same without the records before `from`. Segments that end before are not looked at.
    pub fn find_from<'s>(&'s self, from: Seq, query: &'s Query) -> Matches<'s> {
        Matches {
            files: self.files,
            query,
            wanted: Wanted::by(query),
            from: from.0,
            segments: self.segments[self.segment_of(from.0).unwrap_or(0)..].iter(),
            step: Step::Next,
            ready: VecDeque::new(),
        }
    }

    /// One record; `None` if there is no such record, or its event was erased.
    ///
    /// # Errors
    /// [`AuditError::Broken`] if it is not as it was written, or was not found in a segment that is not;
    /// [`AuditError::Io`].
    pub fn record(&self, seq: Seq) -> Result<Option<StoredEvent>, AuditError> {
        let Some(segment) = self.segment_of(seq.0).map(|at| &self.segments[at]) else { return Ok(None) };
        if let Some(Covered { index, .. }) = &segment.index {
            match index.locate(seq.0 - segment.tip.tree.size()) {
                Ok(Some(location)) => return Fetch::new(self.files, &segment.keys).read(seq.0, location),
                Ok(None) | Err(Stopped::Damaged) => {}
                Err(Stopped::Io(error)) => return Err(error.into()),
            }
        }
        let mut scan = segment.read_on(self.files, segment.start, &segment.tip);
        let mut broken = None;
        loop {
            match scan.next()? {
                Item::Batch(batch) if batch.commit.is_none() => {}
                Item::Batch(mut batch) => {
                    for place in 0..batch.len() {
                        let Some(record) = batch.record(place).filter(|record| record.seq == seq.0) else {
                            continue;
                        };
                        let (leaf, offset) = (record.leaf, record.offset);
                        let event = if record.damaged { Err(What::DamagedBody) } else { event(record) };
                        let event = event.map_err(|what| segment.broken(seq.0, offset, what))?;
                        return Ok(event.map(|event| StoredEvent { seq, leaf, event }));
                    }
                }
                Item::Break(found) => broken = broken.or(Some(found)),
                Item::End => break,
            }
        }
        match broken {
            Some(found) if scan.so_far()?.tail.is_none() => Err(found.into()),
            _ => Ok(None),
        }
    }

    /// How many records the log has by now. Reads what is behind the last index.
    ///
    /// # Errors
    /// [`AuditError::Io`].
    pub fn size(&self) -> Result<u64, AuditError> {
        let Some(last) = self.segments.last() else { return Ok(0) };
        let (start, tip) = match &last.index {
            Some(Covered { index, tip, .. }) => (index.summary().end, tip),
            None => (last.start, &last.tip),
        };
        let mut scan = last.read_on(self.files, start, tip);
        let mut size = tip.tree.size();
        loop {
            match scan.next()? {
                Item::Batch(batch) => size = batch.commit.map_or(size, |commit| commit.commit.size),
                Item::Break(_) => {}
                Item::End => return Ok(size),
            }
        }
    }

    /// Where the segment stands that this record is in, if any is.
    fn segment_of(&self, seq: u64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.tip.tree.size() <= seq).checked_sub(1)
    }
}

impl Segment<'_> {
    fn read_on<'s>(&'s self, files: &'s dyn Files, from: u64, tip: &Tip) -> SegmentScan<'s> {
        SegmentScan::resume(files, self.keys.number(), from, tip, Some(&self.keys))
    }

    fn broken(&self, seq: u64, offset: u64, what: What) -> Break {
        Break { segment: self.keys.number(), place: Place::Record(seq), seq, offset, what }
    }
}

impl SearchNotes {
    fn index<'a>(&mut self, files: &'a dyn Files, keys: &SegmentKeys) -> io::Result<Option<Covered<'a>>> {
        let index = match IndexFile::open(files, keys)? {
            Ok(index) => index,
            Err(why) => {
                self.damaged += u64::from(why == NotUsed::Damaged);
                self.foreign += u64::from(why == NotUsed::Foreign);
                return Ok(None);
            }
        };
        let tip = index.tip(keys)?;
        self.foreign += u64::from(tip.is_none());
        self.indexed += u64::from(tip.is_some());
        Ok(tip.map(|(tip, is_all)| Covered { index, tip, is_all }))
    }
}

/// The records that a [`Search`] finds. One that is not as it was written is an error in its place, and the search
/// goes on behind it; an error of the disk ends it.
pub struct Matches<'s> {
    files: &'s dyn Files,
    query: &'s Query,
    wanted: Option<Wanted>,
    from: u64,
    segments: std::slice::Iter<'s, Segment<'s>>,
    step: Step<'s>,
    ready: VecDeque<Result<StoredEvent, AuditError>>,
}

/// What is done in the segment that is being searched. There is one of it for each search.
#[allow(clippy::large_enum_variant)]
enum Step<'s> {
    /// Nothing more.
    Next,
    /// Records that its index names are read.
    Fetch(&'s Segment<'s>, Fetch<'s>, std::vec::IntoIter<Hit>),
    /// It is read from a place on.
    Scan(Box<Scan<'s>>),
    End,
}

impl<'s> Matches<'s> {
    /// Searches on until something is ready or there is no more.
    fn go_on(&mut self) -> Result<(), AuditError> {
        match &mut self.step {
            Step::Next => match self.segments.next() {
                Some(segment) => self.step = self.begin(segment)?,
                None => self.step = Step::End,
            },
            Step::Fetch(segment, fetch, hits) => {
                let segment: &'s Segment<'s> = segment;
                let Some(hit) = hits.next() else {
                    self.step = self.behind_index(segment);
                    return Ok(());
                };
                let seq = segment.tip.tree.size() + u64::from(hit.ordinal);
                if seq < self.from {
                    return Ok(());
                }
                match fetch.read(seq, hit.location) {
                    Ok(Some(stored)) if self.query.matches(&stored) => self.ready.push_back(Ok(stored)),
                    Ok(_) => {}
                    Err(AuditError::Broken(found)) => self.ready.push_back(Err(found.into())),
                    Err(error) => return Err(error),
                }
            }
            Step::Scan(scan) => {
                if !scan.read_batch(self.from, self.query, &mut self.ready)? {
                    self.step = Step::Next;
                }
            }
            Step::End => {}
        }
        Ok(())
    }

    fn begin(&self, segment: &'s Segment<'s>) -> Result<Step<'s>, AuditError> {
        let Some(Covered { index, .. }) = &segment.index else {
            return Ok(self.scan(segment, segment.start, &segment.tip));
        };
        if !self.may_be_within(index.summary().earliest, index.summary().latest) {
            return Ok(self.behind_index(segment));
        }
        let Some(wanted) = &self.wanted else { return Ok(self.scan(segment, segment.start, &segment.tip)) };
        match index.find(wanted.tag(index.key())) {
            Ok(hits) => Ok(Step::Fetch(segment, Fetch::new(self.files, &segment.keys), hits.into_iter())),
            Err(Stopped::Damaged) => Ok(self.scan(segment, segment.start, &segment.tip)),
            Err(Stopped::Io(error)) => Err(error.into()),
        }
    }

    fn may_be_within(&self, earliest: Timestamp, latest: Timestamp) -> bool {
        self.query.from.is_none_or(|from| from <= latest)
            && self.query.until.is_none_or(|until| earliest < until)
    }

    /// Reads what was committed behind what the index speaks of.
    fn behind_index(&self, segment: &'s Segment<'s>) -> Step<'s> {
        match &segment.index {
            Some(Covered { index, tip, is_all: false }) => self.scan(segment, index.summary().end, tip),
            _ => Step::Next,
        }
    }

    fn scan(&self, segment: &'s Segment<'s>, from: u64, tip: &Tip) -> Step<'s> {
        let number = segment.keys.number();
        let scan = segment.read_on(self.files, from, tip);
        Step::Scan(Box::new(Scan { scan, number, is_last: segment.is_last, held: Vec::new() }))
    }
}

/// A segment that is read.
struct Scan<'s> {
    scan: SegmentScan<'s>,
    number: u64,
    is_last: bool,
    /// Broken places of the last segment: whether a crash left them, and they are no part of the log, shows at the
    /// end.
    held: Vec<Break>,
}

impl Scan<'_> {
    /// Puts what agrees of the next batch, or the next broken place, into `ready`; `false` at the end.
    fn read_batch(
        &mut self,
        from: u64,
        query: &Query,
        ready: &mut VecDeque<Result<StoredEvent, AuditError>>,
    ) -> Result<bool, AuditError> {
        match self.scan.next()? {
            // One without a commit does not count.
            Item::Batch(batch) if batch.commit.is_none() => {}
            Item::Batch(mut batch) => {
                for place in 0..batch.len() {
                    let Some(record) = batch.record(place) else { break };
                    let (seq, leaf, offset) = (record.seq, record.leaf, record.offset);
                    if record.damaged || seq < from {
                        continue; // damage is a broken place of its own, which comes behind the batch
                    }
                    match event(record) {
                        Ok(Some(event)) => {
                            let stored = StoredEvent { seq: Seq(seq), leaf, event };
                            if query.matches(&stored) {
                                ready.push_back(Ok(stored));
                            }
                        }
                        Ok(None) => {}
                        Err(what) => {
                            let (segment, place) = (self.number, Place::Record(seq));
                            ready.push_back(Err(Break { segment, place, seq, offset, what }.into()));
                        }
                    }
                }
            }
            Item::Break(found) if self.is_last && self.held.len() < MAX_HELD => self.held.push(found),
            Item::Break(found) => ready.push_back(Err(found.into())),
            Item::End => {
                if self.held.is_empty() || self.scan.so_far()?.tail.is_none() {
                    ready.extend(self.held.drain(..).map(|found| Err(found.into())));
                }
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Iterator for Matches<'_> {
    type Item = Result<StoredEvent, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            if matches!(self.step, Step::End) {
                return None;
            }
            if let Err(error) = self.go_on() {
                self.step = Step::End;
                return Some(Err(error));
            }
        }
    }
}

impl FusedIterator for Matches<'_> {}
