//! What does appending a record to the audit log cost, with the operating system and on the disk?
//!
//! The floors write as many bytes to a file, and sync it where the record is synced.

mod harness;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use graft::audit::{Durability, LogOptions};
use graft::core::{Action, CallId, Decision, Ending, Event, RunId, Seq, Signal, TraceId};
use graft::{AuditKey, AuditLog, Name, Timestamp};
use harness::{Bench, Case, Failure};

fn main() -> Result<(), Failure> {
    let mut bench = Bench::from_args();
    let folder = Folder::create()?;
    let key = AuditKey::generate()?;
    let event = event();
    let bytes = bytes_of_a_record(&folder.file("sample"), &key, &event)?;
    let frame = vec![7; bytes];

    let mut plain = plain_file(&folder.file("plain"))?;
    let log = LogOptions::new().durability(Durability::Buffered).create(folder.file("buffered"), &key)?;
    bench.compare(
        &format!("appending a record of {bytes} bytes, not synced"),
        vec![
            Case::new("a bare write", |round| Ok(round.together(|| plain.write_all(&frame))?)).bytes(bytes),
            Case::new("graft, buffered", |round| Ok(round.together(|| log.append(&event))?)).bytes(bytes),
        ],
    )?;
    log.close()?;

    let mut plain = plain_file(&folder.file("plain-synced"))?;
    let log = AuditLog::create(folder.file("synced"), &key)?;
    bench.compare(
        &format!("appending a record of {bytes} bytes, on the disk"),
        vec![
            Case::new("a bare write and fdatasync", |round| {
                Ok(round.each(|| plain.write_all(&frame).and_then(|()| plain.sync_data()))?)
            })
            .bytes(bytes),
            Case::new("graft, synced", |round| Ok(round.each(|| log.append(&event))?)).bytes(bytes),
        ],
    )?;
    log.close()?;
    bench.finish()
}

/// Every field is set, as in the record of a call that was stopped.
fn event() -> Event {
    let mut event = Event::new(
        Timestamp(1_800_000_000_000_000_000),
        Name::from_static("agent"),
        Action::DataflowBlocked,
        Name::from_static("Bank.send_money"),
        Ending::Denied,
    );
    event.run = Some(RunId([1; 16]));
    event.call = Some(CallId(1000));
    event.trace = Some(TraceId([2; 16]));
    event.intent = Some(Seq(1000));
    event.decision = Some(Decision::Block);
    event.signals = [Signal::UntrustedAuthority, Signal::UnrequestedEffect].into();
    event.code = Some(Name::from_static("dataflow_policy_blocked"));
    event.policy = Some([3; 32]);
    event
}

/// What a log grows by.
fn bytes_of_a_record(path: &Path, key: &AuditKey, event: &Event) -> Result<usize, Failure> {
    let log = AuditLog::create(path, key)?;
    let before = std::fs::metadata(path)?.len();
    log.append(event)?;
    Ok(usize::try_from(std::fs::metadata(path)?.len() - before)?)
}

fn plain_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create_new(true).append(true).open(path)
}

/// A folder beside the build, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn create() -> std::io::Result<Self> {
        let name = format!("audit_append-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // what stays is in the build's own folder
    }
}
