//! The process is killed, or its disk fails; the log is opened again on the same machine, where what was written and
//! never synced is still seen; and then the power fails.

use std::sync::Arc;

use graft_core::Seq;

use super::naive;
use super::world::{self, NonceWatch, Script, World};
use crate::disk::{Fault, SimulatedDisk};
use crate::log::LogOptions;
use crate::{AuditError, Verifier};

/// Holds that the log opens after the power failed, and has these calls.
fn ensure_there(disk: &SimulatedDisk, world: &World, calls: &[u64]) {
    let refused = |key| match LogOptions::new().open_on(Arc::new(disk.clone()), key) {
        Err(AuditError::WrongKey) => true,
        opened => opened.map(drop).is_err(),
    };
    assert!(!world.keys.iter().all(refused), "it does not open");
    let found = naive::calls(disk, &world.keys);
    for call in calls {
        assert!(found.contains(&Some(*call)), "{call} was acknowledged and is gone");
    }
}

#[test]
fn killed_at_any_operation_and_opened_before_the_power_fails_nothing_acknowledged_is_lost() {
    let mut nonces = NonceWatch::default();
    let step = if cfg!(debug_assertions) { 29 } else { 1 };
    for script in [Script::Plain, Script::Rotating, Script::Rekeying, Script::Retaining] {
        for sealed in [false, true] {
            let operations = World::run(SimulatedDisk::new(0), script, sealed, None).disk.operations();
            for at in (0..operations).step_by(step) {
                let world = World::run(SimulatedDisk::new(at), script, sealed, Some((at, Fault::PowerOff)));
                let world = world.killed().live(Script::Short);
                world.after_crash(at).live(Script::Short).check(&mut nonces);
            }
        }
    }
}

#[test]
fn what_is_acknowledged_behind_a_batch_whose_sync_failed_survives() {
    let mut failed = 0;
    for seed in 0..30 {
        let world = World::run(SimulatedDisk::new(seed), Script::Short, false, None);
        let log = world.open().expect("opens");
        log.flush().expect("flushes");
        world.disk.fail(1, Fault::Io);
        failed += u64::from(log.append(&world::event(900)).is_err());
        drop(log);
        world.disk.heal();
        let log = world.open().expect("opens again");
        (901..904).for_each(|n| _ = log.append(&world::event(n)).expect("acknowledges"));
        drop(log);
        ensure_there(&world.disk.after_crash(seed), &world, &[901, 902, 903]);
    }
    assert!(failed > 10, "{failed}");
}

#[test]
fn what_a_log_that_was_opened_again_calls_durable_is() {
    for seed in 0..20 {
        let world = World::run(SimulatedDisk::new(seed), Script::Short, false, None);
        let log = world.open().expect("opens");
        log.flush().expect("flushes");
        // Killed between a write and its sync.
        world.disk.fail(1, Fault::PowerOff);
        log.append(&world::event(900)).expect_err("is killed");
        drop(log);
        world.disk.heal();
        let log = world.open().expect("opens again");
        assert!(log.durable().0 == log.head().size);
        if naive::calls(&world.disk, &world.keys).contains(&Some(900)) {
            ensure_there(&world.disk.after_crash(seed), &world, &[900]);
        }
        world.disk.fail(0, Fault::PowerOff);
    }
}

#[test]
fn killed_in_a_rotation_and_opened_again_what_is_acknowledged_then_survives() {
    for sealed in [false, true] {
        for at in 0..30 {
            let world = World::run(SimulatedDisk::new(at), Script::Short, sealed, None);
            let log = world.open().expect("opens");
            log.flush().expect("flushes");
            world.disk.fail(at, Fault::PowerOff);
            let is_done = log.rotate().is_ok();
            drop(log);
            if is_done {
                assert!(at > 8, "{at}");
                break;
            }
            let world = world.killed().live(Script::Short);
            for seed in 0..6 {
                world.after_crash(seed).live(Script::Short);
            }
        }
    }
}

/// In mode sealed the old state is overwritten once the new segment is there: its name has to be durable then.
#[test]
fn killed_in_a_rotation_and_again_in_the_opening_a_sealed_log_still_opens() {
    for at in 0..16 {
        for again in (0..40).step_by(3) {
            let world = World::run(SimulatedDisk::new(at), Script::Short, true, None);
            let log = world.open().expect("opens");
            log.flush().expect("flushes");
            world.disk.fail(at, Fault::PowerOff);
            _ = log.rotate();
            drop(log);
            world.disk.heal();
            world.disk.fail(again, Fault::PowerOff);
            drop(world.open());
            for seed in 0..3 {
                world.after_crash(seed);
            }
        }
    }
}

#[test]
fn an_erasing_that_failed_is_finished_although_another_came_behind_it() {
    let mut failed = 0;
    for at in 0..60 {
        let world = World::run(SimulatedDisk::new(at), Script::Short, false, None);
        let log = world.open().expect("opens");
        log.flush().expect("flushes");
        world.disk.fail(at, Fault::Io);
        if log.erase(Seq(1)).is_ok() {
            break;
        }
        world.disk.heal();
        if log.erase(Seq(2)).is_err() {
            continue;
        }
        failed += 1;
        drop(log);
        drop(world.open().expect("opens"));
        let verifier = Verifier::new().keys(world.keys.iter().cloned().collect());
        let report = verifier.verify_files(&world.disk).expect("reads");
        _ = report.ensure_intact().expect("intact");
    }
    assert!(failed > 5, "{failed}");
}
