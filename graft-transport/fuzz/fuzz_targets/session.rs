//! Frames and junk from a hostile peer, in any pieces, between what a host does and as time passes: nothing
//! panics, and what the peer makes this side hold stays within its limits.
#![no_main]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use graft_core::port::Outgoing;
use graft_core::{
    CallId, FaultCode, HandleId, InterfaceId, Label, Metadata, MethodId, ReplyKind, Request, RunId, TraceId,
};
use graft_transport::session::{Answer, Event, Role, Room, Session, Taken, Transmit};
use graft_transport::wire::{
    Encoded, FaultFrame, Frame, Hello, Port, ReplyFrame, RequestFrame, RequestHead, item_cost,
};
use graft_transport::{ClosedBy, Limits};
use libfuzzer_sys::fuzz_target;

const CALLS: u32 = 4;
const ARGUMENTS: usize = 256;
const STREAMS: u32 = 3;
const WINDOW: u32 = 512;
const STREAM_WINDOW: u32 = 200;

fn limits() -> Limits {
    Limits::default()
        .with_max_frame(1024)
        .with_max_in_flight(CALLS)
        .with_max_arguments(ARGUMENTS)
        .with_max_metadata(128)
        .with_max_buffered(4096)
        .with_max_streams(STREAMS)
        .with_stream_window(STREAM_WINDOW)
        .with_window(WINDOW)
        .with_max_handles(3)
        .with_max_request_rate(100)
        .with_max_cancel_rate(20)
        .with_lease(Duration::from_secs(3))
}

/// What the fuzzer says is done next. At its end everything is 0.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        match self.byte() {
            255 => u64::MAX,
            byte => u64::from(byte),
        }
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }

    fn body(&mut self) -> Encoded {
        Encoded(Bytes::copy_from_slice(self.bytes()))
    }

    fn ports(&mut self) -> Vec<Port> {
        let port = |script: &mut Self| match script.byte() % 2 {
            0 => Port::Items(script.number()),
            _ => Port::Object(HandleId(script.number())),
        };
        (0..self.byte() % 5).map(|_| port(self)).collect()
    }

    /// A frame that has its form, whatever it means.
    fn frame(&mut self) -> Frame {
        match self.byte() % 17 {
            0 => Frame::Bind { index: self.byte().into(), interface: InterfaceId([self.byte(); 32]) },
            1 => Frame::Bound { index: self.byte().into(), is_hosted: self.byte() % 2 == 0 },
            2..=4 => Frame::Request(RequestFrame {
                number: self.number(),
                interface: (self.byte() % 4).into(),
                method: MethodId([1; 8]),
                handle: (self.byte() % 2 == 1).then(|| HandleId(self.number())),
                is_idempotent: false,
                meta: Metadata::new(RunId([1; 16]), CallId(1)),
                remaining: (self.byte() % 2 == 1).then(|| Duration::from_millis(self.number())),
                label: Label::default(),
                ports: self.ports(),
                body: self.body(),
            }),
            5 => Frame::Reply(ReplyFrame {
                number: self.number(),
                kind: ReplyKind::Ok,
                label: Label::default(),
                ports: self.ports(),
                body: self.body(),
            }),
            6 => {
                Frame::Fault(FaultFrame { number: self.number(), code: self.byte(), trace: TraceId([0; 16]) })
            }
            7 => Frame::Cancel { number: self.number() },
            8 => Frame::Item { stream: self.number(), body: self.body() },
            9 => Frame::End { stream: self.number(), code: self.byte() },
            10 => Frame::Credit { stream: self.number(), bytes: self.byte().into() },
            11 => Frame::Stop { stream: self.number() },
            12 => Frame::Release { handle: HandleId(self.number()) },
            13 => Frame::Renew { handle: HandleId(self.number()) },
            14 => Frame::Health,
            15 => Frame::Healthy { is_ok: true },
            _ => Frame::Drain,
        }
    }
}

/// A host that takes note of what it was given.
struct Host {
    session: Session<u64, u64>,
    now: Duration,
    input: BytesMut,
    sent: Transmit,
    /// Calls that came with the bytes of their arguments.
    came: Vec<(u64, usize)>,
    /// Streams that came.
    streams: Vec<u64>,
    is_over: bool,
}

impl Host {
    fn new(role: Role) -> Self {
        let now = Duration::ZERO;
        let session = Session::new(role, limits(), now);
        let (came, streams) = (Vec::new(), Vec::new());
        let mut host = Self {
            session,
            now,
            input: BytesMut::new(),
            sent: Transmit::default(),
            came,
            streams,
            is_over: false,
        };
        let hello = Hello {
            max_frame: 512,
            max_calls: 3,
            max_streams: 2,
            stream_window: 100,
            window: 150,
            lease: 2000,
        };
        host.hear_frame(&Frame::Hello(hello));
        assert!(host.session.is_open());
        host
    }

    fn hear_frame(&mut self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.print(&mut bytes).expect("is short");
        self.hear(&bytes);
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.fetch();
        let left = self.input.len();
        self.input.extend_from_slice(bytes);
        self.session.handle(self.now, &mut self.input);
        let heard = left + bytes.len();
        assert!(self.input.len() < 1028 || self.is_over || self.session.closed().is_some());
        // A frame has 5 bytes or more and means one thing; the end cancels the calls.
        let events = self.events();
        assert!(events <= heard / 5 + 1 + CALLS as usize, "{events} events of {heard} bytes");
        // What is said of itself: a fault for a call, a stop or release for a port, a credit, a goodbye.
        let said = self.fetch();
        assert!(said <= 4 * heard + 64, "{said} bytes said to {heard}");
        self.check();
    }

    fn events(&mut self) -> usize {
        let mut count = 0;
        while let Some(event) = self.session.poll_event() {
            assert!(!self.is_over, "nothing comes after the end");
            count += 1;
            match event {
                Event::Request(request) => {
                    self.note(&request.frame.ports);
                    self.came.push((request.frame.number, request.frame.body.len()));
                    // It comes back if a cancel came with the request.
                    let _ = self.session.attach(request.frame.number, 1);
                }
                Event::Answer(_, Answer::Reply { ports, .. }) => self.note(&ports),
                Event::Closed(_) => self.is_over = true,
                _ => {}
            }
        }
        count
    }

    fn note(&mut self, ports: &[Port]) {
        self.streams.extend(ports.iter().filter_map(|port| match port {
            Port::Items(stream) => Some(*stream),
            Port::Object(_) => None,
        }));
    }

    /// Throws away what was said; how much it was.
    fn fetch(&mut self) -> usize {
        self.session.poll_transmit(&mut self.sent);
        let len = self.sent.len();
        self.sent.advance(len);
        len
    }

    fn check(&mut self) {
        let session = &self.session;
        assert!(session.serving() <= CALLS as usize && session.in_flight() <= CALLS as usize);
        self.came.retain(|(number, _)| session.is_serving(*number));
        assert!(self.came.iter().map(|(_, bytes)| bytes).sum::<usize>() <= ARGUMENTS);
        if session.closed().is_some() {
            // Streams stay for what came in before.
            assert!(session.in_flight() + session.serving() == 0 && session.poll_timeout().is_none());
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        for _ in 0..64 {
            self.session.handle_timeout(self.now);
            self.events();
            if self.session.poll_timeout().is_none_or(|at| at > self.now) {
                return self.check();
            }
        }
        panic!("what is due stays due");
    }

    fn act(&mut self, script: &mut Script) {
        let number = script.number();
        match script.byte() % 16 {
            0 | 1 => {
                let mut ports = Vec::new();
                if script.byte() % 2 == 1 {
                    ports.push(Port::Items(self.session.produce()));
                }
                if script.byte() % 2 == 1 && self.session.host(self.now, HandleId(number)).is_ok() {
                    ports.push(Port::Object(HandleId(number)));
                }
                let (meta, label) = (Metadata::new(RunId([1; 16]), CallId(1)), Label::default());
                let request = Request::new(InterfaceId([2; 32]), MethodId([3; 8]), &meta, &label);
                let remaining = (script.byte() % 2 == 1).then(|| Duration::from_millis(script.number()));
                let head = RequestHead { request: &request, remaining };
                let mut args = Outgoing::default();
                args.encode(&script.bytes()).expect("bytes can be encoded");
                if self.session.request(self.now, head, &mut args, &ports, number).is_err() {
                    self.take_back(&ports);
                }
            }
            2 => self.session.cancel(number),
            3 => {
                let ports = [Port::Items(self.session.produce())];
                let mut reply = Outgoing::default();
                reply.encode(&script.bytes()).expect("bytes can be encoded");
                if !self.session.reply(number, ReplyKind::Ok, &Label::default(), &mut reply, &ports) {
                    self.take_back(&ports);
                }
            }
            4 => drop(self.session.fault(number, FaultCode::NotFound)),
            5 => {
                let item = Bytes::copy_from_slice(script.bytes());
                if self.session.room(number, item.len()) == Room::Now {
                    let _ = self.session.send(number, &item);
                }
            }
            6 => self.session.finish(number, None),
            7 | 8 => drop(self.session.take(number)),
            9 => self.session.stop(number),
            10 => self.session.release(HandleId(number)),
            11 => self.session.renew(HandleId(number)),
            12 => self.session.drain(),
            13 => self.session.ask_health(),
            14 => self.session.answer_health(true),
            _ => self.session.writing(self.now, number % 2 == 1),
        }
        self.events();
        self.check();
    }

    fn take_back(&mut self, ports: &[Port]) {
        for port in ports {
            match port {
                Port::Items(stream) => self.session.unproduce(*stream),
                Port::Object(handle) => self.session.unhost(*handle),
            }
        }
    }

    /// Looks at what is held of streams, and ends it.
    fn end(mut self) {
        let (mut open, mut held) = (0, 0);
        for stream in std::mem::take(&mut self.streams) {
            let mut own = 0;
            let is_open = loop {
                match self.session.take(stream) {
                    Taken::Item(item) => own += item_cost(item.len(), STREAM_WINDOW),
                    Taken::Nothing => break true,
                    Taken::End(Some(FaultCode::Cancelled)) => break own > 0,
                    Taken::End(_) => break true,
                }
            };
            assert!(own <= STREAM_WINDOW + STREAM_WINDOW / 2, "{own} bytes wait in one stream");
            open += u32::from(is_open);
            held += own;
        }
        assert!(open <= STREAMS, "{open} streams are read");
        assert!(held <= WINDOW + WINDOW / 2, "{held} bytes wait in all streams");
        self.fetch();
        let closed = self.session.close(graft_transport::Closed::by_us(graft_transport::CloseReason::Done));
        self.events();
        assert!(self.is_over && self.session.closed() == Some(closed));
        self.check();
        let said = self.fetch();
        assert!(closed.by == ClosedBy::Us || said == 0);
    }
}

fuzz_target!(|data: &[u8]| {
    for role in [Role::Server, Role::Client] {
        let mut script = Script(data);
        let mut host = Host::new(role);
        while !script.0.is_empty() {
            match script.byte() % 8 {
                0 => host.hear(script.bytes()),
                1..=4 => {
                    let frame = script.frame();
                    host.hear_frame(&frame);
                }
                5 | 6 => host.act(&mut script),
                _ => host.wait(Duration::from_millis(script.number().min(200) * 100)),
            }
        }
        host.end();
    }
});
