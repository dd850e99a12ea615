//! Both sessions on arbitrary bytes, without sockets.

use bytes::BytesMut;
use graft_core::{
    CallId, Credential, FaultCode, InterfaceId, Label, Metadata, MethodId, Origin, ReplyKind, Request, RunId,
};
use graft_transport::session::{Answer, ClientEvent, ClientSession, ServerEvent, ServerSession};
use graft_transport::wire::{Frame, ReplyDraft, RequestDraft, Unnumbered};
use graft_transport::{CloseReason, Closed, Limits};
use proptest::prelude::*;

fn request(body: &[u8]) -> Unnumbered {
    let mut meta = Metadata::new(RunId([1; 16]), CallId(0));
    meta.credential = Some(Credential::new("token"));
    let label = Label::untrusted(Origin::MCP_DERIVED);
    let request = Request::new(InterfaceId([2; 32]), MethodId([3; 8]), &meta, &label);
    let mut draft = RequestDraft::new(&request, None).expect("fits");
    draft.body().extend_from_slice(body);
    draft.finish().expect("fits")
}

fn reply(body: &[u8]) -> Unnumbered {
    let mut draft = ReplyDraft::new();
    draft.body().extend_from_slice(body);
    draft.finish(ReplyKind::Ok, &Label::default()).expect("fits")
}

fn transmit(poll: impl FnOnce(&mut Vec<u8>) -> bool) -> BytesMut {
    let mut out = Vec::new();
    poll(&mut out);
    BytesMut::from(&out[..])
}

/// Two open sessions.
fn pair(limits: Limits) -> (ClientSession<u32>, ServerSession<u32>) {
    let (mut client, mut server) = (ClientSession::new(limits), ServerSession::new(limits));
    let mut hello = transmit(|out| client.poll_transmit(out));
    assert!(matches!(server.handle(&mut hello), Ok(Some(ServerEvent::Open))));
    let mut hello = transmit(|out| server.poll_transmit(out));
    assert!(matches!(client.handle(&mut hello), Ok(Some(ClientEvent::Open))));
    (client, server)
}

/// What a client sends: hello, requests with these bodies, a cancel of the first.
fn client_stream(bodies: &[Vec<u8>]) -> Vec<u8> {
    let (mut client, mut server) = pair(Limits::default());
    let mut stream = transmit(|out| ClientSession::<()>::new(Limits::default()).poll_transmit(out)).to_vec();
    for (n, body) in bodies.iter().enumerate() {
        client.request(request(body), n as u32).expect("is queued");
    }
    client.cancel(0);
    let sent = transmit(|out| client.poll_transmit(out));
    stream.extend_from_slice(&sent);
    assert!(server.handle(&mut sent.clone()).is_ok());
    stream
}

/// Every event that a server has of these pieces, and its end.
fn server_events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<Closed>) {
    let mut server = ServerSession::<u32>::new(Limits::default());
    let (mut input, mut events) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match server.handle(&mut input) {
                Ok(Some(event)) => {
                    let body = match &event {
                        ServerEvent::Request(request) => request.body.to_vec(),
                        _ => Vec::new(),
                    };
                    events.push(format!("{event:?} {body:?}"));
                }
                Ok(None) => break,
                Err(closed) => return (events, Some(closed)),
            }
        }
    }
    (events, None)
}

/// The ends of the frames in a stream.
fn frame_ends(stream: &[u8]) -> Vec<usize> {
    let (mut ends, mut at) = (Vec::new(), 0);
    while let Some(length) = stream[at..].first_chunk() {
        at += 4 + u32::from_le_bytes(*length) as usize;
        ends.push(at);
    }
    ends
}

fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 1..6)
}

#[test]
fn what_a_frame_prints_of_itself_holds_no_value() {
    let (events, _) = server_events([&client_stream(&[b"canary".to_vec()])[..]]);
    assert!(events[1].contains("body: 6 bytes"), "{}", events[1]);
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_same_events(bodies in bodies(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12)) {
        let stream = client_stream(&bodies);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let whole = server_events([&stream[..]]);
        prop_assert_eq!(whole.0.len(), bodies.len() + 2);
        let pieces = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
        prop_assert_eq!(server_events(pieces), whole);
    }

    #[test]
    fn a_cut_stream_gives_the_events_of_its_whole_frames(bodies in bodies()) {
        let stream = client_stream(&bodies);
        let ends = frame_ends(&stream);
        for cut in 0..=stream.len() {
            let (events, closed) = server_events([&stream[..cut]]);
            prop_assert_eq!(events.len(), ends.iter().filter(|end| **end <= cut).count());
            prop_assert_eq!(closed, None);
        }
    }

    #[test]
    fn a_changed_byte_never_panics_and_what_parses_prints_the_same(bodies in bodies(), at in any::<proptest::sample::Index>(), to in any::<u8>()) {
        let mut stream = client_stream(&bodies);
        let at = at.index(stream.len());
        stream[at] = to;
        server_events([&stream[..]]);
        let mut rest = &stream[..];
        while let Some(length) = rest.first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize) {
            let Some(frame) = rest.get(..4 + length) else { break };
            if let Ok(parsed) = Frame::parse(bytes::Bytes::copy_from_slice(&frame[4..]), &Limits::default()) {
                let mut printed = Vec::new();
                parsed.print(&mut printed).expect("prints");
                prop_assert_eq!(&printed[..], frame);
            }
            rest = &rest[4 + length..];
        }
    }

    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        server_events([&noise[..]]);
        let (mut client, _) = pair(Limits::default());
        let mut input = BytesMut::from(&noise[..]);
        while let Ok(Some(_)) = client.handle(&mut input) {}
    }
}

#[test]
fn a_peer_can_only_raise_the_label_of_arguments() {
    let (mut client, mut server) = pair(Limits::default());
    let (meta, label) = (Metadata::new(RunId([1; 16]), CallId(0)), Label::bottom());
    let claim = Request::new(InterfaceId([2; 32]), MethodId([3; 8]), &meta, &label);
    let frame = RequestDraft::new(&claim, None).and_then(RequestDraft::finish).expect("fits");
    client.request(frame, 0).expect("is queued");
    let mut sent = transmit(|out| client.poll_transmit(out));
    let Ok(Some(ServerEvent::Request(request))) = server.handle(&mut sent) else { unreachable!("a request") };
    assert_eq!(request.label, Label::default());
}

#[test]
fn every_call_is_answered_once_even_when_it_is_cancelled() {
    let (mut client, mut server) = pair(Limits::default());
    let first = client.request(request(b"a"), 1).expect("is queued");
    let second = client.request(request(b"b"), 2).expect("is queued");
    client.cancel(first);
    client.cancel(first);
    let mut sent = transmit(|out| client.poll_transmit(out));
    assert!(matches!(server.handle(&mut sent), Ok(Some(ServerEvent::Request(_)))));
    assert_eq!(server.attach(first, 10), None);
    assert!(matches!(server.handle(&mut sent), Ok(Some(ServerEvent::Request(_)))));
    assert!(matches!(server.handle(&mut sent), Ok(Some(ServerEvent::Cancel(Some(10))))));
    assert!(matches!(server.handle(&mut sent), Ok(None)));

    // What still ran for the cancelled call comes too late and says nothing.
    server.reply(first, reply(b"late"));
    assert_eq!(server.attach(first, 11), Some(11));
    server.reply(second, reply(b"in time"));
    assert_eq!(client.in_flight(), 2);
    let mut answers = transmit(|out| server.poll_transmit(out));
    let Ok(Some(ClientEvent::Answer(2, Answer::Reply { body, .. }))) = client.handle(&mut answers) else {
        unreachable!("the cancelled call gives no event")
    };
    assert_eq!(&body[..], b"in time");
    assert_eq!((client.in_flight(), server.in_flight()), (0, 0));
}

#[test]
fn a_cancel_may_cross_the_answer() {
    let (mut client, mut server) = pair(Limits::default());
    let number = client.request(request(b"a"), 1).expect("is queued");
    let mut sent = transmit(|out| client.poll_transmit(out));
    assert!(matches!(server.handle(&mut sent), Ok(Some(ServerEvent::Request(_)))));
    server.reply(number, reply(b"r"));
    client.cancel(number);
    let mut sent = transmit(|out| client.poll_transmit(out));
    assert!(matches!(server.handle(&mut sent), Ok(None)));
    let mut answer = transmit(|out| server.poll_transmit(out));
    assert!(matches!(client.handle(&mut answer), Ok(None)));
    assert!(client.is_open() && server.is_open());
}

#[test]
fn limits_end_the_call_and_not_the_connection() {
    let limits = Limits::default().with_max_in_flight(1).with_max_frame(1000);
    let (mut client, mut server) = pair(limits);
    assert_eq!(client.request(request(&[0; 1000]), 0), Err(FaultCode::LimitExceeded));
    let number = client.request(request(b""), 1).expect("is queued");
    assert_eq!(client.request(request(b""), 2), Err(FaultCode::LimitExceeded));
    let mut sent = transmit(|out| client.poll_transmit(out));
    assert!(matches!(server.handle(&mut sent), Ok(Some(ServerEvent::Request(_)))));
    server.reply(number, reply(&[0; 1000]));
    let mut answer = transmit(|out| server.poll_transmit(out));
    let Ok(Some(ClientEvent::Answer(1, Answer::Fault { code, .. }))) = client.handle(&mut answer) else {
        unreachable!("an answer")
    };
    assert_eq!(code, FaultCode::LimitExceeded);
    assert!(client.request(request(b""), 3).is_ok());
}

#[test]
fn a_peer_that_does_not_count_gets_a_fault_for_the_call_too_many() {
    let generous = Limits::default();
    let (mut client, _) = pair(generous);
    let mut server = ServerSession::<u32>::new(Limits::default().with_max_in_flight(1));
    let mut hello = transmit(|out| ClientSession::<()>::new(generous).poll_transmit(out));
    assert!(matches!(server.handle(&mut hello), Ok(Some(ServerEvent::Open))));
    client.request(request(b""), 1).expect("is queued");
    client.request(request(b""), 2).expect("is queued");
    let mut sent = transmit(|out| client.poll_transmit(out));
    assert!(matches!(server.handle(&mut sent), Ok(Some(ServerEvent::Request(_)))));
    assert!(matches!(server.handle(&mut sent), Ok(None)));
    let mut answer = transmit(|out| server.poll_transmit(out));
    answer = answer.split_off(4 + 15);
    let Ok(Some(ClientEvent::Answer(2, Answer::Fault { code, .. }))) = client.handle(&mut answer) else {
        unreachable!("an answer")
    };
    assert_eq!(code, FaultCode::LimitExceeded);
}

#[test]
fn arguments_of_unanswered_calls_are_bounded_together_and_an_answer_makes_room() {
    let (mut client, _) = pair(Limits::default());
    let mut server = ServerSession::<u32>::new(Limits::default().with_max_arguments(10));
    let mut hello = transmit(|out| ClientSession::<()>::new(Limits::default()).poll_transmit(out));
    assert!(matches!(server.handle(&mut hello), Ok(Some(ServerEvent::Open))));
    let first = client.request(request(&[0; 8]), 1).expect("is queued");
    client.request(request(&[0; 8]), 2).expect("is queued");
    let mut sent = transmit(|out| client.poll_transmit(out));
    assert!(matches!(server.handle(&mut sent), Ok(Some(ServerEvent::Request(_)))));
    assert!(matches!(server.handle(&mut sent), Ok(None)), "the second is over the bound");
    assert_eq!(server.in_flight(), 1);
    server.reply(first, reply(&[]));
    client.request(request(&[0; 8]), 3).expect("is queued");
    let mut sent = transmit(|out| client.poll_transmit(out));
    assert!(matches!(server.handle(&mut sent), Ok(Some(ServerEvent::Request(_)))));
}

#[test]
fn the_first_end_stays_and_says_goodbye_once() {
    let (mut client, mut server) = pair(Limits::default());
    client.request(request(b""), 1).expect("is queued");
    let end = client.close(Closed::by_us(CloseReason::Done));
    assert_eq!(client.close(Closed::by_us(CloseReason::Disconnected)), end);
    assert_eq!(client.in_flight(), 0);
    assert_eq!(client.request(request(b""), 2), Err(FaultCode::Unavailable));
    let mut sent = transmit(|out| client.poll_transmit(out));
    assert!(matches!(server.handle(&mut sent), Ok(Some(ServerEvent::Request(_)))));
    assert_eq!(server.handle(&mut sent).map(drop), Err(Closed::by_peer(CloseReason::Done)));
    assert_eq!(server.handle(&mut sent).map(drop), Err(Closed::by_peer(CloseReason::Done)));
    assert!(sent.is_empty());
    assert!(!server.poll_transmit(&mut Vec::new()), "nothing is sent to a peer that is gone");
}
