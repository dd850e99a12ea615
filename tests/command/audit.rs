//! `graft audit list` and `graft audit verify` over logs that were written by graft and then damaged.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use graft::audit::{AuditKey, AuditSigner, FileAnchor, NO_ANCHOR};
use graft::audit::{Durability, LogOptions};
use graft::core::{Action, CallId, Decision, Ending, Event, RunId, Seq, Signal, TraceId};
use graft::{Name, Timestamp};
use serde_json::{Value, json};

use crate::common::Folder;

pub(crate) const VERIFY: [&str; 6] = ["audit", "verify", "--log", "log", "--key", "key"];
pub(crate) const STRUCTURE: [&str; 4] = ["audit", "verify", "--log", "log"];
pub(crate) const LIST: [&str; 6] = ["audit", "list", "--log", "log", "--key", "key"];

/// A folder with `log`, which has `records` records and was closed, and its `key`.
pub(crate) fn logged(records: u64) -> Folder {
    let folder = Folder::new();
    let key = AuditKey::generate().expect("randomness");
    folder.write_private("key", format!("{}\n", hex(&key)));
    let options = LogOptions::new().durability(Durability::Buffered);
    let log = options.create(folder.path().join("log"), &key).expect("creates");
    for n in 0..records {
        log.append(&event(n)).expect("appends");
    }
    log.close().expect("closes");
    folder
}

pub(crate) fn hex(key: &AuditKey) -> String {
    key.expose_secret().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An event with everything in it for odd `n`, and with nothing optional for even `n`.
pub(crate) fn event(n: u64) -> Event {
    let time = Timestamp(1_700_000_000_123_456_789 + n * 1_000_000_000);
    let mut event = Event::new(time, name("agent:7"), Action::RunBegin, name("AZaz09._-:/@"), Ending::Ok);
    if n % 2 == 1 {
        event.action = Action::DataflowBlocked;
        event.target = name("Bank.send_money");
        event.ending = Ending::Denied;
        event.run = Some(RunId([0xab; 16]));
        event.call = Some(CallId(n));
        event.trace = Some(TraceId([8; 16]));
        event.intent = Some(Seq(n - 1));
        event.decision = Some(Decision::Block);
        event.signals = [Signal::UntrustedAuthority, Signal::UntrustedToSink].into();
        event.code = Some(name("dataflow_policy_blocked"));
        event.policy = Some([7; 32]);
    }
    event
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub(crate) const SEGMENT: &str = "log/0000000000.seg";

fn flip(folder: &Folder, good: &[u8], at: usize) {
    let mut bytes = good.to_vec();
    bytes[at] ^= 1;
    folder.write(SEGMENT, bytes);
}

/// The segment of the log, without the room that was made beforehand.
pub(crate) fn bytes(folder: &Folder) -> Vec<u8> {
    let mut bytes = std::fs::read(folder.path().join(SEGMENT)).expect("reads");
    bytes.truncate(bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1));
    bytes
}

/// Where the header of a record begins.
pub(crate) fn record_at(bytes: &[u8], seq: u64) -> usize {
    let mut start = *b"R\x01\0\0\0\0\0\0\0\0\0\0";
    start[4..].copy_from_slice(&seq.to_be_bytes());
    bytes.windows(start.len()).position(|window| window == start).expect("it is there")
}

#[test]
fn an_intact_log_verifies_with_and_without_its_key() {
    let folder = logged(4);
    let ended = folder.succeeds(&VERIFY);
    assert!(ended.out.contains("4 good records") && ended.out.contains("closed cleanly"), "{}", ended.out);
    assert!(ended.out.contains("checked with the key") && ended.err.is_empty(), "{}", ended.out);
    assert!(ended.out.contains(NO_ANCHOR), "{}", ended.out);
    let ended = folder.succeeds(&STRUCTURE);
    assert!(ended.out.contains("checked without the key") && ended.out.contains(NO_ANCHOR), "{}", ended.out);
    for (arguments, depth) in [(&VERIFY[..], "sealed"), (&STRUCTURE, "structure")] {
        let ended = folder.succeeds(&[arguments, &["--format", "json"]].concat());
        let report: Value = serde_json::from_str(&ended.out).expect("one JSON value");
        let expected = json!({"intact": true, "depth": depth, "records": 4, "first_seq": 0, "size": 4, "segments": 1,
            "state": "closed", "torn": null, "erased": 0, "first_bad": null, "breaks": [], "breaks_in_all": 0,
            "anchors": [], "anchor": NO_ANCHOR, "log": report["log"], "last_leaf": report["last_leaf"],
            "root": report["root"]});
        assert_eq!(report, expected);
        for (name, digits) in [("log", 32), ("last_leaf", 64), ("root", 64)] {
            assert_eq!(report[name].as_str().map(str::len), Some(digits), "{name}");
        }
    }
}

#[test]
fn the_list_says_all_that_the_records_hold() {
    let folder = logged(2);
    let out = folder.succeeds(&LIST).out;
    let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    let header = "seq time actor action target ending run call decision signals code intent";
    assert_eq!(rows[0].join(" "), header);
    let plain = "0 2023-11-14T22:13:20.123Z agent:7 run:begin AZaz09._-:/@ ok - - - - - -";
    assert_eq!(rows[1].join(" "), plain);
    let full = "1 2023-11-14T22:13:21.123Z agent:7 tool:dataflow:blocked Bank.send_money denied abababab 1 block \
        untrusted-to-sink,untrusted-authority dataflow_policy_blocked 0";
    assert_eq!(rows[2].join(" "), full);
    assert_eq!(rows.len(), 3);

    let out = folder.succeeds(&[&LIST[..], &["--format", "json"]].concat()).out;
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(
        lines[1],
        json!({
            "seq": 1, "time": "2023-11-14T22:13:21.123456789Z", "actor": "agent:7", "action": "tool:dataflow:blocked",
            "target": "Bank.send_money", "ending": "denied", "run": "ab".repeat(16), "call": 1, "trace": "08".repeat(16),
            "intent": 0, "decision": "block", "signals": ["untrusted-to-sink", "untrusted-authority"],
            "code": "dataflow_policy_blocked", "policy": "07".repeat(32), "leaf": lines[1]["leaf"],
            "monotonic": 0, "fields": {},
        })
    );
    assert_eq!((lines.len(), &lines[0]["run"], &lines[0]["signals"]), (2, &Value::Null, &json!([])));
}

#[test]
fn nothing_that_a_log_holds_can_steer_the_terminal() {
    // The type that holds a record's texts refuses whatever could.
    for control in
        (0..=0x20).chain(0x7f..0xa0).filter_map(char::from_u32).chain(['\u{202e}', '\u{2028}', 'ü'])
    {
        assert!(Name::new(format!("a{control}b")).is_err(), "{control:?}");
    }
    let folder = logged(2);
    for format in ["table", "json"] {
        let out = folder.succeeds(&[&LIST[..], &["--format", format]].concat()).out;
        assert!(out.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{out:?}");
        assert!(out.contains("AZaz09._-:/@"));
    }
}

#[test]
fn every_flipped_byte_is_found_and_named() {
    let folder = logged(2);
    let good = bytes(&folder);
    // Every 7th here, since each is a process of its own; the log's own tests take every one.
    for at in (0..good.len()).step_by(7) {
        flip(&folder, &good, at);
        for arguments in [&VERIFY[..], &STRUCTURE] {
            let ended = folder.graft(arguments);
            let sentence = ended.sentence();
            if at < 10 {
                assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{at}: {sentence}");
                assert!(sentence.contains("log: the header at byte 0 of segment 0 "), "{at}: {sentence}");
            } else {
                assert_eq!(ended.status, 1, "{at}: {}{sentence}", ended.out);
                assert!(sentence.contains("log: the log does not verify from "), "{at}: {sentence}");
                assert!(sentence.ends_with("keep a copy of it before anything writes to it"), "{sentence}");
                let is_named = ended.out.contains("not intact: ") || ended.out.contains("\ntorn: ");
                assert!(is_named && ended.out.contains(" at byte "), "{}", ended.out);
                assert!(ended.out.contains(NO_ANCHOR), "{}", ended.out);
            }
        }
    }
}

#[test]
fn every_cut_is_found_or_named_as_one_that_cannot_be_told() {
    let folder = logged(2);
    let good = bytes(&folder);
    let (mut cut_at_a_commit, mut torn) = (0, 0);
    let closing = 40 + 168;
    for end in (1..good.len()).step_by(5).chain([215, 216, 217, good.len() - closing]) {
        folder.write(SEGMENT, &good[..end]);
        let ended = folder.graft(&VERIFY);
        match ended.status {
            0 => {
                cut_at_a_commit += 1;
                assert!(
                    ended.out.contains("not closed: in use, or its writer stopped, or batches were cut off")
                );
            }
            1 => {
                torn += 1;
                assert!(ended.out.contains("torn"), "{end}: {}", ended.out);
                ended.sentence();
            }
            other => panic!("{end}: {other}: {}", ended.err),
        }
    }
    assert!(cut_at_a_commit >= 2 && torn > 100, "{cut_at_a_commit} {torn}");
}

#[test]
fn damage_in_the_middle_is_named_by_its_record_and_the_list_goes_on() {
    let folder = logged(6);
    let good = bytes(&folder);
    let starts = [1, 3].map(|seq| record_at(&good, seq));
    let mut bad = good.clone();
    starts.iter().for_each(|start| bad[start + 95] ^= 1);
    folder.write(SEGMENT, &bad);

    let named = |seq: u64, at: usize| format!("record {seq} at byte {at} of segment 0 has a damaged body");
    let ended = folder.graft(&VERIFY);
    assert_eq!(ended.status, 1);
    assert!(ended.out.contains(&named(1, starts[0])), "{}", ended.out);
    assert!(!ended.out.contains(&named(3, starts[1])), "{}", ended.out);
    assert!(ended.sentence().contains("does not verify from record 1 on"), "{}", ended.err);
    let ended = folder.graft(&[&VERIFY[..], &["--all"]].concat());
    assert!(
        ended.out.contains(&named(1, starts[0])) && ended.out.contains(&named(3, starts[1])),
        "{}",
        ended.out
    );

    let ended = folder.graft(&[&VERIFY[..], &["--all", "--format", "json"]].concat());
    let report: Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_eq!((ended.status, &report["intact"], &report["breaks_in_all"]), (1, &json!(false), &json!(2)));
    let first_bad = &report["first_bad"];
    assert_eq!((&first_bad["place"], &first_bad["seq"]), (&json!("record 1"), &json!(1)));
    assert_eq!((&first_bad["offset"], &first_bad["segment"]), (&json!(starts[0]), &json!(0)));
    assert!(first_bad["what"].as_str().is_some_and(|what| what.contains("digest")), "{first_bad}");

    let ended = folder.graft(&LIST);
    let marks = ended.out.lines().filter(|line| line.starts_with("-- not intact: ")).count();
    assert_eq!((ended.status, marks, ended.out.lines().count()), (1, 2, 1 + 4 + 2), "{}", ended.out);
    assert!(
        ended.out.contains(&named(1, starts[0])) && ended.out.contains(&named(3, starts[1])),
        "{}",
        ended.out
    );
    assert!(ended.sentence().contains("does not verify from record 1 on"), "{}", ended.err);

    let ended = folder.graft(&[&LIST[..], &["--format", "json"]].concat());
    let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((ended.status, lines.len()), (1, 6));
    assert!(lines.contains(&json!({ "intact": false, "first_bad": first_bad })), "{}", ended.out);
}

#[test]
fn a_log_made_anew_passes_without_the_key_and_not_with_it() {
    // Another log put in the place of this one: whole, but of another key.
    let (folder, other) = (logged(2), logged(5));
    folder.write(SEGMENT, bytes(&other));
    folder.succeeds(&STRUCTURE);
    for arguments in [&VERIFY, &LIST] {
        folder.refuses(arguments, &["log: this key is not the key of this log", "use the one"]);
    }
}

#[test]
fn an_older_copy_is_found_by_what_was_kept_elsewhere() {
    let folder = logged(4);
    let (old, key) = (bytes(&folder), folder.read("key"));
    let bytes_of = |text: &str| -> Vec<u8> {
        (0..64).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("digits")).collect()
    };
    let key = AuditKey::new(bytes_of(&key)).expect("strong");
    let anchor = std::sync::Arc::new(FileAnchor::new(folder.path().join("anchor")));
    let signer = AuditSigner::generate("example.com/audit".parse().expect("a name")).expect("randomness");
    folder.write("log.pub", signer.verifier().to_string());
    let options = LogOptions::new().anchor(anchor).signer(signer);
    let log = options.open(folder.path().join("log"), &key).expect("opens");
    log.append(&event(4)).expect("appends");
    let head = log.checkpoint().expect("signs");
    log.close().expect("closes");
    let note = folder.read(&format!("log/checkpoints/{:020}", head.size));
    folder.write("checkpoint", note);

    let anchored = [&VERIFY[..], &["--anchor", "anchor"]].concat();
    let checkpointed = [&VERIFY[..], &["--checkpoint", "checkpoint", "--log-key", "log.pub"]].concat();
    for arguments in [&anchored, &checkpointed] {
        let out = folder.succeeds(arguments).out;
        assert!(out.contains("anchor at size ") && out.contains(": the log extends it"), "{out}");
        assert!(!out.contains(NO_ANCHOR), "{out}");
    }
    folder.write(SEGMENT, old);
    folder.succeeds(&VERIFY);
    for arguments in [&anchored, &checkpointed] {
        let ended = folder.graft(arguments);
        assert_eq!(ended.status, 1, "{}", ended.out);
        assert!(ended.out.contains("the log was rolled back behind it"), "{}", ended.out);
        assert!(ended.sentence().contains("does not extend the state of "), "{}", ended.err);
        let ended = folder.graft(&[&arguments[..], &["--format", "json"]].concat());
        let report: Value = serde_json::from_str(&ended.out).expect("JSON");
        assert_eq!(report["anchors"][0]["found"], json!("rolled-back"));
    }
    folder.refuses(&[&VERIFY[..], &["--anchor", "missing"]].concat(), &["missing: it is not there"]);
    folder.write("anchor", "not an anchor");
    folder.refuses(&anchored, &["anchor: "]);
    folder.write("checkpoint", "not a checkpoint");
    folder.refuses(&checkpointed, &["checkpoint: "]);
}

#[test]
fn an_empty_log_has_an_empty_list() {
    let folder = logged(0);
    let ended = folder.succeeds(&LIST);
    assert_eq!((ended.out.lines().count(), ended.err.as_str()), (1, ""));
    assert_eq!(folder.succeeds(&[&LIST[..], &["--format", "json"]].concat()).out, "");
}

#[test]
fn a_reader_that_leaves_ends_the_list() {
    let folder = logged(4000);
    let mut child =
        folder.command(&LIST).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().expect("piped")).read_line(&mut line).expect("reads");
    assert!(line.starts_with("seq"), "{line}");
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("reads");
    assert_eq!((child.wait().expect("ends").code(), said.as_str()), (Some(0), ""));
}

#[test]
fn verify_says_what_it_found_by_its_status_though_nobody_reads_it() {
    let folder = logged(2);
    let good = bytes(&folder);
    flip(&folder, &good, good.len() - 1);
    let mut child =
        folder.command(&VERIFY).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("ends").code(), Some(1));
}
