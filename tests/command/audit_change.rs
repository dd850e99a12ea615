//! `graft audit checkpoint`, `prove`, `rotate-key`, `prune` and `index`: what is done to a log, and what it then says.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use graft::audit::LogOptions;
use graft::audit::{AuditKey, AuditSigner};
use serde_json::{Value, json};

use crate::audit::{VERIFY, event, hex, logged};
use crate::common::Folder;

const LOG: [&str; 4] = ["--log", "log", "--key", "key"];
const CHECKPOINT: [&str; 10] = [
    "audit",
    "checkpoint",
    "--log",
    "log",
    "--key",
    "key",
    "--signer",
    "signer",
    "--name",
    "example.com/audit",
];

fn over<'a>(command: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["audit", command][..], &LOG, rest].concat()
}

/// A folder with a log of `records` records, and the keys that its checkpoints are signed and checked with.
fn signed(records: u64) -> Folder {
    let folder = logged(records);
    let signer = AuditSigner::generate("example.com/audit".parse().expect("a name")).expect("randomness");
    let digits: String = signer.expose_secret().iter().map(|byte| format!("{byte:02x}")).collect();
    folder.write_private("signer", digits);
    folder.write("log.pub", signer.verifier().to_string());
    folder
}

fn actions(folder: &Folder) -> Vec<String> {
    let out = folder.succeeds(&over("list", &["--format", "json"])).out;
    let line =
        |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["action"].as_str().map(str::to_owned);
    out.lines().map(|one| line(one).expect("an action")).collect()
}

#[test]
fn a_record_is_proved_from_a_checkpoint_and_checked_without_the_log() {
    let folder = signed(70);
    folder.refuses(
        &["audit", "prove", "3", "--log", "log", "--log-key", "log.pub"],
        &["log: it keeps no checkpoint"],
    );
    let note = folder.succeeds(&CHECKPOINT).out;
    assert!(note.starts_with("example.com/audit\n"), "{note}");
    assert!(actions(&folder).contains(&"log:checkpoint".to_owned()));
    let leaf = |seq: &str| -> Value {
        let out = folder.succeeds(&over("show", &[seq, "--format", "json"])).out;
        serde_json::from_str::<Value>(&out).expect("JSON")["leaf"].clone()
    };
    for seq in ["0", "3", "69"] {
        let proof = folder.succeeds(&["audit", "prove", seq, "--log", "log", "--log-key", "log.pub"]).out;
        folder.write("proof", proof);
        let checked = folder
            .succeeds(&["audit", "check-proof", "proof", "--log-key", "log.pub", "--format", "json"])
            .out;
        let checked: Value = serde_json::from_str(&checked).expect("JSON");
        assert_eq!(
            (&checked["seq"], &checked["leaf"]),
            (&json!(seq.parse::<u64>().expect("a number")), &leaf(seq))
        );
    }
    let far = ["audit", "prove", "1000", "--log", "log", "--log-key", "log.pub"];
    folder.refuses(&far, &["and has no record 1000; make a newer one"]);
    // The checkpoint of another log, signed with the same key.
    let other = logged(70);
    for name in ["signer", "log.pub"] {
        other.write_private(name, folder.read(name));
    }
    other.succeeds(&CHECKPOINT);
    let newest = std::fs::read_dir(other.path().join("log/checkpoints")).expect("lists").flatten().next();
    let foreign = std::fs::read_to_string(newest.expect("one").path()).expect("reads");
    folder.write("foreign", foreign);
    let ended = folder.graft(&[
        "audit",
        "prove",
        "3",
        "--log",
        "log",
        "--log-key",
        "log.pub",
        "--checkpoint",
        "foreign",
    ]);
    assert_eq!((ended.status, ended.out.as_str()), (1, ""));
    assert!(ended.sentence().contains("are not of one history"), "{}", ended.err);
}

#[test]
fn a_log_goes_on_under_a_new_key_and_both_read_it() {
    let folder = signed(3);
    let new = AuditKey::generate().expect("randomness");
    folder.write_private("new", hex(&new));
    let out = folder.succeeds(&over("rotate-key", &["--new-key", "new"])).out;
    assert!(out.contains("on the log is under the new key"), "{out}");
    let log = LogOptions::new().open(folder.path().join("log"), &new).expect("opens with the new key");
    log.append(&event(3)).expect("appends");
    log.close().expect("closes");
    let both = ["--log", "log", "--key", "key", "--key", "new"];
    let out = folder.succeeds(&[&["audit", "list"][..], &both].concat()).out;
    assert!(out.contains("log:rotate-key"), "{out}");
    folder.succeeds(&[&["audit", "verify"][..], &both].concat());
    // With one of them, the rest is left out, and that is said.
    let ended = folder.graft(&["audit", "list", "--log", "log", "--key", "new"]);
    assert!(ended.status == 0 && ended.err.contains("open with none of the keys"), "{}", ended.err);
    folder.refuses(&over("rotate-key", &["--new-key", "missing"]), &["missing: it cannot be read"]);
}

#[test]
fn what_is_pruned_is_gone_and_the_rest_verifies() {
    let folder = signed(4);
    let key = folder.read("key");
    folder.write_private("new", &key);
    // A segment ends where the key is changed, be it to the same one.
    let out = folder.succeeds(&over("rotate-key", &["--new-key", "new", "--format", "json"])).out;
    let from = serde_json::from_str::<Value>(&out).expect("JSON")["from"].to_string();
    let out = folder.succeeds(&over("prune", &["--before", &from, "--format", "json"])).out;
    let pruned: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(pruned["segments"], json!(1));
    assert!(folder.succeeds(&VERIFY).out.contains("before them pruned"));
    assert!(actions(&folder).contains(&"log:prune".to_owned()));
    folder.refuses(&over("show", &["0"]), &["what record 0 said is not there"]);
}

#[test]
fn indexes_change_no_answer_and_are_made_once() {
    let folder = signed(40);
    let ask = || folder.succeeds(&over("query", &["--call", "7", "--format", "json"])).out;
    let without = ask();
    assert!(folder.succeeds(&over("index", &[])).out.starts_with("1 indexes made"));
    let again = folder.succeeds(&over("index", &["--format", "json"])).out;
    assert_eq!(
        serde_json::from_str::<Value>(&again).expect("JSON"),
        json!({"made": 0, "kept": 1, "without": 0})
    );
    assert_eq!((ask(), without.lines().count()), (without.clone(), 1));
    // One that was damaged is said to be, and not used.
    let name = "log/index/0000000000.idx";
    let mut index = std::fs::read(folder.path().join(name)).expect("reads");
    index[60] ^= 1;
    folder.write(name, index);
    let ended = folder.graft(&over("query", &["--call", "7", "--format", "json"]));
    assert_eq!((ended.status, &ended.out), (0, &without));
    assert!(ended.err.contains("was not used; `graft audit index` makes it anew"), "{}", ended.err);
    folder.succeeds(&over("index", &[]));
    assert_eq!(folder.succeeds(&over("query", &["--call", "7"])).err, "");
}

#[test]
fn the_tail_follows_a_log_that_is_being_written() {
    let folder = logged(3);
    let key = folder.read("key");
    let bytes: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&key[at..at + 2], 16).expect("digits")).collect();
    let log = LogOptions::new()
        .open(folder.path().join("log"), &AuditKey::new(bytes).expect("strong"))
        .expect("opens");
    let arguments = over("tail", &["-n", "1", "--follow", "--format", "json", "--actor", "agent:7"]);
    let mut child = folder.command(&arguments).stdout(Stdio::piped()).spawn().expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let (done, wait) = std::sync::mpsc::channel::<()>();
    // A tail that misses a record would wait for it for ever.
    let watch = std::thread::spawn(move || {
        let _ = wait.recv_timeout(std::time::Duration::from_secs(60));
        child.kill().and_then(|()| child.wait()).expect("it is ours")
    });
    let mut next = || {
        let line = lines.next().expect("a line").expect("reads");
        serde_json::from_str::<Value>(&line).expect("JSON")["target"].clone()
    };
    assert_eq!(next(), json!("AZaz09._-:/@"));
    log.append(&event(3)).expect("appends");
    assert_eq!(next(), json!("Bank.send_money"));
    log.append(&event(4)).expect("appends");
    assert_eq!(next(), json!("AZaz09._-:/@"));
    drop(done);
    watch.join().expect("ends");
}

#[test]
fn a_log_that_is_open_elsewhere_is_not_changed() {
    let folder = signed(1);
    let key = folder.read("key");
    let bytes: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&key[at..at + 2], 16).expect("digits")).collect();
    let log = LogOptions::new().open(folder.path().join("log"), &AuditKey::new(bytes).expect("strong"));
    let log = log.expect("opens");
    folder.write_private("new", "00112233445566778899aabbccddeeffFFEEDDCCBBAA99887766554433221101");
    for arguments in
        [&CHECKPOINT[..], &over("prune", &["--before", "1"]), &over("rotate-key", &["--new-key", "new"])]
    {
        folder.refuses(arguments, &["log: the log is open for writing elsewhere; close it there first"]);
    }
    drop(log);
    folder.write_private("key", "00112233445566778899aabbccddeeffFFEEDDCCBBAA99887766554433221101");
    folder.refuses(&CHECKPOINT, &["log: this key is not the key of this log"]);
}

fn read_key(folder: &Folder) -> AuditKey {
    let digits = folder.read("key");
    let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("digits");
    AuditKey::new((0..32).map(byte).collect::<Vec<u8>>()).expect("strong")
}

#[test]
fn who_exports_under_a_name_is_recorded_before_anything_is_printed() {
    let folder = logged(3);
    let out = folder.succeeds(&over("export", &["--as", "auditor:ann", "--withhold", "target"])).out;
    let mut last = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let last = last.rfind(|record| record["action"] == "log:export").expect("it is in the export itself");
    assert_eq!((&last["actor"], &last["fields"]["withheld"]), (&json!("auditor:ann"), &json!(1)));
    let ended = folder.graft(&over("export", &["--as", "two words"]));
    assert_eq!((ended.status, ended.out.as_str()), (2, ""));
    // While somebody writes to the log nothing can be recorded, and nothing is printed.
    let writer = LogOptions::new().open(folder.path().join("log"), &read_key(&folder)).expect("opens");
    let ended = folder.graft(&over("export", &["--as", "auditor:ann"]));
    assert!(
        ended.status == 2 && ended.out.is_empty() && ended.err.contains("open for writing elsewhere"),
        "{}",
        ended.err
    );
    drop(writer);
}
