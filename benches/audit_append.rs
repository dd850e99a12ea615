//! What does recording an act cost: for a call that does not wait for the disk, for one that does, and for many at once?
//!
//! The floor writes as many bytes into room made beforehand, and syncs them.

mod harness;

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::Duration;

use graft::audit::{AuditLog, Durability, LogOptions};
use graft::core::{Action, CallId, Decision, Ending, Event, Monotonic, RunId, Seq, Signal, Signals, TraceId};
use graft::{AuditKey, Name, Timestamp};
use harness::{Bench, Case, Failure, Round};

/// How many bytes of room the floor makes at a time, as the log does.
const ROOM: u64 = 1024 * 1024;
/// Salt, place and check before a batch, and its commit.
const FRAME: usize = 40 + 168;

fn main() -> Result<(), Failure> {
    let mut bench = Bench::from_args();
    let folder = Folder::create()?;
    let key = AuditKey::generate()?;
    let event = event();
    let bytes = bytes_of_a_record(&folder.file("sample"), &key, &event)?;

    let log = LogOptions::new().durability(Durability::Memory).create(folder.file("memory"), &key)?;
    bench.compare(
        &format!("recording an act, {bytes} bytes on the disk, while a thread of the log writes"),
        vec![Case::new("graft, not waiting", |round| {
            // Few at a time: a call that records does other things between.
            for _ in 0..round.iterations().div_ceil(64) {
                let start = round.start();
                for _ in 0..64 {
                    log.append(&event)?;
                }
                round.stop(start, 64);
                log.flush()?;
            }
            Ok(())
        })],
    )?;
    log.close()?;

    let mut plain = Plain::create(&folder.file("plain"))?;
    let one = vec![7; FRAME + bytes];
    let log = AuditLog::create(folder.file("one"), &key)?;
    bench.compare(
        &format!("one writer that waits for the disk, a batch of {} bytes", one.len()),
        vec![
            Case::new(
                "a bare write into room, and fdatasync",
                |round| Ok(round.each(|| plain.append(&one))?),
            )
            .bytes(one.len()),
            Case::new("graft, one blocking writer", |round| Ok(round.each(|| log.append(&event))?))
                .bytes(one.len()),
        ],
    )?;
    log.close()?;

    let logs = [4, 16, 64, 256].map(|writers| (writers, folder.file(&format!("writers-{writers}"))));
    let logs = logs.map(|(writers, path)| Ok::<_, Failure>((writers, AuditLog::create(path, &key)?)));
    let logs = logs.into_iter().collect::<Result<Vec<_>, _>>()?;
    let pipelined = AuditLog::create(folder.file("pipelined"), &key)?;
    let mut cases: Vec<_> = logs
        .iter()
        .map(|(writers, log)| {
            let event = &event;
            Case::new(format!("graft, {writers} blocking writers"), move |round| {
                blocking(round, log, event, *writers)
            })
            .bytes(bytes)
        })
        .collect();
    cases.push(
        Case::new("graft, one writer that waits for the last of many", |round| {
            let operations = round.iterations().max(100_000);
            let start = round.start();
            let mut last = pipelined.submit(&event)?;
            for _ in 1..operations {
                last = pipelined.submit(&event)?;
            }
            pipelined.wait_durable(last)?;
            round.stop(start, operations);
            Ok(())
        })
        .bytes(bytes),
    );
    bench.compare("many records that are waited for, on the disk", cases)?;
    for (_, log) in logs {
        log.close()?;
    }
    pipelined.close()?;
    bench.finish()
}

/// So many threads, each of which waits for each of its records.
fn blocking(round: &mut Round, log: &AuditLog, event: &Event, writers: u64) -> Result<(), Failure> {
    let each = round.iterations().div_ceil(writers).max(20);
    let (begin, end) = (Barrier::new(writers as usize + 1), Barrier::new(writers as usize + 1));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers)
            .map(|_| {
                scope.spawn(|| {
                    begin.wait();
                    let result = (0..each).try_for_each(|_| log.append(event).map(drop));
                    end.wait();
                    result
                })
            })
            .collect();
        begin.wait();
        let start = round.start();
        end.wait();
        round.stop(start, each * writers);
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result.map_err(Failure::from),
            Err(_) => Err("a writer panicked".into()),
        })
    })
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
    event.monotonic = Monotonic(1_800_000_000_000);
    event.run = Some(RunId([1; 16]));
    event.call = Some(CallId(1000));
    event.trace = Some(TraceId([2; 16]));
    event.intent = Some(Seq(1000));
    event.decision = Some(Decision::Block);
    event.signals = [Signal::UntrustedAuthority, Signal::UnrequestedEffect].into_iter().collect::<Signals>();
    event.code = Some(Name::from_static("dataflow_policy_blocked"));
    event.policy = Some([3; 32]);
    event
}

/// What a record adds to a batch: the segment ends where its last commit does once another follows.
fn bytes_of_a_record(path: &Path, key: &AuditKey, event: &Event) -> Result<usize, Failure> {
    let length = |count: usize| -> Result<usize, Failure> {
        let path = path.with_extension(count.to_string());
        let log = LogOptions::new().linger(Duration::from_secs(60)).create(&path, key)?;
        (0..count).try_for_each(|_| log.append_with(event, Durability::Memory).map(drop))?;
        log.rotate()?;
        Ok(usize::try_from(std::fs::metadata(path.join("0000000000.seg"))?.len())?)
    };
    Ok(length(2)? - length(1)?)
}

/// A file with room made beforehand.
struct Plain {
    file: File,
    at: u64,
    room: u64,
}

impl Plain {
    fn create(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().create_new(true).write(true).open(path)?;
        Ok(Self { file, at: 0, room: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.at))?;
        self.file.write_all(bytes)?;
        self.at += bytes.len() as u64;
        if self.at > self.room {
            self.file.write_all(&vec![0; ROOM as usize])?;
            self.room = self.at + ROOM;
        }
        self.file.sync_data()
    }
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
