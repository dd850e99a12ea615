use std::collections::HashMap;
use std::io;

use graft_core::{CallId, Event};
use proptest::prelude::*;

use super::{event, queries};
use crate::index::file::{IndexFile, Stopped};
use crate::index::*;
use crate::scan::Files;
use crate::seal::SegmentKeys;
use crate::{AuditKey, Query, sample};

/// One file, whatever its name.
struct Memory(Vec<u8>);

impl Files for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if name != index_name(5) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let from = self.0.get(offset as usize..).unwrap_or_default();
        let read = from.len().min(buffer.len());
        buffer[..read].copy_from_slice(&from[..read]);
        Ok(read)
    }
}

fn keys(log: u8, number: u64) -> SegmentKeys {
    let key: [u8; 32] = std::array::from_fn(|i| (i * i) as u8);
    SegmentKeys::readable(&AuditKey::new(key).expect("strong"), LogId([log; 16]), number)
}

fn summary() -> Summary {
    let mut tree = Frontier::new();
    (0..100).for_each(|n| tree.push(Leaf([n; 32])));
    Summary {
        first: 100,
        records: 0,
        entries: 0,
        end: 7777,
        earliest: Timestamp(0),
        latest: Timestamp(0),
        last_leaf: Leaf([8; 32]),
        tree,
    }
}

fn location(n: u64) -> Location {
    Location { record: (1000 + 300 * n) as u32, batch: (900 + 300 * (n / 10 * 10)) as u32 }
}

/// The index of the segment 5 with these records.
fn index(events: impl IntoIterator<Item = Event>) -> Memory {
    let mut builder = Builder::new(&keys(1, 5), Salt([9; 16]));
    for (n, event) in (0..).zip(events) {
        assert!(builder.has_room(1, 1 << 20));
        builder.add(location(n), Some(&event));
    }
    let mut tree = summary().tree;
    (0..builder.len()).for_each(|_| tree.push(Leaf([0; 32])));
    let mut out = Vec::new();
    builder.finish(Summary { tree, ..summary() }, &mut out).expect("a vector takes all");
    Memory(out)
}

fn found(file: &IndexFile<'_>, query: &Query) -> Result<Vec<u32>, Stopped> {
    let tag = Wanted::by(query).expect("a field in full").tag(file.key());
    let hits = file.find(tag)?;
    assert!(hits.iter().all(|hit| hit.location == location(hit.ordinal.into())));
    Ok(hits.iter().map(|hit| hit.ordinal).collect())
}

#[test]
fn an_index_finds_what_looking_at_every_record_finds() {
    for records in [0, 1, 2, 21, 22, 170, 2000, 3001] {
        let memory = index((0..records).map(event));
        let file = IndexFile::open(&memory, &keys(1, 5)).expect("reads").expect("is used");
        assert_eq!((file.summary().records, file.summary().end), (records as u32, 7777));
        if records > 0 {
            let times = (file.summary().earliest, file.summary().latest);
            assert_eq!(times, (Timestamp(1000), Timestamp(999 + records)));
        }
        for query in queries() {
            let mut stored = sample::stored(0);
            let expected: Vec<u32> = (0..records)
                .filter(|&n| {
                    stored.event = event(n);
                    query.matches(&stored)
                })
                .map(|n| n as u32)
                .collect();
            assert_eq!(found(&file, &query).expect("whole"), expected, "{records} {query:?}");
        }
    }
}

#[test]
fn only_what_is_given_in_full_is_looked_up() {
    let by = |set: fn(&mut Query)| {
        let mut query = Query::default();
        set(&mut query);
        Wanted::by(&query)
    };
    assert_eq!(by(|_| {}), None);
    assert_eq!(by(|query| query.actor = "agent:*".parse().ok()), None);
    assert_eq!(by(|query| query.run = "abcdef".parse().ok()), None);
    assert_eq!(by(|query| query.action = "tool:*".parse().ok()), None);
    assert_eq!(by(|query| query.ending = Some(graft_core::Ending::Ok)), None);
    let call = by(|query| query.call = Some(CallId(3)));
    assert_eq!(by(|query| (query.call, query.run) = (Some(CallId(3)), "abcdef".parse().ok())), call);
    assert_ne!(by(|query| (query.call, query.run) = (Some(CallId(3)), Some([1; 16].into()))), call);
}

#[test]
fn an_index_is_of_one_log_one_segment_and_one_key() {
    let memory = index((0..50).map(event));
    let why = |keys: &SegmentKeys| IndexFile::open(&memory, keys).expect("reads").err();
    assert_eq!(why(&keys(1, 5)), None);
    assert_eq!(why(&keys(1, 6)), Some(NotUsed::Missing));
    assert_eq!(why(&keys(2, 5)), Some(NotUsed::Foreign));
    let other = AuditKey::generate().expect("randomness");
    assert_eq!(why(&SegmentKeys::readable(&other, LogId([1; 16]), 5)), Some(NotUsed::Damaged));
    for (at, expected) in [(0, NotUsed::Damaged), (9, NotUsed::Foreign), (35, NotUsed::Foreign)] {
        let mut other = Memory(memory.0.clone());
        other.0[at] ^= 1;
        assert_eq!(IndexFile::open(&other, &keys(1, 5)).expect("reads").err(), Some(expected));
    }
}

#[test]
fn a_flipped_byte_is_never_believed_and_a_cut_neither() {
    let memory = index((0..60).map(event));
    let mut whole = HashMap::new();
    let file = IndexFile::open(&memory, &keys(1, 5)).expect("reads").expect("is used");
    for (n, query) in queries().iter().enumerate().step_by(5) {
        whole.insert(n, found(&file, query).expect("whole"));
    }
    let mut seen = 0;
    for at in (0..memory.0.len()).step_by(101) {
        let mut flipped = Memory(memory.0.clone());
        flipped.0[at] ^= 0x10;
        let cut = Memory(memory.0[..at].to_vec());
        for other in [flipped, cut] {
            let Ok(file) = IndexFile::open(&other, &keys(1, 5)).expect("reads") else {
                seen += 1;
                continue;
            };
            for (n, query) in queries().iter().enumerate().step_by(5) {
                match found(&file, query) {
                    Ok(found) => assert_eq!(found, whole[&n], "{at}"),
                    Err(_) => seen += 1,
                }
            }
        }
    }
    assert!(seen > memory.0.len() / 101, "{seen}");
}

#[test]
fn a_segment_beyond_the_bounds_is_indexed_in_part() {
    let mut builder = Builder::new(&keys(1, 5), Salt([9; 16]));
    assert!(builder.has_room(1 << 19, u32::MAX.into()));
    assert!(!builder.has_room(1, 1 << 32));
    builder.add(location(0), None);
    assert!(!builder.has_room(1 << 19, 0));
}

#[test]
fn two_indexes_of_one_segment_have_no_block_in_common() {
    let write = |salt| {
        let mut builder = Builder::new(&keys(1, 5), Salt([salt; 16]));
        (0..100).for_each(|n| builder.add(location(n), Some(&event(n))));
        let mut tree = summary().tree;
        (0..100).for_each(|_| tree.push(Leaf([0; 32])));
        let mut out = Vec::new();
        builder.finish(Summary { tree, ..summary() }, &mut out).expect("a vector takes all");
        out
    };
    let (one, other) = (write(1), write(2));
    assert_eq!(one, write(1));
    let same = one.iter().zip(&other).skip(FIXED).filter(|(a, b)| a == b).count();
    assert!(same < one.len() / 64, "{same} of {}", one.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
        let mut bytes = bytes;
        let memory = index((0..3).map(event));
        let head = memory.0.len().min(bytes.len()).min(FIXED);
        bytes[..head].copy_from_slice(&memory.0[..head]);
        let memory = Memory(bytes);
        if let Ok(file) = IndexFile::open(&memory, &keys(1, 5)).expect("reads") {
            for query in queries() {
                let _ = found(&file, &query);
            }
        }
    }
}
