//! Objects seen from the wire: who may call one, and what becomes of a call on one that is gone.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::raw::Raw;
use common::{bounded, options, until};
use graft_core::{CallId, Channel, FaultCode, HandleId, Label, Metadata, Router, RunId, Slot};
use graft_transport::conformance::{Counters, PortMethod, TestObject, TestPorts, TestValue};
use graft_transport::wire::{Encoded, Frame, Port, RequestFrame};
use graft_transport::{Limits, RemoteChannel, Server};

/// A peer by hand that has bound services and objects.
async fn peer(server: &Server) -> Raw {
    let mut peer = Raw::connect(server.local_addr().expect("it is TCP")).await;
    peer.hello().await;
    let mut out = Vec::new();
    for (index, interface) in [(0, TestPorts::INTERFACE), (1, TestObject::INTERFACE)] {
        Frame::Bind { index, interface }.print(&mut out).expect("prints");
    }
    peer.send(&out).await;
    peer
}

/// What comes back for a call: the code of the fault, or the object in the reply, if there is one.
async fn ask(
    peer: &mut Raw,
    number: u64,
    method: PortMethod,
    handle: Option<HandleId>,
) -> Result<Option<HandleId>, FaultCode> {
    let body = postcard::to_stdvec(&TestValue::Text("ann".to_owned())).expect("encodes");
    let frame = RequestFrame {
        number,
        interface: u16::from(handle.is_some()),
        method: method.method().id,
        handle,
        is_idempotent: false,
        meta: Metadata::new(RunId([1; 16]), CallId(0)),
        remaining: None,
        label: Label::default(),
        ports: Vec::new(),
        body: Encoded(body.into()),
    };
    let mut out = Vec::new();
    Frame::Request(frame).print(&mut out).expect("prints");
    peer.send(&out).await;
    loop {
        match bounded(peer.frame()).await.expect("the connection is open") {
            Frame::Reply(reply) if reply.number == number => {
                return Ok(reply.ports.iter().find_map(|port| match port {
                    Port::Object(handle) => Some(*handle),
                    Port::Items(_) => None,
                }));
            }
            Frame::Fault(fault) if fault.number == number => return Err(fault.fault_code()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_object_is_its_connections_own_until_it_is_released_and_then_gone() {
    let counters = Arc::new(Counters::default());
    let router = Router::default().with(Arc::new(TestPorts::new(counters.clone())));
    let server = Server::tcp("127.0.0.1:0", router, options()).expect("binds");
    let (mut ann, mut eve) = (peer(&server).await, peer(&server).await);
    let object = ask(&mut ann, 0, PortMethod::Open, None).await.expect("returns").expect("an object");
    assert_eq!(ask(&mut ann, 1, PortMethod::Say, Some(object)).await, Ok(None));

    assert_eq!(ask(&mut eve, 0, PortMethod::Say, Some(object)).await, Err(FaultCode::Forbidden));
    let mut out = Vec::new();
    Frame::Release { handle: object }.print(&mut out).expect("prints");
    // Another connection's release is nothing.
    eve.send(&out).await;
    assert_eq!(ask(&mut eve, 1, PortMethod::Say, Some(object)).await, Err(FaultCode::Forbidden));
    assert_eq!(ask(&mut ann, 2, PortMethod::Say, Some(object)).await, Ok(None));

    ann.send(&out).await;
    assert_eq!(ask(&mut ann, 3, PortMethod::Say, Some(object)).await, Err(FaultCode::HandleGone));
    assert_eq!(ask(&mut eve, 2, PortMethod::Say, Some(object)).await, Err(FaultCode::HandleGone));
    bounded(until(|| counters.released.load(SeqCst) == 1)).await;
}

#[tokio::test]
async fn an_object_that_nobody_renews_is_gone_with_its_lease_and_a_holder_that_is_a_channel_renews() {
    let lease = Duration::from_secs(1);
    let counters = Arc::new(Counters::default());
    let router = Router::default().with(Arc::new(TestPorts::new(counters.clone())));
    let leased = options().with_limits(Limits::default().with_lease(lease));
    let server = Server::tcp("127.0.0.1:0", router, leased).expect("binds");

    let channel =
        RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options()).await.expect("connects");
    let (meta, label) = (Metadata::new(RunId([1; 16]), CallId(0)), Label::default());
    let call = |method: PortMethod, text: &str| {
        Slot::<TestValue, TestValue, String>::new(method.method(), TestValue::Text(text.to_owned()))
    };
    let mut opened = call(PortMethod::Open, "ann");
    channel.call(PortMethod::Open.method().request(&meta, &label), &mut opened).await.expect("returns");
    let Some(Ok(TestValue::Object(held))) = opened.into_outcome() else { unreachable!("an object") };

    let mut peer = peer(&server).await;
    let object = ask(&mut peer, 0, PortMethod::Open, None).await.expect("returns").expect("an object");
    bounded(until(|| counters.released.load(SeqCst) == 1)).await;
    assert_eq!(ask(&mut peer, 1, PortMethod::Say, Some(object)).await, Err(FaultCode::HandleGone));

    tokio::time::sleep(lease * 2).await;
    assert_eq!(counters.released.load(SeqCst), 1, "an object went away while it was held");
    let mut said = call(PortMethod::Say, "hello");
    let request = PortMethod::Say.method().request(&meta, &label);
    held.channel().call(request, &mut said).await.expect("it is still there");
}
