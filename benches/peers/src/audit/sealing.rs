//! Records that are sealed, chained and hashed into the tree, on one core and in memory.

use std::hint::black_box;

use graft::AuditKey;
use graft_audit::measure::SealedInMemory;

use super::primitives::{FAST, PORTABLE, floors};
use super::{BODY, Folder, GRAFT, IS_FAST, ON_DISK};
use crate::harness::{Bar, Bench, Case, Failure};

/// Records in a batch, as many as a writer that is kept busy puts together.
const BATCH: u32 = 256;

pub fn run(bench: &mut Bench, _: &Folder) -> Result<(), Failure> {
    let mut log = SealedInMemory::new(&AuditKey::generate()?);
    let body = [9; BODY];
    for (records, bound) in [(BATCH, Some(ON_DISK as f64)), (1, None)] {
        let bytes = log.batch(&body, records).ok_or("no batch")?.len() as f64 / f64::from(records);
        let title = format!("bytes of a record of {BODY} bytes, {records} in a batch");
        bench.note(&title, bytes, bound);
    }
    let graft = Case::new(GRAFT, move |round| {
        let batches = round.iterations().div_ceil(u64::from(BATCH));
        let start = round.start();
        for _ in 0..batches {
            black_box(log.batch(black_box(&body), BATCH).ok_or("no batch")?);
        }
        round.stop(start, batches * u64::from(BATCH));
        Ok(())
    });
    // The rate, and what it leaves beside the floor, which says the same of a slower machine.
    let (floor, rate, times) = if IS_FAST { (FAST, 1.0e6, 1.66) } else { (PORTABLE, 0.35e6, 1.33) };
    let mut cases = floors()?;
    cases.retain(|case| case.is(floor));
    cases.push(graft.bars([Bar::Rate(rate), Bar::Times(times, floor)]));
    bench.compare("sealing a record in memory, one core", cases)
}
