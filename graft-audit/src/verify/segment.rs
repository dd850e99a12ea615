//! One segment of a verification.

use std::io;
use std::time::Duration;

use graft_core::{Action, FieldValue};

use super::{Job, VerifyReport};
use crate::format::PartKind;
use crate::scan::{Batch, Files, Item, Part, SegmentEnd, SegmentScan, Tail};
use crate::tree::TreeHead;
use crate::{Break, Place, What, body, fields};

/// How often the end of the last segment is read again if it seems torn: it may be a batch that is being written.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 10 });
/// How many erased records a report can account for; more are a break of their own.
const MAX_ERASED: usize = 1 << 20;

/// What a walk over one segment found.
#[derive(Default)]
pub(crate) struct Checked {
    /// Records in committed batches.
    pub(crate) records: u64,
    pub(crate) breaks: Vec<Break>,
    /// With those that were too many to keep.
    pub(crate) breaks_in_all: u64,
    pub(crate) erased: Vec<Break>,
    /// The sequence that an erasing record names, and its own.
    pub(crate) erasures: Vec<(u64, u64)>,
    /// Where the kept part begins by the last word of the log on it, and the record that says so.
    pub(crate) pruned: Option<(u64, u64)>,
    /// The roots at the sizes of the anchors.
    pub(crate) roots: Vec<TreeHead>,
    /// How it ends, or stood where the walk stopped; `None` if the header is bad.
    pub(crate) end: Option<SegmentEnd>,
    /// Whether the walk came to the end.
    pub(crate) is_whole: bool,
    /// In the last segment: what a crash may have left.
    pub(crate) tail: Option<Tail>,
}

impl Checked {
    pub(crate) fn first_bad(&self) -> Option<&Break> {
        self.breaks.first()
    }

    fn erased(&mut self, found: Break) {
        if self.erased.len() < MAX_ERASED {
            self.erased.push(found);
        } else {
            self.broken(found);
        }
    }

    fn erasure(&mut self, named: u64, by: u64) {
        if self.erasures.len() < MAX_ERASED {
            self.erasures.push((named, by));
        }
    }

    fn prune(&mut self, first: u64, by: u64) {
        if self.pruned.is_none_or(|(known, _)| known <= first) {
            self.pruned = Some((first, by));
        }
    }

    /// All that was found behind the last good commit, before which there are so many records, is in a torn tail.
    fn forget_behind(&mut self, size: u64) {
        (self.breaks, self.breaks_in_all) = (Vec::new(), 0);
        self.erased.retain(|found| found.seq < size);
        self.erasures.retain(|(_, by)| *by < size);
        self.pruned = self.pruned.filter(|(_, by)| *by < size);
    }

    fn broken(&mut self, found: Break) {
        self.breaks_in_all += 1;
        if self.breaks.len() < VerifyReport::MAX_BREAKS {
            self.breaks.push(found);
        }
    }
}

pub(crate) fn check_segment(
    files: &dyn Files,
    job: &Job,
    all: bool,
    anchors: &[TreeHead],
    progress: &dyn Fn(u64, u64),
) -> io::Result<Checked> {
    let mut checked = Checked::default();
    let opened = match &job.opened {
        Ok(opened) => opened,
        Err(what) => {
            let found = Break { segment: job.number, place: Place::Segment, seq: 0, offset: 0, what: *what };
            checked.broken(found);
            return Ok(checked);
        }
    };
    let mut scan =
        SegmentScan::new(files, &opened.header, opened.len, job.keys.as_ref()).in_last(job.is_last);
    scan.watch(anchors.iter().map(|anchor| anchor.size).collect());
    let mut walk = Walk { all, is_last: job.is_last, number: job.number, progress, checked };
    let mut is_whole = walk.walk(&mut scan)?;
    let mut end = scan.so_far()?;
    walk.checked.roots.extend_from_slice(scan.roots());
    for _ in 0..LOOKS {
        if !job.is_last || !is_whole || end.tail.is_none() {
            break;
        }
        std::thread::sleep(BETWEEN_LOOKS);
        walk.checked.forget_behind(end.tip.tree.size());
        let mut scan =
            SegmentScan::resume(files, job.number, end.end, &end.tip, job.keys.as_ref()).in_last(true);
        scan.watch(
            anchors.iter().map(|anchor| anchor.size).filter(|&size| size > end.tip.tree.size()).collect(),
        );
        is_whole = walk.walk(&mut scan)?;
        let mark = end.mark;
        end = scan.so_far()?;
        if end.end == scan.began() {
            end.mark = mark;
        }
        walk.checked.roots.extend_from_slice(scan.roots());
    }
    let mut checked = walk.checked;
    if job.is_last
        && is_whole
        && let Some(tail) = end.tail.take()
    {
        // No commit lies behind, so all that was found is in the tail.
        checked.forget_behind(end.tip.tree.size());
        checked.tail = Some(tail);
    }
    (checked.end, checked.is_whole) = (Some(end), is_whole);
    Ok(checked)
}

struct Walk<'w> {
    all: bool,
    is_last: bool,
    number: u64,
    progress: &'w dyn Fn(u64, u64),
    checked: Checked,
}

impl Walk<'_> {
    /// Walks to the end, or to the first break; returns whether it came to the end.
    fn walk(&mut self, scan: &mut SegmentScan<'_>) -> io::Result<bool> {
        while self.goes_on(scan) {
            match scan.next()? {
                Item::Batch(batch) => self.batch(batch),
                Item::Break(found) => self.checked.broken(found),
                Item::End => return Ok(true),
            }
        }
        Ok(false)
    }

    fn goes_on(&self, scan: &SegmentScan<'_>) -> bool {
        let Some(first) = self.checked.first_bad() else { return true };
        // Whether the first break in the last segment is a torn tail shows only behind it.
        self.all || (self.is_last && first.what.may_be_torn() && !scan.is_commit_behind())
    }

    fn batch(&mut self, mut batch: Batch<'_>) {
        let (records, is_committed) = (batch.len(), batch.commit.is_some());
        for index in 0..records {
            let Some(record) = batch.record(index) else { break };
            let (seq, offset) = (record.seq, record.offset);
            let place = |what| Break { segment: self.number, place: Place::Record(seq), seq, offset, what };
            if record.damaged {
                // The scan names it.
                continue;
            }
            if record.erased && is_committed {
                self.checked.erased(place(What::ErasedUnrecorded));
            }
            let (mut own, mut seq_field, mut first_field) = (None, None, None);
            let opened = record.open(|kind, part| match (kind, part) {
                (PartKind::Event, Part::Body(bytes)) => {
                    own = body::check(bytes)?;
                    Ok(())
                }
                (PartKind::Fields, Part::Body(bytes)) => {
                    let fields = fields::decode(bytes)?;
                    let number = |name| match fields.find(name) {
                        Some(FieldValue::U64(number)) => Some(*number),
                        _ => None,
                    };
                    (seq_field, first_field) = (number("seq"), number("first"));
                    Ok(())
                }
                _ => Ok(()),
            });
            match (opened, own) {
                (Err(what), _) => self.checked.broken(place(what)),
                (Ok(()), Some(own)) if is_committed => match (own.0, seq_field, first_field) {
                    (Action::LogErase, Some(named), _) => self.checked.erasure(named, seq),
                    (Action::LogPrune, _, Some(first)) => self.checked.prune(first, seq),
                    _ => {}
                },
                _ => {}
            }
        }
        if is_committed {
            self.checked.records += records as u64;
        }
        (self.progress)(records as u64, batch.bytes_len() as u64);
    }
}
