//! The format once more, slow and short: what the fast code is held against.

use std::ops::Range;

use graft_audit::v0::{Durability, LogOptions, read, verify};
use graft_core::{
    Action, CallId, Decision, Ending, Event, Monotonic, Name, RunId, Seq, Signal, Signals, Timestamp, TraceId,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::common::{FILE_HEADER, Folder, PAYLOAD_AT, key};

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}

/// A frame as its place in the chain does not know it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bare {
    pub(crate) kind: u8,
    pub(crate) seq: u64,
    pub(crate) payload: Vec<u8>,
}

/// Where each frame of a good log lies.
pub(crate) fn frames(log: &[u8]) -> Vec<Range<usize>> {
    let mut frames: Vec<Range<usize>> = vec![];
    let mut at = FILE_HEADER;
    while at < log.len() {
        let length = u32::from_be_bytes(log[at + 41..at + 45].try_into().expect("four bytes"));
        frames.push(at..at + PAYLOAD_AT + length as usize);
        at = frames[frames.len() - 1].end;
    }
    frames
}

pub(crate) fn bare(log: &[u8]) -> Vec<Bare> {
    let bare = |frame: Range<usize>| Bare {
        kind: log[frame.start],
        seq: u64::from_be_bytes(log[frame.start + 1..frame.start + 9].try_into().expect("eight bytes")),
        payload: log[frame.start + PAYLOAD_AT..frame.end].to_vec(),
    };
    frames(log).into_iter().map(bare).collect()
}

/// Chains frames behind a file header, as anybody can without a key, and returns the bytes and the leaves.
pub(crate) fn chain(file_header: &[u8], frames: &[Bare]) -> (Vec<u8>, Vec<[u8; 32]>) {
    let mut leaves = vec![sha256(&[&[0], file_header])];
    let mut log = file_header.to_vec();
    for Bare { kind, seq, payload } in frames {
        let length = payload.len() as u32;
        let digest = sha256(&[&[*kind], payload]);
        let header =
            [&[*kind], &seq.to_be_bytes()[..], &leaves[leaves.len() - 1], &length.to_be_bytes(), &digest]
                .concat();
        leaves.push(sha256(&[&[0], &header]));
        log.extend([&header[..], &leaves[leaves.len() - 1][..8], payload].concat());
    }
    (log, leaves)
}

fn names() -> impl Strategy<Value = Name> {
    "[A-Za-z0-9._:/@-]{1,128}".prop_map(|text| Name::new(text).expect("in the alphabet"))
}

fn events() -> impl Strategy<Value = Event> {
    use proptest::option::of;
    let decisions = [Decision::Allow, Decision::Flag, Decision::Declassify, Decision::Ask, Decision::Block];
    let endings = [Ending::Pending, Ending::Ok, Ending::Denied, Ending::Failed];
    let required = (
        any::<u64>().prop_map(Timestamp),
        any::<u64>().prop_map(Monotonic),
        names(),
        proptest::sample::select(Action::ALL),
        names(),
        proptest::sample::select(endings.to_vec()),
    );
    let optional = (
        of(any::<[u8; 16]>().prop_map(RunId)),
        of(any::<u64>().prop_map(CallId)),
        of(any::<[u8; 16]>().prop_map(TraceId)),
        of(any::<u64>().prop_map(Seq)),
        of(proptest::sample::select(decisions.to_vec())),
        proptest::collection::vec(proptest::sample::select(Signal::ALL.to_vec()), 0..7)
            .prop_map(Signals::from_iter),
        of(names()),
        of(any::<[u8; 32]>()),
    );
    (required, optional).prop_map(|((time, monotonic, actor, action, target, ending), optional)| {
        let mut event = Event::new(time, actor, action, target, ending);
        event.monotonic = monotonic;
        (
            event.run,
            event.call,
            event.trace,
            event.intent,
            event.decision,
            event.signals,
            event.code,
            event.policy,
        ) = optional;
        event
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_is_appended_in_however_many_openings_is_read_back_and_chained_as_the_reference_does(
        lives in proptest::collection::vec(
            (proptest::collection::vec(events(), 0..6), any::<bool>()),
            1..4,
        ),
    ) {
        let folder = Folder::new("reference");
        let options = LogOptions::new().durability(Durability::Buffered);
        for (life, (events, close)) in lives.iter().enumerate() {
            let log = if life == 0 { options.create(folder.log(), &key()) } else { options.open(folder.log(), &key()) };
            let log = log.expect("opens");
            events.iter().for_each(|event| _ = log.append(event).expect("appends"));
            if *close {
                log.close().expect("closes");
            }
        }
        let bytes = std::fs::read(folder.log()).expect("reads");

        let (again, leaves) = chain(&bytes[..FILE_HEADER], &bare(&bytes));
        prop_assert_eq!(&again, &bytes);
        let report = verify(&bytes[..], &key()).expect("verifies").ensure_intact().expect("intact");
        prop_assert_eq!(report.last_leaf.0, leaves[leaves.len() - 1]);
        prop_assert_eq!(report.openings as usize, lives.len());

        let stored: Vec<_> = read(&bytes[..], &key()).collect::<Result<_, _>>().expect("reads");
        let written: Vec<_> = lives.into_iter().flat_map(|(events, _)| events).collect();
        let record_leaves = bare(&bytes).into_iter().zip(&leaves[1..]).filter(|(frame, _)| frame.kind == b'R');
        prop_assert!(stored.iter().map(|s| s.leaf.0).eq(record_leaves.map(|(_, leaf)| *leaf)));
        prop_assert!(stored.iter().enumerate().all(|(n, s)| s.seq == Seq(n as u64)));
        prop_assert_eq!(report.records as usize, written.len());
        prop_assert!(stored.into_iter().map(|s| s.event).eq(written));
    }
}
