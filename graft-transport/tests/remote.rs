//! What TCP adds to the conformance suite: time, secrets on the wire, many calls, limits, shutdown.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::raw::{Raw, RawServer};
use common::{bounded, call, call_within, options, serve};
use graft_core::{
    Action, CallId, Channel, Clearance, FaultCode, Label, MemoryRecorder, Metadata, Name, RecordError,
    Recorder, Request, Router, RunId, Sensitivity, Seq, Slot,
};
use graft_transport::conformance::{TestMethod, TestService};
use graft_transport::net::BindError;
use graft_transport::wire::Frame;
use graft_transport::{Limits, RemoteChannel, Server};

const WHY: Name = Name::from_static("own-loopback");
const WHO: Name = Name::from_static("test");

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn no_byte_of_a_secret_reply_reaches_the_socket() {
    let (server, _) = serve(options());
    let mut peer = Raw::connect(server.local_addr().expect("it is TCP")).await;
    peer.hello().await;
    peer.request(0, TestMethod::Secret, "").await;
    peer.request(1, TestMethod::Echo, "not a secret").await;
    bounded(peer.answer()).await;
    bounded(peer.answer()).await;
    assert!(contains(&peer.seen, "not a secret"));
    assert!(!contains(&peer.seen, &TestService::SECRET[..8]));

    // The same call over a raised server does cross, so the search above can find it.
    let log = MemoryRecorder::default();
    let (server, _) = serve(options().danger_raise_clearance(WHY, WHO, &log).expect("records"));
    let mut peer = Raw::connect(server.local_addr().expect("it is TCP")).await;
    peer.hello().await;
    peer.request(0, TestMethod::Secret, "").await;
    bounded(peer.answer()).await;
    assert!(contains(&peer.seen, TestService::SECRET));
}

#[tokio::test]
async fn no_byte_of_secret_arguments_reaches_the_socket() {
    let (listener, addr) = RawServer::bind().await;
    let peer = tokio::spawn(async move {
        let mut peer = listener.accept().await;
        peer.hello().await;
        peer.goodbye().await;
        peer.seen
    });
    let channel = RemoteChannel::tcp(addr, options()).await.expect("connects");
    let (meta, method) = (Metadata::new(RunId([1; 16]), CallId(0)), TestMethod::Echo.method());
    let label = Label::default().with_sensitivity(Sensitivity::Secret);
    let mut slot = Slot::<String, String, String>::new(method, TestService::SECRET.to_owned());
    let request = Request::new(TestService::INTERFACE, method.id, &meta, &label);
    let fault = bounded(channel.call(request, &mut slot)).await.expect_err("the channel is not cleared");
    assert_eq!(fault.code(), FaultCode::ClearanceExceeded);
    drop(channel);
    let seen = bounded(peer).await.expect("no panic");
    assert_eq!(seen.len(), 35 + 6, "hello and goodbye, nothing else");
}

#[test]
fn raising_the_clearance_writes_one_record_or_fails() {
    let log = MemoryRecorder::default();
    let raised = options().danger_raise_clearance(WHY, WHO, &log).expect("records");
    assert_eq!(raised.clearance(), Clearance::DANGER_SECRET);
    let [event] = &log.events()[..] else { unreachable!("one record") };
    assert_eq!(
        (event.action, &event.actor, event.code.as_ref()),
        (Action::ClearanceRaised, &WHO, Some(&WHY))
    );

    struct Broken;
    impl Recorder for Broken {
        fn record(&self, _: &graft_core::Event) -> Result<Seq, RecordError> {
            Err(RecordError)
        }
    }
    assert!(options().danger_raise_clearance(WHY, WHO, &Broken).is_err());
}

#[tokio::test(start_paused = true)]
async fn both_ends_keep_the_deadline() {
    // A peer that never answers: the caller's own timer ends the call, and a cancel goes out.
    let (listener, addr) = RawServer::bind().await;
    let peer = tokio::spawn(async move {
        let mut peer = listener.accept().await;
        peer.hello().await;
        let mut frames = Vec::new();
        while let Some(frame) = peer.frame().await {
            if !matches!(frame, Frame::Health) {
                frames.push(frame);
            }
        }
        frames
    });
    let channel = RemoteChannel::tcp(addr, options()).await.expect("connects");
    let began = tokio::time::Instant::now();
    let minute = Duration::from_secs(60);
    let fault = call_within(&channel, TestMethod::Echo, "", Some(minute)).await.expect_err("no answer comes");
    assert_eq!(fault.code(), FaultCode::DeadlineExceeded);
    assert_eq!(began.elapsed().as_secs(), 60);
    drop(channel);
    let frames = peer.await.expect("no panic");
    let [
        Frame::Hello(_),
        Frame::Bind { .. },
        Frame::Request(request),
        Frame::Cancel { number: 0 },
        Frame::Goodbye { reason: 0 },
    ] = &frames[..]
    else {
        unreachable!("{frames:?}")
    };
    let remaining = request.remaining.expect("the remaining time travels");
    assert!(remaining <= minute && remaining > minute - Duration::from_secs(1));
}

#[tokio::test]
async fn the_callee_keeps_the_deadline_of_a_caller_that_does_not() {
    let (server, counters) = serve(options());
    let mut peer = Raw::connect(server.local_addr().expect("it is TCP")).await;
    peer.hello().await;
    let mut out = Vec::new();
    Frame::Bind { index: 0, interface: TestService::INTERFACE }.print(&mut out).expect("prints");
    let mut meta = Metadata::new(RunId([1; 16]), CallId(0));
    meta.trace.trace = graft_core::TraceId([9; 16]);
    Frame::Request(graft_transport::wire::RequestFrame {
        number: 3,
        interface: 0,
        handle: None,
        is_idempotent: false,
        ports: Vec::new(),
        method: TestMethod::Hang.method().id,
        meta,
        remaining: Some(Duration::from_millis(30)),
        label: Label::default(),
        body: graft_transport::wire::Encoded(bytes::Bytes::from_static(&[0])),
    })
    .print(&mut out)
    .expect("prints");
    peer.send(&out).await;
    let fault = loop {
        if let Frame::Fault(fault) = bounded(peer.frame()).await.expect("open") {
            break fault;
        }
    };
    assert_eq!((fault.number, fault.fault_code()), (3, FaultCode::DeadlineExceeded));
    assert_eq!(fault.trace.0, [9; 16]);
    assert_eq!(counters.dropped.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_a_connection_and_each_gets_its_own_answer() {
    let (server, _) = serve(options());
    let channel = Arc::new(
        RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options()).await.expect("connects"),
    );
    let callers = (0..64).map(|caller| {
        let channel = channel.clone();
        tokio::spawn(async move {
            for n in 0..100 {
                let text = format!("{caller}-{n}").repeat(1 + n * 7);
                assert_eq!(call(&*channel, TestMethod::Echo, &text).await.as_deref(), Ok(&text[..]));
            }
        })
    });
    for caller in bounded(futures::future::join_all(callers)).await {
        caller.expect("no panic");
    }
}

#[tokio::test]
async fn a_call_over_a_limit_ends_alone() {
    let limits = Limits::default().with_max_frame(10_000).with_max_in_flight(2);
    let (server, _) = serve(options().with_limits(limits));
    let channel =
        RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options()).await.expect("connects");
    let large = "x".repeat(20_000);
    let fault = bounded(call(&channel, TestMethod::Echo, &large)).await.expect_err("too long");
    assert_eq!(fault.code(), FaultCode::LimitExceeded);
    {
        let calls = futures::future::join_all((0..3).map(|_| call(&channel, TestMethod::Hang, "")));
        futures::pin_mut!(calls);
        let one =
            futures::future::select(calls, Box::pin(tokio::time::sleep(Duration::from_millis(50)))).await;
        assert!(matches!(one, futures::future::Either::Right(_)), "the two within the limit go on");
        let fault = bounded(call(&channel, TestMethod::Echo, "")).await.expect_err("two are in flight");
        assert_eq!(fault.code(), FaultCode::LimitExceeded);
    }
    let again = async {
        while call(&channel, TestMethod::Echo, "").await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    bounded(again).await;
}

#[tokio::test]
async fn calls_wait_for_room_and_all_get_through() {
    let limits = Limits::default().with_max_buffered(1000);
    let (server, _) = serve(options().with_limits(limits));
    let options = options().with_limits(limits);
    let channel =
        RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options).await.expect("connects");
    let text = "x".repeat(100_000);
    let calls = futures::future::join_all((0..200).map(|_| call(&channel, TestMethod::Echo, &text)));
    for result in bounded(calls).await {
        assert_eq!(result.map(|text| text.len()), Ok(100_000));
    }
}

#[tokio::test]
async fn a_call_that_waits_for_room_has_sent_nothing() {
    const CALLS: usize = 60;
    let (listener, addr) = RawServer::bind().await;
    let (go, gone) = tokio::sync::oneshot::channel();
    let peer = tokio::spawn(async move {
        let mut peer = listener.accept().await;
        peer.hello().await;
        gone.await.expect("is told");
        let mut requests = 0;
        while let Some(frame) = peer.frame().await {
            requests += usize::from(matches!(frame, Frame::Request(_)));
        }
        requests
    });
    let limits = Limits::default().with_max_buffered(1000);
    let channel = RemoteChannel::tcp(addr, options().with_limits(limits)).await.expect("connects");
    let text = "x".repeat(1 << 20);
    {
        let calls = futures::future::join_all((0..CALLS).map(|_| call(&channel, TestMethod::Echo, &text)));
        assert!(tokio::time::timeout(Duration::from_millis(500), calls).await.is_err(), "nobody answers");
    }
    go.send(()).expect("is there");
    drop(channel);
    let requests = bounded(peer).await.expect("no panic");
    assert!(
        (1..CALLS / 2).contains(&requests),
        "{requests} requests were queued for a peer that reads nothing"
    );
}

#[tokio::test]
async fn shutting_down_settles_calls_and_frees_the_address() {
    let (server, counters) = serve(options());
    let addr = server.local_addr().expect("it is TCP");
    let channel = RemoteChannel::tcp(addr, options()).await.expect("connects");
    let hang = call(&channel, TestMethod::Hang, "");
    let stop = async {
        common::until(|| counters.begun.load(SeqCst) == 1).await;
        server.shutdown().await;
    };
    let (fault, ()) = bounded(futures::future::join(hang, stop)).await;
    assert_eq!(fault.expect_err("the server is gone").code(), FaultCode::Unavailable);
    assert_eq!(counters.dropped.load(SeqCst), 1);
    assert!(RemoteChannel::tcp(addr, options()).await.is_err());
    Server::tcp(addr, Router::default(), options()).expect("the address is free again");
}

#[tokio::test]
async fn dropping_the_server_settles_calls() {
    let (server, counters) = serve(options());
    let channel =
        RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options()).await.expect("connects");
    let hang = call(&channel, TestMethod::Hang, "");
    let stop = async {
        common::until(|| counters.begun.load(SeqCst) == 1).await;
        drop(server);
    };
    let (fault, ()) = bounded(futures::future::join(hang, stop)).await;
    assert_eq!(fault.expect_err("the server is gone").code(), FaultCode::Unavailable);
    bounded(common::until(|| counters.dropped.load(SeqCst) == 1)).await;
}

#[test]
fn calls_of_another_runtime_settle_when_the_runtime_of_the_channel_ends() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let (serving, calling) = (runtime().expect("builds"), runtime().expect("builds"));
    let (server, _) = serving.block_on(async { serve(options()) });
    let addr = server.local_addr().expect("it is TCP");
    let channel = calling.block_on(RemoteChannel::tcp(addr, options())).expect("connects");
    calling.shutdown_timeout(Duration::from_secs(5));
    let fault = futures::executor::block_on(call(&channel, TestMethod::Echo, "")).expect_err("nobody pumps");
    assert_eq!(fault.code(), FaultCode::Unavailable);
}

#[test]
fn binding_without_a_runtime_or_twice_is_a_typed_error() {
    assert!(matches!(Server::tcp("127.0.0.1:0", Router::default(), options()), Err(BindError::NoRuntime)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("builds");
    runtime.block_on(async {
        let (server, _) = serve(options());
        let again = Server::tcp(server.local_addr().expect("it is TCP"), Router::default(), options());
        assert!(matches!(again, Err(BindError::Address(_))));
    });
}
