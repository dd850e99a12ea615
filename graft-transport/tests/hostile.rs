//! Peers that break the rules, over real sockets: each ends in a typed error, in bounded time.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::raw::{Raw, RawServer};
use common::{bounded, call, options, serve};
use futures::future::BoxFuture;
use graft_core::{Body, Fault, FaultCode, InterfaceId, Invoke, Label, Request, Router};
use graft_transport::conformance::{TestMethod, TestService};
use graft_transport::wire::GOODBYE;
use graft_transport::{CloseReason, Closed, ClosedBy, ConnectError, Limits, RemoteChannel, Server};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_server_says_why_to_every_hostile_file() {
    let (server, _) = serve(options());
    for golden in common::golden::all("hostile") {
        // Those with limits of their own are held against a session in `golden.rs`.
        if golden.head("to") != "server" || golden.find("limits").is_some() {
            continue;
        }
        let mut peer = Raw::connect(server.local_addr().expect("it is TCP")).await;
        peer.send(&golden.bytes).await;
        assert_eq!(peer.goodbye().await.as_str(), golden.head("expect"), "{}", golden.name);
    }
    let channel = RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options())
        .await
        .expect("the server lives");
    assert!(bounded(call(&channel, TestMethod::Echo, "")).await.is_ok());
}

#[tokio::test]
async fn a_channel_settles_its_calls_under_every_hostile_file() {
    for golden in common::golden::all("hostile") {
        if golden.head("to") != "client" {
            continue;
        }
        let (listener, addr) = RawServer::bind().await;
        let bytes = golden.bytes.clone();
        let peer = tokio::spawn(async move {
            let mut peer = listener.accept().await;
            peer.send(&bytes).await;
            peer.goodbye().await
        });
        let ended = match bounded(RemoteChannel::tcp(addr, options())).await {
            // The hello was in order; what came after it ends the call, whichever is first.
            Ok(channel) => {
                let fault = bounded(call(&channel, TestMethod::Echo, "")).await.expect_err("no answer");
                assert_eq!(fault.code(), FaultCode::ProtocolViolation, "{}", golden.name);
                channel.closed()
            }
            Err(ConnectError::Closed(closed)) => Some(closed),
            Err(error) => unreachable!("{error}"),
        };
        let ended = ended.expect("the connection ended");
        assert_eq!(
            (ended.by, ended.reason.as_str()),
            (ClosedBy::Us, golden.head("expect")),
            "{}",
            golden.name
        );
        assert_eq!(bounded(peer).await.expect("no panic"), ended.reason);
    }
}

#[tokio::test]
async fn a_server_of_another_version_is_named() {
    let (listener, addr) = RawServer::bind().await;
    tokio::spawn(async move {
        let mut peer = listener.accept().await;
        peer.send(b"\x07\0\0\0\0grft\x09\0").await;
        peer.goodbye().await
    });
    let Err(ConnectError::Closed(closed)) = bounded(RemoteChannel::tcp(addr, options())).await else {
        unreachable!("there is no common version")
    };
    assert_eq!(closed, Closed::by_us(CloseReason::VersionMismatch));
    assert_eq!(closed.fault_code(), FaultCode::VersionMismatch);
}

#[tokio::test]
async fn nobody_listening_is_an_error_with_its_cause() {
    let (listener, addr) = RawServer::bind().await;
    drop(listener);
    let Err(error) = bounded(RemoteChannel::tcp(addr, options())).await else {
        unreachable!("nobody is there")
    };
    assert!(matches!(error, ConnectError::Dial(_)));
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_says_hello_is_closed_in_time() {
    let (server, _) = serve(options());
    let mut peer = Raw::connect(server.local_addr().expect("it is TCP")).await;
    let began = tokio::time::Instant::now();
    // Before its first byte nobody knows what it speaks, so there is no goodbye.
    assert!(peer.frame().await.is_none());
    assert_eq!(began.elapsed().as_secs(), 10);

    let (listener, addr) = RawServer::bind().await;
    let silent = tokio::spawn(async move { listener.accept().await.goodbye().await });
    let Err(ConnectError::Closed(closed)) = RemoteChannel::tcp(addr, options()).await else {
        unreachable!("no hello came")
    };
    assert_eq!(closed.reason, CloseReason::HandshakeTimeout);
    assert_eq!(silent.await.expect("no panic"), CloseReason::HandshakeTimeout);
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_and_then_nothing_is_closed_in_time() {
    let (server, _) = serve(options());
    let mut peer = Raw::connect(server.local_addr().expect("it is TCP")).await;
    peer.hello().await;
    // 3 MiB are announced, and one byte comes each second: progress alone buys no time.
    peer.send(&[0, 0, 0x30, 0]).await;
    let began = tokio::time::Instant::now();
    let (read, mut write) = peer.stream.into_split();
    let drip = tokio::spawn(async move {
        while write.write_all(&[1]).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut read = tokio::io::AsyncReadExt::take(read, 1000);
    let mut seen = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut seen).await;
    drip.abort();
    assert!(seen.ends_with(&[2, 0, 0, 0, GOODBYE, CloseReason::FrameTimeout.number()]));
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let limits = Limits::default().with_idle_timeout(Duration::from_secs(60));
    let (server, _) = serve(options().with_limits(limits));
    let mut idle = Raw::connect(server.local_addr().expect("it is TCP")).await;
    idle.hello().await;
    assert_eq!(idle.goodbye().await, CloseReason::IdleTimeout);

    let router = Router::default().with(Arc::new(Never));
    let server = Server::tcp("127.0.0.1:0", router, options().with_limits(limits)).expect("binds");
    let mut busy = Raw::connect(server.local_addr().expect("it is TCP")).await;
    busy.hello().await;
    busy.request(0, TestMethod::Echo, "").await;
    assert!(tokio::time::timeout(Duration::from_secs(600), busy.goodbye()).await.is_err(), "it has a call");
}

/// Never answers, and asks for nothing meanwhile, so that virtual time passes.
struct Never;

impl Invoke for Never {
    fn interface(&self) -> InterfaceId {
        TestService::INTERFACE
    }

    fn invoke<'a>(&'a self, _: Request<'a>, _: Body<'a>) -> BoxFuture<'a, Result<Label, Fault>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn closing_in_mid_call_settles_every_call_and_drops_the_callee() {
    let (listener, addr) = RawServer::bind().await;
    let peer = tokio::spawn(async move {
        let mut peer = listener.accept().await;
        peer.hello().await;
        for _ in 0..3 {
            peer.frame().await;
        }
    });
    let channel = RemoteChannel::tcp(addr, options()).await.expect("connects");
    let calls = futures::future::join_all((0..2).map(|_| call(&channel, TestMethod::Echo, "x")));
    for result in bounded(calls).await {
        assert_eq!(result.expect_err("the peer is gone").code(), FaultCode::Unavailable);
    }
    bounded(peer).await.expect("no panic");
    let later = bounded(call(&channel, TestMethod::Echo, "x")).await;
    assert_eq!(later.expect_err("the peer is gone").code(), FaultCode::Unavailable);

    let (server, counters) = serve(options());
    let mut peer = Raw::connect(server.local_addr().expect("it is TCP")).await;
    peer.hello().await;
    peer.request(0, TestMethod::Hang, "").await;
    let count = |counter: &AtomicU64| counter.load(SeqCst);
    bounded(common::until(|| count(&counters.begun) == 1)).await;
    drop(peer);
    bounded(common::until(|| count(&counters.dropped) == 1)).await;
}

#[tokio::test]
async fn a_peer_that_asks_and_never_reads_is_held_to_the_buffer() {
    let limits = Limits::default().with_max_buffered(64 << 10).with_max_in_flight(8);
    let (server, counters) = serve(options().with_limits(limits));
    let mut peer = Raw::connect(server.local_addr().expect("it is TCP")).await;
    peer.hello().await;
    // The sockets take some megabytes between them; then the server stops reading, and so sending stalls.
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    let flood = tokio::spawn(async move {
        let text = "x".repeat(64 << 10);
        for number in 0.. {
            peer.request(number, TestMethod::Echo, &text).await;
            counted.store(number, SeqCst);
        }
    });
    let stalled = async {
        let mut before = (u64::MAX, 0);
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = (sent.load(SeqCst), counters.begun.load(SeqCst));
            if before == now {
                break;
            }
            before = now;
        }
    };
    bounded(stalled).await;
    assert!(counters.begun.load(SeqCst) > 0);
    flood.abort();
}

#[tokio::test]
async fn a_full_server_says_so() {
    let limits = Limits::default().with_max_connections(1);
    let (server, _) = serve(options().with_limits(limits));
    let first =
        RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options()).await.expect("connects");
    // The greeting comes with the refusal, so connecting may succeed before it is seen.
    let reason = match RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options()).await {
        Ok(second) => {
            bounded(common::until(|| second.closed().is_some())).await;
            second.closed()
        }
        Err(ConnectError::Closed(closed)) => Some(closed),
        Err(error) => unreachable!("{error}"),
    };
    assert_eq!(reason, Some(Closed::by_peer(CloseReason::TooManyConnections)));
    drop(first);
    let freed = async {
        loop {
            let Ok(channel) = RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options()).await
            else {
                continue;
            };
            if call(&channel, TestMethod::Echo, "").await.is_ok() {
                break;
            }
        }
    };
    bounded(freed).await;
}
