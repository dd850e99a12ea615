use std::sync::LazyLock;

use graft_core::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::checkpoint::tests::{seed, signer};
use crate::note::NoteError;
use crate::tree::{TreeHead, prove_consistency, prove_inclusion};
use crate::{AuditSigner, Frontier, WitnessSigner};

const LOG: &str = "example.com/log";

fn header(number: u64) -> Vec<u8> {
    format!("header of record {number}").into_bytes()
}

fn leaves(count: u64) -> Vec<Leaf> {
    (0..count).map(|number| Leaf::of(&header(number))).collect()
}

fn head(count: u64) -> TreeHead {
    let mut frontier = Frontier::new();
    leaves(count).iter().for_each(|leaf| frontier.push(*leaf));
    frontier.head()
}

fn log() -> AuditSigner {
    signer(LOG, 1)
}

fn witness(number: u8) -> WitnessSigner {
    let name = format!("example.com/w{number}").parse().expect("a name");
    WitnessSigner::new(name, &seed(number)).expect("random")
}

fn checkpoint(size: u64, witnesses: &[u8]) -> Checkpoint {
    let mut checkpoint = log().sign(&head(size), &[]).expect("no extensions");
    for number in witnesses {
        let line = witness(*number).cosign(&checkpoint, Timestamp(7_000_000_000));
        checkpoint.add_cosignatures(&line, &[witness(*number).verifier()]).expect("sound");
    }
    checkpoint
}

fn bundle(index: u64, size: u64, witnesses: &[u8]) -> String {
    let path = prove_inclusion(&mut leaves(size).as_slice(), index, size).expect("a record");
    let made = ProofBundle::new(&header(index), index, &path, &checkpoint(size, witnesses));
    made.expect("a proof").to_string()
}

fn consistency(old: u64, new: u64) -> String {
    let proof = prove_consistency(&mut leaves(new).as_slice(), old, new).expect("an earlier tree");
    let made = ConsistencyBundle::new(&proof, &checkpoint(old, &[]), &checkpoint(new, &[7]));
    made.expect("a proof").to_string()
}

fn check(text: &str) -> Result<VerifiedProof, BundleError> {
    UnverifiedBundle::parse(text)?.verify(&log().verifier(), &[], 0)
}

fn check_consistency(text: &str) -> Result<VerifiedConsistency, BundleError> {
    UnverifiedConsistency::parse(text)?.verify(&log().verifier(), &[], 0)
}

#[test]
fn every_record_of_every_small_log_is_proved_and_printed_as_it_was_read() {
    for size in 1..=9 {
        for index in 0..size {
            let text = bundle(index, size, &[]);
            assert_eq!(UnverifiedBundle::parse(&text).expect("a bundle").to_string(), text);
            let proof = check(&text).expect("a proof");
            assert_eq!((proof.index(), proof.checkpoint().head()), (index, head(size)));
            assert_eq!((proof.header(), proof.leaf()), (&header(index)[..], Leaf::of(&header(index))));
        }
        for old in 0..=size {
            let text = consistency(old, size);
            assert_eq!(UnverifiedConsistency::parse(&text).expect("a bundle").to_string(), text);
            let proof = check_consistency(&text).expect("a proof");
            assert_eq!([proof.earlier(), proof.later()].map(|c| c.head()), [head(old), head(size)]);
        }
    }
}

#[test]
fn a_bundle_is_the_text_that_the_specification_draws() {
    let text = bundle(1, 3, &[7]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..3], ["c2sp.org/tlog-proof@v1", "extra aGVhZGVyIG9mIHJlY29yZCAx", "index 1"]);
    assert_eq!(lines[3], text::print_hash(&Leaf::of(&header(0)).into()));
    assert_eq!((lines[5], lines[6], lines[7]), ("", LOG, "3"));
    assert!(lines[10].starts_with("— example.com/log ") && lines[11].starts_with("— example.com/w7 "));
    assert_eq!(lines.len(), 12);
}

#[test]
fn a_quorum_counts_known_witnesses_once() {
    let verify = |witnesses: &[u8], quorum| {
        let keys: Vec<_> = witnesses.iter().map(|number| witness(*number).verifier()).collect();
        let parsed = UnverifiedBundle::parse(bundle(2, 5, &[7, 8])).expect("a bundle");
        parsed.verify(&log().verifier(), &keys, quorum).map(|proof| proof.cosigned_by().len())
    };
    assert_eq!(verify(&[7, 8, 9], 2), Ok(2));
    assert_eq!(verify(&[], 0), Ok(0));
    assert_eq!(verify(&[7], 0), Ok(1));
    assert_eq!(verify(&[7, 8, 9], 3), Err(BundleError::Quorum { found: 2, needed: 3 }));
    assert_eq!(verify(&[7, 7, 7], 2), Err(BundleError::Quorum { found: 1, needed: 2 }));
    assert_eq!(verify(&[], 1), Err(BundleError::Quorum { found: 0, needed: 1 }));

    let text = consistency(3, 5);
    let verify = |number, quorum| {
        let parsed = UnverifiedConsistency::parse(&text).expect("a bundle");
        parsed
            .verify(&log().verifier(), &[witness(number).verifier()], quorum)
            .map(|proof| proof.cosigned_by().len())
    };
    assert_eq!(verify(7, 1), Ok(1));
    assert_eq!(verify(8, 1), Err(BundleError::Quorum { found: 0, needed: 1 }));
}

#[test]
fn hostile_bundles_are_refused_by_name() {
    let text = bundle(5, 9, &[]);
    let lines: Vec<_> = text.lines().collect();
    let (first, second) = (lines[3], lines[4]);
    let with = |from: &str, to: &str| text.replacen(from, to, 1);
    let line = |line| BundleError::Line { line };
    let form = BundleError::Checkpoint(CheckpointError::Form);
    let forged = BundleError::Checkpoint(CheckpointError::Forged);
    let root = BundleError::Proof(ProofError::WrongRoot);
    let extra = lines[1];
    for (what, hostile, why) in [
        ("empty", String::new(), BundleError::UnknownForm),
        ("a later version", with("@v1", "@v2"), BundleError::UnknownForm),
        ("the other kind of proof", consistency(3, 9), BundleError::UnknownForm),
        ("carriage returns", text.replace('\n', "\r\n"), BundleError::UnknownForm),
        ("no header", with(&format!("{extra}\n"), ""), BundleError::NoHeader),
        ("first line alone", "c2sp.org/tlog-proof@v1\n\n".to_owned(), BundleError::NoHeader),
        ("empty header", with(extra, "extra "), line(2)),
        ("header without padding", with(extra, "extra aGk"), line(2)),
        ("header with bits left over", with(extra, "extra aGl="), line(2)),
        ("header twice", with(extra, &format!("{extra}\n{extra}")), line(3)),
        ("header too long", with(extra, &format!("extra {}", "A".repeat(22_000))), BundleError::TooLong),
        ("bundle too long", format!("{text}{}", "A".repeat(MAX_BUNDLE)), BundleError::TooLong),
        ("leading zero", with("index 5", "index 05"), line(3)),
        ("sign", with("index 5", "index +5"), line(3)),
        ("no index", with("index 5\n", ""), line(3)),
        ("index of 2^63", with("index 5", "index 9223372036854775808"), line(3)),
        ("cut hash", with(first, &first[..40]), line(4)),
        ("hash with bits left over", with(first, &with_bits(first)), line(4)),
        ("hash with space", with(first, &format!("{first} ")), line(4)),
        ("65 hashes", with(first, &[first; 62].join("\n")), line(68)),
        ("cut in the hashes", text[..text.find(second).expect("there") - 1].to_owned(), line(4)),
        ("cut behind the hashes", text[..text.find("\n\n").expect("there") + 1].to_owned(), line(8)),
        ("cut in the checkpoint", text[..text.rfind("\n\n").expect("there") + 1].to_owned(), note_error()),
        ("bytes behind", format!("{text}x"), note_error()),
        ("checkpoint without size", with("\n9\n", "\n"), form),
        ("checkpoint of another size", with("\n9\n", "\n8\n"), forged),
        ("another record", with(extra, &format!("extra {}", text::print_base64(&header(4)))), root),
        ("another place", with("index 5", "index 4"), root),
        ("hashes swapped", with(&format!("{first}\n{second}"), &format!("{second}\n{first}")), root),
        (
            "a hash missing",
            with(&format!("{first}\n"), ""),
            BundleError::Proof(ProofError::WrongLength { found: 3 }),
        ),
        (
            "a hash twice",
            with(first, &[first; 2].join("\n")),
            BundleError::Proof(ProofError::WrongLength { found: 5 }),
        ),
        (
            "past the tree",
            with("index 5", "index 9"),
            BundleError::Proof(ProofError::PastEnd { index: 9, size: 9 }),
        ),
        (
            "far past the tree",
            with("index 5", "index 9223372036854775807"),
            BundleError::Proof(ProofError::PastEnd { index: i64::MAX as u64, size: 9 }),
        ),
    ] {
        assert_ne!(hostile, text, "{what}");
        assert_eq!(check(&hostile).err(), Some(why), "{what}");
    }
    let verify = |signer: AuditSigner| {
        UnverifiedBundle::parse(&text).expect("a bundle").verify(&signer.verifier(), &[], 0)
    };
    assert_eq!(verify(signer("other", 1)).err(), Some(BundleError::Checkpoint(CheckpointError::WrongOrigin)));
    assert_eq!(verify(signer(LOG, 2)).err(), Some(BundleError::Checkpoint(CheckpointError::NotSigned)));
    assert_eq!(check(&text).map(|proof| proof.index()), Ok(5));
}

fn note_error() -> BundleError {
    BundleError::Checkpoint(CheckpointError::Note(NoteError::NoSignatures))
}

/// The same 32 bytes in a spelling that a lax decoder takes.
fn with_bits(hash: &str) -> String {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let at = alphabet.find(&hash[42..43]).expect("base64");
    format!("{}{}=", &hash[..42], &alphabet[at + 1..at + 2])
}

#[test]
fn hostile_consistency_bundles_are_refused_by_name() {
    let text = consistency(5, 9);
    let first = text.lines().nth(1).expect("a hash");
    let head_of = |text: &str| text[..=text.find("\n\n").expect("there")].to_owned();
    let forked = {
        let tree = TreeHead { size: 5, root: TreeHash([9; 32]) };
        let old = log().sign(&tree, &[]).expect("no extensions");
        format!("{}\n{old}\n{}", head_of(&text), checkpoint(9, &[]))
    };
    let swapped = format!("{}\n{}\n{}", head_of(&text), checkpoint(9, &[]), checkpoint(5, &[]));
    let other = signer("other", 1).sign(&head(5), &[]).expect("no extensions");
    let of_two_logs = format!("{}\n{other}\n{}", head_of(&text), checkpoint(9, &[]));
    let one_note = format!("{}\n{}", head_of(&text), checkpoint(9, &[]));
    let three_notes = format!("{text}\n{}", checkpoint(9, &[]));
    let form = BundleError::Checkpoint(CheckpointError::Form);
    let length = |found| BundleError::Proof(ProofError::WrongLength { found });
    for (what, hostile, why) in [
        ("the other kind of proof", bundle(5, 9, &[]), BundleError::UnknownForm),
        ("no checkpoint", head_of(&text), BundleError::Line { line: 7 }),
        ("one checkpoint", one_note, form),
        ("three checkpoints", three_notes, form),
        ("a hash missing", text.replacen(&format!("{first}\n"), "", 1), length(4)),
        (
            "no hashes and one checkpoint",
            format!("graft-audit/consistency-proof@v1\n\n{}", checkpoint(9, &[])),
            form,
        ),
        ("a fork", forked, BundleError::Proof(ProofError::Fork)),
        ("swapped", swapped, BundleError::Proof(ProofError::Shrunk { old: 9, new: 5 })),
        ("of two logs", of_two_logs, BundleError::Checkpoint(CheckpointError::WrongOrigin)),
    ] {
        assert_eq!(check_consistency(&hostile).err(), Some(why), "{what}");
    }
    let other = ConsistencyBundle::new(&[], &other, &checkpoint(5, &[]));
    assert_eq!(other.err(), Some(BundleError::Checkpoint(CheckpointError::WrongOrigin)));
}

#[test]
fn a_bundle_that_would_not_hold_is_not_made() {
    let path = prove_inclusion(&mut leaves(5).as_slice(), 2, 5).expect("a record");
    let make = |header: &[u8], index| ProofBundle::new(header, index, &path, &checkpoint(5, &[])).err();
    assert_eq!(make(&header(2), 2), None);
    assert_eq!(make(&header(3), 2), Some(BundleError::Proof(ProofError::WrongRoot)));
    assert_eq!(make(&header(2), 3), Some(BundleError::Proof(ProofError::WrongRoot)));
    assert_eq!(make(&[], 2), Some(BundleError::NoHeader));
    assert_eq!(make(&[0; MAX_HEADER + 1], 2), Some(BundleError::TooLong));
}

// Made once: a signature takes long without optimisation.
static SAMPLES: LazyLock<(String, String)> = LazyLock::new(|| (bundle(5, 9, &[7]), consistency(5, 9)));

proptest! {
    #[test]
    fn one_changed_byte_is_noticed(at in any::<prop::sample::Index>(), by in 1..=255_u8) {
        for (text, inclusion) in [(&SAMPLES.0, true), (&SAMPLES.1, false)] {
            let mut bytes = text.clone().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            let (log, witnesses) = (log().verifier(), [witness(7).verifier()]);
            let noticed = if inclusion {
                UnverifiedBundle::parse(&bytes).and_then(|read| read.verify(&log, &witnesses, 1)).is_err()
            } else {
                UnverifiedConsistency::parse(&bytes).and_then(|read| read.verify(&log, &witnesses, 1)).is_err()
            };
            prop_assert!(noticed, "byte {at}");
        }
    }

    #[test]
    fn a_cut_anywhere_is_noticed(at in any::<prop::sample::Index>()) {
        for text in [&SAMPLES.0, &SAMPLES.1] {
            // Behind a cosignature's line a cut leaves a whole note with one signature less.
            let whole = text.rfind("— ").expect("a signature");
            let mut at = at.index(text.len());
            while at == whole || !text.is_char_boundary(at) {
                at -= 1;
            }
            prop_assert!(check(&text[..at]).is_err() && check_consistency(&text[..at]).is_err());
        }
    }
}

/// Files that anybody's tool may be tried on; `PROOFS.md` says what is in them.
#[test]
fn the_golden_files_are_what_is_made_and_hold() {
    let request = {
        let proof = prove_consistency(&mut leaves(9).as_slice(), 5, 9).expect("an earlier tree");
        crate::WitnessRequest::new(5, &proof, &checkpoint(9, &[])).expect("a proof").to_string()
    };
    let keys = format!("{}\n{}\n", log().verifier(), witness(7).verifier());
    for (golden, made) in [
        (include_str!("../../tests/golden/proofs/record-5-of-9.tlog-proof"), bundle(5, 9, &[7])),
        (include_str!("../../tests/golden/proofs/5-to-9.consistency"), consistency(5, 9)),
        (include_str!("../../tests/golden/proofs/5-to-9.request"), request),
        (include_str!("../../tests/golden/proofs/keys"), keys),
    ] {
        assert_eq!(golden, made);
    }
}
