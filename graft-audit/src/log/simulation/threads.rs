//! Who leads, and who is told.

use std::future::Future;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use graft_core::Seq;

use super::gate::GatedDisk;
use super::world;
use crate::log::{AuditLog, Durability, LogOptions};

const LONG: Duration = Duration::from_secs(10);

fn gated() -> (GatedDisk, Arc<AuditLog>) {
    let disk = GatedDisk::new();
    let log = LogOptions::new().create_on(Arc::new(disk.clone()), &world::key(0), None).expect("creates");
    (disk, Arc::new(log))
}

/// A caller that leads and waits for the disk.
fn leader(disk: &GatedDisk, log: &Arc<AuditLog>) -> JoinHandle<()> {
    disk.shut("leader");
    let leads = Arc::clone(log);
    let append = move || {
        leads.append(&world::event(0)).expect("appends");
    };
    let leader = Builder::new().name("leader".into()).spawn(append).expect("starts");
    disk.until_there("leader");
    leader
}

fn becomes_durable(log: &AuditLog, seq: Seq) -> bool {
    let begun = Instant::now();
    while log.durable() <= seq && begun.elapsed() < LONG {
        std::thread::sleep(Duration::from_millis(1));
    }
    log.durable() > seq
}

#[test]
fn a_buffered_record_is_written_in_time_although_a_caller_was_leading_when_it_came() {
    let (disk, log) = gated();
    let leader = leader(&disk, &log);
    let seq = log.submit(&world::event(1)).expect("takes");
    disk.open("leader");
    leader.join().expect("joins");
    assert!(becomes_durable(&log, seq));
}

#[test]
fn a_task_is_told_although_a_caller_was_leading_when_it_asked() {
    for has_thread in [true, false] {
        let (disk, log) = gated();
        if has_thread {
            let seq = log.submit(&world::event(0)).expect("takes");
            assert!(becomes_durable(&log, seq));
        }
        let leader = leader(&disk, &log);
        let seq = log.append_with(&world::event(1), Durability::Memory).expect("takes");
        let (tell, told) = channel();
        let asks = Arc::clone(&log);
        let polled = Arc::new(Told(Mutex::new(Some(tell))));
        let waker = Arc::clone(&polled).into();
        let mut until = Box::pin(asks.until_durable(seq));
        assert!(until.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        disk.open("leader");
        leader.join().expect("joins");
        assert!(told.recv_timeout(LONG).is_ok(), "with a thread before: {has_thread}");
    }
}

/// Says once that it was woken.
struct Told(Mutex<Option<std::sync::mpsc::Sender<()>>>);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        if let Some(tell) = self.0.lock().expect("no panic").take() {
            _ = tell.send(());
        }
    }
}

#[test]
fn a_waker_that_panics_keeps_neither_other_tasks_nor_later_records_waiting() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            // Not by `panic!`, which would print.
            std::panic::resume_unwind(Box::new("a waker of the host"));
        }
    }
    let (disk, log) = gated();
    disk.shut("graft-audit");
    let seq = log.append_with(&world::event(0), Durability::Memory).expect("takes");
    let mut bad = Box::pin(log.until_durable(seq));
    assert!(bad.as_mut().poll(&mut Context::from_waker(&Arc::new(Panics).into())).is_pending());
    let (tell, told) = channel();
    let mut good = Box::pin(log.until_durable(seq));
    let waker = Arc::new(Told(Mutex::new(Some(tell)))).into();
    assert!(good.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    disk.until_there("graft-audit");
    disk.open("graft-audit");
    assert!(told.recv_timeout(LONG).is_ok());
    let seq = log.submit(&world::event(1)).expect("takes");
    assert!(becomes_durable(&log, seq));
}
