//! A log that goes on while its disk takes nothing.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::gate::GatedDisk;
use super::naive;
use super::world::{self, Script, World};
use crate::disk::{Fault, SimulatedDisk};
use crate::log::{AuditLog, LogOptions};
use crate::verify::State;
use crate::{AuditError, AuditSigner, Verifier};

fn holding(seed: u64, sealed: bool) -> (World, AuditLog) {
    let world = World::run(SimulatedDisk::new(seed), Script::Short, sealed, None);
    let log = world.open_holding(1 << 16).expect("opens");
    log.flush().expect("flushes");
    (world, log)
}

#[test]
fn what_flush_says_of_held_records_survives_a_power_failure() {
    for seed in 0..15 {
        let (world, log) = holding(seed, false);
        world.disk.fail(1, Fault::Io);
        let seq = log.append(&world::event(900)).expect("goes on");
        world.disk.heal();
        log.flush().expect("the disk takes it");
        assert!(log.durable() > seq);
        let crashed = world.disk.after_crash(seed);
        world.keys.iter().for_each(|key| drop(LogOptions::new().open_on(Arc::new(crashed.clone()), key)));
        assert!(naive::calls(&crashed, &world.keys).contains(&Some(900)), "{seed}");
    }
}

#[test]
fn a_key_is_exchanged_or_the_log_closed_only_if_the_disk_says_so() {
    let mut refused = 0;
    for at in 0..12 {
        let (world, log) = holding(at, false);
        world.disk.fail(at, Fault::Full);
        let new = world::key(55);
        match log.rotate_key(&new) {
            Ok(()) => {
                std::mem::forget(log);
                drop(LogOptions::new().open_on(Arc::new(world.disk.copy()), &new).expect("opens"));
            }
            Err(error) => {
                assert!(matches!(error, AuditError::Held), "{error:?}");
                refused += 1;
                // The log goes on, under whichever of the two keys the disk has.
                world.disk.heal();
                let seq = log.append(&world::event(901)).expect("goes on");
                log.flush().expect("the disk takes it");
                assert!(log.durable() > seq);
            }
        }
        let (world, log) = holding(at, false);
        log.checkpoint().expect("is kept");
        log.flush().expect("flushes");
        world.disk.fail(at, Fault::Io);
        if log.close().is_ok() {
            let verifier = Verifier::new().keys(world.keys.iter().cloned().collect());
            assert_eq!(verifier.verify_files(&world.disk).expect("reads").state, State::Closed);
        }
    }
    assert!(refused > 2, "{refused}");
}

#[test]
fn an_explicit_checkpoint_that_the_disk_does_not_take_leaves_a_log_that_goes_on() {
    let (world, log) = holding(1, false);
    log.append(&world::event(900)).expect("appends");
    world.disk.fail(0, Fault::Io);
    assert!(matches!(log.checkpoint(), Err(AuditError::Io(_))));
    world.disk.heal();
    log.append(&world::event(901)).expect("goes on");
    log.flush().expect("flushes");
}

#[test]
fn however_often_a_disk_is_tried_what_is_held_stays_within_its_bytes_and_is_written_in_the_end() {
    let disk = GatedDisk::new();
    let hold = 8 << 10;
    let mut options = LogOptions::new().danger_go_on_without_disk(hold);
    options.rules.threads = false;
    options.rules.retry = Duration::ZERO;
    let log = options.create_on(Arc::new(disk.clone()), &world::key(0), None).expect("creates");
    log.append(&world::event(1)).expect("appends");
    disk.set_full(true);
    for n in 0..150 {
        log.append(&world::event(n % 50)).expect("goes on");
        let state = log.shared.state();
        assert!(state.filling.sealed() + state.unwritten_bytes < hold + 2000);
    }
    disk.set_full(false);
    log.flush().expect("the disk takes it");
    assert!(!log.is_holding());
    log.append(&world::event(1)).expect("appends");
    drop(log);
    let lost = naive::lost(&disk.disk, &[world::key(0)]);
    let kept = naive::calls(&disk.disk, &[world::key(0)]).len();
    assert!(lost > 50 && lost + kept as u64 == 152, "{lost} {kept}");
}

#[test]
fn a_checkpoint_that_fails_beside_an_opening_takes_nothing_from_who_leads() {
    let mut disk = GatedDisk::new();
    disk.refuses_checkpoints = true;
    let signer = AuditSigner::generate("example.com/log".parse().expect("a name")).expect("randomness");
    let mut options =
        LogOptions::new().checkpoint_records(1).danger_go_on_without_disk(1 << 16).signer(signer);
    options.rules.threads = false;
    options.rules.retry = Duration::ZERO;
    let log = options.create_on(Arc::new(disk.clone()), &world::key(0), None).expect("creates");
    let log = Arc::new(log);
    let (tell, told) = channel();
    let append_as = |name: &'static str| {
        let (log, tell) = (Arc::clone(&log), tell.clone());
        let append = move || _ = tell.send(log.append(&world::event(7)).is_ok());
        drop(std::thread::Builder::new().name(name.into()).spawn(append).expect("starts"));
    };
    let pause = || std::thread::sleep(Duration::from_millis(50));
    log.append(&world::event(1)).expect("appends");
    ["A", "B"].into_iter().for_each(|name| disk.shut(name));
    append_as("A");
    disk.until_there("A");
    // While A makes its checkpoint, B fails to write and opens the log again.
    disk.disk.fail(1, Fault::Io);
    append_as("B");
    pause();
    disk.open("A");
    disk.until_there("B");
    // B still leads, and these must not.
    append_as("C");
    append_as("D");
    pause();
    disk.open("B");
    for _ in 0..4 {
        told.recv_timeout(Duration::from_secs(10)).expect("nobody waits for ever");
    }
    log.durable();
}
