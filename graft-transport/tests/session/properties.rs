//! Arbitrary bytes, in arbitrary pieces.

use bytes::Bytes;
use graft_core::HandleId;
use graft_transport::session::{Event, Role};
use graft_transport::wire::{Encoded, Frame, LENGTH_SIZE, Port};
use graft_transport::{CloseReason, Closed, ClosedBy, Limits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::pair::{Call, End, INTERFACE, Pair, print, request, seconds};

/// Limits that are soon reached.
fn tight() -> Limits {
    Limits::default()
        .with_max_frame(1000)
        .with_max_in_flight(4)
        .with_max_streams(3)
        .with_max_handles(3)
        .with_stream_window(300)
        .with_window(500)
        .with_max_metadata(200)
        .with_max_cancel_rate(20)
}

/// An end that is open, made calls, produces a stream and hosts an object: every frame may mean something to it.
fn busy(role: Role) -> End {
    let mut pair = Pair::new(tight(), tight());
    let (stream, handle) = (pair.stream(), pair.object(1));
    pair.client.session.host(seconds(0), HandleId(2)).expect("there is room");
    let back = pair.client.session.produce();
    let ports = [Port::Items(back), Port::Object(HandleId(2))];
    pair.call(Call { ports: &ports, ..Call::default() }, 1);
    request(&mut pair.server.session, seconds(0), Call { handle: Some(HandleId(2)), ..Call::default() }, 2)
        .expect("is queued");
    request(&mut pair.client.session, seconds(0), Call { handle: Some(handle), ..Call::default() }, 3)
        .expect("is queued");
    for (session, stream) in [(&mut pair.server.session, stream), (&mut pair.client.session, back)] {
        session.send(stream, &Bytes::from_static(b"item")).expect("fits");
    }
    pair.client.session.ask_health();
    pair.server.session.ask_health();
    pair.shuttle();
    let mut end = if role == Role::Client { pair.client } else { pair.server };
    end.events.clear();
    end
}

/// What the bytes meant, and the end.
fn outcome<'a>(mut end: End, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<Closed>) {
    for piece in pieces {
        end.hear(seconds(0), piece);
    }
    (end.events.iter().map(|event| format!("{event:?}")).collect(), end.closed())
}

/// A peer may say goodbye or break a rule; this side ends for nothing else.
fn is_fair(closed: Option<Closed>) -> bool {
    closed.is_none_or(|closed| {
        closed.by == ClosedBy::Peer
            || closed.reason.is_violation()
            || closed.reason == CloseReason::VersionMismatch
    })
}

fn small() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..6_u64, 1 => any::<u64>()]
}

/// Frames that are in form, about things that may be there.
fn frame() -> impl Strategy<Value = Frame> {
    let item = vec(any::<u8>(), 0..150).prop_map(|bytes| Encoded(bytes.into()));
    prop_oneof![
        1 => (0..3_u16, 0..3_u8)
            .prop_map(|(index, id)| Frame::Bind { index, interface: graft_core::InterfaceId([id; 32]) }),
        1 => (0..3_u16, any::<bool>()).prop_map(|(index, is_hosted)| Frame::Bound { index, is_hosted }),
        1 => small().prop_map(|number| Frame::Cancel { number }),
        4 => (small(), item).prop_map(|(stream, body)| Frame::Item { stream, body }),
        1 => (small(), 0..30_u8).prop_map(|(stream, code)| Frame::End { stream, code }),
        1 => (small(), 0..500_u32).prop_map(|(stream, bytes)| Frame::Credit { stream, bytes }),
        1 => small().prop_map(|stream| Frame::Stop { stream }),
        1 => small().prop_map(|handle| Frame::Release { handle: HandleId(handle) }),
        1 => small().prop_map(|handle| Frame::Renew { handle: HandleId(handle) }),
        1 => Just(Frame::Health),
        1 => any::<bool>().prop_map(|is_ok| Frame::Healthy { is_ok }),
        1 => Just(Frame::Drain),
        1 => any::<u8>().prop_map(|reason| Frame::Goodbye { reason }),
    ]
}

/// Requests, replies and faults as bytes: number, flags and whatever follows.
fn call_frame() -> impl Strategy<Value = Vec<u8>> {
    let port = (0..3_u8, small()).prop_map(|(kind, id)| [&[kind], &id.to_le_bytes()[..]].concat());
    let ports = vec(port, 1..4).prop_map(|ports| [&[ports.len() as u8], &ports.concat()[..]].concat());
    (small(), any::<bool>(), ports, vec(any::<u8>(), 0..20), 0..4_u8).prop_map(
        |(number, has_handle, ports, body, kind)| {
            let number = number.to_le_bytes();
            let handle = if has_handle { &number[..] } else { &[] };
            let flags = 128 + if has_handle { 64_u16 } else { 0 };
            let fixed = [0; 2 + 8 + 16 + 8];
            match kind {
                0 => [&[4], &number[..], &[4], &ports, &body].concat(),
                1 => [&[5], &number[..], &[17; 17]].concat(),
                _ => [&[3], &number[..], &flags.to_le_bytes(), &fixed, handle, &ports, &body].concat(),
            }
        },
    )
}

fn with_length(frame: &[u8]) -> Vec<u8> {
    [&(frame.len() as u32).to_le_bytes(), frame].concat()
}

/// Streams of frames, most in form and some not.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => frame().prop_map(|frame| print(&frame)),
        6 => call_frame().prop_map(|frame| with_length(&frame)),
        1 => (0..18_u8, vec(any::<u8>(), 0..60))
            .prop_map(|(kind, fields)| with_length(&[&[kind], &fields[..]].concat())),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

fn pieces<'a>(stream: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect()
}

proptest! {
    #[test]
    fn any_frames_end_in_a_typed_close_or_wait_and_cost_what_they_are(role in role(), stream in stream()) {
        let mut end = busy(role);
        end.hear(seconds(0), &stream);
        prop_assert!(is_fair(end.closed()), "{:?}", end.closed());
        // No frame is more than two events, the end one more.
        prop_assert!(end.events.len() <= 2 * stream.len() / 5 + 1);
        prop_assert!(end.session.serving() <= 4);
        let said = end.said();
        prop_assert!(said.len() <= 8 * stream.len() + 64, "{} bytes for {}", said.len(), stream.len());
    }

    #[test]
    fn any_pieces_of_a_stream_mean_the_same(role in role(), stream in stream(), cuts in vec(any::<Index>(), 0..12)) {
        let whole = outcome(busy(role), [&stream[..]]);
        let (mut events, closed) = outcome(busy(role), pieces(&stream, &cuts));
        // How often a stream is said to be readable depends on when it is taken, and here it never is.
        prop_assert_eq!(closed, whole.1);
        events.sort_unstable();
        let mut expected = whole.0;
        expected.sort_unstable();
        prop_assert_eq!(events, expected);
    }

    #[test]
    fn noise_never_panics(role in role(), noise in vec(any::<u8>(), 0..300), is_greeted in any::<bool>()) {
        let mut end = if is_greeted { busy(role) } else { End::new(role, tight()) };
        end.hear(seconds(0), &noise);
        prop_assert!(is_fair(end.closed()));
    }

    #[test]
    fn what_parses_prints_as_the_same_bytes(stream in stream(), at in any::<Index>(), to in any::<u8>()) {
        let mut stream = stream;
        if !stream.is_empty() {
            let at = at.index(stream.len());
            stream[at] = to;
        }
        let mut rest = &stream[..];
        while let Some(length) = rest.first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize) {
            let Some(frame) = rest.get(..LENGTH_SIZE + length) else { break };
            if let Ok(parsed) = Frame::parse(Bytes::copy_from_slice(&frame[LENGTH_SIZE..]), &tight()) {
                prop_assert_eq!(&print(&parsed)[..], frame);
            }
            rest = &rest[LENGTH_SIZE + length..];
        }
    }

    #[test]
    fn a_stream_that_is_cut_gives_the_events_of_its_whole_frames(bodies in vec(vec(any::<u8>(), 0..60), 1..4)) {
        let mut client = Pair::open().client;
        for (tag, body) in (0..).zip(&bodies) {
            request(&mut client.session, seconds(0), Call { body, ..Call::default() }, tag).expect("is queued");
        }
        let stream = client.said();
        let mut ends = vec![];
        while let Some(length) = stream.get(ends.last().copied().unwrap_or(0)..).and_then(|s| s.first_chunk()) {
            ends.push(ends.last().unwrap_or(&0) + LENGTH_SIZE + u32::from_le_bytes(*length) as usize);
        }
        for cut in 0..=stream.len() {
            let (events, closed) = outcome(Pair::open().server, [&stream[..cut]]);
            prop_assert_eq!(events.len(), ends.iter().filter(|end| **end <= cut).count());
            prop_assert_eq!(closed, None);
        }
    }
}

#[test]
fn the_busy_ends_are_busy() {
    for role in [Role::Client, Role::Server] {
        let mut end = busy(role);
        assert!(end.session.has_ports() && end.session.serving() > 0 && end.session.in_flight() > 0);
        let credit = Frame::Credit { stream: 1, bytes: 1 };
        end.hear(seconds(0), &print(&credit));
        assert!(matches!(end.next(), Event::Writable(1)));
        assert_eq!(end.session.bind(INTERFACE), Ok(0), "it is bound both ways");
    }
}
