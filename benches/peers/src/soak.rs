//! Memory over time under full load: it has to be flat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::calls::graft_peer::{Bare, Guarded, router};
use crate::calls::threads::Threads;
use crate::calls::transport::{Tcp, Transport};
use crate::calls::value::What;
use crate::calls::{Load, Peer, many_at_a_time};
use crate::harness::{Failure, Round};
use crate::process::{option, resident};

/// How many times memory is looked at in the course of a run.
const LOOKS: u32 = 60;
/// What memory may grow by and still be called flat: a part of it, and so many bytes.
const GROWTH: f64 = 0.05;
const SLACK: u64 = 4 << 20;

/// Full load for `--seconds` (600): small calls bare and guarded, structures, and payloads of 1 MiB, over seven
/// connections. Prints resident memory and calls as they go.
///
/// # Errors
/// If a call fails, or memory is not flat.
pub fn soak() -> Result<(), Failure> {
    let seconds: u64 = option("--seconds", 600)?;
    let threads = Threads::two()?;
    let (address, _server) = threads.server(Tcp.serve(router()))??;
    let connect = || threads.client(Tcp.connect(address))?;
    let state = Arc::new(State::default());
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let load = Load { connections: 1, in_flight: 64, what: What::SMALL };
        tasks.push(threads.client(keep_busy(Bare::over(connect()?), load, state.clone()))?);
    }
    for (what, in_flight) in [(What::Order, 16), (What::Blob(1 << 20), 1)] {
        let load = Load { connections: 1, in_flight, what };
        tasks.push(threads.client(keep_busy(Bare::over(connect()?), load, state.clone()))?);
    }
    let load = Load { connections: 1, in_flight: 16, what: What::SMALL };
    tasks.push(threads.client(keep_busy(Guarded::over(connect()?)?, load, state.clone()))?);

    println!("{:>8} {:>14} {:>14}", "s", "resident KiB", "calls");
    let (begun, mut looks) = (Instant::now(), Vec::new());
    for look in 1..=LOOKS {
        let due = Duration::from_secs(seconds) * look / LOOKS;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        looks.push(show(begun.elapsed().as_secs_f64(), state.calls.load(Ordering::Relaxed))?);
        if tasks.iter().any(JoinHandle::is_finished) {
            break; // the failure comes out below
        }
    }
    state.is_over.store(true, Ordering::Relaxed);
    for task in tasks {
        threads.client(task)???;
    }
    judge(&looks)
}

/// One stream of `--calls` (1,000,000) on one connection, 64 in flight.
///
/// # Errors
/// If a call fails, or memory is not flat.
pub fn stream() -> Result<(), Failure> {
    let calls: u64 = option("--calls", 1_000_000)?;
    let threads = Threads::two()?;
    let (address, _server) = threads.server(Tcp.serve(router()))??;
    let peer = Bare::over(threads.client(Tcp.connect(address))??);
    let load = Load { connections: 1, in_flight: 64, what: What::SMALL };
    println!("{:>8} {:>14} {:>14}", "s", "resident KiB", "calls");
    let (begun, mut looks, mut done) = (Instant::now(), Vec::new(), 0);
    let each = calls.div_ceil(64 * u64::from(LOOKS));
    for _ in 0..LOOKS {
        threads.client(many_at_a_time(vec![peer.clone()], load, each, Round::default()))??;
        done += each * 64;
        looks.push(show(begun.elapsed().as_secs_f64(), done)?);
    }
    judge(&looks)
}

#[derive(Default)]
struct State {
    is_over: AtomicBool,
    calls: AtomicU64,
}

/// A task that puts a peer under load until it is over.
async fn keep_busy<P: Peer>(peer: P, load: Load, state: Arc<State>) -> JoinHandle<Result<(), Failure>> {
    tokio::spawn(async move {
        let at_a_time = load.in_flight as u64;
        let turns = (P::most(load.what) / at_a_time).min(64);
        while !state.is_over.load(Ordering::Relaxed) {
            many_at_a_time(vec![peer.begin()?], load, turns, Round::default()).await?;
            state.calls.fetch_add(turns * at_a_time, Ordering::Relaxed);
        }
        Ok(())
    })
}

fn show(seconds: f64, calls: u64) -> Result<u64, Failure> {
    let bytes = resident("self")?;
    println!("{seconds:>8.1} {:>14} {calls:>14}", bytes / 1024);
    Ok(bytes)
}

/// The most of the last fifth beside the most of the second fifth; what came before is warming up.
fn judge(looks: &[u64]) -> Result<(), Failure> {
    let fifth = looks.len() / 5;
    let most = |looks: &[u64]| looks.iter().max().copied().unwrap_or_default();
    let (early, late) = (most(&looks[fifth..2 * fifth]), most(&looks[looks.len() - fifth..]));
    let bound = early + (early as f64 * GROWTH) as u64 + SLACK;
    let kib = |bytes| bytes / 1024;
    println!("at most {} KiB early, {} late; flat is up to {}", kib(early), kib(late), kib(bound));
    if late > bound { Err("memory is not flat".into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_settles_is_flat_and_memory_that_climbs_is_not() {
        let settled: Vec<u64> = (0..60).map(|look| if look < 10 { look << 20 } else { 50 << 20 }).collect();
        assert!(judge(&settled).is_ok());
        let climbing: Vec<u64> = (0..60).map(|look| (50 << 20) + (look << 18)).collect();
        assert!(judge(&climbing).is_err());
    }
}
