//! What the machine itself can do while it is measured.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::threads::{Until, on_threads};
use crate::harness::{Bench, Failure};

/// Notes how much more two threads do than one, in work that shares nothing: what verifying in parallel can
/// gain at most, just now.
pub fn scaling(bench: &mut Bench) -> Result<f64, Failure> {
    let time = Duration::from_millis(if bench.is_quick() { 20 } else { 100 });
    let spin = |threads: usize| -> Result<f64, Failure> {
        let (done, took) = on_threads(&mut vec![1_u64; threads], Until::Past(time), |state| {
            for _ in 0..10_000 {
                *state = black_box(state.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17));
            }
            Ok(())
        })?;
        Ok(done as f64 / took.as_secs_f64())
    };
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let one = spin(1)?;
        ratios.push(spin(2)? / one);
    }
    ratios.sort_by(f64::total_cmp);
    let scale = ratios[ratios.len() / 2];
    bench.note("spinning: how much two threads do by what one does", scale, None);
    Ok(scale)
}

/// Operations in a second, tried for so long after a first one.
pub fn rate(time: Duration, mut operation: impl FnMut() -> Result<u64, Failure>) -> Result<f64, Failure> {
    operation()?;
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed() < time {
        done += operation()?;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}
