//! Damaged, cut, reordered, exchanged and forged logs: each is found and named.

use super::*;
use crate::format::{LogId, MAX_BATCH, Mark, Mode, segment_name};
use crate::sample_log::{MemoryFiles, SampleLog, erasure, event, key, small};
use crate::tree::{Frontier, TreeHead};
use crate::{Break, Place, What};

fn verify(files: &MemoryFiles, keys: &[u8]) -> Result<VerifyReport, AuditError> {
    Verifier::new().keys(keys.iter().map(|&n| key(n)).collect()).verify_files(files)
}

fn intact(files: &MemoryFiles, keys: &[u8]) -> VerifyReport {
    verify(files, keys).expect("reads").ensure_intact().expect("intact")
}

/// The first bad place, the same with and without the key.
fn first_bad(files: &MemoryFiles, keys: &[u8]) -> Break {
    let both = [keys, &[]].map(|keys| verify(files, keys).expect("reads").breaks.first().cloned());
    assert_eq!(both[0], both[1]);
    both[0].clone().expect("it is found")
}

#[test]
fn a_good_log_is_intact_with_its_key_and_without() {
    for mode in [Mode::Readable, Mode::Sealed] {
        let log = small(1, mode);
        let sealed = intact(&log.files, &[1]);
        assert_eq!((sealed.records(), sealed.segments, sealed.opened), (12, 3, 3));
        assert_eq!((sealed.state, sealed.depth, sealed.mode), (State::Closed, Depth::Sealed, mode));
        assert_eq!((sealed.head, sealed.last_leaf), (log.tip().tree.head(), log.tip().last_leaf));
        assert_eq!(sealed.last_commit, log.tip().last_commit);
        let structure = intact(&log.files, &[]);
        assert_eq!((structure.depth, structure.opened), (Depth::Structure, 0));
        assert_eq!(VerifyReport { depth: Depth::Sealed, opened: 3, ..structure }, sealed);
        assert!(matches!(verify(&log.files, &[2]), Err(AuditError::WrongKey)));
    }
}

#[test]
fn threads_change_nothing() {
    let mut log = small(1, Mode::Readable);
    log.files.segment(1)[500] ^= 1;
    for all in [false, true] {
        let reports = [1, 2, 7].map(|threads| {
            let verifier = Verifier::new().key(key(1)).all(all).threads(threads);
            verifier.verify_files(&log.files).expect("reads")
        });
        assert_eq!(reports[0], reports[1]);
        assert_eq!(reports[0], reports[2]);
        assert!(reports[0].first_bad().is_some());
    }
}

/// Where the last committed batch of the last segment begins, and what lies where in each segment.
fn map(log: &mut SampleLog) -> Vec<Vec<std::ops::Range<usize>>> {
    (0..3).map(|number| crate::reference::frames(log.files.segment(number))).collect()
}

#[test]
fn flipping_any_byte_is_found_and_named() {
    for (mode, ways) in [(Mode::Readable, &[&[1][..], &[]][..]), (Mode::Sealed, &[&[1]])] {
        let mut log = small(1, mode);
        let map = map(&mut log);
        // The last batch has no record, so it is header and commit.
        let last_batch = map[2][map[2].len() - 2].start;
        let frames = (0..3).flat_map(|number| map[number].iter().map(move |frame| (number as u64, frame)));
        let kinds = [b'B' ^ b'R', b'R' ^ b'C', b'C' ^ b'B'].map(|mask| (0, mask));
        for (number, frame) in frames {
            let flips = frame.clone().map(|at| (at, if at % 2 == 0 { 1 } else { 0x80 }));
            for (at, mask) in flips.chain(kinds.map(|(_, mask)| (frame.start, mask))) {
                let mut files = log.files.clone();
                files.segment(number)[at] ^= mask;
                let place = (number, frame.start as u64);
                for keys in ways.iter().take(if at % 8 == 0 { 2 } else { 1 }) {
                    let report = verify(&files, keys).expect("the other segments have the key");
                    if number == 2 && at >= last_batch {
                        let torn = report.torn.as_ref().expect("it may be torn");
                        assert_eq!((torn.first_bad.segment, torn.first_bad.offset), place);
                        assert_eq!((report.records(), torn.offset), (12, last_batch as u64));
                    } else {
                        let found = report.first_bad().unwrap_or_else(|| unreachable!("{place:?} {at}"));
                        assert_eq!((found.segment, found.offset), place, "{found}");
                    }
                    assert!(report.ensure_intact().is_err());
                }
            }
        }
    }
}

#[test]
fn with_all_every_break_is_reported_and_what_is_good_behind_it_is_still_checked() {
    let mut log = small(1, Mode::Readable);
    let map = map(&mut log);
    // A body, a record's header, a commit, in three segments; and a body in the last batch of the second.
    let flips = [
        (0, map[0][2].start + 100),
        (0, map[0][3].start + 20),
        (1, map[1][5].start + 100),
        (2, map[2][3].start + 60),
        (1, map[1][7].end - 1),
    ];
    let mut files = log.files.clone();
    for (number, at) in flips {
        files.segment(number)[at] ^= 1;
    }
    for keys in [&[1][..], &[]] {
        let verifier = Verifier::new().keys(keys.iter().map(|&n| key(n)).collect()).all(true);
        let report = verifier.verify_files(&files).expect("reads");
        let places: Vec<_> =
            report.breaks.iter().map(|found| (found.segment, found.place, found.what)).collect();
        assert_eq!(
            places,
            [
                (0, Place::Record(0), What::DamagedBody),
                (0, Place::Record(1), What::DamagedHeader),
                (1, Place::Commit, What::DamagedHeader),
                (1, Place::Record(8), What::DamagedBody),
                (2, Place::Record(10), What::DamagedHeader),
            ],
        );
        assert_eq!(report.breaks_in_all, 5);
    }
}

#[test]
fn the_reference_reads_the_same() {
    let mut log = small(1, Mode::Readable);
    log.singles(12..150);
    let segments: Vec<_> = log.files.0.values().cloned().collect();
    let secret: [u8; 32] = key(1).expose_secret().try_into().expect("32 bytes");
    let segments: Vec<_> = segments.iter().map(|segment| (&segment[..], secret)).collect();
    let (leaves, bodies) = crate::reference::read(&segments);
    assert_eq!((leaves.len(), bodies.len()), (150, 150));
    let report = intact(&log.files, &[1]);
    assert_eq!((report.head.size, report.head.root.0), (150, crate::reference::root(&leaves)));
    assert_eq!(report.last_leaf.0, leaves[149]);
    assert_eq!(crate::body::decode(&bodies[149][0]).expect("canonical"), event(149));
}

#[test]
fn truncating_anywhere_leaves_whole_batches_or_is_found() {
    let mut log = small(1, Mode::Readable);
    let map = map(&mut log);
    let commits: Vec<_> =
        map[2].windows(2).filter(|pair| pair[1].len() == 168).map(|pair| pair[1].end).collect();
    for length in 0..log.len() {
        let mut files = log.files.clone();
        files.segment(2).truncate(length);
        for keys in [&[1][..], &[]] {
            let report = verify(&files, keys).expect("the other segments have the key");
            let whole = commits.iter().copied().chain([map[2][0].end]).filter(|&end| end <= length).max();
            // A segment has its header from the beginning, so no crash leaves one without.
            let is_found = report.breaks.first().map(|found| (found.segment, found.place));
            assert_eq!(is_found, whole.is_none().then_some((2, Place::Segment)));
            match (&report.torn, whole) {
                (None, Some(end)) => assert_eq!(end, length),
                (Some(torn), Some(end)) => assert_eq!((torn.offset, torn.length > 0), (end as u64, true)),
                (torn, None) => assert!(torn.is_none()),
            }
            assert_ne!(report.state, State::Closed);
        }
        // Of any segment but the last, it is no torn end.
        let mut files = log.files.clone();
        let cut = files.segment(1);
        cut.truncate(length.min(cut.len() - 1));
        let found = first_bad(&files, &[1]);
        assert!(found.segment == 1 || (found.segment, found.what) == (2, What::Seam), "{found}");
    }
}

/// Takes the frames of the segment apart, and puts it together again from some of them.
fn rebuilt(log: &mut SampleLog, number: u64, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> MemoryFiles {
    let segment = log.files.segment(number).clone();
    let mut frames =
        crate::reference::frames(&segment).into_iter().map(|frame| segment[frame].to_vec()).collect();
    change(&mut frames);
    let mut files = log.files.clone();
    *files.segment(number) = frames.concat();
    files
}

#[test]
fn frames_that_are_removed_repeated_swapped_or_moved_are_found_and_named() {
    // In segment 0: header, B, R0, R1, R2, C, B, R3, C, B, R4, C, B, C.
    let what = |change: fn(&mut Vec<Vec<u8>>)| {
        let found = first_bad(&rebuilt(&mut small(1, Mode::Readable), 0, change), &[1]);
        (found.segment, found.place, found.what)
    };
    let out_of_order = |found, expected| What::OutOfOrder { found, expected };
    assert_eq!(what(|f| drop(f.remove(3))), (0, Place::Record(2), out_of_order(2, 1)));
    assert_eq!(what(|f| drop(f.remove(4))), (0, Place::Commit, What::WrongSize { found: 3, expected: 2 }));
    assert_eq!(what(|f| f.insert(4, f[3].clone())), (0, Place::Record(1), out_of_order(1, 2)));
    assert_eq!(what(|f| f.swap(2, 3)), (0, Place::Record(1), out_of_order(1, 0)));
    assert_eq!(what(|f| drop(f.remove(5))), (0, Place::Batch, What::NoCommit));
    assert_eq!(what(|f| drop(f.remove(1))), (0, Place::Record(0), What::Misplaced));
    assert_eq!(what(|f| drop(f.drain(6..9))), (0, Place::Batch, out_of_order(4, 3)));
    assert_eq!(what(|f| f.extend_from_within(6..9)), (0, Place::Batch, What::BehindEnd));
    let again = |f: &mut Vec<Vec<u8>>| {
        let batch = f[6..9].to_vec();
        drop(f.splice(9..9, batch));
    };
    assert_eq!(what(again), (0, Place::Batch, out_of_order(3, 4)));
    // An empty batch, which only a mark allows, taken out: the chain of commits shows it.
    assert_eq!(what(|f| drop(f.drain(12..))), (1, Place::Segment, What::Seam));
}

#[test]
fn what_comes_from_another_log_segment_or_batch_is_found_and_named() {
    let mut log = small(1, Mode::Readable);
    let mut other = SampleLog::new(2, Mode::Readable, key(1));
    other.batch(&[event(0), event(1), event(2)], Mark::None);
    let foreign = other.files.segment(0).clone();
    let foreign: Vec<_> =
        crate::reference::frames(&foreign).into_iter().map(|frame| foreign[frame].to_vec()).collect();
    let mut put = |at: usize, frame: Vec<u8>| {
        let found = first_bad(&rebuilt(&mut log, 0, |frames| frames[at] = frame), &[1]);
        (found.place, matches!(found.what, What::WrongPrevious { .. }), found.what)
    };
    assert!(put(2, foreign[2].clone()).1);
    assert_eq!(put(5, foreign[5].clone()).0, Place::Commit);
    assert_eq!(put(1, foreign[1].clone()).2, What::WrongSalt);

    let mut log = small(1, Mode::Readable);
    let mut files = log.files.clone();
    *files.segment(1) = log.files.segment(2).clone();
    assert_eq!(first_bad(&files, &[1]).what, What::OtherSegment { found: 2 });
    *files.segment(1) = small(2, Mode::Readable).files.segment(1).clone();
    let (found, expected) = (LogId([2; 16]), LogId([1; 16]));
    assert_eq!(first_bad(&files, &[1, 2]).what, What::OtherLog { found, expected });
    files.0.remove(&segment_name(1));
    let found = first_bad(&files, &[1]);
    assert_eq!((found.segment, found.what), (1, What::MissingSegment));
    *files.segment(1) = small(1, Mode::Sealed).files.segment(1).clone();
    assert_eq!(verify(&files, &[1]).expect("reads").breaks[0].what, What::OtherMode);
}

#[test]
fn a_log_that_somebody_wrote_anew_passes_without_the_key_and_not_with_it() {
    let mut log = small(1, Mode::Readable);
    // The same ids and events, under another key, behind a good first segment.
    let mut forged = small(1, Mode::Readable);
    let mut anew = SampleLog::new(1, Mode::Readable, key(9));
    anew.batch(&[event(6)], Mark::None);
    *forged.files.segment(2) = anew.files.segment(0).clone();
    assert!(verify(&forged.files, &[1]).expect("reads").first_bad().is_some());
    assert!(matches!(verify(&anew.files, &[1]), Err(AuditError::WrongKey)));
    assert!(intact(&anew.files, &[]).torn.is_none());

    // A commit made anew by somebody without the key has a good check and no MAC.
    let files = rebuilt(&mut log, 2, |frames| {
        let last = frames.len() - 1;
        let commit =
            crate::format::Commit::decode(&crate::format::array(&frames[last])).expect("good").commit;
        frames[last] = commit.encode(|_| [7; 32]).0.to_vec();
    });
    assert_eq!(intact(&files, &[]).records(), 12);
    let found = verify(&files, &[1]).expect("reads").breaks[0].clone();
    assert_eq!((found.place, found.what), (Place::Commit, What::Forged));
    // As if a writer had lost its key in the middle: the second segment under another, and no key for it.
    let mut rotated = SampleLog::new(1, Mode::Readable, key(1));
    rotated.singles(0..2);
    rotated.rotate(Some(key(5)));
    rotated.singles(2..4);
    assert_eq!(verify(&rotated.files, &[1]).expect("reads").breaks[0].what, What::NoKey);
    assert_eq!((intact(&rotated.files, &[1, 5]).opened, intact(&rotated.files, &[5, 1]).opened), (2, 2));
}

#[test]
fn the_hosts_key_opens_the_last_segment_and_the_master_keys_all() {
    let mut log = small(1, Mode::Sealed);
    log.keep_ratchet(&key(7));
    let report = intact(&log.files, &[7]);
    assert_eq!(
        (report.depth, report.opened, report.segments, report.records()),
        (Depth::LastSegment, 1, 3, 12)
    );
    assert_eq!(intact(&log.files, &[1]).depth, Depth::Sealed);
    assert_eq!(intact(&log.files, &[7, 1]).depth, Depth::Sealed);
    log.rotate(Some(key(3)));
    log.singles(12..13);
    log.rotate(None);
    log.singles(13..14);
    assert_eq!(intact(&log.files, &[3, 1]).opened, 5);
    // The file `ratchet` of two segments ago is turned on, but not over another master key.
    assert_eq!(verify(&log.files, &[7]).expect("reads").breaks.len(), 1);
    log.files.0.remove("ratchet");
    assert!(matches!(verify(&log.files, &[7]), Err(AuditError::WrongKey)));
}

#[test]
fn an_old_copy_and_a_rewritten_history_are_seen_by_an_anchor_alone() {
    let mut log = small(1, Mode::Readable);
    let heads: Vec<TreeHead> = {
        let secret: [u8; 32] = key(1).expose_secret().try_into().expect("32 bytes");
        let segments: Vec<_> = log.files.0.values().map(|segment| (&segment[..], secret)).collect();
        let (leaves, _) = crate::reference::read(&segments);
        let mut tree = Frontier::new();
        leaves.iter().for_each(|leaf| tree.push(crate::Leaf(*leaf)));
        (0..=12)
            .map(|n| TreeHead {
                size: n,
                root: crate::TreeHash(crate::reference::root(&leaves[..n as usize])),
            })
            .collect()
    };
    let check = |files: &MemoryFiles, anchor: TreeHead, keys: &[u8]| {
        let verifier = Verifier::new().keys(keys.iter().map(|&n| key(n)).collect()).anchor(anchor).threads(2);
        let report = verifier.verify_files(files).expect("reads");
        assert_eq!(report.anchors.len(), 1);
        (report.anchors[0].found, report.breaks.first().map(|found| found.what))
    };
    // Any size will do, also one in the middle of a batch.
    for head in &heads {
        for keys in [&[1][..], &[]] {
            assert_eq!(check(&log.files, *head, keys), (AnchorFound::Extended, None));
        }
    }
    // Cut at a commit, the log is intact, and one record short of what the anchor knows.
    let map = map(&mut log);
    let mut old = log.files.clone();
    old.segment(2).truncate(map[2][4].end);
    let report = intact(&old, &[1]);
    assert_eq!((report.records(), report.state), (11, State::Open));
    assert!(report.to_string().ends_with("\nno anchor: a rollback to a commit boundary cannot be seen"));
    assert_eq!(check(&old, heads[11], &[1]), (AnchorFound::Extended, None));
    let rolled_back = (AnchorFound::RolledBack, Some(What::RolledBack { anchored: 12 }));
    assert_eq!(check(&old, heads[12], &[1]), rolled_back);
    let mut forked = SampleLog::new(1, Mode::Readable, key(1));
    forked.singles(0..20);
    assert_eq!(
        check(&forked.files, heads[12], &[1]),
        (AnchorFound::Forked, Some(What::Forked { anchored: 12 }))
    );
    // Without the first segments, an anchor from before cannot be compared; one at their end can.
    let mut pruned = log.files.clone();
    pruned.0.remove(&segment_name(0));
    let report = intact(&pruned, &[]);
    assert_eq!((report.first_seq, report.records(), report.head), (5, 7, heads[12]));
    assert_eq!(check(&pruned, heads[4], &[]), (AnchorFound::Pruned, None));
    assert_eq!(check(&pruned, heads[5], &[]), (AnchorFound::Extended, None));
}

#[test]
fn an_erased_part_is_accepted_only_with_a_later_record_of_it() {
    let mut log = small(1, Mode::Readable);
    let map = map(&mut log);
    // The part of record 3, which lies at the end of its frame.
    let record = map[0][7].clone();
    log.files.segment(0)[record.start + 92..record.end].fill(0);
    let report = verify(&log.files, &[1]).expect("reads");
    assert_eq!((report.breaks[0].place, report.breaks[0].what), (Place::Record(3), What::ErasedUnrecorded));
    // Without the key it can only be counted.
    let structure = intact(&log.files, &[]);
    assert_eq!(structure.erased, [Erased { seq: 3, recorded_by: None }]);
    log.batch(&[erasure(3)], Mark::None);
    let report = intact(&log.files, &[1]);
    assert_eq!(report.erased, [Erased { seq: 3, recorded_by: Some(12) }]);
    // One that comes before the record names nothing yet.
    let mut early = SampleLog::new(1, Mode::Readable, key(1));
    early.batch(&[erasure(1)], Mark::None);
    early.singles(1..3);
    let frames = crate::reference::frames(early.files.segment(0));
    early.files.segment(0)[frames[5].start + 92..frames[5].end].fill(0);
    assert_eq!(verify(&early.files, &[1]).expect("reads").breaks[0].what, What::ErasedUnrecorded);
}

#[test]
fn a_torn_batch_is_torn_however_its_sectors_came_and_damage_before_another_commit_is_not() {
    let mut log = small(1, Mode::Readable);
    let before = log.len();
    let events: Vec<_> = (12..40).map(event).collect();
    log.batch(&events, Mark::None);
    let end = log.len();
    // Any one sector that never came, in a file with room behind it.
    for at in (before / 64..=end / 64).map(|sector| (sector * 64).max(before)) {
        let mut files = log.files.clone();
        let segment = files.segment(2);
        let sector = at..(at / 64 * 64 + 64).min(end);
        let changes = segment[sector.clone()].iter().any(|&byte| byte != 0);
        segment[sector].fill(0);
        segment.resize(end + 1000, 0);
        for keys in [&[1][..], &[]] {
            let report = verify(&files, keys).expect("reads");
            assert_eq!((report.records(), &report.breaks[..]), (if changes { 12 } else { 40 }, &[][..]));
            assert_eq!(report.torn.map(|torn| torn.offset), changes.then_some(before as u64));
        }
        // The same with a batch behind it.
        let mut more = small(1, Mode::Readable);
        more.batch(&events, Mark::None);
        more.singles(40..41);
        more.files.segment(2)[at..(at / 64 * 64 + 64).min(end)].fill(0);
        assert_eq!(first_bad(&more.files, &[1]).segment, 2);
    }
    let mut files = log.files.clone();
    files.segment(2).resize(end + 100_000, 0);
    assert_eq!(intact(&files, &[1]).records(), 40);
    // A segment without a whole header: no crash leaves one, and opening the log refuses it.
    let mut next = small(1, Mode::Readable);
    next.rotate(None);
    for length in [0, 1, 100, 215] {
        let mut files = next.files.clone();
        files.segment(3).truncate(length);
        files.segment(3).resize(1000, 0);
        let report = verify(&files, &[1]).expect("reads");
        assert_eq!(
            (report.torn, report.breaks[0].segment, report.breaks[0].place),
            (None, 3, Place::Segment)
        );
    }
}

#[test]
fn zeros_in_the_last_batch_are_a_torn_batch_until_something_follows_it() {
    let mut log = SampleLog::new(1, Mode::Readable, key(1));
    log.singles(0..2);
    let before = log.len();
    log.batch(&[event(2), event(3)], Mark::None);
    let frames = crate::reference::frames(log.files.segment(0));
    let part = frames[9].start + 92..frames[9].end;
    assert_eq!((frames.len(), before), (11, frames[7].start));
    for room in [0, 1000] {
        let mut files = log.files.clone();
        files.segment(0)[part.clone()].fill(0);
        let end = files.segment(0).len();
        files.segment(0).resize(end + room, 0);
        for keys in [&[1][..], &[]] {
            let report = verify(&files, keys).expect("reads");
            assert_eq!((report.records(), report.breaks_in_all, report.erased_in_all), (2, 0, 0));
            let torn = report.torn.expect("a torn batch");
            assert_eq!((torn.offset, torn.length), (before as u64, (end - before) as u64));
            let (place, what) = (torn.first_bad.place, torn.first_bad.what);
            assert_eq!((place, what), (Place::Record(3), What::DamagedBody));
            assert_eq!((torn.first_bad.seq, torn.first_bad.offset), (3, frames[9].start as u64));
        }
        let read: Vec<_> = crate::Reader::open_files(files, key(1)).expect("opens").collect();
        assert!(read.len() == 2 && read.iter().all(Result::is_ok), "{read:?}");
    }
    // Another batch behind it, or a segment: then it was whole once.
    for is_rotated in [false, true] {
        let mut log = SampleLog::new(1, Mode::Readable, key(1));
        log.singles(0..2);
        log.batch(&[event(2), event(3)], if is_rotated { Mark::SegmentEnd } else { Mark::None });
        if is_rotated {
            log.begin_next();
        }
        log.batch(&[erasure(3)], Mark::None);
        log.files.segment(0)[part.clone()].fill(0);
        assert_eq!(intact(&log.files, &[1]).erased, [Erased { seq: 3, recorded_by: Some(4) }]);
        assert_eq!(crate::Reader::open_files(log.files, key(1)).expect("opens").count(), 5);
    }
}

#[test]
fn the_highest_number_in_a_name_is_a_gap_and_no_panic() {
    let mut log = small(1, Mode::Readable);
    log.files.0.insert(segment_name(u64::MAX), b"x".to_vec());
    for all in [false, true] {
        let report = Verifier::new().key(key(1)).all(all).verify_files(&log.files).expect("reads");
        let found = report.first_bad().expect("it is found");
        assert_eq!((found.segment, found.what), (3, What::MissingSegment));
    }
    assert!(matches!(crate::Reader::open_files(log.files, key(1)), Err(AuditError::Broken(_))));
}

#[test]
fn what_is_more_than_one_batch_is_damage_and_no_torn_tail() {
    // The check of each commit but the first: nothing but the batch headers tells that there were several.
    let mut log = SampleLog::new(1, Mode::Readable, key(1));
    log.singles(0..8);
    let frames = crate::reference::frames(log.files.segment(0));
    for batches in 1..8 {
        for headers in [false, true] {
            let mut files = log.files.clone();
            for batch in frames[1..].chunks(3).skip(8 - batches) {
                files.segment(0)[batch[2].end - 1] ^= 1;
            }
            if headers {
                // The first of them has no header any more.
                files.segment(0)[frames[1 + 3 * (8 - batches)].start + 20] ^= 1;
            }
            for keys in [&[1][..], &[]] {
                let report = verify(&files, keys).expect("reads");
                assert_eq!((report.torn.is_some(), report.breaks.is_empty()), (batches == 1, batches == 1));
            }
            let read: Vec<_> = crate::Reader::open_files(files, key(1)).expect("opens").collect();
            assert_eq!(read.last().is_some_and(Result::is_err), batches > 1);
        }
    }
    // No batch is so long, whatever it holds.
    for (length, is_torn) in [(MAX_BATCH, true), (MAX_BATCH + 1, false)] {
        let mut files = log.files.clone();
        let end = files.segment(0).len();
        files.segment(0).resize(end + length, b'x');
        let report = verify(&files, &[1]).expect("reads");
        assert_eq!((report.torn.is_some(), report.breaks.is_empty()), (is_torn, is_torn));
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_verification_panic(
        junk in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600),
        at in 0_usize..2200,
        number in 0_u64..3,
        keep in proptest::prelude::any::<bool>(),
    ) {
        let mut log = small(1, Mode::Readable);
        let segment = log.files.segment(number);
        let at = at.min(segment.len());
        let end = if keep { (at + junk.len()).min(segment.len()) } else { segment.len() };
        segment.splice(at..end, junk);
        for all in [false, true] {
            let report = Verifier::new().key(key(1)).all(all).verify_files(&log.files).expect("reads");
            proptest::prop_assert!(report.records() <= 12);
        }
    }
}
