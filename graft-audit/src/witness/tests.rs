use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, LazyLock, Mutex};
use std::time::Duration;

use graft_core::Clock;
use proptest::prelude::*;

use super::*;
use crate::checkpoint::tests::{seed, signer};
use crate::tree::{TreeHash, prove_consistency};
use crate::{AuditSigner, Leaf, MemoryAnchor};

const LOG: &str = "example.com/log";
const NOW: Timestamp = Timestamp(1_700_000_000_000_000_000);
/// Where the two histories part.
const SHARED: u64 = 4;
const MOST: u64 = 10;

/// The leaves of one of two histories with the same beginning.
fn leaves(history: u8, size: u64) -> Vec<Leaf> {
    let leaf = |at| if at < SHARED { Leaf([at as u8; 32]) } else { Leaf([at as u8 | history << 7; 32]) };
    (0..size).map(leaf).collect()
}

fn head(history: u8, size: u64) -> TreeHead {
    let mut frontier = crate::Frontier::new();
    leaves(history, size).iter().for_each(|leaf| frontier.push(*leaf));
    frontier.head()
}

fn proof(history: u8, old: u64, new: u64) -> Vec<TreeHash> {
    prove_consistency(&mut leaves(history, new).as_slice(), old, new).unwrap_or_default()
}

// Made once: a signature takes long without optimisation.
static CHECKPOINTS: LazyLock<BTreeMap<(u8, u64), Checkpoint>> = LazyLock::new(|| {
    let all = (0..=1).flat_map(|history| (0..=MOST).map(move |size| (history, size)));
    let sign = |(history, size)| signer(LOG, 1).sign(&head(history, size), &[]).expect("no extensions");
    all.map(|at| (at, sign(at))).collect()
});

/// A request as somebody who shows two histories sends it: the claimed size and the proof may be anything.
fn request(history: u8, old: u64, new: u64) -> WitnessRequest {
    let checkpoint = CHECKPOINTS[&(history, new)].clone().into();
    WitnessRequest { old, proof: proof(history, old, new), checkpoint }
}

fn key() -> WitnessSigner {
    WitnessSigner::new("example.com/witness".parse().expect("a name"), &seed(9)).expect("random")
}

fn over(seen: impl Anchor + 'static) -> Witness {
    Witness::new(key()).with_log(signer(LOG, 1).verifier(), Box::new(seen))
}

fn witness() -> Witness {
    over(MemoryAnchor::new())
}

fn ask(witness: &Witness, request: &WitnessRequest) -> Result<String, (u16, String)> {
    witness.add_checkpoint(request.to_string(), NOW).map_err(|why| (why.status(), why.body()))
}

fn no<T>(status: u16, body: &str) -> Result<T, (u16, String)> {
    Err((status, body.to_owned()))
}

#[test]
fn a_log_that_grows_is_cosigned_at_every_step() {
    let witness = witness();
    for (old, new) in [(0, 0), (0, 3), (3, 3), (3, 4), (4, 9), (9, 10)] {
        let answer = ask(&witness, &request(1, old, new)).expect("consistent");
        let mut checkpoint = CHECKPOINTS[&(1, new)].clone();
        let seen = checkpoint.add_cosignatures(&answer, &[witness.verifier()]).expect("sound");
        assert_eq!(seen[0].unix_seconds, 1_700_000_000);
        assert_eq!(answer.lines().count(), 1);
        assert_eq!(witness.last_seen(checkpoint.origin()).expect("known"), Some(head(1, new)));
    }
}

#[test]
fn each_refusal_has_the_status_and_body_of_the_specification() {
    let witness = witness();
    ask(&witness, &request(0, 0, 6)).expect("the first");
    let changed = |change: fn(&mut WitnessRequest)| {
        let mut request = request(0, 6, 9);
        change(&mut request);
        ask(&witness, &request)
    };
    let sign =
        |name, number, size| signer(name, number).sign(&head(0, size), &[]).expect("no extensions").into();
    for (what, answer, expected) in [
        (
            "no request",
            witness.add_checkpoint("", NOW).map_err(|why| (why.status(), why.body())),
            no(400, ""),
        ),
        (
            "an unknown log",
            {
                let other = WitnessRequest { old: 0, proof: Vec::new(), checkpoint: sign("other", 1, 9) };
                ask(&witness, &other)
            },
            no(404, ""),
        ),
        (
            "another key",
            {
                let other = WitnessRequest { old: 6, proof: proof(0, 6, 9), checkpoint: sign(LOG, 2, 9) };
                ask(&witness, &other)
            },
            no(403, ""),
        ),
        ("an earlier size that is larger", changed(|request| request.old = 10), no(400, "")),
        ("an earlier size of 2^63 - 1", changed(|request| request.old = i64::MAX as u64), no(400, "")),
        ("a question for the size", ask(&witness, &request(0, 0, 9)), no(409, "6\n")),
        ("a size in between", ask(&witness, &request(0, 5, 9)), no(409, "6\n")),
        ("a smaller tree", ask(&witness, &request(0, 0, 5)), no(409, "6\n")),
        ("another tree of the size", ask(&witness, &request(1, 6, 6)), no(409, "6\n")),
        ("another history", ask(&witness, &request(1, 6, 9)), no(422, "")),
        ("no proof", changed(|request| request.proof.clear()), no(422, "")),
        ("a hash too many", changed(|request| request.proof.push(TreeHash::EMPTY)), no(422, "")),
        ("hashes swapped", changed(|request| request.proof.swap(0, 1)), no(422, "")),
        (
            "a proof where none is due",
            {
                let twice = WitnessRequest { proof: vec![TreeHash::EMPTY], ..request(0, 6, 6) };
                ask(&witness, &twice)
            },
            no(422, ""),
        ),
    ] {
        assert_eq!(answer, expected, "{what}");
    }
    assert!(ask(&witness, &request(0, 6, 9)).is_ok(), "the right one");

    let first = over(MemoryAnchor::new());
    let mut empty = request(0, 0, 0);
    let odd = TreeHead { size: 0, root: TreeHash([1; 32]) };
    empty.checkpoint = signer(LOG, 1).sign(&odd, &[]).expect("no extensions").into();
    assert_eq!(ask(&first, &empty), no(422, ""));
    let with_proof = WitnessRequest { proof: proof(0, 3, 6), ..request(0, 0, 6) };
    assert_eq!(ask(&first, &with_proof), no(422, ""));
}

#[test]
fn a_log_may_have_two_keys_while_it_changes_them() {
    let both = witness().with_log(signer(LOG, 2).verifier(), Box::new(MemoryAnchor::new()));
    ask(&both, &request(0, 0, 6)).expect("the first");
    let mut renewed = request(0, 6, 9);
    renewed.checkpoint = signer(LOG, 2).sign(&head(0, 9), &[]).expect("no extensions").into();
    ask(&both, &renewed).expect("the new key, and what was seen under the old one");
}

// The example of the specification, whose keys nobody has.
const EXAMPLE: &str = "old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
";

#[test]
fn requests_have_one_form() {
    let read = WitnessRequest::parse(EXAMPLE).expect("the specification's example");
    assert_eq!((read.to_string().as_str(), read.old, read.proof.len()), (EXAMPLE, 20_852_014, 4));
    for request in [request(0, 0, 0), request(1, 3, 9)] {
        assert_eq!(WitnessRequest::parse(request.to_string()).expect("a request"), request);
    }
    let line = EXAMPLE.lines().nth(1).expect("a hash");
    let with = |from: &str, to: &str| EXAMPLE.replacen(from, to, 1);
    assert!(WitnessRequest::parse(with(line, &[line; 60].join("\n"))).is_ok(), "63 hashes");
    for (what, hostile) in [
        ("64 hashes", with(line, &[line; 61].join("\n"))),
        ("leading zero", with("old 2", "old 02")),
        ("sign", with("old 2", "old -2")),
        ("two spaces", with("old 2", "old  2")),
        ("2^63", with("old 20852014", "old 9223372036854775808")),
        ("no size", with("old 20852014\n", "")),
        ("cut hash", with(line, &line[..43])),
        ("bits left over", with("kaw=", "kax=")),
        ("space behind a hash", with(line, &format!("{line} "))),
        ("carriage returns", EXAMPLE.replace('\n', "\r\n")),
        ("no empty line", with("\n\n", "\n")),
        ("no checkpoint", EXAMPLE[..EXAMPLE.find("\n\n").expect("there") + 2].to_owned()),
        ("no signatures", EXAMPLE[..EXAMPLE.rfind("\n\n").expect("there") + 2].to_owned()),
        ("cut", EXAMPLE[..EXAMPLE.len() - 1].to_owned()),
        ("bytes behind", format!("{EXAMPLE}x")),
        ("long", format!("{EXAMPLE}{}", "x".repeat(MAX_LONG))),
    ] {
        assert!(WitnessRequest::parse(&hostile).is_err(), "{what}");
    }
    let checkpoint = &CHECKPOINTS[&(0, 6)];
    assert!(WitnessRequest::new(7, &[], checkpoint).is_err());
    assert!(WitnessRequest::new(3, &[TreeHash::EMPTY; 64], checkpoint).is_err());
}

const MAX_LONG: usize = 100_000;

/// All that was cosigned is of one history, and nothing in it shrank or stands beside it.
fn of_one_history(cosigned: &[(u8, u64)]) -> bool {
    (0..=1).any(|history| cosigned.iter().all(|&(of, size)| head(of, size) == head(history, size)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_witness_never_cosigns_two_histories(
        steps in proptest::collection::vec((0..=1_u8, 0..=1_u8, 0..=MOST, 0..=MOST, any::<bool>()), 1..12)
    ) {
        let witness = witness();
        let origin = LOG.parse().expect("a name");
        let mut cosigned: Vec<(u8, u64)> = Vec::new();
        for (history, of_proof, old, new, told) in steps {
            let seen = witness.last_seen(&origin).expect("known").map_or(0, |head| head.size);
            let old = if told { seen } else { old };
            let mut request = request(history, old, new);
            request.proof = proof(of_proof, old, new);
            if ask(&witness, &request).is_ok() {
                prop_assert!(cosigned.last().is_none_or(|last| last.1 <= new), "it shrank");
                cosigned.push((history, new));
            } else {
                // Never without a reason: what a log with this one history sends is cosigned.
                let honest = history == of_proof && old == seen && old <= new;
                let grown = [&cosigned[..], &[(history, new)]].concat();
                prop_assert!(!(honest && of_one_history(&grown)), "an honest step was refused");
            }
            prop_assert!(of_one_history(&cosigned), "{cosigned:?}");
        }
    }
}

#[test]
fn of_two_histories_at_once_one_is_cosigned() {
    for _ in 0..10 {
        let witness = witness();
        ask(&witness, &request(0, 0, SHARED)).expect("the first");
        let barrier = Barrier::new(4);
        let cosigned = std::thread::scope(|scope| {
            let ask = |at: u64| {
                let request = request(at as u8 % 2, SHARED, MOST - at / 2);
                barrier.wait();
                ask(&witness, &request).is_ok()
            };
            let threads: Vec<_> = (0..4).map(|at| scope.spawn(move || ask(at))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).filter(|ok| *ok).count()
        });
        assert_eq!(cosigned, 1);
    }
}

/// Fails when told to, before or after it kept the state.
struct Failing(MemoryAnchor, Arc<Mutex<Option<bool>>>);

impl Anchor for Failing {
    fn load(&self, log: LogId) -> Result<Option<Anchored>, AnchorError> {
        self.0.load(log)
    }

    fn advance(&self, from: Option<&Anchored>, to: &Anchored) -> Result<(), AnchorError> {
        let fails = *self.1.lock().expect("no panic");
        if fails != Some(false) {
            self.0.advance(from, to)?;
        }
        if fails.is_some() { Err(AnchorError::Other("told to fail".into())) } else { Ok(()) }
    }
}

#[test]
fn what_could_not_be_kept_is_not_cosigned() {
    let fails = Arc::new(Mutex::new(None));
    let witness = over(Failing(MemoryAnchor::new(), fails.clone()));
    ask(&witness, &request(0, 0, 3)).expect("the first");
    for kept in [false, true] {
        *fails.lock().expect("no panic") = Some(kept);
        assert_eq!(ask(&witness, &request(0, 3, 6)), no(500, ""));
    }
    *fails.lock().expect("no panic") = None;
    // It was kept the second time, so it is from there that the log goes on.
    assert_eq!(ask(&witness, &request(0, 3, 6)), no(409, "6\n"));
    ask(&witness, &request(0, 6, 6)).expect("the same again");
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn a_log_cannot_move_its_witness_to_another_history() {
    let id = LogId([3; 16]);
    let witness = Arc::new(witness());
    let anchor_of = |history| {
        let prove = Box::new(move |old, new| Some(proof(history, old, new)));
        WitnessAnchor::new(id, witness.clone(), signer(LOG, 1), Arc::new(Stopped), prove)
    };
    let (honest, forked) = (anchor_of(0), anchor_of(1));
    let at = |history, size| Anchored { log: id, head: head(history, size) };
    assert_eq!(honest.load(id).expect("known"), None);
    honest.advance(None, &at(0, 2)).expect("the first state");
    honest.advance(Some(&at(0, 2)), &at(0, 6)).expect("a later state");
    assert_eq!(forked.load(id).expect("known"), Some(at(0, 6)));

    let refused = |end: Result<(), AnchorError>| match end {
        Err(AnchorError::Refused(why)) => why.status(),
        _ => 0,
    };
    assert_eq!(refused(forked.advance(Some(&at(0, 6)), &at(1, 9))), 422);
    assert!(matches!(forked.advance(Some(&at(1, 6)), &at(1, 9)), Err(AnchorError::Conflict)));
    assert!(matches!(honest.advance(Some(&at(0, 2)), &at(0, 9)), Err(AnchorError::Conflict)));
    assert!(matches!(honest.advance(Some(&at(0, 6)), &at(0, 2)), Err(AnchorError::Backwards { .. })));
    assert!(matches!(honest.load(LogId([4; 16])), Err(AnchorError::WrongLog)));
    assert_eq!(honest.load(id).expect("known"), Some(at(0, 6)));

    let unknown = signer("other", 1);
    let anchor = |signer: AuditSigner, prove: Box<Prove>| {
        WitnessAnchor::new(id, witness.clone(), signer, Arc::new(Stopped), prove)
    };
    assert!(matches!(anchor(unknown, Box::new(|_, _| None)).load(id), Err(AnchorError::Refused(_))));
    let unable = anchor(signer(LOG, 1), Box::new(|_, _| None));
    assert_eq!(refused(unable.advance(Some(&at(0, 6)), &at(0, 9))), 422);
    honest.advance(Some(&at(0, 6)), &at(0, 9)).expect("a later state");
}
