//! Threads that do the same at the same time.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Case, Failure};

/// How much each thread does.
#[derive(Clone, Copy)]
pub enum Until {
    /// So many operations.
    Done(u64),
    /// As many as it takes to fill this time.
    Past(Duration),
}

/// Does `work` on a thread for each of `states`, which begin together. How many operations were done, and how
/// long it took from the first that began to the last that ended.
pub fn on_threads<S: Send>(
    states: &mut [S],
    until: Until,
    work: impl Fn(&mut S) -> Result<(), Failure> + Sync,
) -> Result<(u64, Duration), Failure> {
    let (barrier, work) = (&Barrier::new(states.len()), &work);
    let spans: Result<Vec<(u64, Instant, Instant)>, Failure> = thread::scope(|scope| {
        let one = |state| move || of_one(state, until, barrier, work);
        let threads: Vec<_> = states.iter_mut().map(|state| scope.spawn(one(state))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect()
    });
    let spans = spans?;
    let done = spans.iter().map(|span| span.0).sum();
    let begun = spans.iter().map(|span| span.1).min().ok_or("there are no threads")?;
    let ended = spans.iter().map(|span| span.2).max().ok_or("there are no threads")?;
    Ok((done, ended - begun))
}

fn of_one<S>(
    state: &mut S,
    until: Until,
    barrier: &Barrier,
    work: &impl Fn(&mut S) -> Result<(), Failure>,
) -> Result<(u64, Instant, Instant), Failure> {
    barrier.wait();
    let (begun, mut done) = (Instant::now(), 0);
    while match until {
        Until::Done(all) => done < all,
        Until::Past(time) => begun.elapsed() < time,
    } {
        work(state)?;
        done += 1;
    }
    Ok((done, begun, Instant::now()))
}

/// A case whose operations are split among threads, one for each of `states`.
pub fn case<'a, S: Send + 'a>(
    name: impl Into<String>,
    mut states: Vec<S>,
    work: impl Fn(&mut S) -> Result<(), Failure> + Sync + 'a,
) -> Case<'a> {
    Case::new(name, move |round| {
        let each = round.iterations().div_ceil(states.len() as u64);
        let (done, took) = on_threads(&mut states, Until::Done(each), &work)?;
        round.did(done, took);
        Ok(())
    })
}
