//! The logs in `tests/golden`, which a reader in any language can be held against.
//!
//! Each is a folder: the segments, the keys in hexadecimal, and `listing`, which is what `tools/read_log.py` prints
//! with the keys and `tools/check.sh` holds it to. `GRAFT_BLESS=1` writes them anew, which only a new version of the format calls for.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use graft_core::{
    Action, CallId, Decision, Event, FieldValue, Fields, Monotonic, Name, RunId, Seq, Signal, TraceId,
};

use crate::format::{Mark, Mode};
use crate::sample_log::{MemoryFiles, SampleLog, erasure, event, key};
use crate::scan::{Item, Part, SegmentScan, open_segment};
use crate::verify::segment_numbers;
use crate::{AuditKey, Entry, Folder, KeyRing, Place, Reader, State, Verifier, What, fields};

const LOGS: [(&str, Mode); 2] = [("v1-readable", Mode::Readable), ("v1-sealed", Mode::Sealed)];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// An event with everything in it.
fn full() -> Event {
    let mut event = event(1_700_000_000_123_456_789);
    event.monotonic = Monotonic(300);
    event.action = Action::DataflowBlocked;
    event.run = Some(RunId([0x21; 16]));
    event.call = Some(CallId(300));
    event.trace = Some(TraceId([0x22; 16]));
    event.intent = Some(Seq(0));
    event.decision = Some(Decision::Block);
    event.signals = [Signal::UntrustedAuthority, Signal::LethalTrifecta].into();
    event.code = Some(Name::from_static("dataflow_policy_blocked"));
    event.policy = Some([0x23; 32]);
    let values = [
        ("tenant", FieldValue::U64(7)),
        ("delta", FieldValue::I64(-65)),
        ("first", FieldValue::Bool(true)),
        ("plan", FieldValue::Name(Name::from_static("gold"))),
    ];
    event.fields = Fields::new(values.map(|(name, value)| (Name::from_static(name), value))).expect("few");
    event
}

/// The record of the golden logs that names what was erased. It is not the log's own, so it excuses nothing.
fn erasure_by_host(seq: u64) -> Event {
    let mut event = erasure(seq);
    event.actor = Name::from_static("host");
    event
}

/// Rotated, its key too, closed, opened again, with an erased record and a torn tail.
fn golden(mode: Mode) -> (MemoryFiles, [AuditKey; 2]) {
    let keys = [key(1), key(2)];
    let mut log = SampleLog::new(1, mode, keys[0].clone());
    log.batch(&[event(0), full(), event(2)], Mark::None);
    log.singles(3..5);
    log.rotate(None);
    log.batch(&[event(5), erasure_by_host(3)], Mark::None);
    log.batch(&[], Mark::Closed);
    log.batch(&[full()], Mark::None);
    log.rotate(Some(keys[1].clone()));
    log.batch(&[event(8), event(9)], Mark::None);
    let whole = log.len();
    log.batch(&[event(10), full()], Mark::None);
    if mode == Mode::Sealed {
        log.keep_ratchet(&key(3));
    }
    log.files.segment(2).truncate(whole + 300);
    log.files.segment(2).resize(whole + 1000, 0);
    let frames = crate::reference::frames(log.files.segment(0));
    log.files.segment(0)[frames[7].start + 92..frames[7].end].fill(0);
    (log.files, keys)
}

/// What `tools/read_log.py` prints with the keys.
fn listing(files: &MemoryFiles, keys: &KeyRing) -> String {
    let mut lines = String::new();
    let (mut size, mut torn) = (0, None);
    for number in segment_numbers(files).expect("reads") {
        let opened = open_segment(files, number).expect("reads").expect("a header");
        let found = crate::keyring::Opener::new(keys, files).expect("reads").find(&opened).expect("good");
        let found = found.expect("a key");
        let mut scan = SegmentScan::new(files, &opened.header, opened.len, Some(&found.keys));
        loop {
            match scan.next().expect("reads") {
                Item::Batch(mut batch) => {
                    let Some(commit) = batch.commit.map(|read| read.commit) else { continue };
                    for index in 0..batch.len() {
                        let record = batch.record(index).expect("there");
                        write!(lines, "record {} leaf {} parts", record.seq, record.leaf).expect("writes");
                        let print = |_, part: Part<'_>| {
                            lines.push(' ');
                            match part {
                                Part::Body(body) => {
                                    body.iter().for_each(|byte| write!(lines, "{byte:02x}").expect("writes"))
                                }
                                Part::Erased => lines.push_str("erased"),
                                Part::Closed => unreachable!("there is a key"),
                            }
                            Ok(())
                        };
                        record.open(print).expect("opens");
                        lines.push('\n');
                    }
                    size = commit.size;
                    writeln!(lines, "commit {size} root {}", commit.root).expect("writes");
                }
                Item::Break(_) => {}
                Item::End => break,
            }
        }
        torn = scan.so_far().expect("reads").tail;
    }
    let offset = torn.expect("a torn tail").offset;
    lines + &format!("a torn tail from byte {offset} on, {size} records, open, sealed\n")
}

#[test]
fn the_golden_logs_are_what_is_written_and_read() {
    for (name, mode) in LOGS {
        let (files, keys) = golden(mode);
        let ring: KeyRing = keys.iter().cloned().collect();
        let listing = listing(&files, &ring);
        let path = folder(name);
        if std::env::var_os("GRAFT_BLESS").is_some() {
            std::fs::create_dir_all(&path).expect("makes");
            files.0.iter().for_each(|(name, bytes)| std::fs::write(path.join(name), bytes).expect("writes"));
            for (number, key) in keys.iter().enumerate() {
                let hex: String = key.expose_secret().iter().map(|byte| format!("{byte:02x}")).collect();
                std::fs::write(path.join(format!("key-{number}")), hex + "\n").expect("writes");
            }
            std::fs::write(path.join("listing"), &listing).expect("writes");
        }
        for (name, bytes) in &files.0 {
            let stored = std::fs::read(path.join(name)).expect("reads");
            assert!(stored == *bytes, "{name}: the format changed: it needs a new version");
        }
        assert_eq!(std::fs::read_to_string(path.join("listing")).expect("reads"), listing);
    }
}

#[test]
fn every_golden_log_is_read_and_verified_from_its_folder() {
    for (name, mode) in LOGS {
        let keys: KeyRing = [key(1), key(2)].into_iter().collect();
        let report =
            Verifier::new().keys(keys.clone()).threads(2).all(true).verify(folder(name)).expect("reads");
        assert_eq!(
            (report.mode, report.breaks_in_all, report.opened, report.state),
            (mode, 1, 3, State::Open)
        );
        // What names the erased record is by the host, whose word on that does not count.
        let found = report.first_bad().map(|found| (found.place, found.what));
        assert_eq!(found, Some((Place::Record(3), What::ErasedUnrecorded)));
        assert_eq!((report.records(), report.erased[0].seq, report.erased[0].recorded_by), (10, 3, None));
        assert!(report.torn.is_some());
        let entries: Vec<_> =
            Reader::open(folder(name), keys).expect("opens").map(|entry| entry.expect("good")).collect();
        assert_eq!(entries.len(), 10);
        let Entry::Event(stored) = &entries[1] else { unreachable!("not erased") };
        assert_eq!(stored.event, full());
        assert!(matches!(entries[3], Entry::Erased(..)));
        let mut print = [0; 100];
        let length = fields::encode(&stored.event.fields, &mut print).expect("fits");
        assert_eq!(print[..9], [1, 4, 5, b'd', b'e', b'l', b't', b'a', 2]);
        assert_eq!(fields::decode(&print[..length]), Ok(full().fields));
        assert!(Verifier::new().verify_files(&Folder::new(folder(name))).expect("reads").breaks.is_empty());
    }
}
