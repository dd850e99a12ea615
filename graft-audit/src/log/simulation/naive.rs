//! A slow reader of a log, written for the tests alone: all of a file at once, checks first, nothing clever.

use graft_core::{Action, Event, FieldValue};
use sha2::{Digest, Sha256};

use crate::AuditKey;
use crate::disk::SimulatedDisk;
use crate::format::{
    BATCH_HEADER_LEN, BatchHeader, COMMIT_LEN, Commit, CommitDigest, Leaf, Mark, Mode, PartKind,
    RecordHeader, SegmentHeader, array, segment_number,
};
use crate::log::recover::Recovered;
use crate::seal::SegmentKeys;
use crate::seal::ratchet::Ratchet;
use crate::tree::TreeHash;

/// One record as it was stored, or `None` for an erased event.
pub(super) struct Stored {
    pub(super) event: Option<Event>,
    pub(super) leaf: Leaf,
}

/// Every record of a log, from its first segment on. Panics where anything is not as it must be.
pub(super) fn read(disk: &SimulatedDisk, keys: &[AuditKey]) -> Vec<Stored> {
    let mut all: Vec<Stored> = Vec::new();
    let numbers: Vec<_> = disk.list_all("").iter().filter_map(|name| segment_number(name)).collect();
    let mut previous: Option<(Leaf, CommitDigest, Mark)> = None;
    let mut skipped = None;
    for (at, number) in numbers.iter().enumerate() {
        let bytes = disk.read_all(&format!("{number:010}.seg"));
        let length = SegmentHeader::len_of(&array(&bytes)).expect("a header");
        let head = SegmentHeader::decode(&bytes[..length]).expect("a good header");
        assert_eq!(head.header.number, *number);
        let first = *skipped.get_or_insert(head.header.tree.size());
        let size = || all.len() as u64 + first;
        assert_eq!(head.header.tree.size(), size());
        if let Some((leaf, commit, mark)) = previous {
            assert_eq!((head.header.previous_leaf, head.header.previous_commit), (leaf, commit));
            assert_eq!(mark, Mark::SegmentEnd);
        }
        let keys = keys
            .iter()
            .map(|key| segment_keys(key, &head.header))
            .find(|keys| keys.is_committed(&head.commitment))
            .expect("one of the keys");
        assert!(keys.is_header_mac(head.maced, &head.mac));
        let (mut leaf, mut commit, mut mark) =
            (head.header.previous_leaf, head.header.previous_commit, Mark::None);
        let mut rest = &bytes[length..];
        while rest.iter().any(|byte| *byte != 0) {
            assert_ne!(mark, Mark::SegmentEnd);
            let (header, mut behind) = rest.split_at(BATCH_HEADER_LEN);
            let header = BatchHeader::decode(&array(header)).expect("a good batch");
            let batch = keys.batch(header.salt);
            let mut count = 0;
            while behind[0] == RecordHeader::KIND {
                let (record, parts) =
                    behind.split_at(RecordHeader::len_of([behind[0], behind[1]]).expect("parts"));
                let (record, new) = RecordHeader::decode(record).expect("a good record");
                assert_eq!((record.seq, record.previous), (all.len() as u64 + first, leaf));
                let mut event: Option<Event> = None;
                behind = parts;
                for part in record.parts() {
                    let (bytes, rest) = behind.split_at(part.length as usize);
                    behind = rest;
                    if bytes.iter().all(|byte| *byte == 0) {
                        continue;
                    }
                    assert_eq!(Sha256::digest(bytes)[..], part.digest);
                    let mut bytes = bytes.to_vec();
                    let body = batch.open(record.seq, part.kind, &mut bytes).expect("sealed by us");
                    match (part.kind, &mut event) {
                        (PartKind::Event, event) => {
                            *event = Some(crate::body::decode(body).expect("canonical"))
                        }
                        (PartKind::Fields, Some(event)) => {
                            event.fields = crate::fields::decode(body).expect("canonical");
                        }
                        (PartKind::Fields, None) => {}
                    }
                }
                leaf = new;
                all.push(Stored { event, leaf });
                count += 1;
            }
            let found = Commit::decode(&array(behind)).expect("a good commit");
            assert!(keys.is_commit_mac(&behind[..128], &found.mac));
            let leaves: Vec<_> = all.iter().map(|stored| stored.leaf).collect();
            let root = if first == 0 { root(&leaves) } else { found.commit.root };
            let expected = Commit {
                mark: found.commit.mark,
                count,
                size: all.len() as u64 + first,
                salt: header.salt,
                last_leaf: leaf,
                root,
                previous: commit,
            };
            assert_eq!(found.commit, expected);
            (commit, mark) = (found.digest, found.commit.mark);
            rest = &behind[COMMIT_LEN..];
        }
        assert!(at + 1 == numbers.len() || rest.is_empty(), "room behind the end of a segment");
        previous = Some((leaf, commit, mark));
    }
    all
}

fn segment_keys(key: &AuditKey, header: &SegmentHeader) -> SegmentKeys {
    match header.mode {
        Mode::Readable => SegmentKeys::readable(key, header.log, header.number),
        Mode::Sealed => {
            let mut ratchet = Ratchet::root(key, header.log, header.key_from);
            while ratchet.number() < header.number {
                ratchet = ratchet.next();
            }
            ratchet.segment()
        }
    }
}

/// RFC 9162, 2.1.1, word for word.
pub(super) fn root(leaves: &[Leaf]) -> TreeHash {
    match leaves {
        [] => TreeHash::EMPTY,
        [leaf] => TreeHash::from(*leaf),
        _ => {
            let half = leaves.len().next_power_of_two() / 2;
            TreeHash::node(&root(&leaves[..half]), &root(&leaves[half..]))
        }
    }
}

/// The numbers of the calls in the records, in order; `None` for those that were erased.
pub(super) fn calls(disk: &SimulatedDisk, keys: &[AuditKey]) -> Vec<Option<u64>> {
    let calls = read(disk, keys).into_iter().map(|stored| match stored.event {
        None => Some(None),
        Some(event) => event.call.map(|call| Some(call.0)),
    });
    calls.flatten().collect()
}

/// How many events the records say were lost.
pub(super) fn lost(disk: &SimulatedDisk, keys: &[AuditKey]) -> u64 {
    let events = read(disk, keys).into_iter().filter_map(|stored| stored.event);
    let gaps = events.filter(|event| event.action == Action::LogGap);
    gaps.map(|gap| match gap.fields.find("lost") {
        Some(FieldValue::U64(lost)) => *lost,
        other => unreachable!("{other:?}"),
    })
    .sum()
}

/// What the records say was set aside.
pub(super) fn recovered(disk: &SimulatedDisk, keys: &[AuditKey]) -> Vec<Recovered> {
    let events = read(disk, keys).into_iter().filter_map(|stored| stored.event);
    events
        .filter(|event| event.action == Action::LogRecover)
        .map(|event| {
            let number = |name| match event.fields.find(name) {
                Some(FieldValue::U64(number)) => *number,
                other => unreachable!("{other:?}"),
            };
            let digest = match event.fields.find("sha-256") {
                Some(FieldValue::Name(hex)) => std::array::from_fn(|at| {
                    u8::from_str_radix(&hex.as_str()[2 * at..2 * at + 2], 16).expect("hex")
                }),
                other => unreachable!("{other:?}"),
            };
            Recovered { segment: number("segment"), offset: number("offset"), bytes: number("bytes"), digest }
        })
        .collect()
}

/// Where the header of a segment and each of its batches end.
pub(super) fn commits(bytes: &[u8]) -> Vec<usize> {
    let length = SegmentHeader::len_of(&array(bytes)).expect("a header");
    let mut ends = vec![length];
    for at in length..bytes.len().saturating_sub(COMMIT_LEN) {
        if bytes[at] == Commit::KIND && Commit::decode(&array(&bytes[at..])).is_ok() {
            ends.push(at + COMMIT_LEN);
        }
    }
    ends
}
