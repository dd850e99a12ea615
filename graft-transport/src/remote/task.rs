//! The background task of a connection.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use graft_core::Outgoing;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Dispatch;
use super::answer::{Answered, answer, finish};
use super::link::{Driver, EndOnDrop, Link};
use crate::session::IncomingRequest;
use crate::{CloseReason, Closed};

/// How long nobody may drive before the task does.
const TICK: Duration = Duration::from_millis(50);
/// How long a connection may have nothing to do before it gives back its buffers.
const REST: Duration = Duration::from_secs(1);
/// Futures and buffers that are kept to be used again.
const SPARE: usize = 4;

/// Runs a connection until it ends, and says goodbye.
pub(super) async fn run(link: Arc<Link>) {
    let end = EndOnDrop(link.clone());
    let mut task = Task::new(link.clone(), |request, reply| answer(link.clone(), request, reply));
    poll_fn(|cx| task.poll(cx)).await;
    let pump = link.pump().take();
    if let Some(pump) = pump {
        pump.farewell(&link).await;
    }
    drop(end);
}

struct Task<F, Make> {
    link: Arc<Link>,
    make: Make,
    /// Futures of calls that are over, to hold the next ones.
    spare: Vec<Pin<Box<F>>>,
    replies: Vec<Outgoing>,
    requests: Vec<IncomingRequest>,
    timer: Pin<Box<Sleep>>,
    has_yielded: bool,
    /// What the generation was at the last tick.
    seen: Option<u64>,
    has_rested: bool,
}

impl<F, Make> Task<F, Make>
where
    F: Future<Output = Answered> + Send + 'static,
    Make: Fn(IncomingRequest, Outgoing) -> F,
{
    fn new(link: Arc<Link>, make: Make) -> Self {
        Self {
            link,
            make,
            spare: Vec::new(),
            replies: Vec::new(),
            requests: Vec::new(),
            timer: Box::pin(sleep_until(Instant::now())),
            has_yielded: false,
            seen: None,
            has_rested: false,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Before looking at the state, so that what is queued in between is not missed.
        self.link.task.register(cx.waker());
        {
            let mut state = self.link.lock();
            let others = state.session.in_flight() + state.session.serving() > 1 || state.session.has_ports();
            if state.is_flush_due && others && !std::mem::replace(&mut self.has_yielded, true) {
                // Whoever else is about to queue something may do so first: it goes out in the same write.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            state.is_flush_due = false;
        }
        self.has_yielded = false;
        if self.poll_drive(cx).is_err() {
            return Poll::Ready(());
        }
        self.poll_timer(cx)
    }

    /// Moves bytes until there are none to be moved.
    fn poll_drive(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        let link = self.link.clone();
        loop {
            let mut is_idle = false;
            {
                let mut pump = link.pump();
                let Some(pump) = pump.as_mut() else { return Err(Closed::by_us(CloseReason::Disconnected)) };
                if link.lock().driver == Driver::Task {
                    pump.write(&link, cx)?;
                    if !link.lock().session.reads() {
                        is_idle = true;
                    } else {
                        match pump.read(&link, cx) {
                            Poll::Ready(read) => {
                                read?;
                                let now = link.now();
                                let mut state = link.lock();
                                state.session.handle(now, &mut pump.input);
                                state.generation += 1;
                                self.has_rested = false;
                                let garbage = state.dispatch(&link);
                                drop(state);
                                drop(garbage);
                            }
                            Poll::Pending => is_idle = true,
                        }
                    }
                } else {
                    is_idle = true;
                }
            }
            {
                let mut state = link.lock();
                if let Some(closed) = state.session.closed() {
                    return Err(closed);
                }
                self.requests.extend(state.requests.drain(..));
            }
            let any = !self.requests.is_empty();
            let mut requests = std::mem::take(&mut self.requests);
            requests.drain(..).for_each(|request| self.carry_out(request));
            self.requests = requests;
            if is_idle && !any {
                return Ok(());
            }
        }
    }

    /// Begins a call here; what has to wait goes on in a task of its own.
    fn carry_out(&mut self, request: IncomingRequest) {
        let number = request.frame.number;
        let made = (self.make)(request, self.replies.pop().unwrap_or_default());
        let mut future = match self.spare.pop() {
            Some(mut future) => {
                future.set(made);
                future
            }
            None => Box::pin(made),
        };
        if self.link.options.dispatch() == Dispatch::Inline {
            // It is polled again in its own task if it waits, so whom it would wake now is all the same.
            let polled = catch_unwind(AssertUnwindSafe(|| {
                future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            }));
            match polled {
                Ok(Poll::Ready(answered)) => {
                    let reply = finish(&self.link, answered);
                    if self.spare.len() < SPARE {
                        self.spare.push(future);
                        self.replies.push(reply);
                    }
                    return;
                }
                Ok(Poll::Pending) => {}
                Err(_) => {
                    // User code is caught further in; this is ours.
                    self.link.lock().session.fault(number, graft_core::FaultCode::Internal);
                    return;
                }
            }
        }
        let link = self.link.clone();
        let task = self.link.runtime.spawn(async move {
            let answered = future.await;
            finish(&link, answered);
            link.tell(|_| ());
        });
        let ended = self.link.lock().session.attach(number, task.abort_handle());
        if let Some(task) = ended {
            task.abort();
        }
    }

    /// Does what is due and sees to it that the task is woken in time for the rest.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = self.link.now();
            let mut state = self.link.lock();
            if state.session.poll_timeout().is_some_and(|due| due <= now) {
                state.session.handle_timeout(now);
                let garbage = state.dispatch(&self.link);
                state.drive_by_task(&self.link);
                drop(state);
                drop(garbage);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if state.session.drains() && state.session.serving() == 0 && !state.session.has_ports() {
                state.session.close(Closed::by_us(CloseReason::Done));
                let garbage = state.dispatch(&self.link);
                drop(state);
                drop(garbage);
                return Poll::Ready(());
            }
            let is_lone = state.driver != Driver::Task;
            let rests = !is_lone && !self.has_rested && !state.session.is_active();
            let tick = if is_lone { Some(now + TICK) } else { rests.then(|| now + REST) };
            let due = state.session.poll_timeout().into_iter().chain(tick).min();
            state.armed = due;
            let generation = state.generation;
            drop(state);
            let Some(due) = due else { return Poll::Pending };
            let at = Instant::now() + due.saturating_sub(now);
            // A timer that is set too early is only woken in vain; setting it again for each frame costs more.
            if at < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(at);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let is_quiet = self.seen.replace(generation) == Some(generation);
            if is_lone && is_quiet {
                // Nobody called since the last tick, so nobody reads either.
                self.link.lock().drive_by_task(&self.link);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if rests && is_quiet {
                self.has_rested = true;
                self.spare.clear();
                self.replies.clear();
                self.requests = Vec::new();
                self.link.rest();
            }
        }
    }
}
