//! How fast is a log verified, with its key and without?
//!
//! The log lies in memory, so no disk is measured. The floor hashes the same bytes once.

mod harness;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use graft::audit::v0::{verify, verify_structure};
use graft::audit::{Durability, LogOptions};
use graft::core::{Action, CallId, Ending, Event, RunId, TraceId};
use graft::{AuditKey, Name, Timestamp};
use harness::{Bench, Case, Failure, Round};
use sha2::{Digest, Sha256};

const RECORDS: u64 = 10_000;

fn main() -> Result<(), Failure> {
    let mut bench = Bench::from_args();
    let key = AuditKey::generate()?;
    let log = log(&key)?;
    let per_record = log.len() / RECORDS as usize;
    bench.compare(
        &format!("verifying {RECORDS} records of {per_record} bytes; for each record"),
        vec![
            Case::new("SHA-256 of the bytes, nothing else", |round| {
                whole_logs(round, || Ok(Sha256::digest(&log)))
            })
            .bytes(per_record),
            Case::new("graft, structure only", |round| {
                whole_logs(round, || Ok(verify_structure(&log[..])?.ensure_intact()?))
            })
            .bytes(per_record),
            Case::new("graft, with the key", |round| {
                whole_logs(round, || Ok(verify(&log[..], &key)?.ensure_intact()?))
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

/// The bytes of a closed log of calls.
fn log(key: &AuditKey) -> Result<Vec<u8>, Failure> {
    let name = format!("audit_verify-{}.graft-log", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let log = LogOptions::new().durability(Durability::Buffered).create(&path, key)?;
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
    let bytes = std::fs::read(&path)?;
    std::fs::remove_file(&path)?;
    Ok(bytes)
}
