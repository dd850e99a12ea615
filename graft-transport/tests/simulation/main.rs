//! Client and server sessions in a world of their own: virtual time, a network that is slow, breaks or goes
//! silent, and applications that call, stream, host, cancel and close at random. One seed is one world.
//!
//! `GRAFT_SEED=n` runs that one; `GRAFT_SEEDS=n` that many instead of two thousand.

mod acts;
mod check;
mod events;
mod net;
mod plan;
mod rng;
mod world;

use plan::{Setting, Trouble};
use rng::Rng;
use world::{Seen, World};

/// Says how to repeat a world that failed.
struct Failing(String);

impl Drop for Failing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("\nfailed: {}", self.0);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

fn world(seed: u64) -> Seen {
    let _failing = Failing(format!(
        "seed {seed}; repeat it with: GRAFT_SEED={seed} cargo test -p graft-transport --test simulation worlds"
    ));
    let mut rng = Rng::new(seed);
    let setting = Setting::random(&mut rng);
    World::new(rng, setting).run()
}

#[test]
fn worlds_hold() {
    if let Some(seed) = number("GRAFT_SEED") {
        println!("{:?}", world(seed));
        return;
    }
    let mut all = Seen::default();
    let seeds = number("GRAFT_SEEDS").unwrap_or(2000);
    for seed in 0..seeds {
        all.add(&world(seed));
    }
    println!("{all:?}");
    assert!(seeds < 1000 || all.is_everything(), "the worlds have lost a part: {all:?}");
}

/// A short exchange with calls, streams, objects and callbacks, broken after each byte of each end.
#[test]
fn a_connection_may_break_after_any_byte() {
    let run = |seed, trouble| {
        let _failing = Failing(format!("{trouble:?} of {seed}"));
        World::new(Rng::new(seed), Setting::short(trouble)).run()
    };
    let has_all = |seen: &Seen| seen.values > 3 && seen.items > 10 && seen.released > 0 && seen.stopped > 0;
    let whole = (0..100).map(|seed| (seed, run(seed, Trouble::None))).find(|(_, seen)| has_all(seen));
    let (seed, whole) = whole.expect("some have everything in them");
    for by in [0, 1] {
        for at in 0..=whole.bytes[by] {
            let seen = run(seed, Trouble::CutAtByte { by, at });
            assert!(seen.broken == 1, "it was not broken at {at}");
        }
    }
}
