//! The frames of the wire document, and frames that break it, as files that any language can read.

#[path = "common/golden.rs"]
mod golden;

use bytes::{Bytes, BytesMut};
use graft_core::{FaultCode, Label, Origin, ReplyKind, Sensitivity};
use graft_transport::session::{ClientSession, ServerSession};
use graft_transport::wire::{Frame, LENGTH_SIZE};
use graft_transport::{CloseReason, Closed, Limits};

fn frame(name: &str) -> Frame {
    let golden = golden::all("frames").into_iter().find(|golden| golden.name == name).expect("is there");
    parse(&golden.bytes).expect("parses")
}

fn parse(bytes: &[u8]) -> Result<Frame, CloseReason> {
    Frame::parse(Bytes::copy_from_slice(&bytes[LENGTH_SIZE..]), &Limits::default())
}

#[test]
fn what_parses_prints_as_the_same_bytes() {
    let goldens = golden::all("frames");
    assert!(goldens.len() >= 10);
    for golden in goldens {
        let length = u32::from_le_bytes(*golden.bytes.first_chunk().expect("has a length"));
        assert_eq!(length as usize, golden.bytes.len() - LENGTH_SIZE, "{}", golden.name);
        let frame = parse(&golden.bytes).expect("parses");
        let mut printed = Vec::new();
        frame.print(&mut printed).expect("prints");
        assert_eq!(printed, golden.bytes, "{}", golden.name);
    }
}

#[test]
fn no_frame_parses_when_it_is_cut() {
    for golden in golden::all("frames") {
        let whole_head = match golden.name.as_str() {
            // A body may have any length, so a cut in it is another frame.
            "request" => golden.bytes.len() - 6,
            _ => golden.bytes.len(),
        };
        for cut in LENGTH_SIZE..whole_head {
            assert!(parse(&golden.bytes[..cut]).is_err(), "{} cut at {cut}", golden.name);
        }
    }
}

#[test]
fn a_request_has_the_fields_that_its_file_says() {
    let Frame::Request(request) = frame("request") else { unreachable!("it is a request") };
    assert_eq!((request.number, request.meta.call.0), (7, 3));
    assert_eq!(request.interface.0[31], 31);
    assert_eq!(request.method.0[0], 0xa0);
    assert_eq!(request.meta.run.0, [0x11; 16]);
    assert_eq!(request.meta.parent.map(|call| call.0), Some(2));
    assert_eq!(request.remaining.map(|left| left.as_millis()), Some(1500));
    assert!(request.meta.deadline.is_none());
    assert_eq!((request.meta.trace.trace.0[0], request.meta.trace.span.0[0]), (0x20, 0x30));
    assert_eq!(request.meta.trace.flags, 1);
    assert_eq!(request.meta.credential.as_ref().map(|credential| credential.expose()), Some(&b"token"[..]));
    assert_eq!(request.label, Label::untrusted(Origin::WEB_SEARCH));
    assert_eq!(&request.body[..], b"\x05hello");
}

#[test]
fn answers_have_the_fields_that_their_files_say() {
    let Frame::Reply(reply) = frame("reply_error") else { unreachable!("it is a reply") };
    assert_eq!((reply.number, reply.kind, &reply.body[..]), (7, ReplyKind::Err, &b"\x05hello"[..]));
    assert_eq!(reply.label, Label::of(Origin::TOOL).with_sensitivity(Sensitivity::Secret));
    let Frame::Fault(fault) = frame("fault") else { unreachable!("it is a fault") };
    assert_eq!((fault.number, fault.fault_code(), fault.trace.0[0]), (7, FaultCode::Internal, 0x20));
    let Frame::Fault(fault) = frame("fault_unfamiliar") else { unreachable!("it is a fault") };
    assert_eq!((fault.code, fault.fault_code()), (200, FaultCode::Internal));
}

#[test]
fn hostile_bytes_end_in_the_reason_that_their_file_says() {
    let goldens = golden::all("hostile");
    assert!(goldens.len() >= 40);
    for golden in goldens {
        let mut input = BytesMut::from(&golden.bytes[..]);
        let closed = match golden.head("to") {
            "server" => {
                let mut session = ServerSession::<()>::new(Limits::default());
                end(|| session.handle(&mut input).map(|event| event.is_some()))
            }
            _ => {
                let mut session = ClientSession::<()>::new(Limits::default());
                end(|| session.handle(&mut input).map(|event| event.is_some()))
            }
        };
        let closed = closed.unwrap_or_else(|| unreachable!("{} is not refused", golden.name));
        assert_eq!(closed.reason.as_str(), golden.head("expect"), "{}", golden.name);
        assert_eq!(closed, Closed::by_us(closed.reason), "{}", golden.name);
    }
}

fn end(mut handle: impl FnMut() -> Result<bool, Closed>) -> Option<Closed> {
    loop {
        match handle() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(closed) => return Some(closed),
        }
    }
}
