//! What the log says of itself excuses what is missing, and nobody else's word does.

use graft_core::{Ending, Event, Name};

use super::{Front, Verifier, VerifyReport};
use crate::format::{Mark, Mode, segment_name};
use crate::sample_log::{MemoryFiles, SampleLog, erasure, event, key, prune, small};
use crate::{Place, What};

fn verify(files: &MemoryFiles, keys: &[u8]) -> VerifyReport {
    Verifier::new().keys(keys.iter().map(|&n| key(n)).collect()).verify_files(files).expect("reads")
}

/// [`small`], with this record in its last segment and without its first ones.
fn dropped(mode: Mode, record: &Event, segments: u64) -> MemoryFiles {
    let mut log = small(1, mode);
    log.batch(std::slice::from_ref(record), Mark::None);
    if mode == Mode::Sealed {
        log.keep_ratchet(&key(7));
    }
    (0..segments).for_each(|number| drop(log.files.0.remove(&segment_name(number))));
    log.files
}

#[test]
fn segments_dropped_from_the_front_are_found_with_the_keys() {
    for mode in [Mode::Readable, Mode::Sealed] {
        let by_another = {
            let mut event = prune(5);
            event.actor = Name::from_static("agent:7");
            event
        };
        let failed = {
            let mut event = prune(5);
            event.ending = Ending::Failed;
            event
        };
        for record in [event(12), by_another, failed, prune(4), erasure(5)] {
            let report = verify(&dropped(mode, &record, 1), &[1]);
            let found = report.first_bad().expect("it is found");
            assert_eq!((found.segment, found.place), (1, Place::Segment));
            assert_eq!(found.what, What::PruneUnrecorded { first: 5 });
            assert_eq!((report.front, report.breaks_in_all), (Front::Unrecorded, 1));
        }
        // What the log pruned itself, also if it was interrupted; and more than that.
        for (first, segments, is_said) in [(5, 1, true), (9, 1, true), (9, 2, true), (5, 2, false)] {
            let report = verify(&dropped(mode, &prune(first), segments), &[1]);
            assert_eq!(report.front == Front::Recorded { by: 12 }, is_said);
            assert_eq!(report.breaks.is_empty(), is_said);
            assert_eq!(report.to_string().contains("before them pruned"), is_said, "{report}");
        }
    }
    assert_eq!(verify(&small(1, Mode::Readable).files, &[1]).front, Front::Whole);
}

#[test]
fn where_the_record_of_a_pruning_cannot_be_read_the_report_says_so() {
    for (mode, keys, said) in [
        (Mode::Readable, &[][..], "without the key nobody says that what is missing in front was pruned"),
        (Mode::Sealed, &[7], "opens the last segment only, the master key is needed"),
    ] {
        let report = verify(&dropped(mode, &event(12), 1), keys);
        assert_eq!((report.front, report.breaks.len()), (Front::NotLookedAt, 0));
        assert!(report.to_string().contains(said), "{report}");
    }
    // The host's key reads the record if it is in the last segment.
    assert_eq!(verify(&dropped(Mode::Sealed, &prune(5), 1), &[7]).front, Front::Recorded { by: 12 });
    // It may lie behind the place where the walk ended.
    let mut files = dropped(Mode::Readable, &prune(5), 1);
    files.segment(1)[500] ^= 1;
    let report = verify(&files, &[1]);
    assert_eq!((report.front, report.breaks.len()), (Front::NotLookedAt, 1));
    assert_ne!(report.breaks[0].what, What::PruneUnrecorded { first: 5 });
}

#[test]
fn zeros_are_excused_by_the_log_itself_and_by_nobody_else() {
    let by_another = {
        let mut event = erasure(1);
        event.actor = Name::from_static("agent:7");
        event
    };
    let failed = {
        let mut event = erasure(1);
        event.ending = Ending::Failed;
        event
    };
    for (record, is_excused) in [(erasure(1), true), (by_another, false), (failed, false)] {
        let mut log = SampleLog::new(1, Mode::Readable, key(1));
        log.singles(0..3);
        log.batch(&[record], Mark::None);
        let frames = crate::reference::frames(log.files.segment(0));
        log.files.segment(0)[frames[5].start + 92..frames[5].end].fill(0);
        let report = verify(&log.files, &[1]);
        let found = report.first_bad().map(|found| (found.place, found.what));
        assert_eq!(found, (!is_excused).then_some((Place::Record(1), What::ErasedUnrecorded)));
    }
}
