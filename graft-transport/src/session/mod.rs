//! Both ends of a connection as one state machine without sockets, clocks or tasks.
//!
//! A shell hands over what it read with [`Session::handle`], takes what that meant with
//! [`Session::poll_event`], writes what [`Session::poll_transmit`] gives, and calls
//! [`Session::handle_timeout`] when [`Session::poll_timeout`] is due. Time is whatever the shell counts from.
//! A session numbers calls and streams, keeps what the shell attached to each call (`C` to one that is made
//! here, `A` to one that is carried out here) and gives it back when the call ends.
//!
//! The rules, each held by both ends:
//! - the first frame of each side is its hello, and there is only one;
//! - numbers of calls and of streams rise, so a used one is known without remembering it;
//! - every request gets exactly one answer, a cancelled one too, so an answer to nothing is a violation;
//! - items of a stream are sent against credit, for each stream and for all together;
//! - whoever sees a violation says why in a goodbye and does nothing more.
//!
//! ```
//! use std::time::Duration;
//! use bytes::BytesMut;
//! use graft_transport::{Limits, session::{Event, Role, Session, Transmit}};
//! let now = Duration::ZERO;
//! let mut client = Session::<(), ()>::new(Role::Client, Limits::default(), now);
//! let mut server = Session::<(), ()>::new(Role::Server, Limits::default(), now);
//! let mut sent = Transmit::default();
//! assert!(server.poll_transmit(&mut sent));
//! let mut input: BytesMut = sent.pieces().flatten().copied().collect();
//! client.handle(now, &mut input);
//! assert!(matches!(client.poll_event(), Some(Event::Open)));
//! assert!(client.is_open() && input.is_empty());
//! ```

mod calls;
mod numbers;
mod objects;
mod outbox;
mod serving;
mod streams;
mod watch;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use graft_core::{FaultCode, HandleId, InterfaceId, Label, ReplyKind, TraceId};

#[cfg(feature = "tcp")]
pub(crate) use numbers::NumberMap;
pub use outbox::Transmit;
pub use streams::{Room, Taken};

use crate::wire::{
    Encoded, Frame, HELLO, Hello, LENGTH_SIZE, MAX_HELLO, Port, REQUEST, RequestFrame, RequestHead,
};
use crate::{CloseReason, Closed, ClosedBy, Limits};
use calls::Calls;
use objects::Objects;
use outbox::Outbox;
use serving::Serving;
use streams::Streams;
use watch::Watch;

/// Which end of the connection a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that connected. It is called back only on objects that it handed over.
    Client,
    /// The one that was connected to.
    Server,
}

/// What came in, or came of time.
#[derive(Debug)]
pub enum Event<C, A> {
    /// The peer said hello; calls can be made.
    Open,
    /// A call to carry out.
    Request(IncomingRequest),
    /// A call that was made here is answered; here is what was attached to it.
    Answer(C, Answer),
    /// Nobody waits any more for a call that was being carried out. It is answered; drop what runs for it.
    Cancelled(Option<A>),
    /// There is something to take from a stream.
    Readable(u64),
    /// A stream that is produced here has credit again; 0 stands for all of them.
    Writable(u64),
    /// Nobody wants more of a stream that is produced here; drop it.
    Stopped(u64),
    /// Nobody holds an object that is hosted here, or its lease ran out; drop it.
    Released(HandleId),
    /// The peer is going to call this interface; say whether it is hosted for everybody with [`Session::bound`].
    Bind(InterfaceId),
    /// Whether an interface that this side calls is hosted over there for everybody.
    Bound(InterfaceId, bool),
    /// Somebody asks for health; answer with [`Session::answer_health`].
    HealthAsked,
    /// What was said to a question after health.
    Health(bool),
    /// The peer takes no more calls.
    Draining,
    /// The session ended. Nothing comes after it.
    Closed(Closed),
}

/// A call to carry out.
#[derive(Debug)]
pub struct IncomingRequest {
    /// The contract that the caller was built from.
    pub interface: InterfaceId,
    /// The rest. Its label is already joined with [`Label::default`]: a peer can raise it only.
    pub frame: Box<RequestFrame>,
}

/// How a call was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A value or the method's own error.
    Reply {
        /// Which of the two.
        kind: ReplyKind,
        /// What the receiver says of it.
        label: Label,
        /// The ports in it.
        ports: Vec<Port>,
        /// It, encoded.
        body: Encoded,
    },
    /// Neither.
    Fault {
        /// Why.
        code: FaultCode,
        /// The trace id under which the receiver logged it, if it was the receiver's.
        trace: Option<TraceId>,
    },
}

/// One end of a connection.
pub struct Session<C, A> {
    role: Role,
    limits: Limits,
    peer: Option<Hello>,
    closed: Option<Closed>,
    is_draining: bool,
    /// Questions after health that the peer has not answered: whether it was the shell that asked.
    questions: VecDeque<bool>,
    events: VecDeque<Event<C, A>>,
    outbox: Outbox,
    calls: Calls<C>,
    serving: Serving<A>,
    streams: Streams,
    objects: Objects,
    watch: Watch,
}

impl<C, A> Session<C, A> {
    /// A session that is about to say hello.
    pub fn new(role: Role, limits: Limits, now: Duration) -> Self {
        let mut session = Self {
            role,
            limits,
            peer: None,
            closed: None,
            is_draining: false,
            questions: VecDeque::new(),
            events: VecDeque::new(),
            outbox: Outbox::default(),
            calls: Calls::new(),
            serving: Serving::new(&limits, now),
            streams: Streams::new(&limits),
            objects: Objects::new(),
            watch: Watch::new(now),
        };
        let hello = Hello {
            max_frame: limits.max_frame(),
            max_calls: limits.max_in_flight(),
            max_streams: limits.max_streams(),
            stream_window: session.streams.window().min(limits.stream_window()),
            window: session.streams.window(),
            lease: u32::try_from(limits.lease().as_millis()).unwrap_or(u32::MAX),
        };
        session.say(&Frame::Hello(hello));
        session
    }

    /// Takes the whole frames at the front of `input`, which arrived at `now`. What they meant is fetched with
    /// [`Session::poll_event`]; a frame that is not whole stays.
    pub fn handle(&mut self, now: Duration, input: &mut BytesMut) {
        let before = input.len();
        while self.closed.is_none() {
            match self.cut(input).and_then(|frame| self.parse(now, frame)) {
                Ok(true) => {}
                Ok(false) => break,
                Err(reason) => drop(self.close(Closed::by_us(reason))),
            }
        }
        self.watch.heard(now, input.len(), input.len() < before);
    }

    /// How many more bytes the frame at the front of `input` needs; at least 1. What is over a limit was refused
    /// before, so that much may be allocated.
    pub fn missing(input: &BytesMut) -> usize {
        match input.first_chunk::<LENGTH_SIZE>() {
            Some(length) => {
                let whole = LENGTH_SIZE + u32::from_le_bytes(*length) as usize;
                whole.saturating_sub(input.len()).max(1)
            }
            None => LENGTH_SIZE - input.len(),
        }
    }

    /// The next frame at the front of `input`, once it is whole.
    fn cut(&self, input: &mut BytesMut) -> Result<Option<Bytes>, CloseReason> {
        let Some(length) = input.first_chunk::<LENGTH_SIZE>().map(|bytes| u32::from_le_bytes(*bytes)) else {
            return Ok(None);
        };
        match self.peer {
            None if length > MAX_HELLO => return Err(CloseReason::NotGraft),
            Some(_) if length > self.limits.max_frame() => return Err(CloseReason::FrameTooLarge),
            _ => {}
        }
        let whole = LENGTH_SIZE + length as usize;
        if input.len() < whole {
            return Ok(None);
        }
        let mut frame = input.split_to(whole).freeze();
        frame.advance(LENGTH_SIZE);
        Ok(Some(frame))
    }

    /// Parses a frame and does what it asks for; whether there was one.
    fn parse(&mut self, now: Duration, frame: Option<Bytes>) -> Result<bool, CloseReason> {
        let Some(frame) = frame else { return Ok(false) };
        let kind = frame.first().copied();
        match (self.peer.is_some(), kind) {
            // The common case, parsed where it stays.
            (true, Some(REQUEST)) if self.may_be_called() => {
                let request = RequestFrame::parse(frame, &self.limits)?;
                self.requested(now, request)?;
            }
            (true, Some(HELLO)) => return Err(CloseReason::UnexpectedFrame),
            (true, _) => {
                let frame = Frame::parse(frame, &self.limits)?;
                self.react(now, frame)?;
            }
            (false, _) => match Frame::parse(frame, &self.limits) {
                Ok(frame @ Frame::Hello(_)) => self.react(now, frame)?,
                Err(CloseReason::VersionMismatch) => return Err(CloseReason::VersionMismatch),
                _ => return Err(CloseReason::NotGraft),
            },
        }
        Ok(true)
    }

    fn react(&mut self, now: Duration, frame: Frame) -> Result<(), CloseReason> {
        match frame {
            Frame::Hello(hello) => {
                self.peer = Some(hello);
                self.streams.peer_windows(hello.stream_window, hello.window);
                self.objects.peer_lease(Duration::from_millis(hello.lease.into()));
                self.watch.quiet_since(now);
                self.events.push_back(Event::Open);
            }
            Frame::Bind { .. } | Frame::Request(_) if !self.may_be_called() => {
                return Err(CloseReason::UnexpectedFrame);
            }
            Frame::Bind { index, interface } => {
                self.serving.bind(index, interface)?;
                self.events.push_back(Event::Bind(interface));
            }
            Frame::Bound { index, is_hosted } => {
                let interface = self.calls.bound(index)?;
                self.events.push_back(Event::Bound(interface, is_hosted));
            }
            Frame::Request(frame) => self.requested(now, Box::new(frame))?,
            Frame::Reply(reply) => {
                let call = self.calls.answered(reply.number)?;
                let is_over = self.imported(now, &reply.ports)?;
                match call {
                    Some(call) if !is_over => {
                        let (kind, label, ports, body) = (reply.kind, reply.label, reply.ports, reply.body);
                        self.events
                            .push_back(Event::Answer(call, Answer::Reply { kind, label, ports, body }));
                    }
                    call => {
                        self.discard(&reply.ports);
                        if let Some(call) = call {
                            let answer = Answer::Fault { code: FaultCode::LimitExceeded, trace: None };
                            self.events.push_back(Event::Answer(call, answer));
                        }
                    }
                }
            }
            Frame::Fault(fault) => {
                if let Some(call) = self.calls.answered(fault.number)? {
                    let answer = Answer::Fault { code: fault.fault_code(), trace: Some(fault.trace) };
                    self.events.push_back(Event::Answer(call, answer));
                }
            }
            Frame::Cancel { number } => {
                if self.serving.cancel_arrived(now, number)? {
                    self.end_call(number, FaultCode::Cancelled);
                }
            }
            Frame::Item { stream, body } => {
                if self.streams.arrived(stream, body.0)? {
                    self.events.push_back(Event::Readable(stream));
                }
                self.give_credit(0);
            }
            Frame::End { stream, code } => {
                if self.streams.ended(stream, code)? {
                    self.events.push_back(Event::Readable(stream));
                }
            }
            Frame::Credit { stream, bytes } => {
                if self.streams.credited(stream, bytes)? {
                    self.events.push_back(Event::Writable(stream));
                }
            }
            Frame::Stop { stream } => {
                if self.streams.stopped(stream)? {
                    self.events.push_back(Event::Stopped(stream));
                } else {
                    self.serving.is_cheap(now)?;
                }
            }
            Frame::Release { handle } => {
                if self.objects.released(handle) {
                    self.events.push_back(Event::Released(handle));
                }
            }
            Frame::Renew { handle } => {
                self.objects.used(handle, now.saturating_add(self.limits.lease()));
            }
            Frame::Health => {
                self.serving.is_cheap(now)?;
                self.events.push_back(Event::HealthAsked);
            }
            Frame::Healthy { is_ok } => {
                if self.questions.pop_front().ok_or(CloseReason::UnexpectedFrame)? {
                    self.events.push_back(Event::Health(is_ok));
                }
            }
            Frame::Drain if self.is_draining => return Err(CloseReason::UnexpectedFrame),
            Frame::Drain => {
                self.is_draining = true;
                self.events.push_back(Event::Draining);
            }
            Frame::Goodbye { reason } => {
                self.close(Closed::by_peer(CloseReason::from_number(reason)));
            }
        }
        Ok(())
    }

    /// A server is called by anybody, a client only by whom it handed an object to.
    fn may_be_called(&self) -> bool {
        self.role == Role::Server || self.objects.ever_hosted()
    }

    fn may_call(&self) -> bool {
        self.role == Role::Client || self.objects.ever_held()
    }

    fn requested(&mut self, now: Duration, mut frame: Box<RequestFrame>) -> Result<(), CloseReason> {
        let (number, trace) = (frame.number, frame.meta.trace.trace);
        let interface = self.serving.interface(frame.interface)?;
        self.serving.numbered(number)?;
        let is_over = self.imported(now, &frame.ports)?;
        if is_over || !self.serving.has_room(now, frame.body.len()) {
            self.discard(&frame.ports);
            self.say_fault(number, FaultCode::LimitExceeded, trace);
            return Ok(());
        }
        if let Some(handle) = frame.handle {
            // The shell answers a call on an object that is not here: it knows whether it ever was.
            self.objects.used(handle, now.saturating_add(self.limits.lease()));
        }
        let deadline = frame.remaining.map(|left| now.saturating_add(left));
        self.serving.begin(number, trace, frame.body.len(), deadline);
        frame.label.raise(&Label::default());
        self.events.push_back(Event::Request(IncomingRequest { interface, frame }));
        Ok(())
    }

    /// Takes note of ports that came in; whether they are more than may be here at a time.
    fn imported(&mut self, now: Duration, ports: &[Port]) -> Result<bool, CloseReason> {
        let mut is_over = false;
        for port in ports {
            match port {
                Port::Items(stream) => is_over |= !self.streams.imported(*stream)?,
                Port::Object(handle) => {
                    is_over |= !self.objects.held(now, *handle, self.limits.max_handles() as usize);
                }
            }
        }
        Ok(is_over)
    }

    /// Closes ports that nobody will take.
    fn discard(&mut self, ports: &[Port]) {
        for port in ports {
            match port {
                Port::Items(stream) => self.stop(*stream),
                Port::Object(handle) => self.release(*handle),
            }
        }
    }

    /// What happened, in order.
    pub fn poll_event(&mut self) -> Option<Event<C, A>> {
        self.events.pop_front()
    }

    /// Moves what is to be written to the end of `transmit`; whether there is anything in it.
    pub fn poll_transmit(&mut self, transmit: &mut Transmit) -> bool {
        self.watch.not_read |= !self.reads();
        transmit.fetch(&mut self.outbox)
    }

    /// Says whether the peer takes what is written, for [`Limits::frame_timeout`].
    pub fn writing(&mut self, now: Duration, is_stalled: bool) {
        self.watch.writing(now, is_stalled);
    }

    /// When [`Session::handle_timeout`] is to be called, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Duration> {
        if self.closed.is_some() {
            return None;
        }
        let watched = self.watch.due(&self.limits, self.peer.is_some(), self.is_active(), self.role);
        let due = [watched.map(|(at, _)| at), self.calls.due(), self.serving.due(), self.objects.due()];
        due.into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.closed.is_some() {
            return;
        }
        while let Some((number, call)) = self.calls.expired(now) {
            self.say(&Frame::Cancel { number });
            let answer = Answer::Fault { code: FaultCode::DeadlineExceeded, trace: None };
            self.events.push_back(Event::Answer(call, answer));
        }
        while let Some(number) = self.serving.expired(now) {
            self.end_call(number, FaultCode::DeadlineExceeded);
        }
        if !self.reads() || self.watch.not_read {
            self.watch.reads_again(now);
        }
        let (gone, held) = self.objects.handle_timeout(now);
        self.events.extend(gone.into_iter().map(Event::Released));
        // A peer that does not read has to do without, or what waits for it would grow.
        if self.has_room() {
            for handle in held {
                self.say(&Frame::Renew { handle });
            }
        }
        let due = self.watch.due(&self.limits, self.peer.is_some(), self.is_active(), self.role);
        match due {
            Some((at, Some(reason))) if at <= now => drop(self.close(Closed::by_us(reason))),
            Some((at, None)) if at <= now => {
                self.watch.asked(now);
                self.ask(false);
            }
            _ => {}
        }
    }

    /// Ends the session and queues the goodbye. Calls that were carried out here are cancelled; what is attached to
    /// calls that were made here is dropped. Items that came in before can still be taken. The first end stays and is
    /// returned.
    pub fn close(&mut self, closed: Closed) -> Closed {
        if let Some(first) = self.closed {
            return first;
        }
        match closed {
            // Nobody is left to read it.
            Closed { by: ClosedBy::Peer, .. } | Closed { reason: CloseReason::Disconnected, .. } => {
                self.outbox.clear();
            }
            Closed { by: ClosedBy::Us, reason } => self.say(&Frame::Goodbye { reason: reason.number() }),
        }
        self.closed = Some(closed);
        self.calls.clear();
        self.events.extend(self.serving.clear().map(Event::Cancelled));
        self.streams.close(closed.fault_code());
        self.objects.clear();
        self.events.push_back(Event::Closed(closed));
        closed
    }

    /// Says that this side takes no more calls. Those that came are carried out.
    pub fn drain(&mut self) {
        if !std::mem::replace(&mut self.serving.is_draining, true) {
            self.say(&Frame::Drain);
        }
    }

    /// Asks the peer whether it takes calls. The answers are events, one for each question, in order.
    pub fn ask_health(&mut self) {
        self.ask(true);
    }

    /// A session asks by itself too, when the peer has been silent; that answer concerns nobody else.
    fn ask(&mut self, is_shell: bool) {
        if self.closed.is_none() {
            self.questions.push_back(is_shell);
            self.say(&Frame::Health);
        }
    }

    /// Answers a question after health.
    pub fn answer_health(&mut self, is_ok: bool) {
        self.say(&Frame::Healthy { is_ok });
    }

    /// Whether less than [`Limits::max_buffered`] waits to be fetched. Before it does, whoever has a request, a
    /// reply or an item to queue should wait; see also [`Session::reads`].
    pub fn has_room(&self) -> bool {
        self.outbox.len() < self.limits.max_buffered()
    }

    /// Whether a shell should read on, for what it reads may make this side say more. That stops later than
    /// what waits for room, the last frame included: two ends that both have much to say would else wait for
    /// each other for good.
    pub fn reads(&self) -> bool {
        let most = self.limits.max_buffered().saturating_mul(2);
        self.outbox.len() < most.saturating_add(self.limits.max_frame() as usize)
    }

    /// Whether anything waits to be fetched.
    pub fn has_output(&self) -> bool {
        self.outbox.len() > 0
    }

    /// How many calls that were made here are unanswered, those that nobody waits for included.
    pub fn in_flight(&self) -> usize {
        self.calls.len()
    }

    /// How many calls are being carried out here.
    pub fn serving(&self) -> usize {
        self.serving.len()
    }

    /// Whether something is under way that outlives the present moment: calls, streams, objects.
    pub fn is_active(&self) -> bool {
        self.calls.len() + self.serving.len() > 0 || self.has_ports()
    }

    /// Whether streams or objects are open.
    pub fn has_ports(&self) -> bool {
        !self.streams.is_empty() || !self.objects.is_empty()
    }

    /// Whether calls can be made.
    pub fn is_open(&self) -> bool {
        self.peer.is_some() && self.closed.is_none()
    }

    /// Whether the peer said that it takes no more calls.
    pub fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// How it ended.
    pub fn closed(&self) -> Option<Closed> {
        self.closed
    }

    /// The longest frame that suits both ends; nothing before the peer's hello.
    fn longest(&self) -> usize {
        self.peer.map_or(0, |peer| peer.max_frame.min(self.limits.max_frame()) as usize)
    }

    /// Queues a frame without a body. After the goodbye nothing is said.
    fn say(&mut self, frame: &Frame) {
        if self.closed.is_some() {
            return;
        }
        let said = frame.print(self.outbox.tail());
        debug_assert!(said.is_ok(), "a frame without a body fits its length field");
    }

    fn say_fault(&mut self, number: u64, code: FaultCode, trace: TraceId) {
        self.say(&Frame::Fault(crate::wire::FaultFrame { number, code: code.number(), trace }));
    }
}
