//! What the callers of a connection, its background task and its objects share.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::task::Waker;
use std::time::Duration;

use futures::channel::oneshot;
use futures::task::AtomicWaker;
use graft_core::port::Export;
use graft_core::{FaultCode, HandleId, InterfaceId, Invoke, Peer, Router};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::RemoteOptions;
use super::pump::Pump;
use super::room::Room;
use super::task::TICK;
use crate::net::BoxedIo;
use crate::session::{Answer, Event, IncomingRequest, NumberMap, Role, Session, Transmit};
use crate::{CloseReason, Closed};

/// How many calls in a row have to be alone before their caller drives the connection itself.
const LONE: u32 = 2;

pub(super) struct Link {
    pub(super) options: RemoteOptions,
    pub(super) host: Arc<Host>,
    pub(super) peer: Arc<Peer>,
    pub(super) runtime: Handle,
    pub(super) pump: Mutex<Option<Pump>>,
    state: Mutex<State>,
    /// Why the stream broke, if it did.
    pub(super) broken: OnceLock<std::io::Error>,
    /// Wakes the background task.
    pub(super) task: AtomicWaker,
    /// Whether a call of the peer was let in. Before, it is told of nothing but health.
    is_admitted: AtomicBool,
    /// Whom the records say was let in.
    pub(super) granted: super::record::Granted,
    /// The end that callers hold. Nobody does at a server.
    pub(super) owner: OnceLock<Weak<super::channel::Owner>>,
}

/// What the connections of one server, or one client, have in common.
pub(super) struct Host {
    pub(super) router: Router,
    /// Whether calls are taken, as health says.
    pub(super) is_ready: AtomicBool,
    next_handle: AtomicU64,
    /// Every object that is hosted for any connection.
    live: Mutex<std::collections::HashSet<u64>>,
}

impl Host {
    pub(super) fn new(router: Router) -> Self {
        let (next_handle, live) = (AtomicU64::new(1), Mutex::default());
        Self { router, is_ready: AtomicBool::new(true), next_handle, live }
    }

    fn live(&self) -> MutexGuard<'_, std::collections::HashSet<u64>> {
        self.live.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn new_handle(&self) -> HandleId {
        let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
        self.live().insert(handle);
        HandleId(handle)
    }

    pub(super) fn gone(&self, handle: HandleId) {
        self.live().remove(&handle.0);
    }

    /// Why an object is not there for a connection.
    pub(super) fn absent(&self, handle: HandleId) -> FaultCode {
        if self.live().contains(&handle.0) { FaultCode::Forbidden } else { FaultCode::HandleGone }
    }
}

/// Who moves the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    /// The background task.
    Task,
    /// The caller that waits in this place.
    Caller(usize),
    /// Nobody since the last lone caller; the next one will, or the task after a tick.
    Nobody,
}

pub(super) struct State {
    pub(super) session: Session<usize, AbortHandle>,
    pub(super) driver: Driver,
    /// How many calls in a row were alone.
    lone: u32,
    /// Changes with each call of a lone caller, so that the task sees whether there are any.
    pub(super) generation: u64,
    /// Whether the task was woken to write.
    pub(super) is_flush_due: bool,
    /// When the task wakes by itself.
    pub(super) armed: Option<Duration>,
    waiters: Waiters,
    /// Who waits for items, for credit and for room in what is to be written.
    pub(super) readers: NumberMap<Waker>,
    pub(super) writers: NumberMap<Waker>,
    pub(super) room: Room,
    /// What produces items for the peer.
    pub(super) producers: NumberMap<AbortHandle>,
    pub(super) objects: NumberMap<Arc<dyn Invoke>>,
    pub(super) requests: VecDeque<IncomingRequest>,
    /// Interfaces of which the peer wants to know whether they are hosted.
    pub(super) binds: Vec<InterfaceId>,
    opened: Vec<oneshot::Sender<()>>,
    health: Vec<oneshot::Sender<bool>>,
    hosted: Vec<(InterfaceId, bool)>,
    asked: Vec<(InterfaceId, oneshot::Sender<bool>)>,
}

/// What has to be dropped once the locks are released: it is user code's. What panics on that way ends alone.
#[derive(Default)]
#[must_use]
pub(super) struct Garbage(Vec<Export>);

impl Garbage {
    pub(super) fn add(&mut self, dropped: impl IntoIterator<Item = Export>) {
        self.0.extend(dropped);
    }
}

impl Drop for Garbage {
    fn drop(&mut self) {
        for dropped in self.0.drain(..) {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(dropped)));
        }
    }
}

impl Link {
    pub(super) fn new(
        role: Role,
        (io, peer): (BoxedIo, Peer),
        options: RemoteOptions,
        host: Arc<Host>,
        runtime: Handle,
    ) -> Arc<Self> {
        let session = Session::new(role, *options.limits(), options.clock().monotonic());
        let state = State {
            session,
            driver: Driver::Task,
            lone: 0,
            generation: 0,
            is_flush_due: false,
            armed: None,
            waiters: Waiters::default(),
            readers: NumberMap::default(),
            writers: NumberMap::default(),
            room: Room::default(),
            producers: NumberMap::default(),
            objects: NumberMap::default(),
            requests: VecDeque::new(),
            binds: Vec::new(),
            opened: Vec::new(),
            health: Vec::new(),
            hosted: Vec::new(),
            asked: Vec::new(),
        };
        let is_admitted = AtomicBool::new(options.admit().is_none());
        Arc::new(Self {
            is_admitted,
            granted: Mutex::default(),
            options,
            host,
            peer: Arc::new(peer),
            runtime,
            pump: Mutex::new(Some(Pump::new(io))),
            state: Mutex::new(state),
            broken: OnceLock::new(),
            task: AtomicWaker::new(),
            owner: OnceLock::new(),
        })
    }

    /// The state. No user code runs while it is held, so a poisoned lock still guards a whole state.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn pump(&self) -> MutexGuard<'_, Option<Pump>> {
        self.pump.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn now(&self) -> Duration {
        self.options.clock().monotonic()
    }

    /// Fetches what is to be written; whether there is anything.
    pub(super) fn fetch(&self, transmit: &mut Transmit) -> bool {
        let mut state = self.lock();
        let had_room = state.session.has_room();
        let is_there = state.session.poll_transmit(transmit);
        if !had_room {
            state.room.wake_all();
            state.wake_writers();
        }
        is_there
    }

    pub(super) fn writing(&self, is_stalled: bool) {
        let now = self.now();
        self.lock().session.writing(now, is_stalled);
    }

    /// Ends the session; the first end stays and is returned.
    pub(super) fn close(&self, closed: Closed) -> Closed {
        let mut state = self.lock();
        let closed = state.session.close(closed);
        let mut garbage = Garbage::default();
        state.dispatch(self, &mut garbage);
        drop(state);
        drop(garbage);
        self.task.wake();
        closed
    }

    /// Does something to the session of which the peer has to hear.
    pub(super) fn tell<R>(&self, tell: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let told = tell(&mut state);
        state.drive_by_task(self);
        told
    }

    /// A call of the peer was let in.
    pub(super) fn admitted(&self) {
        if !self.is_admitted.load(Ordering::Relaxed) {
            self.is_admitted.store(true, Ordering::Relaxed);
            self.tell(|_| ());
        }
    }

    /// Says which of the interfaces that the peer named are hosted, once it may know; whether it said anything.
    pub(super) fn answer_binds(&self) -> bool {
        let binds = match self.is_admitted.load(Ordering::Relaxed) {
            true => std::mem::take(&mut self.lock().binds),
            false => return false,
        };
        for interface in &binds {
            // A service says itself what it hosts, so no lock is held.
            let hosted = catch_unwind(AssertUnwindSafe(|| self.host.router.route(*interface).is_some()));
            self.lock().session.bound(*interface, hosted.unwrap_or(false));
        }
        !binds.is_empty()
    }

    pub(super) async fn opened(&self) -> Result<(), Closed> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.lock();
            if let Some(closed) = state.session.closed() {
                return Err(closed);
            }
            if state.session.is_open() {
                return Ok(());
            }
            state.opened.push(sender);
        }
        receiver.await.map_err(|_| self.closed().unwrap_or(Closed::by_us(CloseReason::Disconnected)))
    }

    pub(super) fn closed(&self) -> Option<Closed> {
        self.lock().session.closed()
    }

    pub(super) fn fault_code(&self) -> FaultCode {
        self.closed().map_or(FaultCode::Unavailable, Closed::fault_code)
    }

    pub(super) async fn health(&self) -> Result<bool, FaultCode> {
        let (sender, receiver) = oneshot::channel();
        self.tell(|state| {
            if state.session.closed().is_none() {
                // One question for all who ask while it is open, so that a thousand probes are not a flood.
                if state.health.is_empty() {
                    state.session.ask_health();
                }
                state.health.retain(|asked| !asked.is_canceled());
                state.health.push(sender);
            }
        });
        self.said(receiver).await
    }

    /// What the peer says to a question; its silence is borne for as long as any other.
    async fn said(&self, answer: oneshot::Receiver<bool>) -> Result<bool, FaultCode> {
        let within = {
            let _context = self.runtime.enter();
            timeout(self.options.limits().keepalive(), answer)
        };
        match within.await {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(_)) => Err(self.fault_code()),
            Err(_) => Err(FaultCode::Unavailable),
        }
    }

    /// Whether the peer hosts `interface` for everybody.
    pub(super) async fn hosts(&self, interface: InterfaceId) -> Result<bool, FaultCode> {
        let (sender, receiver) = oneshot::channel();
        let known = self.tell(|state| {
            state.session.bind(interface)?;
            let known = state.hosted.iter().find(|(known, _)| *known == interface);
            if known.is_none() && state.session.closed().is_none() {
                state.asked.retain(|(_, asked)| !asked.is_canceled());
                state.asked.push((interface, sender));
            }
            Ok(known.map(|(_, is_hosted)| *is_hosted))
        })?;
        match known {
            Some(is_hosted) => Ok(is_hosted),
            None => self.said(receiver).await,
        }
    }
}

impl State {
    /// Puts the task in charge and sees to it that it writes. It is woken once for all that is queued meanwhile.
    pub(super) fn drive_by_task(&mut self, link: &Link) {
        self.driver = Driver::Task;
        if !std::mem::replace(&mut self.is_flush_due, true) {
            link.task.wake();
        }
    }

    /// When there is something to do without anything coming in.
    pub(super) fn due(&self) -> Option<Duration> {
        self.session.poll_timeout().into_iter().chain(self.room.due()).min()
    }

    /// Decides who moves the bytes of a call that was just queued; whether it is its caller.
    pub(super) fn choose_driver(&mut self, link: &Link, now: Duration, place: usize) -> bool {
        let is_alone = self.session.in_flight() == 1 && !self.session.has_ports();
        self.lone = if is_alone { self.lone.saturating_add(1) } else { 0 };
        if self.lone < LONE {
            self.drive_by_task(link);
            return false;
        }
        self.generation += 1;
        // Beside a lone caller the task looks at each tick, so only what is due before the next one needs it.
        let is_soon = |due: Duration| due < now.saturating_add(TICK);
        let is_earlier = |due: Duration| self.armed.is_none_or(|armed| due < armed);
        let is_earlier = self.due().is_some_and(|due| is_soon(due) && is_earlier(due));
        // The task has a timer to set, or a tick to begin.
        if std::mem::replace(&mut self.driver, Driver::Caller(place)) == Driver::Task || is_earlier {
            link.task.wake();
        }
        true
    }

    /// A caller that waited in `place` is done.
    pub(super) fn leave(&mut self, link: &Link, place: usize) -> Option<Answer> {
        let answer = self.waiters.remove(place);
        if self.driver == Driver::Caller(place) {
            self.driver = Driver::Nobody;
            if self.session.in_flight() > 0 || self.session.has_ports() || self.session.closed().is_some() {
                self.drive_by_task(link);
            }
        }
        answer
    }

    pub(super) fn waiters(&mut self) -> &mut Waiters {
        &mut self.waiters
    }

    pub(super) fn wake_writers(&mut self) {
        self.writers.drain().for_each(|(_, waker)| waker.wake());
    }

    /// Does what the session's events ask for. What is left in `garbage` is to be dropped after unlocking.
    pub(super) fn dispatch(&mut self, link: &Link, garbage: &mut Garbage) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Answer(place, answer) => self.waiters.answer(place, answer),
                Event::Request(request) => {
                    self.requests.push_back(request);
                }
                Event::Cancelled(task) => drop(task.map(|task| task.abort())),
                Event::Readable(stream) => drop(self.readers.remove(&stream).map(Waker::wake)),
                Event::Writable(0) => self.wake_writers(),
                Event::Writable(stream) => drop(self.writers.remove(&stream).map(Waker::wake)),
                Event::Stopped(stream) => {
                    self.writers.remove(&stream);
                    if let Some(producer) = self.producers.remove(&stream) {
                        producer.abort();
                    }
                }
                Event::Released(handle) => {
                    link.host.gone(handle);
                    garbage.add(self.objects.remove(&handle.0).map(Export::Object));
                }
                Event::Bind(interface) => self.binds.push(interface),
                Event::Bound(interface, is_hosted) => {
                    self.hosted.push((interface, is_hosted));
                    let (answered, rest) = std::mem::take(&mut self.asked)
                        .into_iter()
                        .partition::<Vec<_>, _>(|(asked, _)| *asked == interface);
                    self.asked = rest;
                    for (_, asked) in answered {
                        let _ = asked.send(is_hosted);
                    }
                }
                Event::Open => {
                    for opened in self.opened.drain(..) {
                        let _ = opened.send(());
                    }
                }
                Event::HealthAsked => {
                    let is_ok = link.host.is_ready.load(Ordering::Relaxed) && !self.session.drains();
                    self.session.answer_health(is_ok);
                }
                Event::Health(is_ok) => {
                    for asked in self.health.drain(..) {
                        let _ = asked.send(is_ok);
                    }
                }
                Event::Draining => {}
                Event::Closed(closed) => self.settle(link, closed, garbage),
            }
        }
        if !(self.requests.is_empty() && self.binds.is_empty()) && self.driver != Driver::Task {
            self.drive_by_task(link);
        }
    }

    /// Nothing waits any more.
    fn settle(&mut self, link: &Link, closed: Closed, garbage: &mut Garbage) {
        self.waiters.answer_all(&Answer::Fault { code: closed.fault_code(), trace: None });
        self.readers.drain().chain(self.writers.drain()).for_each(|(_, waker)| waker.wake());
        self.room.wake_all();
        self.producers.drain().for_each(|(_, producer)| producer.abort());
        self.requests.clear();
        self.binds.clear();
        self.opened.clear();
        self.health.clear();
        self.asked.clear();
        for (handle, object) in self.objects.drain() {
            link.host.gone(HandleId(handle));
            garbage.add([Export::Object(object)]);
        }
    }
}

/// Callers that wait, each in a place that is used again.
#[derive(Default)]
pub(super) struct Waiters {
    places: Vec<Option<Waiter>>,
    free: Vec<usize>,
}

#[derive(Default)]
struct Waiter {
    waker: Option<Waker>,
    answer: Option<Answer>,
}

impl Waiters {
    pub(super) fn add(&mut self) -> usize {
        if let Some(place) = self.free.pop() {
            self.places[place] = Some(Waiter::default());
            return place;
        }
        self.places.push(Some(Waiter::default()));
        self.places.len() - 1
    }

    fn answer(&mut self, place: usize, answer: Answer) {
        if let Some(Some(waiter)) = self.places.get_mut(place) {
            waiter.answer = Some(answer);
            if let Some(waker) = waiter.waker.take() {
                waker.wake();
            }
        }
    }

    fn answer_all(&mut self, answer: &Answer) {
        for place in 0..self.places.len() {
            if self.places[place].as_ref().is_some_and(|waiter| waiter.answer.is_none()) {
                self.answer(place, answer.clone());
            }
        }
    }

    pub(super) fn is_answered(&self, place: usize) -> bool {
        matches!(self.places.get(place), Some(Some(Waiter { answer: Some(_), .. })))
    }

    /// Notes whom to wake.
    pub(super) fn wait(&mut self, place: usize, waker: &Waker) {
        if let Some(Some(waiter)) = self.places.get_mut(place) {
            match &mut waiter.waker {
                Some(old) if old.will_wake(waker) => {}
                old => *old = Some(waker.clone()),
            }
        }
    }

    /// Notes that nobody is to be woken.
    pub(super) fn forget(&mut self, place: usize) {
        if let Some(Some(waiter)) = self.places.get_mut(place) {
            waiter.waker = None;
        }
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<Answer> {
        let waiter = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        waiter.answer
    }
}

/// Ends the session when the task is dropped, with its runtime for example: nobody is left waiting.
pub(super) struct EndOnDrop(pub(super) Arc<Link>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.disconnected();
        let pump = self.0.pump().take();
        drop(pump);
    }
}
