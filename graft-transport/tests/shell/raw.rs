//! A peer on a pipe that says whatever a test wants.

use bytes::Bytes;
use graft_core::{CallId, HandleId, Label, Metadata, RunId};
use graft_transport::Limits;
use graft_transport::wire::{Encoded, Frame, RequestFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::common::raw::HELLO;
use crate::support::{Dialler, INTERFACE, method};

pub(crate) struct Raw {
    pub(crate) stream: DuplexStream,
    is_bound: bool,
}

impl Raw {
    /// Connects and says hello.
    pub(crate) async fn over(dialler: &Dialler) -> Self {
        let mut raw = Self::of(dialler.pipe().expect("there is a listener"));
        raw.say(&[Frame::Hello(HELLO)]).await;
        raw
    }

    pub(crate) fn of(stream: DuplexStream) -> Self {
        Self { stream, is_bound: false }
    }

    pub(crate) async fn say(&mut self, frames: &[Frame]) {
        let mut out = Vec::new();
        for frame in frames {
            frame.print(&mut out).expect("prints");
        }
        // A peer that has closed already is none of the sender's trouble.
        let _ = self.stream.write_all(&out).await;
    }

    pub(crate) async fn call(&mut self, number: u64, name: &str, handle: Option<HandleId>) {
        let request = request(number, name, handle);
        if std::mem::replace(&mut self.is_bound, true) {
            self.say(&[request]).await;
        } else {
            self.say(&[Frame::Bind { index: 0, interface: INTERFACE }, request]).await;
        }
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await.ok()?;
        let mut frame = vec![0; u32::from_le_bytes(length) as usize];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(Frame::parse(Bytes::from(frame), &Limits::default()).expect("what we send parses"))
    }
}

pub(crate) fn request(number: u64, name: &str, handle: Option<HandleId>) -> Frame {
    Frame::Request(RequestFrame {
        number,
        interface: 0,
        method: method(name),
        handle,
        is_idempotent: false,
        meta: Metadata::new(RunId([1; 16]), CallId(0)),
        remaining: None,
        label: Label::default(),
        ports: Vec::new(),
        body: Encoded(postcard::to_stdvec("text").expect("encodes").into()),
    })
}
