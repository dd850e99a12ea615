//! The frames of the wire document, and frames that break it, as files that any language can read.
//! `tools/golden.py` writes them from the document.

#[path = "common/golden.rs"]
mod golden;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use golden::Golden;
use graft_core::{FaultCode, HandleId, InterfaceId, Label, Origin, ReplyKind, Sensitivity};
use graft_transport::session::{Role, Session};
use graft_transport::wire::{Frame, Hello, LENGTH_SIZE, Port, RequestFrame};
use graft_transport::{CloseReason, Closed, Limits};

fn frame(name: &str) -> Frame {
    let golden = golden::all("frames").into_iter().find(|golden| golden.name == name).expect("is there");
    parse(&golden.bytes).expect("parses")
}

fn request(name: &str) -> RequestFrame {
    let Frame::Request(request) = frame(name) else { unreachable!("{name} is a request") };
    request
}

fn parse(bytes: &[u8]) -> Result<Frame, CloseReason> {
    Frame::parse(Bytes::copy_from_slice(&bytes[LENGTH_SIZE..]), &Limits::default())
}

/// Where each frame of a stream begins.
fn starts(stream: &[u8]) -> Vec<usize> {
    let (mut starts, mut at) = (Vec::new(), 0);
    while let Some(length) = stream.get(at..).and_then(|rest| rest.first_chunk()) {
        starts.push(at);
        at += LENGTH_SIZE + u32::from_le_bytes(*length) as usize;
    }
    starts
}

#[test]
fn what_parses_prints_as_the_same_bytes() {
    let goldens = golden::all("frames");
    for golden in &goldens {
        let length = u32::from_le_bytes(*golden.bytes.first_chunk().expect("has a length"));
        assert_eq!(length as usize, golden.bytes.len() - LENGTH_SIZE, "{}", golden.name);
        let frame = parse(&golden.bytes).unwrap_or_else(|reason| unreachable!("{}: {reason:?}", golden.name));
        let mut printed = Vec::new();
        frame.print(&mut printed).expect("prints");
        assert_eq!(printed, golden.bytes, "{}", golden.name);
    }
    for kind in 0..=16 {
        assert!(goldens.iter().any(|golden| golden.bytes[LENGTH_SIZE] == kind), "no frame of type {kind}");
    }
    for flag in 0..9 {
        let has = |golden: &Golden| {
            golden.bytes[LENGTH_SIZE] == 3 && golden.name != "request" && {
                let flags = u16::from_le_bytes([golden.bytes[13], golden.bytes[14]]);
                flags == 1 << flag
            }
        };
        assert!(goldens.iter().any(has), "no request with flag {flag} alone");
    }
}

#[test]
fn no_frame_parses_when_it_is_cut_or_goes_on() {
    for golden in golden::all("frames") {
        // A body may have any length, so a cut in it is another frame.
        let body = golden.find("body").map(|body| body.parse::<usize>().expect("is a number"));
        for cut in LENGTH_SIZE..golden.bytes.len() - body.unwrap_or(0) {
            assert!(parse(&golden.bytes[..cut]).is_err(), "{} cut at {cut}", golden.name);
        }
        if body.is_none() {
            let long = [&golden.bytes[..], &[0]].concat();
            assert_eq!(parse(&long).map(drop), Err(CloseReason::Malformed), "{} goes on", golden.name);
        }
    }
}

#[test]
fn a_hello_and_a_bind_have_the_fields_that_their_files_say() {
    let Frame::Hello(hello) = frame("hello") else { unreachable!("it is a hello") };
    let expected = Hello {
        max_frame: 4 << 20,
        max_calls: 1024,
        max_streams: 256,
        stream_window: 256 << 10,
        window: 4 << 20,
        lease: 60_000,
    };
    assert_eq!(hello, expected);
    let Frame::Bind { index: 0, interface: InterfaceId(interface) } = frame("bind") else {
        unreachable!("it is a bind")
    };
    assert_eq!((interface[0], interface[31]), (0, 31));
    assert!(matches!(frame("bound"), Frame::Bound { index: 0, is_hosted: true }));
    assert!(matches!(frame("bound_not"), Frame::Bound { index: 0, is_hosted: false }));
}

#[test]
fn a_request_has_the_fields_that_its_file_says() {
    let all = request("request");
    assert_eq!((all.number, all.interface, all.meta.call.0), (7, 0, 3));
    assert_eq!(all.method.0[0], 0xa0);
    assert_eq!(all.meta.run.0, [0x11; 16]);
    assert_eq!(all.meta.parent.map(|call| call.0), Some(2));
    assert_eq!(all.remaining.map(|left| left.as_millis()), Some(1500));
    assert!(all.meta.deadline.is_none());
    assert_eq!((all.meta.trace.trace.0[0], all.meta.trace.span.0[0], all.meta.trace.flags), (0x20, 0x30, 1));
    assert_eq!(all.meta.credential.as_ref().map(|credential| credential.expose()), Some(&b"token"[..]));
    assert_eq!(all.label, Label::untrusted(Origin::WEB_SEARCH));
    let headers = [("baggage", "tenant=7"), ("tracestate", "a=1,b=2")];
    assert_eq!(all.meta.headers.iter().collect::<Vec<_>>(), headers);
    assert_eq!((all.handle, all.is_idempotent), (Some(HandleId(9)), true));
    assert_eq!(all.ports, [Port::Items(1), Port::Object(HandleId(5))]);
    assert_eq!(&all.body[..], b"\x05hello");
}

#[test]
fn each_optional_field_is_there_alone() {
    let bare = request("request_bare");
    assert_eq!((bare.number, bare.body.len(), bare.label), (0, 0, Label::default()));
    assert_eq!(
        (bare.meta.parent, bare.remaining, bare.handle, bare.is_idempotent),
        (None, None, None, false)
    );
    assert!(bare.meta.credential.is_none() && bare.meta.headers.is_empty() && bare.ports.is_empty());
    assert_eq!(bare.meta.trace, graft_core::TraceContext::default());
    assert_eq!(request("request_parent").meta.parent.map(|call| call.0), Some(2));
    assert_eq!(request("request_deadline").remaining, Some(Duration::from_millis(1500)));
    assert_eq!(request("request_deadline_passed").remaining, Some(Duration::ZERO));
    assert_eq!(request("request_trace").meta.trace.trace.0[15], 0x2f);
    let credential = request("request_credential_empty").meta.credential.expect("is there");
    assert_eq!(credential.expose(), b"");
    let any = request("request_label_any").label;
    assert_eq!((any.sensitivity(), any.origins().names().is_none()), (Sensitivity::Secret, true));
    let two = request("request_label_two").label;
    assert_eq!(two.sensitivity(), Sensitivity::Public);
    assert_eq!(two.origins().names().expect("are few").count(), 2);
    assert_eq!(request("request_header_empty").meta.headers.find("x"), Some(""));
    assert_eq!(request("request_handle").handle, Some(HandleId(9)));
    let ports = [Port::Items(1), Port::Object(HandleId(5)), Port::Items(2)];
    assert_eq!(request("request_ports").ports, ports);
    assert!(request("request_idempotent").is_idempotent);
}

#[test]
fn answers_have_the_fields_that_their_files_say() {
    let Frame::Reply(reply) = frame("reply_all") else { unreachable!("it is a reply") };
    assert_eq!((reply.number, reply.kind, &reply.body[..]), (7, ReplyKind::Err, &b"\x05hello"[..]));
    assert_eq!((reply.label, reply.ports), (Label::untrusted(Origin::WEB_SEARCH), vec![Port::Items(1)]));
    let Frame::Reply(reply) = frame("reply_label") else { unreachable!("it is a reply") };
    assert_eq!(reply.label, Label::of(Origin::TOOL).with_sensitivity(Sensitivity::Secret));
    let Frame::Reply(reply) = frame("reply") else { unreachable!("it is a reply") };
    assert_eq!((reply.kind, reply.label, reply.ports), (ReplyKind::Ok, Label::default(), vec![]));
    let Frame::Fault(fault) = frame("fault") else { unreachable!("it is a fault") };
    assert_eq!((fault.number, fault.fault_code(), fault.trace.0[0]), (7, FaultCode::Internal, 0x20));
    let Frame::Fault(fault) = frame("fault_unfamiliar") else { unreachable!("it is a fault") };
    assert_eq!((fault.code, fault.fault_code()), (200, FaultCode::Internal));
}

#[test]
fn small_frames_have_the_fields_that_their_files_say() {
    assert!(matches!(frame("cancel"), Frame::Cancel { number: 7 }));
    let Frame::Item { stream: 1, body } = frame("item") else { unreachable!("it is an item") };
    assert_eq!(&body[..], b"\x05hello");
    assert!(matches!(frame("end"), Frame::End { stream: 1, code: 0 }));
    assert!(matches!(frame("end_fault"), Frame::End { stream: 1, code: 6 }));
    assert!(matches!(frame("credit"), Frame::Credit { stream: 1, bytes: 131_072 }));
    assert!(matches!(frame("credit_connection"), Frame::Credit { stream: 0, bytes: 2_097_152 }));
    assert!(matches!(frame("stop"), Frame::Stop { stream: 1 }));
    assert!(matches!(frame("release"), Frame::Release { handle: HandleId(5) }));
    assert!(matches!(frame("renew"), Frame::Renew { handle: HandleId(5) }));
    assert!(matches!(frame("healthy"), Frame::Healthy { is_ok: true }));
    assert!(matches!(frame("healthy_not"), Frame::Healthy { is_ok: false }));
    assert!(matches!(frame("goodbye"), Frame::Goodbye { reason: 4 }));
}

/// The default limits, with those that a file names.
fn limits(golden: &Golden) -> Limits {
    let mut limits = Limits::default();
    for limit in golden.find("limits").unwrap_or_default().split_whitespace() {
        let (name, value) = limit.split_once('=').expect("name and value");
        let value: u32 = value.parse().expect("is a number");
        limits = match name {
            "max_metadata" => limits.with_max_metadata(value),
            "max_cancel_rate" => limits.with_max_cancel_rate(value),
            "stream_window" => limits.with_stream_window(value),
            "window" => limits.with_window(value),
            _ => unreachable!("{} names another limit", golden.name),
        };
    }
    limits
}

/// The end in which a session of the right role sees these bytes.
fn end(golden: &Golden, bytes: &[u8]) -> Option<Closed> {
    let role = if golden.head("to") == "server" { Role::Server } else { Role::Client };
    let mut session = Session::<(), ()>::new(role, limits(golden), Duration::ZERO);
    session.handle(Duration::ZERO, &mut BytesMut::from(bytes));
    session.closed()
}

#[test]
fn hostile_bytes_end_in_the_reason_that_their_file_says() {
    for golden in golden::all("hostile") {
        let closed = end(&golden, &golden.bytes);
        let closed = closed.unwrap_or_else(|| unreachable!("{} is not refused", golden.name));
        assert_eq!(closed.reason.as_str(), golden.head("expect"), "{}", golden.name);
        assert_eq!(closed, Closed::by_us(closed.reason), "{}", golden.name);
    }
}

#[test]
fn hostile_bytes_are_in_order_before_their_last_frame() {
    for golden in golden::all("hostile") {
        let last = *starts(&golden.bytes).last().expect("has a frame");
        assert_eq!(end(&golden, &golden.bytes[..last]), None, "{}", golden.name);
    }
}

#[test]
fn every_reason_that_bytes_alone_can_give_has_a_file() {
    let goldens = golden::all("hostile");
    for reason in CloseReason::ALL {
        let is_bytes = reason.is_violation() || *reason == CloseReason::VersionMismatch;
        let has_file = goldens.iter().any(|golden| golden.head("expect") == reason.as_str());
        assert_eq!(is_bytes, has_file, "{reason:?}");
    }
}
