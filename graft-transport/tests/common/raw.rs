//! A peer that says whatever a test wants.

use std::net::SocketAddr;

use bytes::Bytes;
use graft_core::{CallId, Label, Metadata, RunId};
use graft_transport::conformance::{TestMethod, TestService};
use graft_transport::wire::{Encoded, Frame, Hello, RequestFrame};
use graft_transport::{CloseReason, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct RawServer(TcpListener);

impl RawServer {
    pub(crate) async fn bind() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let addr = listener.local_addr().expect("has an address");
        (Self(listener), addr)
    }

    pub(crate) async fn accept(&self) -> Raw {
        Raw { stream: self.0.accept().await.expect("accepts").0, seen: Vec::new(), is_bound: false }
    }
}

pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    /// Every byte that came in.
    pub(crate) seen: Vec<u8>,
    is_bound: bool,
}

pub(crate) const HELLO: Hello = Hello {
    max_frame: 4 << 20,
    max_calls: 1024,
    max_streams: 256,
    stream_window: 256 << 10,
    window: 4 << 20,
    lease: 60_000,
};

impl Raw {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(addr).await.expect("connects"), seen: Vec::new(), is_bound: false }
    }

    /// Sends; a peer that has closed already is none of the sender's trouble.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    pub(crate) async fn hello(&mut self) {
        let mut out = Vec::new();
        Frame::Hello(HELLO).print(&mut out).expect("prints");
        self.send(&out).await;
    }

    pub(crate) async fn request(&mut self, number: u64, method: TestMethod, text: &str) {
        let (meta, label) = (Metadata::new(RunId([1; 16]), CallId(0)), Label::default());
        let method = method.method().id;
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.is_bound, true) {
            Frame::Bind { index: 0, interface: TestService::INTERFACE }.print(&mut out).expect("prints");
        }
        let frame = RequestFrame {
            number,
            interface: 0,
            method,
            handle: None,
            is_idempotent: false,
            meta,
            remaining: None,
            label,
            ports: Vec::new(),
            body: Encoded(postcard::to_stdvec(&text).expect("encodes").into()),
        };
        Frame::Request(frame).print(&mut out).expect("prints");
        self.send(&out).await;
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await.ok()?;
        let mut frame = vec![0; u32::from_le_bytes(length) as usize];
        self.stream.read_exact(&mut frame).await.ok()?;
        self.seen.extend_from_slice(&length);
        self.seen.extend_from_slice(&frame);
        let frame = Frame::parse(Bytes::from(frame), &Limits::default()).expect("what we send parses");
        if matches!(frame, Frame::Health) {
            let mut out = Vec::new();
            Frame::Healthy { is_ok: true }.print(&mut out).expect("prints");
            self.send(&out).await;
        }
        Some(frame)
    }

    /// The number of the call that the next answer is for.
    pub(crate) async fn answer(&mut self) -> u64 {
        loop {
            match self.frame().await.expect("the connection is open") {
                Frame::Reply(reply) => break reply.number,
                Frame::Fault(fault) => break fault.number,
                _ => {}
            }
        }
    }

    /// The reason in the goodbye, after which the stream ends.
    pub(crate) async fn goodbye(&mut self) -> CloseReason {
        let mut reason = None;
        while let Some(frame) = self.frame().await {
            assert!(reason.is_none(), "nothing follows a goodbye");
            if let Frame::Goodbye { reason: number } = frame {
                reason = Some(CloseReason::from_number(number));
                let _ = self.stream.shutdown().await;
            }
        }
        reason.expect("the connection ends in a goodbye")
    }
}
