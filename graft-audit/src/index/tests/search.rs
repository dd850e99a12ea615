use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use graft_core::{CallId, Seq, Timestamp};

use super::{event, queries};
use crate::format::{Mark, Mode};
use crate::sample_log::{SampleLog, key};
use crate::{
    AuditError, Files, Folder, Indexed, KeyRing, Query, Search, SearchNotes, StoredEvent, index_log,
};

/// A log in a folder of the disk, which is removed at the end.
struct Disk(PathBuf);

impl Disk {
    fn new(log: &SampleLog) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("graft-audit-search-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the folder for temporary files is writable");
        let all = Self(path);
        all.write(log);
        all
    }

    fn write(&self, log: &SampleLog) {
        for (name, bytes) in &log.files.0 {
            std::fs::write(self.0.join(name), bytes).expect("writes");
        }
    }

    fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let path = self.0.join(name);
        let mut bytes = std::fs::read(&path).expect("reads");
        edit(&mut bytes);
        std::fs::write(path, bytes).expect("writes");
    }

    fn index(&self, keys: &KeyRing) -> Indexed {
        index_log(&self.0, keys).expect("indexes")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a query finds, and what could not be used.
fn find(files: &dyn Files, keys: &KeyRing, query: &Query) -> (Vec<StoredEvent>, Vec<String>, SearchNotes) {
    let search = Search::open(files, keys).expect("opens");
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for item in search.find(query) {
        match item {
            Ok(stored) => found.push(stored),
            Err(AuditError::Broken(bad)) => broken.push(bad.to_string()),
            Err(other) => unreachable!("{other}"),
        }
    }
    (found, broken, search.notes().clone())
}

fn numbers(found: &[StoredEvent]) -> Vec<u64> {
    found.iter().map(|stored| stored.seq.0).collect()
}

/// What agrees of the first `records` records.
fn expected(records: u64, query: &Query) -> Vec<u64> {
    let mut stored = crate::sample::stored(0);
    (0..records)
        .filter(|&n| {
            stored.event = event(n);
            query.matches(&stored)
        })
        .collect()
}

fn add(log: &mut SampleLog, records: std::ops::Range<u64>, per_batch: usize) {
    let events: Vec<_> = records.map(event).collect();
    events.chunks(per_batch).for_each(|events| log.batch(events, Mark::None));
}

/// Three segments: 90 records.
fn three(mode: Mode) -> SampleLog {
    let mut log = SampleLog::new(1, mode, key(1));
    add(&mut log, 0..40, 7);
    log.rotate(None);
    add(&mut log, 40..60, 1);
    log.rotate(None);
    add(&mut log, 60..90, 30);
    log
}

fn ring(n: u8) -> KeyRing {
    key(n).into()
}

#[test]
fn a_search_finds_the_same_with_indexes_and_without() {
    for mode in [Mode::Readable, Mode::Sealed] {
        let (log, keys) = (three(mode), ring(1));
        let disk = Disk::new(&log);
        let files = Folder::new(&disk.0);
        let without: Vec<_> = queries().iter().map(|query| find(&files, &keys, query).0).collect();
        let made = disk.index(&keys);
        assert_eq!((made.made, made.kept, made.without), (3, 0, 0));
        assert_eq!(disk.index(&keys).kept, 3);
        for (query, without) in queries().iter().zip(without) {
            let (found, broken, notes) = find(&files, &keys, query);
            assert_eq!((notes.segments, notes.indexed, broken.len()), (3, 3, 0));
            assert_eq!(numbers(&found), expected(90, query), "{query:?}");
            assert_eq!(found, without, "{query:?}");
        }
    }
}

#[test]
fn a_search_may_begin_at_any_record_and_single_ones_are_read() {
    let (mut log, keys) = (three(Mode::Readable), ring(1));
    let disk = Disk::new(&log);
    disk.index(&keys);
    add(&mut log, 90..95, 2);
    disk.write(&log);
    let files = Folder::new(&disk.0);
    let with = Search::open(&files, &keys).expect("opens");
    let without = Search::open(&files, &keys).expect("opens").without_indexes();
    let mut query = Query::default();
    query.actor = "agent:1".parse().ok();
    for search in [with, without] {
        assert_eq!(search.size().expect("reads"), 95);
        for from in [0, 1, 39, 40, 41, 59, 60, 89, 90, 94, 95, 1000] {
            let found: Vec<_> =
                search.find_from(Seq(from), &query).map(|found| found.expect("good")).collect();
            let expected: Vec<u64> = (from..95).filter(|n| n % 3 == 1).collect();
            assert_eq!(numbers(&found), expected, "{from}");
            let one = search.record(Seq(from)).expect("reads");
            assert_eq!(one.map(|one| (one.seq.0, one.event)), (from < 95).then(|| (from, event(from))));
        }
    }
}

#[test]
fn what_no_index_knows_of_is_read() {
    let (mut log, keys) = (three(Mode::Readable), ring(1));
    let disk = Disk::new(&log);
    disk.index(&keys);
    add(&mut log, 90..110, 4);
    log.rotate(None);
    add(&mut log, 110..120, 1);
    disk.write(&log);
    let files = Folder::new(&disk.0);
    for query in queries().into_iter().step_by(4) {
        let (found, broken, notes) = find(&files, &keys, &query);
        assert_eq!((notes.segments, notes.indexed, broken.len()), (4, 3, 0));
        assert_eq!(numbers(&found), expected(120, &query), "{query:?}");
    }
    let made = disk.index(&keys);
    assert_eq!((made.made, made.kept, made.without), (2, 2, 0));
    assert_eq!(find(&files, &keys, &queries()[0]).2.indexed, 4);
}

#[test]
fn an_index_of_another_state_of_the_segment_is_not_used() {
    let (log, keys) = (three(Mode::Readable), ring(1));
    let disk = Disk::new(&log);
    disk.index(&keys);
    // An older copy of the last segment, with 20 other records behind the same beginning.
    let mut older = SampleLog::new(1, Mode::Readable, key(1));
    add(&mut older, 0..40, 7);
    older.rotate(None);
    add(&mut older, 40..60, 1);
    older.rotate(None);
    add(&mut older, 60..80, 5);
    disk.write(&older);
    let files = Folder::new(&disk.0);
    for query in queries().into_iter().step_by(4) {
        let (found, broken, notes) = find(&files, &keys, &query);
        assert_eq!((notes.indexed, notes.foreign, broken.len()), (2, 1, 0));
        assert_eq!(numbers(&found), expected(80, &query), "{query:?}");
    }
    assert_eq!(disk.index(&keys).made, 1);
    assert_eq!(find(&files, &keys, &queries()[0]).2.foreign, 0);
}

#[test]
fn an_index_that_was_put_there_is_not_used() {
    let keys = ring(1);
    let (one, other) = (Disk::new(&three(Mode::Readable)), Disk::new(&three(Mode::Readable)));
    [&one, &other].iter().for_each(|disk| assert_eq!(disk.index(&keys).made, 3));
    let index = |disk: &Disk, number| disk.0.join(format!("index/000000000{number}.idx"));
    // That of another segment of the same log.
    std::fs::copy(index(&other, 0), index(&one, 1)).expect("copies");
    let files = Folder::new(&one.0);
    for query in queries().into_iter().step_by(4) {
        let (found, broken, notes) = find(&files, &keys, &query);
        assert_eq!((notes.indexed, notes.foreign, broken.len()), (2, 1, 0));
        assert_eq!(numbers(&found), expected(90, &query), "{query:?}");
    }
}

#[test]
fn damage_to_an_index_changes_no_answer() {
    let (log, keys) = (three(Mode::Readable), ring(1));
    let disk = Disk::new(&log);
    disk.index(&keys);
    let files = Folder::new(&disk.0);
    let name = "index/0000000000.idx";
    let length = std::fs::read(disk.0.join(name)).expect("reads").len();
    for at in (0..length).step_by(1201) {
        disk.edit(name, |bytes| bytes[at] ^= 1);
        for query in queries().iter().step_by(15) {
            let (found, broken, _) = find(&files, &keys, query);
            assert_eq!((numbers(&found), broken.len()), (expected(90, query), 0), "{at} {query:?}");
        }
        disk.edit(name, |bytes| bytes[at] ^= 1);
    }
    disk.edit(name, |bytes| bytes.truncate(length / 2));
    assert_eq!(numbers(&find(&files, &keys, &queries()[0]).0), [0]);
}

#[test]
fn a_damaged_record_is_an_error_in_its_place() {
    let (log, keys) = (three(Mode::Readable), ring(1));
    let disk = Disk::new(&log);
    disk.index(&keys);
    // Behind the last record stand its commit and the batch that ends the segment.
    disk.edit("0000000001.seg", |bytes| {
        let at = bytes.len() - 208 - 168 - 20;
        bytes[at] ^= 1;
    });
    let mut query = Query::default();
    query.action = "run:end".parse().ok();
    for number in [0, 1] {
        let files = Folder::new(&disk.0);
        let (found, broken, _) = find(&files, &keys, &query);
        assert!(broken.iter().any(|bad| bad.starts_with("record 59 at byte ")), "{number}: {broken:?}");
        let expected: Vec<u64> = (1..90).step_by(2).filter(|&n| n != 59).collect();
        assert_eq!(numbers(&found), expected, "{number}");
        // And without the indexes; that of the damaged segment cannot be made again.
        std::fs::remove_dir_all(disk.0.join("index")).expect("removes");
        assert_eq!(disk.index(&keys).without, 1);
        let search = Search::open(&files, &keys).expect("opens");
        assert_eq!(search.notes().indexed, 2);
    }
}

#[test]
fn what_a_crash_left_behind_the_last_commit_is_no_part_of_the_log() {
    let (mut log, keys) = (three(Mode::Readable), ring(1));
    let whole = log.len();
    add(&mut log, 90..91, 1);
    let disk = Disk::new(&log);
    disk.edit("0000000002.seg", |bytes| bytes.truncate(whole + 100));
    let files = Folder::new(&disk.0);
    for _ in 0..2 {
        for query in queries().into_iter().step_by(4) {
            let (found, broken, _) = find(&files, &keys, &query);
            assert_eq!((numbers(&found), broken.len()), (expected(90, &query), 0), "{query:?}");
        }
        assert_eq!(disk.index(&keys).without, 0);
    }
}

#[test]
fn a_time_range_passes_over_what_lies_outside() {
    let (log, keys) = (three(Mode::Readable), ring(1));
    let disk = Disk::new(&log);
    disk.index(&keys);
    // What is not opened is not seen to be broken.
    disk.edit("0000000000.seg", |bytes| bytes[1000] ^= 1);
    let mut query = Query::default();
    (query.from, query.until) = (Some(Timestamp(1045)), Some(Timestamp(1063)));
    let files = Folder::new(&disk.0);
    let (found, broken, _) = find(&files, &keys, &query);
    assert_eq!((numbers(&found), broken), ((45..63).collect(), Vec::new()));
}

#[test]
fn a_log_whose_key_was_changed_is_searched_as_far_as_the_keys_reach() {
    let mut log = SampleLog::new(1, Mode::Readable, key(1));
    add(&mut log, 0..10, 3);
    log.rotate(Some(key(2)));
    add(&mut log, 10..20, 3);
    let disk = Disk::new(&log);
    let files = Folder::new(&disk.0);
    let both: KeyRing = [key(1), key(2)].into_iter().collect();
    assert_eq!(disk.index(&both).made, 2);
    let mut query = Query::default();
    query.decision = Some(graft_core::Decision::Block);
    let all: Vec<u64> = (0..20).collect();
    assert_eq!(numbers(&find(&files, &both, &query).0), all);
    let (found, _, notes) = find(&files, &ring(2), &query);
    assert_eq!((numbers(&found), notes.closed), (all[10..].to_vec(), 1));
    assert!(matches!(Search::open(&files, &ring(3)), Err(AuditError::WrongKey)));
    assert!(matches!(index_log(&disk.0, &ring(3)), Err(AuditError::WrongKey)));
}

#[test]
fn where_there_is_no_log_there_is_nothing_to_search() {
    let empty = Disk::new(&three(Mode::Readable));
    for number in 0..3 {
        std::fs::remove_file(empty.0.join(format!("000000000{number}.seg"))).expect("removes");
    }
    for folder in [empty.0.clone(), empty.0.join("missing")] {
        let files = Folder::new(&folder);
        assert!(matches!(Search::open(&files, &ring(1)), Err(AuditError::Missing)));
        assert!(matches!(index_log(&folder, &ring(1)), Err(AuditError::Missing)));
    }
}

#[test]
fn a_pruned_log_is_searched_from_where_it_begins() {
    let (log, keys) = (three(Mode::Readable), ring(1));
    let disk = Disk::new(&log);
    disk.index(&keys);
    std::fs::remove_file(disk.0.join("0000000000.seg")).expect("removes");
    let files = Folder::new(&disk.0);
    let mut query = Query::default();
    query.call = Some(CallId(41));
    assert_eq!(numbers(&find(&files, &keys, &query).0), [41]);
    query.call = Some(CallId(1));
    assert!(numbers(&find(&files, &keys, &query).0).is_empty());
}

/// `cargo test --release -p graft-audit --lib -- --ignored --nocapture ten_million`; takes 5 GB of disk.
#[test]
#[ignore = "a measurement"]
fn a_call_among_ten_million_records_is_found_at_once() {
    use crate::format::{LogId, Salt, segment_name};
    use crate::seal::SegmentKeys;
    use crate::sealer::{Sealer, Tip};
    use std::time::Instant;

    const RECORDS: u64 = 10_000_000;
    let disk = Disk::new(&SampleLog::new(1, Mode::Readable, key(1)));
    let (mut n, mut number, mut tip) = (0, 0, Tip::genesis(LogId([1; 16])));
    let mut buffer = [0; 1024];
    while n < RECORDS {
        let keys = SegmentKeys::readable(&key(1), LogId([1; 16]), number);
        let (mut sealer, mut out) = Sealer::start(keys, Mode::Readable, 0, tip);
        while n < RECORDS && out.len() < 63 << 20 {
            let mut batch = sealer.begin(Salt(u128::from(n).to_be_bytes()), &mut out);
            for _ in 0..100 {
                let mut event = event(n);
                event.fields = graft_core::Fields::NONE;
                event.run = Some(graft_core::RunId(u128::from(n / 1000).to_be_bytes()));
                let length = crate::body::encode(&event, &mut buffer).expect("fits");
                batch.push(&buffer[..length], None).expect("taken");
                n += 1;
            }
            batch.commit(Mark::None);
        }
        let mark = if n < RECORDS { Mark::SegmentEnd } else { Mark::Closed };
        sealer.begin(Salt([0xff; 16]), &mut out).commit(mark);
        std::fs::write(disk.0.join(segment_name(number)), &out).expect("writes");
        (number, tip) = (number + 1, sealer.tip().clone());
    }
    let start = Instant::now();
    let made = disk.index(&ring(1));
    println!("{made:?} in {:?}", start.elapsed());
    let bytes = |folder: &str| -> u64 {
        let files = std::fs::read_dir(disk.0.join(folder)).expect("lists").flatten();
        files
            .filter_map(|file| file.metadata().ok())
            .filter(|file| file.is_file())
            .map(|file| file.len())
            .sum()
    };
    println!("{} bytes of segments, {} of indexes", bytes(""), bytes("index"));
    let files = Folder::new(&disk.0);
    let start = Instant::now();
    let (search, opened) = (Search::open(&files, &ring(1)).expect("opens"), Instant::now());
    println!("opened in {:?}", opened - start);
    let mut times = Vec::new();
    for n in 0..200 {
        let call = n * 7_919_993 % RECORDS;
        let mut query = Query::default();
        query.call = Some(CallId(call));
        let start = Instant::now();
        let found: Vec<_> = search.find(&query).map(|found| found.expect("good").seq.0).collect();
        times.push(start.elapsed());
        assert_eq!(found, [call]);
    }
    times.sort_unstable();
    println!("query: least {:?}, p50 {:?}, p99 {:?}", times[0], times[100], times[198]);
    let start = Instant::now();
    let mut query = Query::default();
    query.run = Some(5_000_u128.to_be_bytes().into());
    println!("{} records of a run in {:?}", search.find(&query).count(), start.elapsed());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
}
