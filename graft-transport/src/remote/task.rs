//! The background task of a connection.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::FutureExt;
use graft_core::{FaultCode, Outgoing};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Dispatch;
use super::answer::{Answered, answer, finish};
use super::link::{Driver, EndOnDrop, Garbage, Link, State};
use super::pump::Broken;
use crate::session::IncomingRequest;
use crate::{CloseReason, Closed};

/// How long nobody may drive before the task does.
pub(super) const TICK: Duration = Duration::from_millis(50);
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
    /// When to look whether anything happened, and whether that is because nobody may be reading.
    look: Option<(bool, Instant)>,
    /// What the generation was when that was set.
    seen: u64,
    has_rested: bool,
    /// Whether all that was queued went out, when it was last seen to.
    is_written: bool,
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
            look: None,
            seen: 0,
            has_rested: false,
            is_written: true,
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
            let mut garbage = Garbage::default();
            let moved = self.poll_pump(cx, &mut garbage);
            drop(garbage);
            let has_read = moved.map_err(|broken| link.broke(broken))?;
            let is_asked = {
                let mut state = link.lock();
                if let Some(closed) = state.session.closed() {
                    return Err(closed);
                }
                let State { session, requests, binds, .. } = &mut *state;
                // One that was cancelled meanwhile does not begin.
                let wanted = requests.drain(..).filter(|request| session.is_serving(request.frame.number));
                self.requests.extend(wanted);
                !binds.is_empty()
            };
            let any = (is_asked && link.answer_binds()) | !self.requests.is_empty();
            let mut requests = std::mem::take(&mut self.requests);
            requests.drain(..).for_each(|request| self.carry_out(request));
            self.requests = requests;
            if !has_read && !any {
                return Ok(());
            }
        }
    }

    /// Writes what there is and reads once, if it is the task that drives; whether anything came in.
    fn poll_pump(&mut self, cx: &mut Context<'_>, garbage: &mut Garbage) -> Result<bool, Broken> {
        let link = &self.link;
        let mut pump = link.pump();
        let pump = pump.as_mut().ok_or(Broken(None))?;
        if link.lock().driver != Driver::Task {
            return Ok(false);
        }
        pump.write(link, cx)?;
        self.is_written = pump.is_written();
        if !link.lock().session.reads() || pump.read(cx)?.is_pending() {
            return Ok(false);
        }
        let now = link.now();
        let mut state = link.lock();
        state.session.handle(now, &mut pump.input);
        state.generation += 1;
        self.has_rested = false;
        state.dispatch(link, garbage);
        Ok(true)
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
                    let mut reply = finish(&self.link, answered);
                    if self.spare.len() < SPARE {
                        self.spare.push(future);
                        // Nothing of a reply stays behind it.
                        reply.clear();
                        self.replies.push(reply);
                    }
                    return;
                }
                Ok(Poll::Pending) => {}
                Err(_) => {
                    // User code is caught further in; this is ours.
                    self.link.lock().session.fault(number, FaultCode::Internal);
                    return;
                }
            }
        }
        let link = self.link.clone();
        let task = self.link.runtime.spawn(async move {
            // User code is caught further in; whatever else panics must not leave a call without an answer.
            match AssertUnwindSafe(future).catch_unwind().await {
                Ok(answered) => drop(finish(&link, answered)),
                Err(_) => drop(link.lock().session.fault(number, FaultCode::Internal)),
            }
            link.tell(|_| ());
        });
        let ended = self.link.lock().session.attach(number, task.abort_handle());
        if let Some(task) = ended {
            task.abort();
        }
    }

    /// When to look whether anything happened since: after a tick if nobody may be reading, else after a rest.
    fn look(&mut self, is_lone: bool, rests: bool, generation: u64) -> Option<Instant> {
        if !is_lone && !rests {
            self.look = None;
        } else if self.look.is_none_or(|(was_lone, _)| was_lone != is_lone) {
            let wait = if is_lone { TICK } else { REST };
            self.seen = generation;
            self.look = Some((is_lone, Instant::now() + wait));
        }
        self.look.map(|(_, at)| at)
    }

    /// Does what is due and sees to it that the task is woken in time for the rest.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = self.link.now();
            let mut state = self.link.lock();
            if state.due().is_some_and(|due| due <= now) {
                state.room.expire(now);
                state.session.handle_timeout(now);
                let mut garbage = Garbage::default();
                state.dispatch(&self.link, &mut garbage);
                state.drive_by_task(&self.link);
                drop(state);
                drop(garbage);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let is_written = self.is_written && !state.session.has_output();
            if state.session.drains()
                && state.session.serving() == 0
                && !state.session.has_ports()
                && is_written
            {
                drop(state);
                self.link.close(Closed::by_us(CloseReason::Done));
                return Poll::Ready(());
            }
            let is_lone = state.driver != Driver::Task;
            let rests = !is_lone && !self.has_rested && !state.session.is_active();
            let due = state.due();
            state.armed = due;
            let generation = state.generation;
            drop(state);
            let look = self.look(is_lone, rests, generation);
            let due = due.map(|due| Instant::now() + due.saturating_sub(now));
            let Some(at) = due.into_iter().chain(look).min() else { return Poll::Pending };
            // A timer that is set too early is only woken in vain; setting it again for each frame costs more.
            if at < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(at);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if look.is_none_or(|look| look > Instant::now()) {
                continue;
            }
            self.look = None;
            let is_quiet = self.seen == generation;
            if is_lone && is_quiet {
                // Nobody called since the last look, so nobody reads either.
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
