//! What a stranger is told, and a server that goes out of service.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join;
use graft_core::{
    Admit, Admitted, Channel, FaultCode, HandleId, InterfaceId, Label, Name, Refused, Request, Router,
};
use graft_transport::wire::{Encoded, FaultFrame, Frame, Port, RequestFrame};
use graft_transport::{RemoteChannel, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::common::raw::HELLO;
use crate::common::{bounded, options, until};
use crate::raw::{Raw, request};
use crate::support::{INTERFACE, METHODS, Service, connected, serve, text};

struct Nobody;

impl Admit for Nobody {
    fn admit(&self, _: &Request<'_>) -> Result<Admitted, Refused> {
        Err(Refused::Unauthenticated { authenticator: Name::from_static("nobody"), proof: None })
    }
}

/// Every request that a stranger could think of.
fn requests() -> Vec<RequestFrame> {
    let mut requests = Vec::new();
    for name in METHODS.into_iter().chain(["nothing of ours"]) {
        for handle in [None, Some(HandleId(1))] {
            for ports in [vec![], vec![Port::Items(1)], vec![Port::Object(HandleId(1))]] {
                for body in [Bytes::new(), Bytes::from_static(b"\x04text")] {
                    let Frame::Request(frame) = request(0, name, handle) else { unreachable!("a request") };
                    let meta = frame.meta.clone();
                    requests.push(RequestFrame { ports: ports.clone(), body: Encoded(body), meta, ..frame });
                }
            }
        }
    }
    requests
}

/// Every frame that is no request and no hello, with numbers of nothing.
fn others() -> Vec<Frame> {
    let Frame::Request(sample) = request(0, "echo", None) else { unreachable!("a request") };
    let trace = sample.meta.trace.trace;
    let handle = HandleId(1);
    vec![
        Frame::Bind { index: 0, interface: INTERFACE },
        Frame::Bind { index: 0, interface: InterfaceId([8; 32]) },
        Frame::Bound { index: 0, is_hosted: true },
        Frame::Reply(graft_transport::wire::ReplyFrame {
            number: 0,
            kind: graft_core::ReplyKind::Ok,
            label: Label::default(),
            ports: vec![],
            body: Encoded(Bytes::new()),
        }),
        Frame::Fault(FaultFrame { number: 0, code: 1, trace }),
        Frame::Cancel { number: 0 },
        Frame::Item { stream: 1, body: Encoded(Bytes::new()) },
        Frame::End { stream: 1, code: 0 },
        Frame::Credit { stream: 0, bytes: 1 },
        Frame::Stop { stream: 1 },
        Frame::Release { handle },
        Frame::Renew { handle },
        Frame::Healthy { is_ok: true },
        Frame::Drain,
    ]
}

/// What frames are answered with, and what health says afterwards unless the connection ended.
async fn answers(peer: &mut Raw, frames: &[Frame]) -> (Vec<Frame>, Option<bool>) {
    peer.say(frames).await;
    let (mut answers, mut healthy) = (Vec::new(), None);
    // Health is answered before calls are begun, so it takes a second question to know that all was said.
    for _ in 0..2 {
        peer.say(&[Frame::Health]).await;
        healthy = loop {
            match bounded(peer.frame()).await {
                Some(Frame::Healthy { is_ok }) => break Some(is_ok),
                Some(Frame::Hello(_)) => {}
                Some(frame) => answers.push(frame),
                None => return (answers, None),
            }
        };
    }
    (answers, healthy)
}

#[tokio::test]
async fn a_stranger_is_told_of_health_and_of_nothing_else() {
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let service = Service::of(move |_, text, _| {
        counted.fetch_add(1, SeqCst);
        async { Ok((text, vec![])) }
    });
    let (server, dialler) = serve(service, options().with_admit(Arc::new(Nobody)), 64 << 10);
    let mut peer = Raw::over(&dialler).await;
    let bind = Frame::Bind { index: 0, interface: INTERFACE };
    assert!(matches!(answers(&mut peer, &[bind]).await, (none, Some(true)) if none.is_empty()));
    // The numbers of streams rise, as those of calls do; objects are handed over again and again.
    for (number, mut request) in requests().into_iter().enumerate() {
        request.number = number as u64;
        for port in &mut request.ports {
            if let Port::Items(stream) = port {
                *stream = number as u64 + 1;
            }
        }
        let trace = request.meta.trace.trace;
        let (mut said, healthy) = answers(&mut peer, &[Frame::Request(request)]).await;
        // What came with the call is sent back unused.
        said.retain(|frame| !matches!(frame, Frame::Stop { .. } | Frame::Release { .. }));
        let refused = FaultFrame { number: number as u64, code: FaultCode::Unauthenticated.number(), trace };
        assert!(matches!(&said[..], [Frame::Fault(fault)] if *fault == refused), "{said:?}");
        assert_eq!(healthy, Some(true));
    }
    for frame in others() {
        let mut peer = Raw::over(&dialler).await;
        let (said, healthy) = answers(&mut peer, std::slice::from_ref(&frame)).await;
        match &said[..] {
            [] => assert_eq!(healthy, Some(true), "{frame:?}"),
            [Frame::Goodbye { .. }] => assert_eq!(healthy, None, "{frame:?}"),
            _ => unreachable!("{frame:?} is answered with {said:?}"),
        }
    }
    // Health before a hello is not of this protocol, and a second hello ends the connection.
    let mut early = Raw::of(dialler.pipe().expect("is there"));
    assert!(
        matches!(answers(&mut early, &[]).await, (said, None) if matches!(said[..], [Frame::Goodbye { .. }]))
    );
    let mut twice = Raw::over(&dialler).await;
    assert!(answers(&mut twice, &[Frame::Hello(HELLO)]).await.1.is_none());
    assert_eq!(begun.load(SeqCst), 0);
    server.set_ready(false);
    assert_eq!(answers(&mut peer, &[]).await.1, Some(false));
    server.set_ready(true);
    assert_eq!(answers(&mut peer, &[]).await.1, Some(true));
}

/// What HTTP is answered: status line and body.
async fn http(addr: std::net::SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).await.expect("connects");
    let asked = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(asked.as_bytes()).await.expect("is there");
    let mut answer = String::new();
    let _ = bounded(stream.read_to_string(&mut answer)).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    (head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status"), body.to_owned())
}

#[tokio::test]
async fn over_http_too_there_is_health_and_nothing_else() {
    let service = Service::of(|name, text, _| async move {
        if name == "late" {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok((text, vec![]))
    });
    let router = Router::default().with(service);
    let server = Server::tcp("127.0.0.1:0", router, options().with_admit(Arc::new(Nobody))).expect("binds");
    let addr = server.local_addr().expect("it is TCP");
    let health = "/v1/health";
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        for path in
            ["/", health, "/v1/call", "/v1/graft", "/v1/methods", "/openapi.json", "/v1/health/x", "*"]
        {
            let (status, body) = http(addr, method, path).await;
            match (method, path) {
                ("GET", "/v1/health") => assert_eq!((status, &body[..]), (200, "ok")),
                _ => assert!(
                    (400..500).contains(&status) && body.is_empty(),
                    "{method} {path}: {status} {body}"
                ),
            }
        }
    }
    server.set_ready(false);
    assert_eq!(http(addr, "GET", health).await, (503, "not ok".to_owned()));
}

#[tokio::test]
async fn a_drain_lets_what_runs_finish_and_takes_nothing_new() {
    let service = Service::of(|name, text, _| async move {
        if name == "late" {
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        Ok((text, vec![]))
    });
    let server = Server::tcp("127.0.0.1:0", Router::default().with(service), options()).expect("binds");
    let addr = server.local_addr().expect("it is TCP");
    let channel = RemoteChannel::tcp(addr, options()).await.expect("connects");
    assert_eq!(bounded(channel.health()).await, Ok(true));
    let late = text(&channel, "late", "done");
    let drain = server.drain(Duration::from_secs(20));
    let meanwhile = async {
        until(|| channel.is_ending()).await;
        assert_eq!(channel.health().await, Ok(false));
        assert_eq!(text(&channel, "echo", "").await, Err(FaultCode::Unavailable));
        assert!(RemoteChannel::tcp(addr, options()).await.is_err());
        assert!(channel.closed().is_none(), "one call still runs");
    };
    let began = Instant::now();
    let late = async {
        // It is on its way before the drain begins.
        let mut late = std::pin::pin!(late);
        assert!(futures::poll!(&mut late).is_pending());
        tokio::time::sleep(Duration::from_millis(100)).await;
        join(
            late,
            join(
                async {
                    drain.await;
                    began.elapsed()
                },
                meanwhile,
            ),
        )
        .await
    };
    let (late, (took, ())) = bounded(late).await;
    assert_eq!(late.as_deref(), Ok("done"));
    assert!(took < Duration::from_secs(10), "{took:?}: it waits for the call and not for the time it has");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_drain_ends_the_rest() {
    let service = Service::of(|_, _, _| std::future::pending());
    let (server, channel) = connected(service, options()).await;
    let began = Instant::now();
    let drain = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.drain(Duration::from_secs(3)).await;
    };
    let (outcome, ()) = bounded(join(text(&channel, "hang", ""), drain)).await;
    assert_eq!((outcome, began.elapsed().as_secs()), (Err(FaultCode::Unavailable), 4));
}
