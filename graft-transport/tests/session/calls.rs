//! Hello, calls and their answers, health, drain, goodbye.

use bytes::Bytes;
use graft_core::{
    FaultCode, HandleId, InterfaceId, Label, MethodId, Origin, ReplyKind, Request, Sensitivity, TraceId,
};
use graft_transport::session::{Answer, Event, Role, Room, Taken};
use graft_transport::wire::{Frame, MAX_HELLO, Port, RequestHead};
use graft_transport::{CloseReason, Closed, Limits};

use crate::pair::{Call, End, INTERFACE, Pair, body, frames, metadata, print, reply, request, seconds};

#[test]
fn a_hello_says_the_limits_and_opens_both_ends() {
    let limits = Limits::default().with_max_frame(1000).with_max_in_flight(3).with_lease(seconds(7));
    let said = End::new(Role::Server, limits).said();
    let [Frame::Hello(hello)] = frames(&said)[..] else { unreachable!("a hello and nothing else") };
    assert_eq!((hello.max_frame, hello.max_calls, hello.lease), (1000, 3, 7000));
    // Sums of credit have to fit their type.
    let said = End::new(Role::Server, limits.with_window(u32::MAX).with_stream_window(u32::MAX)).said();
    let [Frame::Hello(hello)] = frames(&said)[..] else { unreachable!("a hello and nothing else") };
    assert_eq!((hello.window, hello.stream_window), (i32::MAX as u32, i32::MAX as u32));
    let pair = Pair::open();
    assert!(pair.client.session.is_open() && pair.server.session.is_open());
}

#[test]
fn nothing_is_called_before_the_hello_came() {
    let mut client = End::new(Role::Client, Limits::default());
    assert_eq!(request(&mut client.session, seconds(0), Call::default(), 0), Err(FaultCode::Unavailable));
    assert_eq!(frames(&client.said()).len(), 1, "the hello");
}

#[test]
fn another_version_is_named_at_both_ends() {
    for version in [0, 2, 9] {
        let mut client = End::new(Role::Client, Limits::default());
        client.said();
        client.hear(seconds(0), &[b"\x07\0\0\0\0grft".as_slice(), &[version, 0]].concat());
        assert_eq!(client.closed(), Some(Closed::by_us(CloseReason::VersionMismatch)));
        assert_eq!(client.said(), [2, 0, 0, 0, 16, 2]);
        assert_eq!(
            request(&mut client.session, seconds(0), Call::default(), 0),
            Err(FaultCode::VersionMismatch)
        );
    }
    // Magic and version stand where every version looks for them, in a frame that every version reads.
    let said = End::new(Role::Client, Limits::default()).said();
    assert!(said.len() <= MAX_HELLO as usize);
    assert_eq!(&said[4..11], b"\0grft\x01\0");
}

#[test]
fn every_call_has_one_answer_even_when_it_is_cancelled() {
    let mut pair = Pair::open();
    let first = pair.call(Call::default(), 1);
    let second = pair.call(Call::default(), 2);
    assert_eq!(pair.server.session.attach(first, 10), None);
    pair.client.session.cancel(first);
    pair.client.session.cancel(first);
    assert_eq!(frames(&print(&Frame::Cancel { number: first })).len(), 1);
    pair.shuttle();
    assert!(matches!(pair.server.next(), Event::Cancelled(Some(10))));
    assert!(pair.server.events.is_empty());
    assert_eq!(pair.client.session.in_flight(), 1);

    // What still ran for the cancelled call comes too late and says nothing.
    assert!(!reply(&mut pair.server.session, first, b"late", &[]));
    assert_eq!(pair.server.session.fault(first, FaultCode::Internal), None);
    assert_eq!(pair.server.session.attach(first, 11), Some(11));
    assert!(reply(&mut pair.server.session, second, b"in time", &[]));
    assert!(!reply(&mut pair.server.session, second, b"again", &[]));
    pair.shuttle();
    let (2, Answer::Reply { body, kind: ReplyKind::Ok, .. }) = pair.client.next_answer() else {
        unreachable!("the cancelled call gives no event")
    };
    assert_eq!(&body[..], b"in time");
    assert!(pair.client.events.is_empty());
    assert_eq!((pair.client.session.in_flight(), pair.server.session.serving()), (0, 0));
}

#[test]
fn a_cancel_may_cross_the_answer() {
    let mut pair = Pair::open();
    let number = pair.call(Call::default(), 1);
    reply(&mut pair.server.session, number, b"r", &[]);
    pair.client.session.cancel(number);
    pair.shuttle();
    assert!(pair.client.events.is_empty() && pair.server.events.is_empty());
    assert!(pair.client.session.is_open() && pair.server.session.is_open());
}

#[test]
fn what_an_unwanted_answer_brings_is_closed() {
    let mut pair = Pair::open();
    let number = pair.call(Call::default(), 1);
    let stream = pair.server.session.produce();
    pair.server.session.host(seconds(0), HandleId(5)).expect("there is room");
    reply(&mut pair.server.session, number, b"r", &[Port::Items(stream), Port::Object(HandleId(5))]);
    pair.server.session.send(stream, &Bytes::from_static(b"item")).expect("fits");
    pair.client.session.cancel(number);
    pair.shuttle();
    assert!(pair.client.events.is_empty());
    assert!(!pair.client.session.has_ports() && !pair.server.session.has_ports());
    let stopped = pair.server.next();
    assert!(matches!(stopped, Event::Stopped(s) if s == stream), "{stopped:?}");
    assert!(matches!(pair.server.next(), Event::Released(HandleId(5))));
}

#[test]
fn a_fault_travels_with_its_code_and_the_trace_of_the_call() {
    let mut pair = Pair::open();
    let (mut meta, label) = (metadata(), Label::default());
    meta.trace.trace = TraceId([9; 16]);
    let claim = Request::new(INTERFACE, MethodId([3; 8]), &meta, &label);
    let head = RequestHead { request: &claim, remaining: None };
    let number = pair.client.session.request(seconds(0), head, &mut body(b""), &[], 4).expect("is queued");
    pair.shuttle();
    assert_eq!(pair.server.session.fault(number, FaultCode::Forbidden), Some(None));
    pair.shuttle();
    let expected = Answer::Fault { code: FaultCode::Forbidden, trace: Some(TraceId([9; 16])) };
    assert_eq!(pair.client.next_answer(), (4, expected));
}

#[test]
fn a_peer_can_only_raise_the_label_of_arguments() {
    for (claimed, seen) in [
        (Label::bottom(), Label::default()),
        (Label::untrusted(Origin::MCP_DERIVED), Label::untrusted(Origin::MCP_DERIVED)),
        (
            Label::of(Origin::TOOL).with_sensitivity(Sensitivity::Secret),
            Label::of(Origin::TOOL).with_sensitivity(Sensitivity::Secret),
        ),
    ] {
        let mut pair = Pair::open();
        let meta = metadata();
        let claim = Request::new(INTERFACE, MethodId([3; 8]), &meta, &claimed);
        let head = RequestHead { request: &claim, remaining: None };
        pair.client.session.request(seconds(0), head, &mut body(b""), &[], 0).expect("is queued");
        pair.shuttle();
        assert_eq!(pair.server.next_request().frame.label, seen);
    }
}

#[test]
fn an_interface_is_bound_once_and_the_word_on_it_comes_back_once() {
    let mut pair = Pair::open();
    let other = InterfaceId([7; 32]);
    assert_eq!(pair.client.session.bind(INTERFACE), Ok(0));
    assert_eq!(pair.client.session.bind(other), Ok(1));
    assert_eq!(pair.client.session.bind(INTERFACE), Ok(0));
    assert_eq!(pair.call(Call::default(), 0), 0);
    pair.client.session.bind(InterfaceId([8; 32])).expect("there is room");
    pair.shuttle();
    assert!(matches!(pair.server.next(), Event::Bind(InterfaceId(id)) if id == [8; 32]));
    pair.server.session.bound(other, false);
    pair.server.session.bound(INTERFACE, true);
    pair.shuttle();
    assert!(matches!(pair.client.next(), Event::Bound(id, false) if id == other));
    assert!(matches!(pair.client.next(), Event::Bound(INTERFACE, true)));
    pair.client.hear(seconds(0), &print(&Frame::Bound { index: 0, is_hosted: true }));
    assert_eq!(pair.client.closed(), Some(Closed::by_us(CloseReason::UnexpectedFrame)));
}

#[test]
fn a_server_does_not_call_a_client_that_handed_it_nothing() {
    let mut pair = Pair::open();
    pair.server.said();
    let called = request(&mut pair.server.session, seconds(0), Call::default(), 0);
    assert_eq!(called, Err(FaultCode::NotFound));
    assert!(pair.server.said().is_empty());
}

#[test]
fn health_is_answered_once_for_each_question_and_never_without() {
    let mut pair = Pair::open();
    pair.server.is_healthy = false;
    pair.client.session.ask_health();
    pair.client.session.ask_health();
    pair.shuttle();
    for is_ok in [true, false] {
        assert!(matches!(pair.server.next(), Event::HealthAsked));
        pair.server.session.answer_health(is_ok);
        pair.shuttle();
        assert!(matches!(pair.client.next(), Event::Health(ok) if ok == is_ok));
    }
    pair.server.session.answer_health(true);
    pair.shuttle();
    assert_eq!(pair.client.closed(), Some(Closed::by_us(CloseReason::UnexpectedFrame)));
    assert_eq!(pair.server.closed(), Some(Closed::by_peer(CloseReason::UnexpectedFrame)));
}

#[test]
fn a_side_that_drains_finishes_what_it_has_and_gets_no_more() {
    let mut pair = Pair::open();
    let number = pair.call(Call::default(), 1);
    pair.server.session.drain();
    pair.server.session.drain();
    assert!(pair.server.session.drains());
    pair.shuttle();
    assert!(matches!(pair.client.next(), Event::Draining));
    assert!(pair.client.session.is_draining() && pair.client.session.is_open());
    assert_eq!(
        request(&mut pair.client.session, seconds(0), Call::default(), 2),
        Err(FaultCode::Unavailable)
    );
    assert!(reply(&mut pair.server.session, number, b"r", &[]));
    pair.shuttle();
    assert!(matches!(pair.client.next_answer(), (1, Answer::Reply { .. })));
    assert!(pair.client.events.is_empty(), "one drain is said");
}

#[test]
fn the_first_end_stays_and_says_goodbye_once() {
    let mut pair = Pair::open();
    pair.call(Call::default(), 1);
    let end = pair.client.session.close(Closed::by_us(CloseReason::Done));
    assert_eq!(pair.client.session.close(Closed::by_us(CloseReason::Disconnected)), end);
    assert_eq!(pair.client.session.in_flight(), 0);
    let refused = request(&mut pair.client.session, seconds(0), Call::default(), 2);
    assert_eq!(refused, Err(FaultCode::Unavailable));
    pair.shuttle();
    assert!(matches!(pair.server.next(), Event::Cancelled(None)), "what runs for its call is dropped");
    assert!(
        matches!(pair.server.next(), Event::Closed(closed) if closed == Closed::by_peer(CloseReason::Done))
    );
    assert_eq!(pair.server.session.serving(), 0);
    assert!(matches!(pair.client.next(), Event::Closed(_)) && pair.client.events.is_empty());
}

#[test]
fn every_reason_travels_and_an_unknown_one_reads_as_unknown() {
    for reason in CloseReason::ALL {
        let mut pair = Pair::open();
        pair.server.hear(seconds(0), &print(&Frame::Goodbye { reason: reason.number() }));
        assert_eq!(pair.server.closed(), Some(Closed::by_peer(*reason)));
        assert!(pair.server.said().is_empty(), "nobody is left to read it");
    }
    let mut pair = Pair::open();
    pair.server.hear(seconds(0), &print(&Frame::Goodbye { reason: 200 }));
    assert_eq!(pair.server.closed(), Some(Closed::by_peer(CloseReason::Unknown)));
}

#[test]
fn after_the_end_nothing_is_said_nothing_happens_and_nothing_is_due() {
    let mut pair = Pair::open();
    let (stream, handle) = (pair.stream(), pair.object(5));
    let number = pair.call(Call::default(), 1);
    pair.client.session.ask_health();
    pair.server.is_healthy = false;
    pair.shuttle();
    for end in [&mut pair.server, &mut pair.client] {
        end.session.close(Closed::by_us(CloseReason::Done));
        assert!(matches!(frames(&end.said())[..], [Frame::Goodbye { reason: 0 }]));
        end.listen();
        end.events.clear();
        let session = &mut end.session;
        session.cancel(number);
        session.drain();
        session.ask_health();
        session.answer_health(true);
        session.bound(INTERFACE, true);
        session.release(handle);
        session.renew(handle);
        session.stop(stream);
        session.finish(stream, None);
        assert!(!reply(session, number, b"", &[]));
        assert_eq!(session.fault(number, FaultCode::Internal), None);
        assert_eq!(session.room(stream, 1), Room::Gone);
        assert_eq!(session.send(stream, &Bytes::from_static(b"x")), Ok(()));
        assert_eq!(session.take(99), Taken::End(Some(FaultCode::Unavailable)));
        session.handle_timeout(seconds(1_000_000));
        assert_eq!(session.poll_timeout(), None);
        end.hear(seconds(0), &print(&Frame::Drain));
        assert_eq!(end.input.len(), 5, "what comes after a goodbye is not read");
        assert!(end.events.is_empty());
        assert!(end.said().is_empty());
    }
}

#[test]
fn what_an_event_prints_of_itself_holds_no_value() {
    let mut pair = Pair::open();
    request(&mut pair.client.session, seconds(0), Call { body: b"canary", ..Call::default() }, 0)
        .expect("is queued");
    pair.shuttle();
    let shown = format!("{:?}", pair.server.next_request());
    assert!(shown.contains("6 bytes") && !shown.contains("canary") && !shown.contains("99, 97"), "{shown}");
}
