//! Damaged, cut, reordered and forged logs: each is found, and the first bad place named.

use graft_audit::v0::{
    AuditError, Break, Depth, Place, State, VerifyReport, What, read, verify, verify_structure,
};
use proptest::prelude::*;

use crate::common::{FILE_HEADER, PAYLOAD_AT, key, other_key, small_log};
use crate::reference::{bare, chain, frames};

/// One flip of each bit, all of them, and what turns one kind of frame into another.
const MASKS: [u8; 12] = [1, 2, 4, 8, 16, 32, 64, 128, 255, b'R' ^ b'O', b'R' ^ b'C', b'O' ^ b'C'];

/// With and without the key.
fn reports(log: &[u8]) -> [Result<VerifyReport, AuditError>; 2] {
    [verify(log, &key()), verify_structure(log)]
}

/// The first bad place of a log whose header is good, the same at both depths.
fn first_bad(log: &[u8]) -> Break {
    let [sealed, structure] = reports(log).map(|report| report.expect("the header is good").first_bad);
    assert_eq!(sealed, structure);
    sealed.expect("it is found")
}

fn bad_header(log: &[u8]) -> What {
    let [sealed, structure] = reports(log).map(|report| match report {
        Err(AuditError::Broken(Break {
            segment: 0,
            place: Place::FileHeader,
            seq: 0,
            offset: 0,
            what,
            ..
        })) => what,
        other => unreachable!("{other:?}"),
    });
    assert_eq!(sealed, structure);
    assert!(read(log, &key()).next().is_some_and(|first| first.is_err()));
    sealed
}

/// Where each frame lies, what it is, and the number of the next record there.
fn places(log: &[u8]) -> Vec<(std::ops::Range<usize>, Place, u64)> {
    let place = |kind, seq| match kind {
        b'O' => Place::Opening,
        b'C' => Place::Closing,
        _ => Place::Record(seq),
    };
    frames(log).into_iter().zip(bare(log)).map(|(range, b)| (range, place(b.kind, b.seq), b.seq)).collect()
}

#[test]
fn flipping_any_byte_is_found_and_named() {
    let log = small_log("flip");
    for mask in MASKS {
        for at in 0..FILE_HEADER {
            let mut log = log.clone();
            log[at] ^= mask;
            let expected = match at {
                0..8 => What::NotALog,
                8..10 => What::UnknownVersion { found: u16::from_be_bytes([log[8], log[9]]) },
                _ => What::DamagedHeader,
            };
            assert_eq!(bad_header(&log), expected, "byte {at}");
        }
        for (range, place, seq) in places(&log) {
            for at in range.clone() {
                let mut log = log.clone();
                log[at] ^= mask;
                let reports = reports(&log).map(|report| report.expect("the header is good"));
                let found = reports[0].first_bad.clone().expect("it is found");
                assert_eq!(Some(&found), reports[1].first_bad.as_ref());
                let in_header = at < range.start + PAYLOAD_AT;
                let what = if in_header { What::DamagedHeader } else { What::DamagedBody };
                assert_eq!(
                    (found.offset, found.seq, found.what),
                    (range.start as u64, seq, what),
                    "byte {at}"
                );
                // The damaged byte may be the one that says what kind of frame it is.
                assert!(found.place == place || at == range.start, "byte {at}: {found}");
                assert!(reports.iter().all(|r| (r.records, r.good_bytes) == (seq, range.start as u64)));
                if mask == 1 {
                    assert_eq!(read(&log[..], &key()).filter(Result::is_ok).count() as u64, seq);
                }
            }
        }
    }
}

#[test]
fn a_log_cut_at_any_offset_is_torn_or_ends_open_at_a_frame() {
    let log = small_log("cut");
    for cut in 0..FILE_HEADER {
        assert_eq!(bad_header(&log[..cut]), What::ShortFileHeader { found: cut as u64 });
    }
    let header_only = verify(&log[..FILE_HEADER], &key()).expect("reads").ensure_intact().expect("intact");
    assert_eq!((header_only.records, header_only.state), (0, State::Open));
    for (range, place, seq) in places(&log) {
        for cut in range.start + 1..range.end {
            let found = (cut - range.start) as u64;
            let expected = if cut < range.start + PAYLOAD_AT { PAYLOAD_AT } else { range.len() } as u64;
            let what = What::TornTail { found, expected };
            assert_eq!(
                first_bad(&log[..cut]),
                Break { segment: 0, place, seq, offset: range.start as u64, what }
            );
        }
        let whole = verify(&log[..range.end], &key()).expect("reads").ensure_intact().expect("intact");
        assert_eq!(whole.state == State::Closed, place == Place::Closing);
        assert_eq!(whole.records, seq + u64::from(matches!(place, Place::Record(_))));
    }
}

#[test]
fn records_removed_repeated_or_swapped_are_named() {
    let log = small_log("order");
    let of =
        |n: u64| places(&log).into_iter().find(|(_, place, _)| *place == Place::Record(n)).expect("there").0;
    let (one, two) = (of(1), of(2));
    let rest = &log[two.end..];
    let at = |offset: usize, expected, found| {
        let what = What::OutOfOrder { found, expected };
        Break { segment: 0, place: Place::Record(expected), seq: expected, offset: offset as u64, what }
    };

    let removed = [&log[..one.start], &log[two.clone()], rest].concat();
    assert_eq!(first_bad(&removed), at(one.start, 1, 2));
    let repeated = [&log[..one.end], &log[one.clone()], &log[two.clone()], rest].concat();
    assert_eq!(first_bad(&repeated), at(one.end, 2, 1));
    let swapped = [&log[..one.start], &log[two.clone()], &log[one.clone()], rest].concat();
    assert_eq!(first_bad(&swapped), at(one.start, 1, 2));
}

#[test]
fn a_removed_opening_or_close_is_named() {
    let log = small_log("openings");
    let openings: Vec<_> =
        places(&log).into_iter().filter(|(_, place, _)| *place == Place::Opening).collect();
    for (range, _, seq) in openings {
        let removed = [&log[..range.start], &log[range.end..]].concat();
        let found = first_bad(&removed);
        assert_eq!((found.offset, found.place), (range.start as u64, Place::Record(seq)));
        assert!(matches!(found.what, What::WrongPrevious { .. }));
    }
    let more = [&log[..], &log[FILE_HEADER..]].concat();
    assert_eq!(first_bad(&more).what, What::OutOfOrder { found: 0, expected: 5 });
}

#[test]
fn a_record_of_another_log_does_not_follow() {
    let (log, other) = (small_log("mine"), small_log("theirs"));
    let (range, place, seq) = places(&log)[2].clone();
    let theirs = places(&other)[2].0.clone();
    let replayed = [&log[..range.start], &other[theirs], &log[range.end..]].concat();
    let found = first_bad(&replayed);
    assert_eq!((found.place, found.seq, found.offset), (place, seq, range.start as u64));
    let expected = graft_audit::Leaf(chain(&log[..FILE_HEADER], &bare(&log)[..2]).1[2]);
    assert!(matches!(found.what, What::WrongPrevious { expected: e, .. } if e == expected));
}

#[test]
fn a_chain_made_anew_without_the_key_has_a_structure_and_no_seal() {
    let (log, other) = (small_log("sealed"), small_log("other"));
    let (header, good) = (&log[..FILE_HEADER], bare(&log));
    let forged = |frames: &[_]| {
        let (bytes, _) = chain(header, frames);
        let structure = verify_structure(&bytes[..]).expect("reads");
        assert_eq!((&structure.first_bad, structure.depth), (&None, Depth::Structure));
        verify(&bytes[..], &key()).expect("reads").first_bad.expect("found")
    };
    for (n, (range, place, seq)) in places(&log).into_iter().enumerate() {
        // Every byte of every payload is under the seal or the MAC.
        for at in 0..good[n].payload.len() {
            let mut frames = good.clone();
            frames[n].payload[at] ^= 1;
            let expected = Break { segment: 0, place, seq, offset: range.start as u64, what: What::Forged };
            assert_eq!(forged(&frames), expected);
        }
        // The same frame of another log under the same key.
        let mut frames = good.clone();
        frames[n] = bare(&other)[n].clone();
        assert_eq!(forged(&frames).what, What::Forged);
    }
    // A record left out and the later ones renumbered.
    let mut frames = good.clone();
    frames.remove(2);
    frames[2..].iter_mut().for_each(|frame| frame.seq -= 1);
    assert_eq!(forged(&frames).place, Place::Record(1));
    // Opened and closed once more by somebody else.
    let mut frames = good.clone();
    frames.extend([good[0].clone(), good[good.len() - 1].clone()]);
    frames[good.len()].seq = 5;
    assert_eq!(forged(&frames).place, Place::Opening);
}

#[test]
fn a_record_before_any_opening_or_behind_a_close_is_misplaced() {
    let log = small_log("misplaced");
    let (header, good) = (&log[..FILE_HEADER], bare(&log));
    let early = chain(header, &good[1..]).0;
    let found = first_bad(&early);
    assert_eq!((found.place, found.offset, found.what), (Place::Record(0), 90, What::Misplaced));
    let mut late = good.clone();
    late.push(late[1].clone());
    late[good.len()].seq = 5;
    let found = first_bad(&chain(header, &late).0);
    assert_eq!(
        (found.place, found.offset, found.what),
        (Place::Record(5), log.len() as u64, What::Misplaced)
    );
}

#[test]
fn bytes_behind_the_close_are_named() {
    let log = small_log("behind");
    let with = |more: &[u8]| first_bad(&[&log[..], more].concat());
    let offset = log.len() as u64;
    assert_eq!(with(&[0]).what, What::TornTail { found: 1, expected: 85 });
    let zeros = with(&[0; 4096]);
    assert_eq!(
        zeros,
        Break { segment: 0, place: Place::Frame(5), seq: 5, offset, what: What::DamagedHeader }
    );
}

#[test]
fn a_wrong_key_is_named_as_such_and_damage_is_not_taken_for_it() {
    let log = small_log("key");
    assert!(matches!(verify(&log[..], &other_key()), Err(AuditError::WrongKey)));
    let mut events = read(&log[..], &other_key());
    assert!(matches!(events.next(), Some(Err(AuditError::WrongKey))));
    assert!(events.next().is_none());
    assert!(verify_structure(&log[..]).is_ok_and(|report| report.first_bad.is_none()));
}

#[test]
fn a_later_version_with_a_good_header_is_named() {
    let mut log = small_log("version");
    log[9] = 1;
    let digest: [u8; 32] =
        sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), &log[..58]))
            .into();
    log[58..90].copy_from_slice(&digest);
    assert_eq!(bad_header(&log), What::UnknownVersion { found: 1 });
}

#[test]
fn no_error_or_report_shows_key_or_record() {
    let mut log = small_log("words");
    let intact = verify(&log[..], &key()).expect("reads");
    let at = log.len() - 40;
    log[at] ^= 1;
    let broken = verify(&log[..], &key()).expect("reads");
    for text in [format!("{intact} {intact:?}"), format!("{broken} {broken:?}")] {
        assert!(!text.contains("agent") && !text.contains("send_money"), "{text}");
    }
    assert!(intact.to_string().contains("closed cleanly"));
    assert!(broken.to_string().contains("not intact: a closing frame at byte "), "{broken}");
    let open = verify(&log[..FILE_HEADER], &key()).expect("reads").to_string();
    assert!(open.contains("cannot be told from a log that is still open"), "{open}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn only_a_prefix_of_what_was_written_passes_and_nothing_panics(
        pieces in proptest::collection::vec((any::<prop::sample::Index>(), 0..300_usize), 0..6),
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        keep in any::<prop::sample::Index>(),
    ) {
        static LOG: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| small_log("splice"));
        let mut bytes = LOG[..keep.index(LOG.len() + 1)].to_vec();
        for (from, length) in pieces {
            let from = from.index(LOG.len());
            bytes.extend(&LOG[from..(from + length).min(LOG.len())]);
        }
        let noisy = [&bytes[..], &noise].concat();
        for input in [&bytes, &noisy, &noise] {
            for report in reports(input).into_iter().flatten() {
                if report.first_bad.is_none() {
                    prop_assert!(LOG.starts_with(input));
                }
                prop_assert!(LOG.starts_with(&input[..report.good_bytes as usize]));
            }
            let read = read(&input[..], &key()).filter(Result::is_ok).count();
            prop_assert!(read <= 5);
        }
    }
}
