use std::path::{Path, PathBuf};

use graft_audit::v0::{AuditKey, AuditLog, Durability, LogOptions};
use graft_core::{Action, CallId, Decision, Ending, Event, Name, RunId, Seq, Signal, Timestamp, TraceId};
use sha2::{Digest, Sha256};

pub(crate) const FILE_HEADER: usize = 90;
pub(crate) const PAYLOAD_AT: usize = 85;

/// A folder of its own for each test, removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("the target folder is writable");
        Self(path)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("acts.graft-log")
    }

    /// The names in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("it is there");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("reads").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn key() -> AuditKey {
    AuditKey::new(Sha256::digest(b"the key of the tests")).expect("strong")
}

pub(crate) fn other_key() -> AuditKey {
    AuditKey::new(Sha256::digest(b"another key")).expect("strong")
}

/// An event with everything in it for odd `n` and with nothing optional for even `n`.
pub(crate) fn event(n: u64) -> Event {
    let name = |text: &str| Name::new(text).expect("a name");
    let mut event = Event::new(
        Timestamp(1_700_000_000_000 + n),
        name("agent:7"),
        Action::RunBegin,
        name("run"),
        Ending::Ok,
    );
    if n % 2 == 1 {
        event.action = Action::DataflowBlocked;
        event.target = name("Bank.send_money");
        event.ending = Ending::Denied;
        event.run = Some(RunId([9; 16]));
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

/// A log with two openings, five records and a close.
pub(crate) fn small_log(name: &str) -> Vec<u8> {
    let folder = Folder::new(name);
    let options = LogOptions::new().durability(Durability::Buffered);
    let log = options.create(folder.log(), &key()).expect("creates");
    append(&log, 0..3);
    drop(log);
    let log = options.open(folder.log(), &key()).expect("opens");
    append(&log, 3..5);
    log.close().expect("closes");
    std::fs::read(folder.log()).expect("reads")
}

pub(crate) fn append(log: &AuditLog, numbers: std::ops::Range<u64>) {
    for n in numbers {
        log.append(&event(n)).expect("appends");
    }
}
