//! How fast is a log verified, with its key and without?
//!
//! The log lies in memory, so no disk is measured. The floor hashes the same bytes once.

mod harness;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;
use std::{fs, io};

use graft::audit::{Durability, LogOptions};
use graft::audit::{Files, Verifier};
use graft::core::{Action, CallId, Ending, Event, RunId, TraceId};
use graft::{AuditKey, Name, Timestamp};
use harness::{Bench, Case, Failure, Round};
use sha2::{Digest, Sha256};

const RECORDS: u64 = 10_000;

fn main() -> Result<(), Failure> {
    let mut bench = Bench::from_args();
    let key = AuditKey::generate()?;
    let log = log(&key)?;
    let per_record = log.0.values().map(Vec::len).sum::<usize>() / RECORDS as usize;
    bench.compare(
        &format!("verifying {RECORDS} records of {per_record} bytes; for each record"),
        vec![
            Case::new("SHA-256 of the bytes, nothing else", |round| {
                whole_logs(round, || Ok(log.0.values().map(Sha256::digest).count()))
            })
            .bytes(per_record),
            Case::new("graft, structure only", |round| {
                whole_logs(round, || Ok(Verifier::new().verify_files(&log)?.ensure_intact()?))
            })
            .bytes(per_record),
            Case::new("graft, with the key", |round| {
                whole_logs(round, || {
                    Ok(Verifier::new().key(key.clone()).verify_files(&log)?.ensure_intact()?)
                })
            })
            .bytes(per_record),
        ],
    )?;
    bench.finish()
}

/// An operation is one record, and a walk does all of them: as many walks as the round's records take, with
/// the time cut to the records that were asked for.
fn whole_logs<T>(round: &mut Round, walk: impl Fn() -> Result<T, Failure>) -> Result<(), Failure> {
    let walks = round.iterations().div_ceil(RECORDS);
    let start = Instant::now();
    for _ in 0..walks {
        black_box(walk()?);
    }
    let share = round.iterations() as f64 / (walks * RECORDS) as f64;
    round.took(start.elapsed().mul_f64(share));
    Ok(())
}

/// The files of a log, in memory.
struct Memory(BTreeMap<String, Vec<u8>>);

impl Files for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let file = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| file.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// A closed log of calls.
fn log(key: &AuditKey) -> Result<Memory, Failure> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("audit_verify-{}", std::process::id()));
    let log = LogOptions::new().durability(Durability::Memory).create(&folder, key)?;
    for call in 0..RECORDS {
        let mut event = Event::new(
            Timestamp(1_800_000_000_000_000_000 + call),
            Name::from_static("agent"),
            Action::ToolExecuteEnd,
            Name::from_static("Bank.send_money"),
            Ending::Ok,
        );
        event.run = Some(RunId([1; 16]));
        event.call = Some(CallId(call));
        event.trace = Some(TraceId([2; 16]));
        event.policy = Some([3; 32]);
        log.append(&event)?;
    }
    log.close()?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
            let mut bytes = fs::read(entry.path())?;
            // The room behind the last commit would be hashed by the floor alone.
            bytes.truncate(bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1));
            files.insert(name, bytes);
        }
    }
    fs::remove_dir_all(&folder)?;
    Ok(Memory(files))
}
