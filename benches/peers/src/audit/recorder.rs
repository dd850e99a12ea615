//! What recording takes from a call that does not wait for the disk.

use graft::core::Recorder;

use super::log::{self, AuditLog, Durability};
use super::{Folder, GRAFT};
use crate::allocations::counted;
use crate::harness::{Bar, Bench, Case, Failure};

/// Calls between two waits for the disk, which are not timed: what is measured is a call's share and not that of
/// the disk, which a host that records without a pause would wait for.
const BURST: u64 = 256;

pub fn run(bench: &mut Bench, folder: &Folder) -> Result<(), Failure> {
    let path = folder.join("recorder");
    let log = log::create(&path, Durability::Buffered)?;
    let event = log::event(log::FIRST_CALL)?;
    let record = |log: &dyn Recorder| -> Result<(), Failure> { Ok(log.record(&event).map(drop)?) };
    record(&log)?;
    log.flush()?;
    log::check(&path)?;
    bench.compare(
        "Recorder::record without waiting for the disk, p50",
        vec![
            Case::new("the clock that times it", |round| round.each(|| Ok::<_, Failure>(()))),
            Case::new(GRAFT, |round| {
                for at in 0..round.iterations() {
                    if at % BURST == 0 {
                        log.flush()?;
                    }
                    let start = std::time::Instant::now();
                    record(&log)?;
                    round.single(start.elapsed());
                }
                Ok(())
            })
            .bars([Bar::Ns(300.0)]),
        ],
    )?;
    let bursts = |count: u64| (0..count).try_for_each(|_| burst(&log, &record));
    bursts(20)?;
    let allocations = counted(&mut || bursts(40))? as f64 / (40 * BURST) as f64;
    bench.note("allocations of Recorder::record, on all threads", allocations, Some(0.0));
    Ok(())
}

fn burst(log: &AuditLog, record: &impl Fn(&dyn Recorder) -> Result<(), Failure>) -> Result<(), Failure> {
    (0..BURST).try_for_each(|_| record(log))?;
    Ok(log.flush()?)
}
