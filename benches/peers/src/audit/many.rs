//! Ten million records: memory has to be flat while they are written, verified and indexed.

use std::time::Instant;

use graft_audit::Verifier;

use super::log::{self, Durability, FIRST_CALL};
use super::{Folder, reading};
use crate::harness::{Bench, Failure};
use crate::process::{forget_peak, option, peak};

const MIB: f64 = 1_048_576.0;

pub fn run(bench: &mut Bench, folder: &Folder) -> Result<(), Failure> {
    let records: u64 = option("--records", 10_000_000)?;
    let (path, tenth) = (folder.join("many"), records / 10);
    let log = log::create(&path, Durability::Buffered)?;
    let mut event = log::event(FIRST_CALL)?;
    let mut most = |what: &str, bound: Option<f64>, work: &mut dyn FnMut() -> Result<(), Failure>| {
        forget_peak()?;
        work()?;
        let most = peak()? as f64 / MIB;
        bench.note(&format!("MiB of memory at most, {what}"), most, bound);
        Ok::<_, Failure>(most)
    };
    let early = most("first tenth written", None, &mut || log::append(&log, &mut event, tenth))?;
    // Flat is what it is for calls: within 5% and 4 MiB.
    let flat = Some((early * 1.05 + 4.0).round());
    most("the others written", flat, &mut || log::append(&log, &mut event, records - tenth))?;
    log.close()?;
    most("verified on two threads", None, &mut || {
        let report = Verifier::new().key(log::key()?).threads(2).verify(&path)?.ensure_intact()?;
        if report.head.size < records { Err("not all records were verified".into()) } else { Ok(()) }
    })?;
    let start = Instant::now();
    drop(log::AuditLog::open(&path, &log::key()?)?);
    bench.note(&format!("ms to open {records} records"), start.elapsed().as_secs_f64() * 1e3, None);
    reading::finding(bench, &path, records)
}
