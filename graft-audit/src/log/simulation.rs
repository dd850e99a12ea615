//! The log on a disk that crashes and fails: what was acknowledged is there, and what is there is a beginning of
//! what was written. `GRAFT_AUDIT_SEEDS=100000 cargo test --release simulation` runs more.

mod gate;
mod held;
mod killed;
mod naive;
mod threads;
mod world;

use sha2::{Digest, Sha256};

use crate::disk::{Fault, SimulatedDisk};
use crate::format::COMMIT_LEN;
use crate::{AuditError, What};
use world::{NonceWatch, Script, World};

fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("GRAFT_AUDIT_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    0..asked.unwrap_or(if cfg!(debug_assertions) { 40 } else { 1000 })
}

/// The power fails at each operation of each script, and again while that is recovered.
#[test]
fn after_a_crash_at_any_operation_every_acknowledged_record_is_there() {
    let mut nonces = NonceWatch::default();
    let mut crashes = 0;
    for script in Script::ALL {
        for sealed in [false, true] {
            let whole = World::run(SimulatedDisk::new(0), script, sealed, None);
            let operations = whole.disk.operations();
            assert!(operations > 12, "{operations}");
            whole.check(&mut nonces);
            // Built without optimisation, a part of them has to do.
            let step = if cfg!(debug_assertions) { 5 } else { 1 };
            for at in (0..operations).step_by(step) {
                let world = World::run(SimulatedDisk::new(at), script, sealed, Some((at, Fault::PowerOff)));
                nonces.watch(&world.disk);
                for seed in 0..2 {
                    let second = world.after_crash(seed << 32 | at);
                    crashes += 1;
                    // The second life crashes as well, within its recovery or soon after.
                    let again = (seed * 7 + at) % 40;
                    second.disk.fail(again, Fault::PowerOff);
                    let second = second.live(Script::Short);
                    nonces.watch(&second.disk);
                    second.after_crash(at).live(Script::Short).check(&mut nonces);
                }
            }
        }
    }
    assert!(crashes > 300, "{crashes}");
}

#[test]
fn random_histories_of_crashes_and_failures_lose_nothing_that_was_acknowledged() {
    let mut nonces = NonceWatch::default();
    for seed in seeds() {
        let mut world = World::random(seed);
        for _ in 0..3 {
            let random = world.random.next();
            let fault = match random % 4 {
                0 => Fault::Io,
                1 => Fault::Full,
                _ => Fault::PowerOff,
            };
            world.disk.fail(random >> 8 & 0x7f, fault);
            world = world.live(Script::Random);
            nonces.watch(&world.disk);
            let crash = world.random.next();
            world = match crash % 4 {
                0 => world.restarted(),
                1 => world.killed(),
                _ => world.after_crash(crash),
            };
        }
        world.live(Script::Short).check(&mut nonces);
    }
}

#[test]
fn after_a_failed_write_or_sync_nothing_is_acknowledged_until_the_log_is_opened_again() {
    let mut failed = 0;
    for at in 0..40 {
        let world = World::run(SimulatedDisk::new(at), Script::Short, false, None);
        let log = world.open().expect("opens");
        world.disk.fail(at % 4, Fault::Io);
        let Err(error) = log.append(&world::event(900)) else { continue };
        failed += 1;
        assert!(matches!(error, AuditError::Io(_)), "{error:?}");
        // The disk is well again, and the log still does not trust it.
        world.disk.heal();
        let durable = log.durable();
        for _ in 0..3 {
            assert!(matches!(log.append(&world::event(901)), Err(AuditError::Stopped)));
            assert!(matches!(log.flush(), Err(AuditError::Stopped)));
            assert!(matches!(log.rotate(), Err(AuditError::Stopped)));
        }
        assert_eq!(log.durable(), durable);
        assert!(matches!(log.close(), Err(AuditError::Stopped)));
        world.open().expect("opens again").append(&world::event(902)).expect("appends");
        assert!(naive::calls(&world.disk, &world.keys).contains(&Some(902)));
    }
    assert!(failed > 10, "{failed}");
}

/// The host chose to go on: what the disk did not take is there once it does again, but for what the gap counts.
#[test]
fn a_disk_that_takes_nothing_for_a_while_leaves_a_gap_that_is_counted() {
    let mut gaps = 0;
    for seed in 0..60 {
        for fault in [Fault::Io, Fault::Full] {
            let world = World::run(SimulatedDisk::new(seed), Script::Short, seed % 2 == 1, None);
            let log = world.open_holding(3000).expect("opens");
            world.disk.fail(seed % 11, fault);
            let mut lost = 0;
            let mut last = None;
            for n in 100..130 {
                let seq = log.append(&world::event(n)).expect("goes on");
                lost += u64::from(last == Some(seq));
                last = Some(seq);
                if n == 125 {
                    world.disk.heal();
                }
            }
            log.flush().expect("the disk takes it");
            assert!(!log.is_holding() && log.durable() > last.expect("some"));
            let head = log.head();
            drop(log);
            let there = naive::calls(&world.disk, &world.keys);
            let kept = there.iter().filter(|call| **call >= Some(100)).count() as u64;
            let counted = naive::lost(&world.disk, &world.keys);
            assert_eq!((kept + counted, counted > 0), (30, lost > 0), "{fault:?} {seed}");
            assert!(head.size as usize <= naive::read(&world.disk, &world.keys).len());
            gaps += u64::from(lost > 0);
        }
    }
    assert!(gaps > 5, "{gaps}");
}

/// A copy of the log that goes on by itself, as that of a cloned machine does.
#[test]
fn two_copies_of_one_log_never_seal_under_the_same_key_and_nonce() {
    for sealed in [false, true] {
        let mut nonces = NonceWatch::default();
        let world = World::run(SimulatedDisk::new(0), Script::Short, sealed, None);
        nonces.watch(&world.disk);
        let before = nonces.len();
        for first in [10, 20] {
            let copy = world.restarted();
            let log = copy.open().expect("opens");
            (first..first + 5).for_each(|n| _ = log.append(&world::event(n)).expect("appends"));
            nonces.watch(&copy.disk);
        }
        // One of each five has fields, which are sealed as well, and each copy says that it was opened.
        assert_eq!(nonces.len(), before + 14);
    }
}

#[test]
fn damage_before_a_later_commit_is_refused_and_a_torn_tail_is_set_aside() {
    let world = World::run(SimulatedDisk::new(0), Script::Plain, false, None);
    let name = "0000000000.seg";
    let bytes = world.disk.read_all(name);
    let commits = naive::commits(&bytes);
    let last = commits[commits.len() - 2];
    let end = commits[commits.len() - 1];
    for at in (0..end).step_by(3) {
        let copy = world.restarted();
        copy.disk.tamper(name, |bytes| bytes[at] ^= 0x20);
        match copy.open() {
            // A batch without its commit is what a crash leaves.
            Ok(log) => assert_eq!((at >= end - COMMIT_LEN, log.recovered().len()), (true, 1), "{at}"),
            Err(AuditError::Broken(_) | AuditError::WrongKey) => {
                assert_eq!(copy.disk.list_all("torn").len(), 0);
            }
            Err(other) => unreachable!("{other:?}"),
        }
    }
    // A commit whose check is right and whose MAC is not was written by somebody without the key.
    let copy = world.restarted();
    copy.disk.tamper(name, |bytes| {
        bytes[end - 30] ^= 1;
        let digest =
            Sha256::new().chain_update([3]).chain_update(&bytes[end - COMMIT_LEN..end - 8]).finalize();
        bytes[end - 8..end].copy_from_slice(&digest[..8]);
    });
    let refused = copy.open().expect_err("forged");
    assert!(matches!(&refused, AuditError::Broken(found) if found.what == What::Forged), "{refused:?}");
    // Cut anywhere in the last batch, it was not all written.
    for at in last + 1..end {
        let copy = world.restarted();
        copy.disk.tamper(name, |bytes| bytes[at..].fill(0));
        let log = copy.open().expect("recovers");
        let recovered = log.recovered().to_vec();
        let torn = &bytes[last..at];
        let length = torn.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        assert_eq!(recovered.iter().map(|tail| tail.bytes as usize).sum::<usize>(), length);
        drop(log);
        let names = copy.disk.list_all("torn");
        assert_eq!(names.len(), 1);
        assert_eq!(copy.disk.read_all(&format!("torn/{}", names[0])), torn[..length]);
        assert_eq!(naive::recovered(&copy.disk, &copy.keys), recovered);
    }
}
