//! All that the rows know of graft's log.

use std::path::Path;

use graft::core::{Action, CallId, Decision, Ending, Event, RunId, Seq, Signal, TraceId};
use graft::{AuditKey, Name, Timestamp};
use graft_audit::LogOptions;
pub use graft_audit::{AuditLog, Durability};

use super::BODY;
use crate::harness::Failure;

/// The first number of a call; from here on they take as many bytes each, for 250 million of them.
pub const FIRST_CALL: u64 = 1 << 21;

/// The bytes of a body but for its target.
const REST: usize = 138;

pub fn key() -> Result<AuditKey, Failure> {
    Ok(AuditKey::new(std::array::from_fn::<u8, 32, _>(|i| (i * i) as u8))?)
}

pub fn create(folder: &Path, durability: Durability) -> Result<AuditLog, Failure> {
    Ok(LogOptions::new().durability(durability).create(folder, &key()?)?)
}

/// Fills a log with so many records whose calls count up, and hands it back with all of them on the disk.
pub fn filled(folder: &Path, segment_bytes: u64, records: u64) -> Result<AuditLog, Failure> {
    let log = LogOptions::new().durability(Durability::Buffered).segment_bytes(segment_bytes);
    let log = log.create(folder, &key()?)?;
    append(&log, &mut event(FIRST_CALL)?, records)?;
    Ok(log)
}

/// Appends so many records whose calls count up from that of `event`; returns when the disk has them.
pub fn append(log: &AuditLog, event: &mut Event, records: u64) -> Result<(), Failure> {
    for _ in 0..records {
        log.submit(event)?;
        event.call = event.call.map(|call| CallId(call.0 + 1));
    }
    Ok(log.flush()?)
}

/// The end of a call that was stopped, with a body of [`BODY`] bytes.
pub fn event(call: u64) -> Result<Event, Failure> {
    let target = format!("Bank.{}", "send_money_".repeat(BODY));
    let mut event = Event::new(
        Timestamp(1_800_000_000_000_000_000),
        Name::from_static("agent:payments-7"),
        Action::ToolExecuteEnd,
        Name::new(&target[..BODY - REST])?,
        Ending::Denied,
    );
    event.run = Some(RunId([1; 16]));
    event.call = Some(CallId(call));
    event.trace = Some(TraceId([2; 16]));
    event.intent = Some(Seq(FIRST_CALL));
    event.decision = Some(Decision::Block);
    event.signals = [Signal::UntrustedAuthority, Signal::UnrequestedEffect].into();
    event.code = Some(Name::from_static("dataflow_policy_blocked"));
    event.policy = Some([3; 32]);
    Ok(event)
}

/// Checks that the first record of a log has the body that everything else is measured with: its length stands
/// where the format says, behind the headers of segment and batch.
pub fn check(folder: &Path) -> Result<(), Failure> {
    use std::io::Read;
    let mut bytes = [0; 216 + 40 + 52];
    std::fs::File::open(folder.join("0000000000.seg"))?.read_exact(&mut bytes)?;
    let length = u32::from_be_bytes([bytes[304], bytes[305], bytes[306], bytes[307]]);
    match length as usize == BODY + 16 {
        true => Ok(()),
        false => Err(format!("the part of a record has {length} bytes instead of {}", BODY + 16).into()),
    }
}

/// Bytes of all files of a log.
pub fn bytes(folder: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => self::bytes(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(bytes)
}
