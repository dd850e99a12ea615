//! What a peer may make the other side hold, and what it may not ask.

use std::time::Duration;

use graft_core::{Credential, FaultCode, HandleId, Label, MethodId, Origin, Request};
use graft_transport::session::{Answer, Event, Session};
use graft_transport::wire::{Frame, Port, RequestHead};
use graft_transport::{CloseReason, Closed, Limits};

use crate::pair::{Call, INTERFACE, Pair, body, frames, metadata, print, reply, request, seconds};

const REFUSED: Answer =
    Answer::Fault { code: FaultCode::LimitExceeded, trace: Some(graft_core::TraceId([0; 16])) };

#[test]
fn a_caller_keeps_the_limits_that_its_peer_said() {
    let mut pair = Pair::new(Limits::default(), Limits::default().with_max_in_flight(1));
    pair.call(Call::default(), 1);
    let second = request(&mut pair.client.session, seconds(0), Call::default(), 2);
    assert_eq!(second, Err(FaultCode::LimitExceeded));
    pair.client.session.cancel(0);
    let third = request(&mut pair.client.session, seconds(0), Call::default(), 3);
    assert_eq!(third, Err(FaultCode::LimitExceeded), "a cancelled call still has its answer to come");
    pair.shuttle();
    assert!(request(&mut pair.client.session, seconds(0), Call::default(), 4).is_ok());
}

#[test]
fn a_call_too_many_gets_a_fault_and_the_connection_goes_on() {
    let mut pair = Pair::careless(Limits::default().with_max_in_flight(1));
    let first = pair.call(Call::default(), 1);
    for tag in [2, 3] {
        request(&mut pair.client.session, seconds(0), Call::default(), tag).expect("is queued");
        pair.shuttle();
        assert_eq!(pair.client.next_answer(), (tag, REFUSED));
    }
    assert!(pair.server.events.is_empty());
    assert_eq!(pair.server.session.serving(), 1);
    reply(&mut pair.server.session, first, b"", &[]);
    pair.call(Call::default(), 4);
}

#[test]
fn a_call_on_an_object_that_nobody_hosts_counts_like_any_other() {
    let limits = Limits::default().with_max_in_flight(1).with_max_streams(1);
    let mut pair = Pair::careless(limits);
    let on = |ports| Call { handle: Some(HandleId(77)), ports, ..Call::default() };
    let first = request(&mut pair.client.session, seconds(0), on(&[]), 1).expect("is queued");
    request(&mut pair.client.session, seconds(0), on(&[]), 2).expect("is queued");
    pair.shuttle();
    assert_eq!(pair.server.next_request().frame.handle, Some(HandleId(77)), "the shell is asked");
    assert_eq!(pair.client.next_answer(), (2, REFUSED));
    pair.server.session.fault(first, FaultCode::HandleGone);
    let streams = [pair.client.session.produce(), pair.client.session.produce()].map(Port::Items);
    request(&mut pair.client.session, seconds(0), on(&streams), 3).expect("is queued");
    pair.shuttle();
    assert!(matches!(pair.client.next_answer(), (1, Answer::Fault { code: FaultCode::HandleGone, .. })));
    assert!(!pair.server.session.has_ports() && pair.server.session.serving() == 0);
}

#[test]
fn arguments_of_unanswered_calls_are_bounded_together_and_an_answer_makes_room() {
    let mut pair = Pair::careless(Limits::default().with_max_arguments(10));
    let eight = Call { body: &[0; 8], ..Call::default() };
    let first = pair.call(eight, 1);
    request(&mut pair.client.session, seconds(0), eight, 2).expect("is queued");
    pair.shuttle();
    assert_eq!(pair.client.next_answer(), (2, REFUSED));
    pair.call(Call { body: &[0; 2], ..Call::default() }, 3);
    reply(&mut pair.server.session, first, b"", &[]);
    pair.call(eight, 4);
}

#[test]
fn a_frame_of_the_longest_length_passes_and_one_byte_more_does_not() {
    // type, number, flags, interface, method, run, call
    let head = 1 + 8 + 2 + 2 + 8 + 16 + 8;
    for (client, server) in [(4096, 100), (100, 4096), (100, 100)] {
        let limits = |longest| Limits::default().with_max_frame(longest);
        let mut pair = Pair::new(limits(client), limits(server));
        let long = Call { body: &vec![0; 100 - head + 1], ..Call::default() };
        let over = request(&mut pair.client.session, seconds(0), long, 0);
        assert_eq!(over, Err(FaultCode::LimitExceeded));
        let number = pair.call(Call { body: &long.body[1..], ..long }, 1);
        assert!(reply(&mut pair.server.session, number, &[0; 100 - 10], &[]));
        let number = pair.call(Call::default(), 2);
        assert!(!reply(&mut pair.server.session, number, &[0; 100 - 10 + 1], &[]));
        pair.shuttle();
        assert!(matches!(pair.client.next_answer(), (1, Answer::Reply { .. })));
        assert_eq!(pair.client.next_answer(), (2, REFUSED));
        assert!(pair.client.session.is_open() && pair.server.session.is_open());
    }
}

#[test]
fn too_much_metadata_ends_the_call_and_not_the_connection() {
    let mut pair = Pair::open();
    let (mut meta, label) = (metadata(), Label::untrusted(Origin::WEB_SEARCH));
    meta.headers.set("x", &"v".repeat(4095)).expect("fits by itself");
    let mut made = |meta: &_, tag| {
        let claim = Request::new(INTERFACE, MethodId([3; 8]), meta, &label);
        let head = RequestHead { request: &claim, remaining: None };
        let made = pair.client.session.request(seconds(0), head, &mut body(b""), &[], tag);
        pair.shuttle();
        assert!(pair.client.session.is_open() && pair.server.session.is_open());
        made
    };
    // The label and its length take 17 bytes, the headers with theirs 4101.
    meta.credential = Some(Credential::new(vec![1; 4096]));
    assert_eq!(made(&meta, 1), Err(FaultCode::LimitExceeded));
    meta.credential = Some(Credential::new(vec![1; 8192 - 17 - 4101 - 2 + 1]));
    assert_eq!(made(&meta, 2), Err(FaultCode::LimitExceeded));
    meta.credential = Some(Credential::new(vec![1; 8192 - 17 - 4101 - 2]));
    assert!(made(&meta, 3).is_ok());
    meta.headers = graft_core::Headers::default();
    meta.credential = Some(Credential::new(vec![1; 4097]));
    assert_eq!(made(&meta, 4), Err(FaultCode::LimitExceeded), "it has a bound of its own");
    assert_eq!(pair.server.next_request().frame.number, 0);
    assert!(pair.server.events.is_empty());
}

#[test]
fn calls_come_no_faster_than_the_request_rate() {
    let mut pair = Pair::careless(Limits::default().with_max_request_rate(2));
    let answered = |pair: &mut Pair| {
        let number = request(&mut pair.client.session, pair.now, Call::default(), 7).expect("is queued");
        pair.shuttle();
        let was_taken = pair.server.session.is_serving(number);
        pair.server.session.fault(number, FaultCode::NotFound);
        pair.shuttle();
        let (7, Answer::Fault { code, .. }) = pair.client.next_answer() else { unreachable!("a fault") };
        assert_eq!(code, if was_taken { FaultCode::NotFound } else { FaultCode::LimitExceeded });
        was_taken
    };
    assert_eq!([(); 4].map(|()| answered(&mut pair)), [true, true, false, false]);
    pair.now += Duration::from_millis(500);
    assert_eq!([(); 2].map(|()| answered(&mut pair)), [true, false]);
    pair.now += seconds(100);
    assert_eq!([(); 4].map(|()| answered(&mut pair)), [true, true, false, false]);
}

#[test]
fn cancels_stops_and_questions_have_one_rate_together() {
    let mut pair = Pair::careless(Limits::default().with_max_cancel_rate(3));
    let number = pair.call(Call::default(), 1);
    let cheap = [
        print(&Frame::Cancel { number }),
        print(&Frame::Health),
        print(&Frame::Cancel { number }),
        print(&Frame::Health),
    ];
    pair.server.hear(seconds(0), &cheap[..3].concat());
    assert!(pair.server.session.is_open());
    pair.server.hear(seconds(1), &cheap[..3].concat());
    assert!(pair.server.session.is_open(), "a second later there are as many again");
    pair.server.hear(seconds(1), &cheap[3]);
    assert_eq!(pair.server.closed(), Some(Closed::by_us(CloseReason::RateExceeded)));
}

#[test]
fn late_stops_count_among_what_is_cheap() {
    let mut pair = Pair::careless(Limits::default().with_max_cancel_rate(3));
    let stream = pair.stream();
    let stops = print(&Frame::Stop { stream }).repeat(4);
    pair.server.hear(seconds(0), &stops);
    assert!(pair.server.session.is_open());
    pair.server.hear(seconds(0), &print(&Frame::Stop { stream }));
    assert_eq!(pair.server.closed(), Some(Closed::by_us(CloseReason::RateExceeded)));
}

#[test]
fn a_cancel_beyond_the_rate_leaves_its_call_where_it_counts() {
    let mut pair = Pair::careless(Limits::default().with_max_cancel_rate(3));
    let numbers: Vec<u64> = (0..5).map(|n| pair.call(Call::default(), n)).collect();
    let cancels: Vec<u8> =
        numbers.iter().flat_map(|number| print(&Frame::Cancel { number: *number })).collect();
    pair.server.hear(seconds(0), &cancels);
    assert!(pair.server.session.is_open());
    assert_eq!(pair.server.session.serving(), 2);
}

#[test]
fn a_call_with_too_many_streams_is_refused_and_everything_with_it_is_closed() {
    let mut pair = Pair::careless(Limits::default().with_max_streams(2));
    let ports: Vec<Port> = (0..3).map(|_| Port::Items(pair.client.session.produce())).collect();
    pair.client.session.host(seconds(0), HandleId(5)).expect("there is room");
    let all = [&ports[..], &[Port::Object(HandleId(5))]].concat();
    request(&mut pair.client.session, seconds(0), Call { ports: &all, ..Call::default() }, 1)
        .expect("is queued");
    pair.shuttle();
    assert!(matches!(pair.server.next(), Event::Bind(_)) && pair.server.events.is_empty());
    let mut stopped = Vec::new();
    while let Some(Event::Stopped(stream)) = pair.client.events.front() {
        stopped.push(Port::Items(*stream));
        pair.client.next();
    }
    assert_eq!(stopped, ports);
    assert!(matches!(pair.client.next(), Event::Released(HandleId(5))));
    assert_eq!(pair.client.next_answer(), (1, REFUSED));
    assert!(!pair.client.session.has_ports() && !pair.server.session.has_ports());
}

#[test]
fn an_answer_with_too_much_becomes_a_fault_and_everything_with_it_is_closed() {
    let limits = Limits::default().with_max_streams(1).with_max_handles(1);
    let mut pair = Pair::new(limits, Limits::default());
    for ports in [[Port::Items(1), Port::Items(2)], [Port::Object(HandleId(5)), Port::Object(HandleId(6))]] {
        let number = pair.call(Call::default(), 1);
        for port in ports {
            match port {
                Port::Items(stream) => assert_eq!(pair.server.session.produce(), stream),
                Port::Object(handle) => pair.server.session.host(seconds(0), handle).expect("there is room"),
            }
        }
        assert!(reply(&mut pair.server.session, number, b"", &ports));
        pair.shuttle();
        let expected = Answer::Fault { code: FaultCode::LimitExceeded, trace: None };
        assert_eq!(pair.client.next_answer(), (1, expected));
        assert_eq!(pair.server.events.len(), 2, "both are closed");
        pair.server.events.clear();
        assert!(!pair.client.session.has_ports() && !pair.server.session.has_ports());
    }
}

#[test]
fn a_frame_that_is_too_long_is_refused_before_it_comes() {
    let mut pair = Pair::new(Limits::default(), Limits::default().with_max_frame(1000));
    pair.server.hear(seconds(0), &1000_u32.to_le_bytes());
    assert!(pair.server.session.is_open());
    assert_eq!(Session::<u32, u32>::missing(&pair.server.input), 1000);
    let mut pair = Pair::new(Limits::default(), Limits::default().with_max_frame(1000));
    pair.server.hear(seconds(0), &1001_u32.to_le_bytes());
    assert_eq!(pair.server.closed(), Some(Closed::by_us(CloseReason::FrameTooLarge)));
}

#[test]
fn the_first_frame_is_short_or_refused_before_it_comes() {
    for (length, is_refused) in [(64_u32, false), (65, true)] {
        let mut end = crate::pair::End::new(graft_transport::session::Role::Server, Limits::default());
        end.hear(seconds(0), &length.to_le_bytes());
        assert_eq!(end.closed(), is_refused.then_some(Closed::by_us(CloseReason::NotGraft)));
    }
    let mut end = crate::pair::End::new(graft_transport::session::Role::Server, Limits::default());
    end.hear(seconds(0), b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(end.closed(), Some(Closed::by_us(CloseReason::NotGraft)));
}

#[test]
fn what_is_missing_is_the_rest_of_the_frame_and_never_nothing() {
    let missing = |bytes: &[u8]| Session::<u32, u32>::missing(&bytes.into());
    assert_eq!((missing(b""), missing(b"\x05\0\0"), missing(b"\x05\0\0\0")), (4, 1, 5));
    assert_eq!((missing(b"\x05\0\0\0abc"), missing(b"\0\0\0\0"), missing(b"\x01\0\0\0abc")), (2, 1, 1));
}

#[test]
fn frames_that_name_what_is_gone_are_no_event_and_cost_nothing() {
    let mut pair = Pair::open();
    let stream = pair.stream();
    pair.server.session.finish(stream, None);
    pair.shuttle();
    pair.client.events.clear();
    let renew = Frame::Renew { handle: HandleId(9) };
    let release = Frame::Release { handle: HandleId(9) };
    for frame in [renew, release, Frame::Credit { stream, bytes: 1 }, Frame::Stop { stream }] {
        for _ in 0..100 {
            pair.server.hear(seconds(0), &print(&frame));
        }
    }
    assert!(pair.server.events.is_empty() && pair.server.session.is_open());
    assert!(frames(&pair.server.said()).is_empty());
}
