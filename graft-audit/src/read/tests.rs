use super::*;
use crate::sample_log::{MemoryFiles, SampleLog, event, key, small};

fn seqs(reader: impl Iterator<Item = Result<Entry, AuditError>>) -> Vec<u64> {
    reader.map(|entry| entry.expect("good").seq().0).collect()
}

fn open(files: &MemoryFiles, keys: &[u8]) -> Result<Reader<MemoryFiles>, AuditError> {
    Reader::open_files(files.clone(), keys.iter().map(|&n| key(n)).collect::<KeyRing>())
}

#[test]
fn events_come_in_order_from_any_record_on() {
    for mode in [Mode::Readable, Mode::Sealed] {
        let log = small(1, mode);
        let events: Vec<_> =
            open(&log.files, &[1]).expect("opens").map(|entry| entry.expect("good")).collect();
        assert_eq!(events.len(), 12);
        for entry in events {
            let Entry::Event(stored) = entry else { unreachable!("all are there") };
            let expected =
                if stored.seq.0 == 6 { crate::sample_log::erasure(40) } else { event(stored.seq.0) };
            assert_eq!(stored.event, expected);
        }
        for from in 0..14 {
            let reader = open(&log.files, &[1]).expect("opens").from(from).expect("goes");
            assert_eq!(seqs(reader), (from..12).collect::<Vec<_>>(), "{from}");
        }
        let mut pruned = log.files.clone();
        pruned.0.remove(&crate::segment_name(0));
        assert_eq!(seqs(open(&pruned, &[1]).expect("opens")), (5..12).collect::<Vec<_>>());
        assert_eq!(
            seqs(open(&pruned, &[1]).expect("opens").from(2).expect("goes")),
            (5..12).collect::<Vec<_>>()
        );
        assert!(matches!(open(&log.files, &[2]), Err(AuditError::WrongKey)));
        assert!(matches!(open(&log.files, &[]), Err(AuditError::WrongKey)));
        assert!(matches!(open(&MemoryFiles::default(), &[1]), Err(AuditError::Missing)));
    }
}

#[test]
fn a_reader_follows_a_log_over_torn_writes_and_rotations() {
    let mut log = SampleLog::new(1, Mode::Sealed, key(1));
    log.singles(0..2);
    let mut reader = open(&log.files, &[1]).expect("opens");
    assert_eq!(seqs(reader.by_ref()), [0, 1]);
    assert!(reader.next().is_none());
    let before = log.len();
    log.batch(&[event(2), event(3)], Mark::None);
    let (whole, end) = (log.files.clone(), log.len());
    for length in before..end {
        reader.files = whole.clone();
        reader.files.segment(0).truncate(length);
        assert!(reader.next().is_none());
    }
    reader.files = whole;
    assert_eq!(seqs(reader.by_ref()), [2, 3]);
    for n in 4..8 {
        log.rotate(None);
        let rotated = log.files.clone();
        log.singles(n..n + 1);
        for files in [rotated, log.files.clone()] {
            reader.files = files;
            let expected = if reader.files == log.files { vec![n] } else { vec![] };
            assert_eq!(seqs(reader.by_ref()), expected);
        }
    }
}

#[test]
fn a_break_ends_the_reading_behind_what_is_good_before_it() {
    let mut log = small(1, Mode::Readable);
    let frames = crate::reference::frames(log.files.segment(0));
    log.files.segment(0)[frames[3].end - 1] ^= 1;
    let read: Vec<_> = open(&log.files, &[1]).expect("opens").collect();
    assert_eq!(read.len(), 2);
    assert!(matches!(&read[0], Ok(entry) if entry.seq() == Seq(0)));
    let Err(AuditError::Broken(found)) = &read[1] else { unreachable!("{read:?}") };
    assert_eq!((found.place, found.what), (Place::Record(1), What::DamagedBody));
    // Behind it, one may go on.
    assert_eq!(
        seqs(open(&log.files, &[1]).expect("opens").from(5).expect("goes")),
        (5..12).collect::<Vec<_>>()
    );
}

#[test]
fn what_is_erased_or_closed_is_there_and_says_nothing() {
    let mut log = small(1, Mode::Sealed);
    log.keep_ratchet(&key(7));
    let host: Vec<_> = open(&log.files, &[7]).expect("opens").map(|entry| entry.expect("good")).collect();
    assert!(host[..9].iter().all(|entry| matches!(entry, Entry::Closed(..))));
    assert!(host[9..].iter().all(|entry| matches!(entry, Entry::Event(_))));
    let frames = crate::reference::frames(log.files.segment(0));
    log.files.segment(0)[frames[3].start + 92..frames[3].end].fill(0);
    let all: Vec<_> = open(&log.files, &[1]).expect("opens").map(|entry| entry.expect("good")).collect();
    assert!(matches!(all[1], Entry::Erased(Seq(1), _)) && all[2].clone().into_event().is_some());
}
