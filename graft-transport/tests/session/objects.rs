//! Objects on a lease.

use std::time::Duration;

use graft_core::{FaultCode, HandleId};
use graft_transport::Limits;
use graft_transport::session::{Answer, Event};
use graft_transport::wire::{Frame, Port};

use crate::pair::{Call, Pair, frames, print, reply, request, seconds};

fn lease(lease: Duration) -> Limits {
    Limits::default().with_lease(lease)
}

#[test]
fn an_object_is_called_until_it_is_released() {
    let mut pair = Pair::open();
    let handle = pair.object(5);
    assert!(pair.server.session.hosts(handle) && pair.server.session.has_ports());
    let number =
        request(&mut pair.client.session, seconds(0), Call { handle: Some(handle), ..Call::default() }, 7);
    pair.shuttle();
    let called = pair.server.next_request();
    assert_eq!((Ok(called.frame.number), called.frame.handle), (number, Some(handle)));
    reply(&mut pair.server.session, called.frame.number, b"", &[]);
    pair.client.session.release(handle);
    pair.client.session.release(handle);
    pair.client.session.renew(handle);
    pair.shuttle();
    assert!(matches!(pair.server.next(), Event::Released(HandleId(5))) && pair.server.events.is_empty());
    assert!(!pair.server.session.hosts(handle));
    assert!(!pair.client.session.has_ports() && !pair.server.session.has_ports());
}

#[test]
fn a_client_is_called_back_on_what_it_handed_over() {
    let mut pair = Pair::open();
    pair.client.session.host(seconds(0), HandleId(9)).expect("there is room");
    let number = pair.call(Call { ports: &[Port::Object(HandleId(9))], ..Call::default() }, 1);
    let back = Call { handle: Some(HandleId(9)), body: b"progress", ..Call::default() };
    request(&mut pair.server.session, seconds(0), back, 2).expect("is queued");
    pair.shuttle();
    let called = pair.client.next_request();
    assert_eq!((&called.frame.body[..], called.frame.handle), (&b"progress"[..], Some(HandleId(9))));
    reply(&mut pair.client.session, called.frame.number, b"", &[]);
    pair.shuttle();
    assert!(matches!(pair.server.next_answer(), (2, Answer::Reply { .. })));
    reply(&mut pair.server.session, number, b"", &[]);
    pair.server.session.release(HandleId(9));
    pair.shuttle();
    assert!(matches!(pair.client.next_answer(), (1, Answer::Reply { .. })));
    assert!(matches!(pair.client.next(), Event::Released(HandleId(9))));
    // A call that crosses the release is still a call: the shell says that the object is gone.
    request(&mut pair.server.session, seconds(0), back, 3).expect("is queued");
    pair.shuttle();
    let called = pair.client.next_request();
    pair.client.session.fault(called.frame.number, FaultCode::HandleGone);
    pair.shuttle();
    assert!(matches!(pair.server.next_answer(), (3, Answer::Fault { code: FaultCode::HandleGone, .. })));
}

#[test]
fn a_lease_runs_out_when_nobody_renews_it() {
    let mut pair = Pair::new(Limits::default(), lease(seconds(20)));
    let handle = pair.object(5);
    // The client is not heard of any more.
    pair.server.session.handle_timeout(seconds(20) - Duration::from_nanos(1));
    assert!(pair.server.session.hosts(handle));
    pair.server.session.handle_timeout(seconds(20));
    pair.server.listen();
    assert!(matches!(pair.server.next(), Event::Released(HandleId(5))));
    assert!(!pair.server.session.hosts(handle) && !pair.server.session.has_ports());
}

#[test]
fn a_timeout_says_when_the_lease_runs_out() {
    let mut pair = Pair::new(Limits::default(), lease(seconds(20)));
    pair.object(5);
    assert_eq!(pair.server.session.poll_timeout(), Some(seconds(20)));
    assert_eq!(pair.client.session.poll_timeout(), Some(seconds(20) / 3), "the first renewal");
}

#[test]
fn whoever_holds_an_object_renews_it_as_time_passes() {
    let mut pair = Pair::new(Limits::default(), lease(seconds(20)));
    let (kept, dropped) = (pair.object(5), pair.object(6));
    pair.wait(seconds(200));
    assert!(pair.server.session.hosts(kept) && pair.server.session.hosts(dropped));
    pair.client.session.release(dropped);
    pair.wait(seconds(200));
    assert!(pair.server.session.hosts(kept) && !pair.server.session.hosts(dropped));
    let released: Vec<_> = pair.server.events.drain(..).collect();
    assert!(matches!(released[..], [Event::Released(HandleId(6))]), "{released:?}");
}

#[test]
fn a_use_and_a_word_renew_a_lease() {
    let mut pair = Pair::new(Limits::default(), lease(seconds(20)));
    let handle = pair.object(5);
    pair.now = seconds(15);
    pair.call(Call { handle: Some(handle), ..Call::default() }, 1);
    pair.server.session.handle_timeout(seconds(34));
    assert!(pair.server.session.hosts(handle), "it was called at 15");
    pair.server.hear(seconds(34), &print(&Frame::Renew { handle }));
    pair.server.session.handle_timeout(seconds(53));
    assert!(pair.server.session.hosts(handle), "it was renewed at 34");
    pair.server.session.handle_timeout(seconds(54));
    assert!(!pair.server.session.hosts(handle));
}

#[test]
fn an_object_over_the_bound_is_not_hosted() {
    let mut pair = Pair::new(Limits::default(), Limits::default().with_max_handles(2));
    let server = &mut pair.server.session;
    for handle in [1, 2] {
        server.host(seconds(0), HandleId(handle)).expect("there is room");
    }
    assert_eq!(server.host(seconds(0), HandleId(3)), Err(FaultCode::LimitExceeded));
    server.unhost(HandleId(1));
    assert!(!server.hosts(HandleId(1)));
    assert_eq!(server.host(seconds(0), HandleId(3)), Ok(()));
}

#[test]
fn a_peer_that_says_no_lease_is_not_renewed_all_the_time() {
    let mut pair = Pair::new(Limits::default(), lease(Duration::ZERO));
    let number = pair.call(Call::default(), 1);
    pair.server.session.host(seconds(0), HandleId(5)).expect("there is room");
    assert!(reply(&mut pair.server.session, number, b"", &[Port::Object(HandleId(5))]));
    pair.wait(seconds(1));
    assert!(pair.client.session.is_open() && pair.server.session.is_open());
}

#[test]
fn the_longest_lease_does_not_overflow() {
    let mut pair = Pair::new(lease(Duration::MAX), lease(Duration::MAX));
    pair.now = seconds(1);
    let handle = pair.object(5);
    pair.call(Call { handle: Some(handle), ..Call::default() }, 1);
    pair.client.session.renew(handle);
    pair.wait(seconds(100));
    assert!(pair.server.session.hosts(handle));
}

#[test]
fn renewals_wait_while_the_peer_reads_nothing() {
    let limits = Limits::default().with_max_buffered(100);
    let mut pair = Pair::new(limits, lease(seconds(3)));
    for handle in 0..10 {
        pair.object(handle);
    }
    let mut now = seconds(0);
    for _ in 0..1000 {
        now += seconds(1);
        pair.client.session.handle_timeout(now);
    }
    let said = pair.client.said();
    assert!(said.len() <= 100 + 10 * 13 + 20, "{} bytes", said.len());
    assert!(frames(&said).iter().any(|frame| matches!(frame, Frame::Renew { .. })));
}
