//! Deadlines, timeouts, keepalive.

use std::time::Duration;

use graft_core::{FaultCode, HandleId};
use graft_transport::session::{Answer, Event, Role};
use graft_transport::wire::{Frame, Port};
use graft_transport::{CloseReason, Closed, Limits};

use crate::pair::{Call, End, Pair, frames, print, reply, request, seconds};

const NANO: Duration = Duration::from_nanos(1);

#[test]
fn a_caller_waits_until_its_deadline_and_no_longer() {
    let mut pair = Pair::open();
    pair.now = seconds(5);
    let call = Call { remaining: Some(seconds(2)), ..Call::default() };
    let number = request(&mut pair.client.session, pair.now, call, 1).expect("is queued");
    assert_eq!(pair.client.session.poll_timeout(), Some(seconds(7)));
    pair.client.session.handle_timeout(seconds(7) - NANO);
    pair.client.listen();
    assert!(pair.client.events.is_empty());
    pair.client.session.handle_timeout(seconds(7));
    pair.client.listen();
    let expected = Answer::Fault { code: FaultCode::DeadlineExceeded, trace: None };
    assert_eq!(pair.client.next_answer(), (1, expected));
    let said = frames(&pair.client.said());
    assert!(matches!(said.last(), Some(Frame::Cancel { number: n }) if *n == number));
    // The answer that crossed it makes no second event.
    assert_eq!(pair.client.session.in_flight(), 1);
    let late = Frame::Fault(graft_transport::wire::FaultFrame {
        number,
        code: FaultCode::DeadlineExceeded.number(),
        trace: graft_core::TraceId([0; 16]),
    });
    pair.client.hear(seconds(7), &print(&late));
    assert!(pair.client.events.is_empty() && pair.client.session.is_open());
    assert_eq!(pair.client.session.in_flight(), 0);
}

#[test]
fn a_callee_works_until_the_deadline_and_no_longer() {
    let mut pair = Pair::open();
    let number = pair.call(Call { remaining: Some(seconds(2)), ..Call::default() }, 1);
    pair.server.session.attach(number, 10);
    assert_eq!(pair.server.session.poll_timeout(), Some(seconds(2)));
    pair.server.session.handle_timeout(seconds(2));
    pair.server.listen();
    assert!(matches!(pair.server.next(), Event::Cancelled(Some(10))));
    assert!(!reply(&mut pair.server.session, number, b"late", &[]));
    pair.shuttle();
    assert!(matches!(
        pair.client.next_answer(),
        (1, Answer::Fault { code: FaultCode::DeadlineExceeded, trace: Some(_) })
    ));
}

#[test]
fn both_ends_reach_a_deadline_together_and_the_call_ends_once() {
    let mut pair = Pair::open();
    for tag in 0..100 {
        let remaining = Some(Duration::from_millis(u64::from(tag)));
        pair.call(Call { remaining, ..Call::default() }, tag);
    }
    pair.wait(seconds(1));
    let mut tags: Vec<u32> = (0..100).map(|_| pair.client.next_answer().0).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..100).collect::<Vec<_>>());
    assert!(pair.client.events.is_empty() && pair.client.session.is_open());
    assert_eq!((pair.client.session.in_flight(), pair.server.session.serving()), (0, 0));
}

#[test]
fn the_longest_deadline_does_not_overflow() {
    let mut pair = Pair::open();
    pair.now = seconds(1);
    pair.call(Call { remaining: Some(Duration::MAX), ..Call::default() }, 1);
    pair.wait(seconds(100));
    assert!(pair.client.events.is_empty());
}

#[test]
fn a_peer_that_never_says_hello_is_closed_in_time() {
    for role in [Role::Client, Role::Server] {
        let mut end = End::new(role, Limits::default());
        assert_eq!(end.session.poll_timeout(), Some(seconds(10)));
        end.hear(seconds(9), b"\x1f\0\0");
        end.session.handle_timeout(seconds(10) - NANO);
        assert_eq!(end.closed(), None);
        end.session.handle_timeout(seconds(10));
        assert_eq!(end.closed(), Some(Closed::by_us(CloseReason::HandshakeTimeout)));
    }
}

#[test]
fn progress_alone_buys_a_frame_no_time() {
    let mut pair = Pair::open();
    pair.server.hear(seconds(1), &[0, 0, 0x30, 0]);
    for second in 2..31 {
        pair.server.hear(seconds(second), &[1]);
        pair.server.session.handle_timeout(seconds(second));
        assert_eq!(pair.server.closed(), None, "at {second}");
    }
    assert_eq!(pair.server.session.poll_timeout(), Some(seconds(31)));
    pair.server.session.handle_timeout(seconds(31));
    assert_eq!(pair.server.closed(), Some(Closed::by_us(CloseReason::FrameTimeout)));
}

#[test]
fn each_frame_has_its_own_time() {
    let mut pair = Pair::open();
    let frame = print(&Frame::Renew { handle: HandleId(1) });
    // Never nothing left over, and never one frame for long.
    let stream: Vec<u8> = frame.iter().copied().cycle().take(frame.len() * 20 + 1).collect();
    for (second, piece) in (0..).map(|n| n * 20).zip(stream.chunks(frame.len() - 1)) {
        pair.server.hear(seconds(second), piece);
        pair.server.session.handle_timeout(seconds(second));
        assert_eq!(pair.server.closed(), None, "at {second}");
    }
}

#[test]
fn a_peer_that_takes_nothing_is_closed_in_time() {
    let mut pair = Pair::open();
    pair.server.session.writing(seconds(1), true);
    pair.server.session.writing(seconds(20), true);
    pair.server.session.writing(seconds(21), false);
    pair.server.session.writing(seconds(22), true);
    pair.server.session.writing(seconds(40), true);
    assert_eq!(pair.server.session.poll_timeout(), Some(seconds(52)));
    pair.server.session.handle_timeout(seconds(52));
    assert_eq!(pair.server.closed(), Some(Closed::by_us(CloseReason::FrameTimeout)));
}

#[test]
fn while_nothing_is_read_nobody_is_blamed_for_silence() {
    let limits = Limits::default().with_max_buffered(100).with_max_frame(500);
    let mut pair = Pair::new(limits, Limits::default());
    pair.call(Call::default(), 1);
    // Half of an answer came; then this side has so much to write that it does not read.
    pair.client.hear(seconds(1), &[10, 0]);
    for ticket in 2..5 {
        let call = Call { body: &[0; 300], ..Call::default() };
        request(&mut pair.client.session, seconds(1), call, ticket).expect("is queued");
    }
    assert!(!pair.client.session.reads());
    for second in 2..200 {
        pair.client.session.writing(seconds(second), false);
        pair.client.session.handle_timeout(seconds(second));
        assert_eq!(pair.client.closed(), None, "at {second}");
    }
    // From when it reads again the peer has its time, and no more than that.
    pair.client.said();
    pair.client.session.handle_timeout(seconds(200));
    assert_eq!(pair.client.closed(), None);
    pair.client.session.handle_timeout(seconds(230) - NANO);
    assert_eq!(pair.client.closed(), None);
    pair.client.session.handle_timeout(seconds(230));
    assert_eq!(pair.client.closed(), Some(Closed::by_us(CloseReason::FrameTimeout)));
}

#[test]
fn a_call_more_does_not_hide_that_the_peer_is_silent() {
    let mut pair = Pair::open();
    let stream = pair.stream();
    request(&mut pair.client.session, seconds(29), Call::default(), 1).expect("is queued");
    assert_eq!(pair.client.session.poll_timeout(), Some(seconds(30)), "stream {stream} has been waited for");
}

#[test]
fn an_idle_connection_is_closed_by_the_server_and_a_busy_one_is_not() {
    let limits = Limits::default().with_idle_timeout(seconds(60));
    let mut pair = Pair::new(limits, limits);
    assert_eq!(pair.client.session.poll_timeout(), None, "a client keeps what it has");
    let number = pair.call(Call::default(), 1);
    pair.wait(seconds(500));
    assert!(pair.server.session.is_open(), "it has a call");
    reply(&mut pair.server.session, number, b"", &[]);
    pair.shuttle();
    pair.wait(seconds(59));
    assert!(pair.server.session.is_open());
    pair.wait(seconds(60));
    assert_eq!(pair.server.closed(), Some(Closed::by_us(CloseReason::IdleTimeout)));
    assert_eq!(pair.client.closed(), Some(Closed::by_peer(CloseReason::IdleTimeout)));
}

#[test]
fn streams_and_objects_keep_a_connection_busy() {
    let limits = Limits::default().with_idle_timeout(seconds(60));
    let mut pair = Pair::new(limits, limits);
    let stream = pair.stream();
    pair.wait(seconds(500));
    assert!(pair.server.session.is_open());
    pair.server.session.finish(stream, None);
    pair.shuttle();
    assert!(matches!(pair.client.next(), Event::Readable(s) if s == stream));
    let handle = pair.object(5);
    pair.wait(seconds(500));
    assert!(pair.server.session.is_open());
    pair.client.session.release(handle);
    assert!(matches!(pair.client.session.take(stream), graft_transport::session::Taken::End(None)));
    pair.wait(seconds(61));
    assert_eq!(pair.server.closed(), Some(Closed::by_us(CloseReason::IdleTimeout)));
}

#[test]
fn a_silent_peer_is_asked_and_then_counts_as_gone() {
    let mut pair = Pair::open();
    pair.call(Call::default(), 1);
    assert_eq!(pair.client.session.poll_timeout(), Some(seconds(30)));
    pair.client.session.handle_timeout(seconds(30));
    assert!(matches!(frames(&pair.client.said())[..], [Frame::Health]));
    assert_eq!(pair.client.session.poll_timeout(), Some(seconds(60)));
    pair.client.session.handle_timeout(seconds(60) - NANO);
    assert_eq!(pair.client.closed(), None);
    assert!(pair.client.said().is_empty(), "it is asked once");
    pair.client.session.handle_timeout(seconds(60));
    assert_eq!(pair.client.closed(), Some(Closed::by_us(CloseReason::PeerSilent)));
}

#[test]
fn a_peer_that_answers_is_there() {
    let mut pair = Pair::open();
    pair.call(Call::default(), 1);
    pair.wait(seconds(3600));
    assert!(pair.client.session.is_open() && pair.server.session.is_open());
    assert!(pair.client.events.is_empty(), "nobody asked but the session");
}

#[test]
fn a_call_after_a_long_rest_gives_the_peer_its_time() {
    for has_stream in [false, true] {
        let mut pair = Pair::open();
        pair.now = seconds(500);
        let stream = pair.client.session.produce();
        let ports: &[Port] = if has_stream {
            &[Port::Items(stream)]
        } else {
            pair.client.session.unproduce(stream);
            &[]
        };
        request(&mut pair.client.session, pair.now, Call { ports, ..Call::default() }, 1).expect("is queued");
        assert_eq!(pair.client.session.poll_timeout(), Some(seconds(530)));
        pair.client.session.handle_timeout(seconds(500));
        pair.client.session.handle_timeout(seconds(501));
        assert_eq!(pair.client.closed(), None);
    }
}

#[test]
fn a_clock_that_jumps_gives_the_peer_its_time() {
    let mut pair = Pair::open();
    pair.call(Call::default(), 1);
    // The machine slept for an hour.
    pair.client.session.handle_timeout(seconds(3600));
    pair.client.session.handle_timeout(seconds(3600));
    assert_eq!(pair.client.closed(), None);
    pair.now = seconds(3601);
    pair.shuttle();
    pair.client.session.handle_timeout(seconds(3630));
    assert_eq!(pair.client.closed(), None, "it answered");
    // Backwards it does nothing either.
    pair.client.session.handle_timeout(seconds(1));
    pair.client.hear(seconds(1), &print(&Frame::Drain));
    assert_eq!(pair.client.closed(), None);
}

#[test]
fn limits_of_no_end_do_not_overflow() {
    let limits = Limits::default()
        .with_handshake_timeout(Duration::MAX)
        .with_frame_timeout(Duration::MAX)
        .with_keepalive(Duration::MAX)
        .with_idle_timeout(Duration::MAX);
    let mut end = End::new(Role::Server, limits);
    end.session.writing(seconds(1), true);
    end.hear(seconds(1), &[1]);
    end.session.handle_timeout(seconds(2));
    let mut pair = Pair::new(limits, limits);
    pair.call(Call::default(), 1);
    pair.now = seconds(1000);
    pair.wait(seconds(1000));
    assert_eq!(pair.client.closed(), None);
}
