//! Two sessions with bytes between them, on a clock that stands still until it is told.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use graft_core::{
    CallId, HandleId, InterfaceId, Label, Metadata, MethodId, Outgoing, ReplyKind, Request, RunId,
};
use graft_transport::session::{Answer, Event, IncomingRequest, Role, Session, Transmit};
use graft_transport::wire::{Frame, LENGTH_SIZE, Port, RequestHead};
use graft_transport::{Closed, Limits};
use serde::ser::{Serialize, SerializeTuple, Serializer};

pub(crate) type Ends = Session<u32, u32>;
pub(crate) const INTERFACE: InterfaceId = InterfaceId([2; 32]);

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Bytes that are encoded as nothing but themselves.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

pub(crate) fn body(bytes: &[u8]) -> Outgoing {
    let mut out = Outgoing::default();
    out.encode(&Raw(bytes)).expect("encodes");
    out
}

pub(crate) fn metadata() -> Metadata {
    Metadata::new(RunId([1; 16]), CallId(0))
}

/// What a call is made with.
#[derive(Clone, Copy, Default)]
pub(crate) struct Call<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) ports: &'a [Port],
    pub(crate) handle: Option<HandleId>,
    pub(crate) remaining: Option<Duration>,
}

pub(crate) fn request(
    session: &mut Ends,
    now: Duration,
    call: Call<'_>,
    tag: u32,
) -> Result<u64, graft_core::FaultCode> {
    let (meta, label) = (metadata(), Label::default());
    let request = Request { handle: call.handle, ..Request::new(INTERFACE, MethodId([3; 8]), &meta, &label) };
    let head = RequestHead { request: &request, remaining: call.remaining };
    session.request(now, head, &mut body(call.body), call.ports, tag)
}

pub(crate) fn reply(session: &mut Ends, number: u64, bytes: &[u8], ports: &[Port]) -> bool {
    session.reply(number, ReplyKind::Ok, &Label::default(), &mut body(bytes), ports)
}

/// The frames in a stream of whole ones.
pub(crate) fn frames(stream: &[u8]) -> Vec<Frame> {
    let (mut frames, mut rest) = (Vec::new(), stream);
    while let Some(length) = rest.first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize) {
        let (frame, after) = rest[LENGTH_SIZE..].split_at(length);
        let frame = bytes::Bytes::copy_from_slice(frame);
        frames.push(Frame::parse(frame, &Limits::default()).expect("what a session says parses"));
        rest = after;
    }
    frames
}

pub(crate) fn print(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    frame.print(&mut out).expect("prints");
    out
}

/// A session, what arrived for it, and what it made of that.
pub(crate) struct End {
    pub(crate) session: Ends,
    pub(crate) input: BytesMut,
    pub(crate) events: VecDeque<Event<u32, u32>>,
    /// Whether questions after health are answered at once and make no event.
    pub(crate) is_healthy: bool,
    transmit: Transmit,
}

impl End {
    pub(crate) fn new(role: Role, limits: Limits) -> Self {
        Self {
            session: Session::new(role, limits, Duration::ZERO),
            input: BytesMut::new(),
            events: VecDeque::new(),
            is_healthy: true,
            transmit: Transmit::default(),
        }
    }

    /// Everything that it has to say.
    pub(crate) fn said(&mut self) -> Vec<u8> {
        self.session.poll_transmit(&mut self.transmit);
        let said = self.transmit.pieces().flatten().copied().collect();
        self.transmit.advance(usize::MAX);
        said
    }

    pub(crate) fn hear(&mut self, now: Duration, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.session.handle(now, &mut self.input);
        self.listen();
    }

    /// Takes what happened.
    pub(crate) fn listen(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::HealthAsked if self.is_healthy => self.session.answer_health(true),
                event => self.events.push_back(event),
            }
        }
    }

    pub(crate) fn next(&mut self) -> Event<u32, u32> {
        self.events.pop_front().expect("something happened")
    }

    /// The next call, if that is what happened next; what was bound for it is passed over.
    pub(crate) fn next_request(&mut self) -> IncomingRequest {
        loop {
            match self.next() {
                Event::Bind(_) => {}
                Event::Request(request) => return request,
                event => unreachable!("a request and not {event:?}"),
            }
        }
    }

    pub(crate) fn next_answer(&mut self) -> (u32, Answer) {
        match self.next() {
            Event::Answer(call, answer) => (call, answer),
            event => unreachable!("an answer and not {event:?}"),
        }
    }

    pub(crate) fn closed(&self) -> Option<Closed> {
        self.session.closed()
    }
}

/// A client and a server.
pub(crate) struct Pair {
    pub(crate) now: Duration,
    pub(crate) client: End,
    pub(crate) server: End,
}

impl Pair {
    /// Both are open.
    pub(crate) fn new(client: Limits, server: Limits) -> Self {
        let mut pair = Self {
            now: Duration::ZERO,
            client: End::new(Role::Client, client),
            server: End::new(Role::Server, server),
        };
        pair.shuttle();
        assert!(matches!(pair.client.next(), Event::Open));
        assert!(matches!(pair.server.next(), Event::Open));
        pair
    }

    pub(crate) fn open() -> Self {
        Self::new(Limits::default(), Limits::default())
    }

    /// A client that does not know the server's limits, so it does not keep them.
    pub(crate) fn careless(server: Limits) -> Self {
        let mut client = End::new(Role::Client, Limits::default());
        let mut server = End::new(Role::Server, server);
        client.hear(Duration::ZERO, &End::new(Role::Server, Limits::default()).said());
        server.hear(Duration::ZERO, &client.said());
        server.said();
        client.events.clear();
        server.events.clear();
        Self { now: Duration::ZERO, client, server }
    }

    /// Brings over everything that is said, until there is nothing more.
    pub(crate) fn shuttle(&mut self) {
        loop {
            self.client.listen();
            self.server.listen();
            let (to_server, to_client) = (self.client.said(), self.server.said());
            if to_server.is_empty() && to_client.is_empty() {
                break;
            }
            self.server.hear(self.now, &to_server);
            self.client.hear(self.now, &to_client);
        }
    }

    /// Lets time pass, with everything that is due on the way.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..10_000 {
            self.shuttle();
            let due = [&self.client, &self.server].into_iter().filter_map(|end| end.session.poll_timeout());
            let Some(at) = due.min().filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            self.client.session.handle_timeout(self.now);
            self.server.session.handle_timeout(self.now);
        }
        unreachable!("something is due all the time");
    }

    /// A call of the client, which the server has; its number.
    pub(crate) fn call(&mut self, call: Call<'_>, tag: u32) -> u64 {
        let number = request(&mut self.client.session, self.now, call, tag).expect("is queued");
        self.shuttle();
        assert_eq!(self.server.next_request().frame.number, number);
        number
    }

    /// A stream that the server produces and the client reads, in the reply to a call.
    pub(crate) fn stream(&mut self) -> u64 {
        let number = self.call(Call::default(), 0);
        let stream = self.server.session.produce();
        assert!(reply(&mut self.server.session, number, b"", &[Port::Items(stream)]));
        self.shuttle();
        assert!(matches!(self.client.next_answer(), (0, Answer::Reply { .. })));
        stream
    }

    /// An object that the server hosts and the client holds.
    pub(crate) fn object(&mut self, handle: u64) -> HandleId {
        let (handle, number) = (HandleId(handle), self.call(Call::default(), 0));
        self.server.session.host(self.now, handle).expect("there is room");
        assert!(reply(&mut self.server.session, number, b"", &[Port::Object(handle)]));
        self.shuttle();
        assert!(matches!(self.client.next_answer(), (0, Answer::Reply { .. })));
        handle
    }
}
