//! What segments say of each other, and the report over all of them.

use std::collections::HashMap;

use super::report::{AnchorCheck, AnchorFound, Depth, Erased, Front, State, Torn, VerifyReport};
use super::{Checked, Job, Verifier};
use crate::format::{Mark, Mode, SegmentHeader};
use crate::scan::Reached;
use crate::tree::TreeHead;
use crate::{Break, Place, What};

/// Compares the segments with each other and with the anchors.
pub(super) fn join(verifier: &Verifier<'_>, jobs: Vec<Job>, checked: Vec<Checked>) -> VerifyReport {
    let headers = || jobs.iter().filter_map(|job| job.opened.as_ref().ok()).map(|opened| &opened.header);
    let first = headers().next();
    let mut breaks = Vec::new();
    let mut breaks_in_all = 0;
    let mut before: Option<(&Job, &Checked)> = None;
    let mut good = None;
    for (job, found) in jobs.iter().zip(&checked) {
        let seams = seams(verifier, &jobs, job, first, before);
        breaks_in_all += seams.len() as u64 + found.breaks_in_all;
        breaks.extend(seams);
        // Up to the first break, what the segment says of its end holds.
        if breaks.is_empty() {
            good = found.end.as_ref().or(good);
        }
        breaks.extend(found.breaks.iter().cloned());
        before = Some((job, found));
    }

    let opened = jobs.iter().filter(|job| job.keys.is_some()).count();
    let is_opened = opened == jobs.len();
    let head =
        good.map_or(first.map_or(TreeHead::EMPTY, |first| first.tree.head()), |good| good.tip.tree.head());
    let mut erased = erased(&checked);
    if is_opened {
        let unrecorded = |seq: u64| erased.get(&seq).is_some_and(Option::is_none);
        let found: Vec<_> =
            checked.iter().flat_map(|c| &c.erased).filter(|found| unrecorded(found.seq)).cloned().collect();
        breaks_in_all += found.len() as u64;
        breaks.extend(found);
        breaks.sort_by_key(|found| (found.segment, found.offset));
    }
    let first_seq = first.map_or(0, |first| first.tree.size());
    let front = front(first_seq, &jobs, &checked);
    if front == Front::Unrecorded {
        let segment = jobs.first().map_or(0, |job| job.number);
        breaks_in_all += 1;
        let what = What::PruneUnrecorded { first: first_seq };
        breaks.insert(0, Break { segment, place: Place::Segment, seq: first_seq, offset: 0, what });
    }
    let last = jobs.last().map_or(0, |job| job.number);
    let torn = checked.last().and_then(|found| found.tail.clone()).map(|tail| Torn {
        segment: last,
        offset: tail.offset,
        length: tail.length,
        first_bad: tail.first_bad,
    });
    let roots: Vec<_> = checked.iter().flat_map(|found| &found.roots).copied().collect();
    let mut anchors = Vec::new();
    for &anchor in &verifier.anchors {
        let found = compare(anchor, first_seq, head, &roots, breaks.is_empty());
        let what = match found {
            AnchorFound::RolledBack => Some(What::RolledBack { anchored: anchor.size }),
            AnchorFound::Forked => Some(What::Forked { anchored: anchor.size }),
            _ => None,
        };
        if let Some(what) = what {
            let offset = good.map_or(0, |good| good.end);
            breaks.push(Break { segment: last, place: Place::End, seq: head.size, offset, what });
            breaks_in_all += 1;
        }
        anchors.push(AnchorCheck { anchor, found });
    }
    if !verifier.all {
        breaks.truncate(1);
        breaks_in_all = breaks.len() as u64;
    }
    let mut erased: Vec<_> = erased.drain().map(|(seq, recorded_by)| Erased { seq, recorded_by }).collect();
    erased.sort_by_key(|erased| erased.seq);
    let erased_in_all = erased.len() as u64;
    erased.truncate(VerifyReport::MAX_ERASED);
    VerifyReport {
        log: first.map(|first| first.log),
        mode: first.map_or(Mode::Readable, |first| first.mode),
        depth: if is_opened {
            Depth::Sealed
        } else if opened > 0 {
            Depth::LastSegment
        } else {
            Depth::Structure
        },
        segments: jobs.len() as u64,
        opened: opened as u64,
        first_seq,
        front,
        head,
        last_leaf: good.map_or(crate::Leaf([0; 32]), |good| good.tip.last_leaf),
        last_commit: good.map_or(crate::CommitDigest([0; 32]), |good| good.tip.last_commit),
        state: match good.map(|good| good.mark) {
            Some(Mark::Closed) => State::Closed,
            Some(Mark::SegmentEnd) => State::Cut,
            _ => State::Open,
        },
        torn,
        erased,
        erased_in_all,
        anchors,
        breaks,
        breaks_in_all,
    }
}

/// What is wrong between a segment and those before it.
fn seams(
    verifier: &Verifier<'_>,
    jobs: &[Job],
    job: &Job,
    first: Option<&SegmentHeader>,
    before: Option<(&Job, &Checked)>,
) -> Vec<Break> {
    let mut breaks = Vec::new();
    let broken = |segment, seq, what| Break { segment, place: Place::Segment, seq, offset: 0, what };
    let reached = before.and_then(|(_, found)| found.end.as_ref());
    let seq = reached.map_or(0, |end| end.last.next);
    if let Some((before, _)) = before
        && before.number + 1 != job.number
    {
        breaks.push(broken(before.number + 1, seq, What::MissingSegment));
    }
    let (Ok(opened), Some(first)) = (&job.opened, first) else { return breaks };
    let header = &opened.header;
    if header.log != first.log {
        breaks.push(broken(job.number, seq, What::OtherLog { found: header.log, expected: first.log }));
    } else if header.mode != first.mode {
        breaks.push(broken(job.number, seq, What::OtherMode));
    } else if breaks.is_empty()
        && let Some((_, found)) = before
        && let Some(end) = &found.end
        && found.is_whole
        && !(goes_on(header, &end.last) && (end.mark == Mark::SegmentEnd || found.breaks_in_all > 0))
    {
        breaks.push(broken(job.number, seq, What::Seam));
    }
    // The host's key opens the last segments only; elsewhere, a segment that no key opens is somebody else's.
    let is_for_master =
        header.mode == Mode::Sealed && jobs.iter().any(|later| later.is_host && later.number > job.number);
    if !verifier.keys.is_empty() && job.keys.is_none() && !is_for_master {
        breaks.push(broken(job.number, seq, What::NoKey));
    }
    breaks
}

/// Whether a segment begins where the one before ends, as far as that is known.
fn goes_on(header: &SegmentHeader, last: &Reached) -> bool {
    last.next == header.tree.size()
        && last.last_leaf.is_none_or(|leaf| leaf == header.previous_leaf)
        && last.last_commit.is_none_or(|digest| digest == header.previous_commit)
        && last.tree.as_ref().is_none_or(|tree| *tree == header.tree)
}

/// Whether the log itself says that what is missing in front was pruned.
fn front(first_seq: u64, jobs: &[Job], checked: &[Checked]) -> Front {
    if first_seq == 0 {
        return Front::Whole;
    }
    // One that was interrupted left more than it names.
    let mut recorded =
        checked.iter().filter_map(|found| found.pruned).filter(|(first, _)| *first >= first_seq);
    if let Some((_, by)) = recorded.next_back() {
        return Front::Recorded { by };
    }
    // The record may lie behind the place where the walk ended, or in a segment that did not open.
    let is_looked_at = checked.len() == jobs.len() && checked.iter().all(|found| found.is_whole);
    if is_looked_at && jobs.iter().all(|job| job.keys.is_some()) {
        Front::Unrecorded
    } else {
        Front::NotLookedAt
    }
}

/// Each erased record, and the later one that says so.
fn erased(checked: &[Checked]) -> HashMap<u64, Option<u64>> {
    let mut erased: HashMap<u64, Option<u64>> =
        checked.iter().flat_map(|found| &found.erased).map(|found| (found.seq, None)).collect();
    for &(named, by) in checked.iter().flat_map(|found| &found.erasures) {
        if by > named
            && let Some(recorded) = erased.get_mut(&named)
        {
            recorded.get_or_insert(by);
        }
    }
    erased
}

fn compare(
    anchor: TreeHead,
    first_seq: u64,
    head: TreeHead,
    roots: &[TreeHead],
    is_intact: bool,
) -> AnchorFound {
    if anchor.size == 0 {
        return if anchor == TreeHead::EMPTY { AnchorFound::Extended } else { AnchorFound::Forked };
    }
    match roots.iter().find(|root| root.size == anchor.size && anchor.size <= head.size) {
        Some(root) if *root == anchor => AnchorFound::Extended,
        Some(_) => AnchorFound::Forked,
        None if anchor.size < first_seq => AnchorFound::Pruned,
        None if is_intact && anchor.size > head.size => AnchorFound::RolledBack,
        None => AnchorFound::NotReached,
    }
}
