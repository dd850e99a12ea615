//! A peer that says whatever a test wants.

use std::net::SocketAddr;

use bytes::Bytes;
use graft_core::{CallId, Label, Metadata, Request, RunId};
use graft_transport::conformance::{TestMethod, TestService};
use graft_transport::wire::{Frame, Hello, RequestDraft};
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
        Raw { stream: self.0.accept().await.expect("accepts").0, seen: Vec::new() }
    }
}

pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    /// Every byte that came in.
    pub(crate) seen: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(addr).await.expect("connects"), seen: Vec::new() }
    }

    /// Sends; a peer that has closed already is none of the sender's trouble.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    pub(crate) async fn hello(&mut self) {
        let mut out = Vec::new();
        Frame::Hello(Hello { max_frame: 4 << 20, max_in_flight: 1024 }).print(&mut out).expect("prints");
        self.send(&out).await;
    }

    pub(crate) async fn request(&mut self, number: u64, method: TestMethod, text: &str) {
        let (meta, label) = (Metadata::new(RunId([1; 16]), CallId(0)), Label::default());
        let method = method.method().id;
        let request = Request::new(TestService::INTERFACE, method, &meta, &label);
        let mut draft = RequestDraft::new(&request, None).expect("fits");
        draft.body().extend(postcard::to_stdvec(&text).expect("encodes"));
        let mut out = Vec::new();
        // A draft has no number of its own; a parsed frame can be given one.
        let mut session = graft_transport::session::ClientSession::new(Limits::default());
        let mut hello = Vec::new();
        Frame::Hello(Hello { max_frame: u32::MAX, max_in_flight: 9 }).print(&mut hello).expect("prints");
        session.handle(&mut bytes::BytesMut::from(&hello[..])).expect("a hello");
        session.poll_transmit(&mut out);
        out.clear();
        session.request(draft.finish().expect("fits"), ()).expect("is queued");
        session.poll_transmit(&mut out);
        out[5..13].copy_from_slice(&number.to_le_bytes());
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
        Some(Frame::parse(Bytes::from(frame), &Limits::default()).expect("what we send parses"))
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
