//! Streams, objects and callbacks, with and without encoding.
#![allow(missing_docs, unreachable_pub, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod guards;
mod model;
mod service;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use common::{callers, now};
use futures::{StreamExt, TryStreamExt, stream};
use graft_core::{CallError, FaultCode, Labeled, LabeledItems, Name, Sensitivity, Trust};
use graft_ugm::{Described, Handle, Items, interface};
use service::{Account, Desk, DeskClient, Listener};

const WHY: Name = Name::from_static("test");

fn bare<T>(labeled: Labeled<T>) -> T {
    labeled.release(WHY).0
}

fn all<T: graft_core::Payload>(items: LabeledItems<T>) -> Result<Vec<T>, FaultCode> {
    now(items.map_ok(bare).try_collect()).map_err(|fault| fault.code())
}

fn desks() -> [(Arc<Desk>, DeskClient); 2] {
    let made = || {
        let desk = Arc::new(Desk::default());
        (desk.clone(), callers(desk.dispatcher()).map(DeskClient::new))
    };
    let ((typed, [client, _]), (encoded, [_, other])) = (made(), made());
    [(typed, client), (encoded, other)]
}

#[test]
fn items_come_back_in_order() {
    for (desk, client) in desks() {
        let items = now(client.count(5)).expect("returns");
        assert_eq!(items.label().trust(), Trust::Trusted);
        assert_eq!(all(items), Ok(vec![0, 1, 2, 3, 4]));
        assert_eq!(desk.alive.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn items_go_out_beside_other_arguments() {
    for (desk, client) in desks() {
        assert_eq!(bare(now(client.sum(7, Items::new(stream::iter(1..4)))).expect("returns")), 13);
        // Whoever takes no more drops the producer.
        let alive = service::Alive::new(&desk.alive);
        let numbers = Items::new(stream::iter(2_000_000..).inspect(move |_| {
            let _ = &alive;
        }));
        let Err(CallError::Domain(error)) = now(client.sum(0, numbers)) else { panic!("a typed error") };
        assert_eq!(bare(error), "too much");
        assert_eq!(desk.alive.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn items_go_both_ways_at_once() {
    for (_, client) in desks() {
        // Without an end: each item comes back before the next one leaves.
        let items = now(client.double(Items::new(stream::iter(0..)))).expect("returns");
        let first: Vec<u64> = now(items.take(4).map_ok(bare).try_collect()).expect("items");
        assert_eq!(first, [0, 2, 4, 6]);
    }
}

#[test]
fn nothing_is_produced_before_it_is_asked_for() {
    for (desk, client) in desks() {
        let mut items = now(client.count(100_000)).expect("returns");
        assert_eq!(desk.made.load(Ordering::SeqCst), 0);
        for n in 0..100_000 {
            assert_eq!(bare(now(items.next()).expect("one").expect("an item")), n);
            assert_eq!(desk.made.load(Ordering::SeqCst), n as usize + 1, "nothing waits in between");
        }
        assert!(now(items.next()).is_none());
    }
}

#[test]
fn who_drops_the_consumer_drops_the_producer() {
    for (desk, client) in desks() {
        let mut items = now(client.count(10)).expect("returns");
        assert!(now(items.next()).is_some());
        assert_eq!(desk.alive.load(Ordering::SeqCst), 1);
        drop(items);
        assert_eq!(desk.alive.load(Ordering::SeqCst), 0);

        let alive = service::Alive::new(&desk.alive);
        let numbers = Items::new(stream::iter(0..10).inspect(move |_| {
            let _ = &alive;
        }));
        let mut items = now(client.double(numbers)).expect("returns");
        assert!(now(items.next()).is_some());
        assert_eq!(desk.alive.load(Ordering::SeqCst), 1);
        drop(items);
        assert_eq!(desk.alive.load(Ordering::SeqCst), 0);

        // A call that is dropped drops what it sends.
        let alive = service::Alive::new(&desk.alive);
        let numbers = Items::new(stream::iter(0..10).inspect(move |_| {
            let _ = &alive;
        }));
        let mut call = Box::pin(client.hangs(numbers));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(call);
        assert_eq!(desk.alive.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_producer_that_panics_ends_its_own_stream_only() {
    for (_, client) in desks() {
        let mut items = now(client.breaks()).expect("returns");
        assert_eq!(bare(now(items.next()).expect("one").expect("an item")), 0);
        assert!(now(items.next()).expect("one").is_ok());
        let fault = now(items.next()).expect("a fault").expect_err("a fault");
        assert_eq!((fault.code(), fault.trace().0), (FaultCode::Internal, [7; 16]));
        assert!(now(items.next()).is_none());

        let numbers = Items::new(stream::iter(0_u64..).map(|n| if n == 2 { panic!("no") } else { n }));
        let Err(CallError::Domain(error)) = now(client.sum(0, numbers)) else { panic!("a typed error") };
        assert_eq!(bare(error), "internal");
        assert!(now(client.count(1)).is_ok());
    }
}

#[test]
fn an_object_lives_as_long_as_its_handle_and_gives_more() {
    for (desk, client) in desks() {
        let account = now(client.account("ann")).expect("returns");
        assert_eq!(desk.alive.load(Ordering::SeqCst), 1);
        let name = now(account.name()).expect("returns");
        assert_eq!(name.label().sensitivity(), Sensitivity::Secret, "it came out of a secret reply");
        assert_eq!(bare(name), "ann");
        let child = now(account.child("x".to_owned())).expect("returns");
        drop(account);
        assert_eq!(all(now(child.lines(2)).expect("returns")), Ok(vec!["ann/x 0".into(), "ann/x 1".into()]));
        let child2 = child.clone();
        drop(child);
        assert_eq!(desk.alive.load(Ordering::SeqCst), 1);
        drop(child2);
        assert_eq!(desk.alive.load(Ordering::SeqCst), 0);
        let Err(CallError::Domain(error)) = now(client.account("")) else { panic!("a typed error") };
        assert_eq!(bare(error), "no name");
    }
}

#[test]
fn a_callee_calls_back() {
    for (_, client) in desks() {
        let listener = Arc::new(Listener(Default::default()));
        let heard = now(client.each(4, Handle::new(listener.clone()))).expect("returns");
        assert_eq!(bare(heard), 6);
        assert_eq!(*listener.0.lock().expect("no panic"), [0, 1, 2, 3]);
    }
}

#[test]
fn a_handle_of_another_interface_is_refused_at_its_first_call() {
    let [_, (_, client)] = desks();
    // What a peer sends in place of a listener.
    let account = now(Desk::default().account("ann")).expect("an account");
    let channel = account.channel();
    let caller = graft_core::Caller::new(
        channel,
        Arc::new(graft_core::ManualClock::default()),
        graft_core::RunId([1; 16]),
    );
    let error = now(service::ListenerClient::new(caller).on(1)).expect_err("another contract");
    assert_eq!(error.fault().expect("a fault").code(), FaultCode::ContractMismatch);
    drop(client);
}

/// Other Rust types of the same contract: a client that was built elsewhere.
mod elsewhere {
    use super::{Account, Handle, Items, Listener, interface};

    pub struct Desk;

    #[interface(crate = "graft_ugm")]
    #[allow(unused_variables, clippy::boxed_local, clippy::box_collection)]
    impl Desk {
        pub fn count(&self, to: Box<u32>) -> Items<u32> {
            unreachable!("a client only")
        }
        pub fn sum(&self, start: u64, numbers: Items<Box<u64>>) -> Result<u64, String> {
            unreachable!("a client only")
        }
        pub fn double(&self, numbers: Items<Box<u32>>) -> Result<Items<Box<u64>>, String> {
            unreachable!("a client only")
        }
        pub fn breaks(&self) -> Items<u32> {
            unreachable!("a client only")
        }
        pub fn account(&self, name: Box<String>) -> Result<Handle<Account>, String> {
            unreachable!("a client only")
        }
        pub fn each(&self, to: Box<u32>, listener: Handle<Listener>) -> u32 {
            unreachable!("a client only")
        }
        pub fn hangs(&self, numbers: Items<u64>) {
            unreachable!("a client only")
        }
        pub fn context(&self, name: String) -> Vec<String> {
            unreachable!("a client only")
        }
    }
}

#[test]
fn other_rust_types_of_the_same_contract_share_ports() {
    assert_eq!(elsewhere::Desk::interface().id(), Desk::interface().id());
    for caller in callers(Arc::new(Desk::default()).dispatcher()) {
        let client = elsewhere::DeskClient::new(caller);
        assert_eq!(all(now(client.count(Box::new(3))).expect("returns")), Ok(vec![0, 1, 2]));
        let boxed = |to| Items::new(stream::iter(0..to).map(Box::new));
        assert_eq!(bare(now(client.sum(1, boxed(4))).expect("returns")), 7);
        let doubled = now(client.double(Items::new(stream::iter((0..3).map(Box::new))))).expect("returns");
        assert_eq!(all(doubled), Ok(vec![Box::new(0), Box::new(2), Box::new(4)]));
        let account = now(client.account(Box::new("ann".to_owned()))).expect("returns");
        assert_eq!(bare(now(account.name()).expect("returns")), "ann");
        let heard = client.each(Box::new(3), Handle::new(Arc::new(Listener(Default::default()))));
        assert_eq!(bare(now(heard).expect("returns")), 3);
    }
}
