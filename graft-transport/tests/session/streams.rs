//! Streams and their credit.

use bytes::Bytes;
use graft_core::FaultCode;
use graft_transport::session::{Event, Room, Taken};
use graft_transport::wire::{Frame, ITEM_COST, Port};
use graft_transport::{CloseReason, Closed, Limits};

use crate::pair::{Call, Ends, Pair, frames, print, reply, request, seconds};

/// Sends items of `len` bytes until there is no room; how many.
fn fill(session: &mut Ends, stream: u64, len: usize) -> usize {
    let item = Bytes::from(vec![7; len]);
    let mut sent = 0;
    while session.room(stream, len) == Room::Now {
        session.send(stream, &item).expect("fits");
        sent += 1;
    }
    sent
}

fn windows(stream: u32, all: u32) -> Limits {
    Limits::default().with_stream_window(stream).with_window(all)
}

/// How many items there are to take.
fn take_all(session: &mut Ends, stream: u64) -> usize {
    std::iter::from_fn(|| match session.take(stream) {
        Taken::Item(_) => Some(()),
        _ => None,
    })
    .count()
}

#[test]
fn items_come_in_order_and_then_the_end() {
    let mut pair = Pair::open();
    let stream = pair.stream();
    assert_eq!(pair.client.session.take(stream), Taken::Nothing);
    for item in [b"one".as_slice(), b"", b"three"] {
        pair.server.session.send(stream, &Bytes::copy_from_slice(item)).expect("fits");
    }
    pair.shuttle();
    assert!(matches!(pair.client.next(), Event::Readable(s) if s == stream));
    assert!(pair.client.events.is_empty(), "it is said once until it is taken");
    for item in [b"one".as_slice(), b"", b"three"] {
        assert_eq!(pair.client.session.take(stream), Taken::Item(Bytes::copy_from_slice(item)));
    }
    assert_eq!(pair.client.session.take(stream), Taken::Nothing);
    pair.server.session.finish(stream, None);
    pair.server.session.finish(stream, Some(FaultCode::Internal));
    assert_eq!(pair.server.session.room(stream, 0), Room::Gone);
    pair.shuttle();
    assert!(matches!(pair.client.next(), Event::Readable(s) if s == stream));
    assert_eq!(pair.client.session.take(stream), Taken::End(None));
    assert!(!pair.client.session.has_ports() && !pair.server.session.has_ports());
    assert!(pair.client.session.is_open());
}

#[test]
fn streams_go_both_ways() {
    let mut pair = Pair::open();
    let stream = pair.client.session.produce();
    let number = pair.call(Call { ports: &[Port::Items(stream)], ..Call::default() }, 1);
    let back = pair.server.session.produce();
    reply(&mut pair.server.session, number, b"", &[Port::Items(back)]);
    pair.client.session.send(stream, &Bytes::from_static(b"there")).expect("fits");
    pair.server.session.send(back, &Bytes::from_static(b"back")).expect("fits");
    pair.shuttle();
    assert_eq!(pair.server.session.take(stream), Taken::Item(Bytes::from_static(b"there")));
    assert_eq!(pair.client.session.take(back), Taken::Item(Bytes::from_static(b"back")));
}

#[test]
fn a_stream_that_breaks_off_says_why() {
    for (said, seen) in [(6, FaultCode::Unavailable), (200, FaultCode::Internal)] {
        let mut pair = Pair::open();
        let stream = pair.stream();
        pair.server.session.send(stream, &Bytes::from_static(b"x")).expect("fits");
        pair.shuttle();
        pair.client.hear(seconds(0), &print(&Frame::End { stream, code: said }));
        assert!(matches!(pair.client.session.take(stream), Taken::Item(_)));
        assert_eq!(pair.client.session.take(stream), Taken::End(Some(seen)));
    }
}

#[test]
fn what_a_slow_reader_leaves_is_bounded_by_one_and_a_half_windows() {
    for len in [0, 1, 100, 900, 5000] {
        let mut pair = Pair::new(windows(1000, 100_000), Limits::default());
        let stream = pair.stream();
        let mut waiting = 0;
        // Whatever is sent, delivered and not taken.
        for _ in 0..10 {
            waiting += fill(&mut pair.server.session, stream, len);
            pair.shuttle();
        }
        let cost = (len + ITEM_COST).min(1000);
        assert!(waiting > 0 && waiting * cost <= 1500, "{waiting} items of {len} bytes");
        // Taking all of it makes room for as many again.
        assert_eq!(take_all(&mut pair.client.session, stream), waiting);
        pair.shuttle();
        assert!(pair.server.events.iter().any(|event| matches!(event, Event::Writable(s) if *s == stream)));
        assert!(fill(&mut pair.server.session, stream, len) > 0);
        pair.shuttle();
        assert!(pair.client.session.is_open() && pair.server.session.is_open());
    }
}

#[test]
fn all_streams_together_are_bounded_too() {
    let mut pair = Pair::new(windows(1000, 2500), Limits::default());
    let streams: Vec<u64> = (0..8).map(|_| pair.stream()).collect();
    let sent: Vec<usize> = streams.iter().map(|s| fill(&mut pair.server.session, *s, 36)).collect();
    pair.shuttle();
    let sum: usize = sent.iter().sum();
    assert!(sum * 100 <= 2500 + 1250, "{sum}");
    assert_eq!(fill(&mut pair.server.session, streams[7], 36), 0, "the window of all is used up");
    for (stream, sent) in streams.iter().zip(&sent) {
        assert_eq!(take_all(&mut pair.client.session, *stream), *sent);
    }
    pair.shuttle();
    assert!(pair.server.events.iter().any(|event| matches!(event, Event::Writable(0))));
    assert!(fill(&mut pair.server.session, streams[7], 36) > 0);
}

#[test]
fn an_item_of_any_size_passes_any_window() {
    for window in [0, 1, 2, 3, 64, 65, 1000, u32::MAX] {
        let mut pair = Pair::new(windows(window, window), windows(window, window));
        let stream = pair.stream();
        for len in [0, 1, 1000, 100_000, 0, 1] {
            assert_eq!(pair.server.session.room(stream, len), Room::Now, "{len} through {window}");
            pair.server.session.send(stream, &Bytes::from(vec![1; len])).expect("fits");
            pair.shuttle();
            assert_eq!(take_all(&mut pair.client.session, stream), 1);
            pair.shuttle();
        }
        pair.server.session.finish(stream, None);
        pair.shuttle();
        assert_eq!(pair.client.session.take(stream), Taken::End(None));
    }
}

#[test]
fn a_peer_that_names_any_window_gets_no_more_than_it_is() {
    for (stream_window, window) in [(0, 0), (u32::MAX, 0), (0, u32::MAX), (u32::MAX, u32::MAX), (500, 100)] {
        let mut pair = Pair::open();
        let mut fresh = crate::pair::End::new(graft_transport::session::Role::Server, Limits::default());
        let [Frame::Hello(mut hello)] = frames(&pair_hello())[..] else { unreachable!("a hello") };
        (hello.stream_window, hello.window) = (stream_window, window);
        fresh.hear(seconds(0), &print(&Frame::Hello(hello)));
        std::mem::swap(&mut pair.server, &mut fresh);
        let stream = pair.server.session.produce();
        for _ in 0..100 {
            if pair.server.session.room(stream, 1 << 20) == Room::Now {
                pair.server.session.send(stream, &Bytes::from(vec![1; 1 << 20])).expect("fits");
            }
        }
        let sent = pair.server.said().len() as u64;
        let bound = u64::from(stream_window.min(window).max(1)) * 3 / 2 + (2 << 20);
        assert!(sent <= bound, "{sent} bytes into {stream_window} of {window}");
        let most = print(&Frame::Credit { stream: 0, bytes: u32::MAX });
        pair.server.hear(seconds(0), &[&most[..], &most].concat());
        assert_eq!(pair.server.closed(), Some(Closed::by_us(CloseReason::CreditExceeded)));
    }
}

fn pair_hello() -> Vec<u8> {
    crate::pair::End::new(graft_transport::session::Role::Client, Limits::default()).said()
}

#[test]
fn a_hundred_thousand_items_pass_a_window_in_order() {
    let mut pair = Pair::new(windows(4096, 16_384), Limits::default());
    let stream = pair.stream();
    let (mut sent, mut taken) = (0_u32, 0_u32);
    while taken < 100_000 {
        let before = taken;
        while sent < 100_000 && pair.server.session.room(stream, 4) == Room::Now {
            pair.server.session.send(stream, &Bytes::copy_from_slice(&sent.to_le_bytes())).expect("fits");
            sent += 1;
        }
        pair.shuttle();
        while let Taken::Item(item) = pair.client.session.take(stream) {
            assert_eq!(item[..], taken.to_le_bytes());
            taken += 1;
        }
        pair.shuttle();
        assert!(taken > before, "it stands still at {taken}");
        pair.client.events.clear();
        pair.server.events.clear();
    }
    assert!(pair.client.session.is_open() && pair.server.session.is_open());
}

#[test]
fn items_that_cross_a_stop_give_their_credit_back() {
    let mut pair = Pair::new(windows(1000, 2000), Limits::default());
    for round in 0..50 {
        let stream = pair.stream();
        for _ in 0..5 {
            assert_eq!(pair.server.session.room(stream, 36), Room::Now, "round {round}");
            pair.server.session.send(stream, &Bytes::from(vec![7; 36])).expect("fits");
        }
        pair.shuttle();
        // Two of them are taken, three given back unread, and the rest of the window is under way.
        for _ in 0..2 {
            assert!(matches!(pair.client.session.take(stream), Taken::Item(_)));
        }
        pair.client.session.stop(stream);
        let stop = pair.client.said();
        assert!(fill(&mut pair.server.session, stream, 36) >= 5, "round {round}");
        let items = pair.server.said();
        pair.server.hear(seconds(0), &stop);
        pair.client.hear(seconds(0), &items);
        pair.shuttle();
        assert_eq!(pair.server.session.room(stream, 1), Room::Gone);
        assert!(!pair.client.session.has_ports() && !pair.server.session.has_ports());
        assert!(pair.client.session.is_open() && pair.server.session.is_open());
        pair.client.events.clear();
        pair.server.events.clear();
    }
}

#[test]
fn more_items_than_credit_end_the_connection() {
    let mut pair = Pair::new(windows(1000, 2000), Limits::default());
    let stream = pair.stream();
    let sent = fill(&mut pair.server.session, stream, 936);
    assert_eq!(sent, 1);
    pair.shuttle();
    assert!(pair.client.session.is_open());
    let item = Frame::Item { stream, body: graft_transport::wire::Encoded(Bytes::from(vec![0; 936])) };
    pair.client.hear(seconds(0), &print(&item));
    assert_eq!(pair.client.closed(), Some(Closed::by_us(CloseReason::CreditExceeded)));
}

#[test]
fn an_item_longer_than_a_frame_is_refused_and_nothing_is_said() {
    let mut pair = Pair::new(Limits::default().with_max_frame(1000), Limits::default());
    let stream = pair.stream();
    pair.server.said();
    assert_eq!(
        pair.server.session.send(stream, &Bytes::from(vec![0; 1000 - 9 + 1])),
        Err(FaultCode::LimitExceeded)
    );
    assert!(pair.server.said().is_empty());
    pair.server.session.send(stream, &Bytes::from(vec![0; 1000 - 9])).expect("fits");
    pair.shuttle();
    assert_eq!(take_all(&mut pair.client.session, stream), 1);
}

#[test]
fn a_stream_that_did_not_go_out_is_taken_back() {
    let mut pair = Pair::open();
    let stream = pair.client.session.produce();
    pair.client.session.unproduce(stream);
    assert_eq!(pair.client.session.room(stream, 1), Room::Gone);
    let next = pair.client.session.produce();
    assert!(next > stream);
    pair.call(Call { ports: &[Port::Items(next)], ..Call::default() }, 1);
}

#[test]
fn what_came_in_before_the_end_can_be_taken_and_then_why_there_is_no_more() {
    let mut pair = Pair::open();
    let (whole, broken) = (pair.stream(), pair.stream());
    for stream in [whole, broken] {
        pair.server.session.send(stream, &Bytes::from_static(b"x")).expect("fits");
    }
    pair.server.session.finish(whole, None);
    pair.server.session.close(Closed::by_us(CloseReason::Done));
    pair.shuttle();
    assert_eq!(pair.client.closed(), Some(Closed::by_peer(CloseReason::Done)));
    let session = &mut pair.client.session;
    assert!(matches!(session.take(whole), Taken::Item(_)));
    assert_eq!(session.take(whole), Taken::End(None));
    assert!(matches!(session.take(broken), Taken::Item(_)));
    assert_eq!(session.take(broken), Taken::End(Some(FaultCode::Unavailable)));
    assert!(!session.has_ports());
    assert!(pair.client.said().is_empty());
}

#[test]
fn items_wait_while_too_much_waits_to_be_written() {
    let mut pair = Pair::new(Limits::default(), Limits::default().with_max_buffered(1000));
    let stream = pair.stream();
    assert_eq!(fill(&mut pair.server.session, stream, 487), 2, "13 bytes before each");
    assert!(!pair.server.session.has_room());
    pair.shuttle();
    assert_eq!(pair.server.session.room(stream, 487), Room::Now);
}

#[test]
fn a_stream_is_used_once() {
    let mut pair = Pair::open();
    let stream = pair.client.session.produce();
    pair.call(Call { ports: &[Port::Items(stream)], ..Call::default() }, 1);
    request(
        &mut pair.client.session,
        seconds(0),
        Call { ports: &[Port::Items(stream)], ..Call::default() },
        2,
    )
    .expect("is queued");
    pair.shuttle();
    assert_eq!(pair.server.closed(), Some(Closed::by_us(CloseReason::StreamNumberReused)));
}
