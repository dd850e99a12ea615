//! Opening a log: where it stands, and what a crash left behind that.

use std::io;

use graft_core::{Action, Clock, Event, FieldValue};
use sha2::{Digest, Sha256};

use super::keys::HostKeys;
use super::own;
use super::retain::{broken, finish_erasing};
use super::tiers::{self, TierFiles};
use super::walk::{Stop, Walk};
use crate::anchor::{AnchorError, Anchored};
use crate::disk::{Disk, DiskFile, Open};
use crate::format::{LogId, MAX_BATCH, Mark, ReadHeader, SEGMENT_PREFIX, SegmentHeader, array};
use crate::format::{segment_name, segment_number};
use crate::sealer::Tip;
use crate::tree::Frontier;
use crate::{AuditError, AuditKey, Break, Place, What};

/// What opening a log set aside: what a crash left behind its last commit.
///
/// It lies in the folder `torn` of the log, in a file named by segment and place; a record `log:recover` vouches for
/// its length and SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// The number of the segment.
    pub segment: u64,
    /// Where it began, in bytes from the start of the segment.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub digest: [u8; 32],
}

/// A log as the disk has it.
pub(super) struct Opened {
    pub(super) ring: HostKeys,
    pub(super) key_from: u64,
    pub(super) log: LogId,
    pub(super) tip: Tip,
    pub(super) file: Box<dyn DiskFile>,
    /// Where the last commit ends.
    pub(super) end: u64,
    /// Whether the segment ends there.
    pub(super) ended: bool,
    pub(super) tiers: TierFiles,
    /// What was set aside and has no record yet.
    pub(super) torn: Vec<Recovered>,
}

/// The numbers of the segments that are there, without a gap.
pub(super) fn segments(disk: &dyn Disk) -> Result<Vec<u64>, AuditError> {
    let mut numbers: Vec<_> = disk.list("")?.iter().filter_map(|name| segment_number(name)).collect();
    // As text, a number of eleven digits comes before one of ten.
    numbers.sort_unstable();
    match numbers.windows(2).find(|pair| pair[0].checked_add(1) != Some(pair[1])) {
        Some(pair) => {
            let (segment, what) = (pair[0].saturating_add(1), What::MissingSegment);
            Err(Break { segment, place: Place::Segment, seq: 0, offset: 0, what }.into())
        }
        None => Ok(numbers),
    }
}

/// A segment's header whose digest is good, with what its key vouches for.
pub(super) struct Header {
    pub(super) parsed: SegmentHeader,
    commitment: [u8; 32],
    maced: Vec<u8>,
    mac: [u8; 32],
}

impl Header {
    pub(super) fn len(&self) -> u64 {
        self.parsed.len() as u64
    }

    /// Where the log stands before the segment.
    pub(super) fn tip(&self) -> Tip {
        let SegmentHeader { tree, previous_leaf, previous_commit, .. } = &self.parsed;
        Tip { tree: tree.clone(), last_leaf: *previous_leaf, last_commit: *previous_commit }
    }
}

/// Reads the header of the segment with this number.
pub(super) fn header(file: &dyn DiskFile, number: u64) -> Result<Header, AuditError> {
    let mut bytes = vec![0; SEGMENT_PREFIX];
    let mut length = SEGMENT_PREFIX;
    let mut found = file.read_full_at(&mut bytes, 0)?;
    if found == length {
        length = SegmentHeader::len_of(&array(&bytes)).map_err(|what| bad_header(number, what))?;
        bytes.resize(length, 0);
        found = file.read_full_at(&mut bytes, 0)?;
    }
    if found < length {
        let what = What::TornTail { found: found as u64, expected: length as u64 };
        return Err(bad_header(number, what));
    }
    let refused = |what| bad_header(number, what);
    let parsed = SegmentHeader::decode(&bytes).map_err(refused)?;
    if parsed.header.number != number {
        return Err(refused(What::OtherSegment { found: parsed.header.number }));
    }
    let ReadHeader { header, commitment, mac, .. } = parsed;
    let maced = parsed.maced.to_vec();
    Ok(Header { parsed: header, commitment, maced, mac })
}

fn bad_header(number: u64, what: What) -> AuditError {
    Break { segment: number, place: Place::Segment, seq: 0, offset: 0, what }.into()
}

/// Finds out where a log stands; what is torn goes to its own folder.
///
/// Every step can be interrupted and done again: a tail is copied before it is overwritten, and a copy whose place
/// is where the log ends has no record yet, since that record would have moved the end.
///
/// `anchored` is asked what the log of this id, which has so many records, has to extend.
pub(super) fn open(
    disk: &dyn Disk,
    key: &AuditKey,
    anchored: impl FnOnce(LogId, u64) -> Result<Option<Anchored>, AuditError>,
) -> Result<Opened, AuditError> {
    let Some(&number) = segments(disk)?.last() else { return Err(AuditError::Missing) };
    // A process that was killed may have left names that are seen and not durable, and what follows builds on them.
    disk.sync_folder("")?;
    for name in disk.list("")? {
        if name.strip_suffix(".new").and_then(segment_number).is_some() {
            disk.remove(&name)?;
        }
    }
    finish_erasing(disk)?;
    let mut file = disk.open(&segment_name(number), Open::Write)?;
    let Header { parsed: header, commitment, maced, mac } = header(&*file, number)?;
    let refused = |what| bad_header(number, what);
    let ring = HostKeys::open(disk, header.mode, key, header.log, number)?;
    let keys = ring.segment();
    if !keys.is_committed(&commitment) {
        return Err(AuditError::WrongKey);
    }
    if !keys.is_header_mac(&maced, &mac) {
        return Err(refused(What::Forged));
    }
    let tip = Tip {
        tree: header.tree.clone(),
        last_leaf: header.previous_leaf,
        last_commit: header.previous_commit,
    };
    let first = tip.tree.size();

    let mut tiers = TierFiles::default();
    let mut completed = Vec::new();
    let mut walk = Walk::new(&*file, Some(&keys), tip, header.len() as u64);
    // Where the last batch began, if a part in it is zeros: erasing leaves no such batch, and a crash may.
    let mut doubtful = None;
    // Without a batch the header is what was written last.
    let mut last_from = 0;
    let stop = loop {
        let (before, from, mark) = (walk.tip.clone(), walk.end, walk.mark);
        let mut has_zeros = false;
        let known = completed.len();
        match walk.batch(|record| {
            has_zeros |= record.is_erased;
            completed.extend_from_slice(record.completed);
        }) {
            Ok(()) => {
                last_from = from;
                doubtful = has_zeros.then_some((before, from, mark, known));
            }
            Err(Ok(stop)) => {
                completed.truncate(known);
                break stop;
            }
            Err(Err(error)) => return Err(error),
        }
    };
    if let (Stop::End, Some((tip, end, mark, known))) = (&stop, doubtful) {
        (walk.tip, walk.end, walk.mark) = (tip, end, mark);
        completed.truncate(known);
    }
    let tail = tail(&*file, walk.end)?;
    let is_too_long = |tail: u64| tail - walk.end > MAX_BATCH as u64;
    if tail.is_some_and(is_too_long) || tail.is_some() && !walk.is_torn()? {
        let what = match stop {
            Stop::Broken(what) => what,
            Stop::End => What::DamagedBody,
        };
        return Err(broken(number, &walk, what));
    }
    let (tip, end, ended) = (walk.tip, walk.end, walk.mark == Mark::SegmentEnd);
    if let Some(kept) = anchored(header.log, tip.tree.size())? {
        ensure_extends(disk, number, end, &tip, &kept)?;
    }
    write_again(&mut *file, last_from.min(end), end)?;
    if let Some(tail_end) = tail {
        set_aside(disk, &mut *file, number, end, tail_end)?;
    }
    let torn = unrecorded(disk, number, end)?;
    if tail.is_none()
        && let Some(longest) = torn.iter().map(|torn| torn.bytes).max()
    {
        // Whoever set it aside may not have got as far as to sync the zeros.
        clear(&mut *file, end, end + longest)?;
    }

    if !tiers::reach(disk, first)? {
        rebuild(disk, &mut tiers, number)?;
    }
    tiers.append(disk, &completed)?;
    let (key_from, log) = (header.key_from, header.log);
    Ok(Opened { ring, key_from, log, tip, file, end, ended, tiers, torn })
}

/// Goes from the segment that holds the anchored size to the end of the log: the tree that grows there has to be
/// the anchored one at that size, and that of the log at the end.
fn ensure_extends(
    disk: &dyn Disk,
    last: u64,
    end: u64,
    tip: &Tip,
    kept: &Anchored,
) -> Result<(), AuditError> {
    let (size, given) = (kept.head.size, tip.tree.size());
    if size > given {
        return Err(AnchorError::Backwards { kept: size, given }.into());
    }
    let mut from = Vec::new();
    for number in segments(disk)?.into_iter().rev() {
        let file = disk.open(&segment_name(number), Open::Read)?;
        let header = header(&*file, number)?;
        let is_before = header.parsed.tree.size() <= size;
        from.push(number);
        if is_before {
            break;
        }
    }
    let mut matches = false;
    let mut before: Option<Tip> = None;
    for number in from.into_iter().rev() {
        let file = disk.open(&segment_name(number), Open::Read)?;
        let header = header(&*file, number)?;
        let (length, begins) = (header.len(), header.tip());
        if before.is_some_and(|before| before != begins) {
            return Err(AnchorError::Fork.into());
        }
        let is_kept = |tree: &Frontier| tree.size() == size && tree.root() == kept.head.root;
        matches |= is_kept(&begins.tree);
        let mut walk = Walk::new(&*file, None, begins, length);
        while number < last || walk.end < end {
            let mut tree = walk.tip.tree.clone();
            let step = walk.batch(|record| {
                tree.push(record.leaf);
                matches |= is_kept(&tree);
            });
            match step {
                Ok(()) => {}
                Err(Ok(Stop::End)) => break,
                Err(Ok(Stop::Broken(what))) => return Err(broken(number, &walk, what)),
                Err(Err(error)) => return Err(error),
            }
        }
        before = Some(walk.tip);
    }
    if matches && before.as_ref() == Some(tip) { Ok(()) } else { Err(AnchorError::Fork.into()) }
}

/// The records that say what was set aside.
pub(super) fn records(clock: &dyn Clock, torn: &[Recovered]) -> Vec<Event> {
    let record = |torn: &Recovered| {
        let fields = [
            ("segment", FieldValue::U64(torn.segment)),
            ("offset", FieldValue::U64(torn.offset)),
            ("bytes", FieldValue::U64(torn.bytes)),
            ("sha-256", own::hex(&torn.digest)),
        ];
        own::event(clock, Action::LogRecover, fields)
    };
    torn.iter().map(record).collect()
}

/// Where the last byte behind `end` that is not zero ends; `None` if there is none.
fn tail(file: &dyn DiskFile, end: u64) -> io::Result<Option<u64>> {
    let mut chunk = vec![0; 256 * 1024];
    let (mut at, mut last) = (end, None);
    loop {
        let read = file.read_full_at(&mut chunk, at)?;
        if let Some(found) = chunk[..read].iter().rposition(|byte| *byte != 0) {
            last = Some(at + found as u64 + 1);
        }
        // More than a crash can leave is not looked at.
        if read < chunk.len() || last.is_some_and(|last| last - end > MAX_BATCH as u64) {
            return Ok(last);
        }
        at += read as u64;
    }
}

/// The name of the n-th copy of what was torn at a place.
fn copy_name(number: u64, offset: u64, attempt: u32) -> String {
    let ending = if attempt > 1 { format!("-{attempt}") } else { String::new() };
    format!("torn/{number:010}-{offset:020}{ending}")
}

/// Copies the tail, and overwrites it with zeros once the copy is safe.
fn set_aside(
    disk: &dyn Disk,
    file: &mut dyn DiskFile,
    number: u64,
    from: u64,
    to: u64,
) -> Result<(), AuditError> {
    let attempt = 1 + copies(disk, number, from)?.len() as u32;
    let name = copy_name(number, from, attempt);
    // Not `.new` behind the name, which would be in the way of the next attempt's.
    let mut copy = disk.open("torn/unfinished", Open::Truncated)?;
    let mut chunk = vec![0; 64 * 1024];
    let mut at = from;
    while at < to {
        let length = chunk.len().min((to - at) as usize);
        let read = file.read_full_at(&mut chunk[..length], at)?;
        copy.write_all_at(&chunk[..read], at - from)?;
        at += read as u64;
        if read < length {
            break;
        }
    }
    copy.sync()?;
    disk.rename("torn/unfinished", &name)?;
    disk.sync_folder("torn")?;
    Ok(clear(file, from, to)?)
}

/// Overwrites with zeros, and returns once they are on the disk.
fn clear(file: &mut dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; 64 * 1024];
    let mut at = from;
    while at < to {
        let length = zeros.len().min((to - at) as usize);
        file.write_all_at(&zeros[..length], at)?;
        at += length as u64;
    }
    file.sync()
}

/// Writes the last batch over itself, and returns once it is on the disk. It was read, but if the sync behind it
/// failed or never came, only memory has it, and a sync alone would not write what the system takes for clean.
/// The batches before it were synced before it was written.
fn write_again(file: &mut dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let mut last = vec![0; (to - from) as usize];
    let read = file.read_full_at(&mut last, from)?;
    file.write_all_at(&last[..read], from)?;
    file.sync()
}

/// The copies of what was torn at this place.
fn copies(disk: &dyn Disk, number: u64, offset: u64) -> io::Result<Vec<String>> {
    let first = copy_name(number, offset, 1);
    let is_copy = |name: &String| first.strip_prefix("torn/").is_some_and(|first| name.starts_with(first));
    Ok(disk.list("torn")?.into_iter().filter(is_copy).map(|name| format!("torn/{name}")).collect())
}

/// What was set aside at the place where the log ends: the record of it is still to be written.
fn unrecorded(disk: &dyn Disk, number: u64, offset: u64) -> Result<Vec<Recovered>, AuditError> {
    let mut all = Vec::new();
    for name in copies(disk, number, offset)? {
        let copy = disk.open(&name, Open::Read)?;
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let read = copy.read_full_at(&mut chunk, bytes)?;
            hash.update(&chunk[..read]);
            bytes += read as u64;
            if read < chunk.len() {
                break;
            }
        }
        all.push(Recovered { segment: number, offset, bytes, digest: hash.finalize().into() });
    }
    Ok(all)
}

/// Makes the files of the tree anew from all segments before the last: they were removed, or not synced.
fn rebuild(disk: &dyn Disk, tiers: &mut TierFiles, last: u64) -> Result<(), AuditError> {
    for number in segments(disk)?.into_iter().filter(|number| *number < last) {
        let file = disk.open(&segment_name(number), Open::Read)?;
        let header = header(&*file, number)?;
        let mut walk = Walk::new(&*file, None, header.tip(), header.len());
        let mut completed = Vec::new();
        loop {
            completed.clear();
            match walk.batch(|record| completed.extend_from_slice(record.completed)) {
                Ok(()) => tiers.append(disk, &completed)?,
                Err(Ok(Stop::End)) => break,
                Err(Ok(Stop::Broken(what))) => return Err(broken(number, &walk, what)),
                Err(Err(error)) => return Err(error),
            }
        }
    }
    tiers.sync(disk)?;
    Ok(())
}

/// Nothing may be written where a log is.
pub(super) fn ensure_none(disk: &dyn Disk) -> Result<(), AuditError> {
    let any = disk.list("")?.iter().any(|name| segment_number(name).is_some());
    if any { Err(AuditError::Exists) } else { Ok(()) }
}
