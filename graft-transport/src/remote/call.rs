//! A call that is made over a connection.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use graft_core::{
    Deadline, Fault, FaultCode, HandleId, Incoming, Label, Outgoing, Request, TraceId, TypedBody,
};

use super::link::{Driver, Garbage, Link};
use super::ports::{self, Hold};
use super::pump::Broken;
use crate::session::Answer;
use crate::wire::RequestHead;

thread_local! {
    /// Where arguments are encoded; what is small is copied out of it again.
    static SCRATCH: RefCell<Outgoing> = RefCell::default();
}

/// Written by hand, so that a lone caller drives the connection in its own poll.
pub(super) struct RemoteCall<'a> {
    hold: &'a Hold,
    request: Request<'a>,
    handle: Option<HandleId>,
    body: &'a mut dyn TypedBody,
    stage: Stage,
}

enum Stage {
    New,
    /// Encoded, and there was no room for it; what it waits with.
    Encoded(Outgoing, u64),
    Waiting {
        place: usize,
        number: u64,
    },
    Done,
}

type Failed = (FaultCode, Option<TraceId>);

impl<'a> RemoteCall<'a> {
    pub(super) fn new(
        hold: &'a Hold,
        request: Request<'a>,
        handle: Option<HandleId>,
        body: &'a mut dyn TypedBody,
    ) -> Self {
        Self { hold, request, handle, body, stage: Stage::New }
    }

    fn link(&self) -> &'a Link {
        self.hold.link()
    }

    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Label, Failed>> {
        let place = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::New => {
                // Again here, for a caller that did not ask: nothing is encoded before this line.
                if !self.link().options.clearance().admits(self.request.label) {
                    return Poll::Ready(Err((FaultCode::ClearanceExceeded, None)));
                }
                let mut args = SCRATCH.take();
                args.clear();
                if let Err(code) = self.body.encode_args(&mut args) {
                    return Poll::Ready(Err((code, None)));
                }
                self.poll_queue(args, None, cx)
            }
            Stage::Encoded(args, ticket) => self.poll_queue(args, Some(ticket), cx),
            stage @ Stage::Waiting { place, .. } => {
                self.stage = stage;
                Poll::Ready(Ok(place))
            }
            Stage::Done => return Poll::Ready(Err((FaultCode::Internal, None))),
        };
        match place {
            Poll::Ready(Ok(place)) => self.poll_answer(place, cx),
            Poll::Ready(Err(code)) => Poll::Ready(Err((code, None))),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Queues the request once there is room for it; the place in which to wait.
    fn poll_queue(
        &mut self,
        mut args: Outgoing,
        ticket: Option<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, FaultCode>> {
        let link = self.hold.link();
        let now = link.now();
        let remaining = match self.request.meta.deadline {
            Some(deadline) => match deadline.remaining_at(now) {
                Some(left) => Some(left),
                None => return Poll::Ready(Err(FaultCode::DeadlineExceeded)),
            },
            None => None,
        };
        let exports = std::mem::take(&mut args.ports);
        let mut state = link.lock();
        if !state.session.has_room() && state.session.closed().is_none() {
            let until = remaining.map(|left| now.saturating_add(left));
            let ticket = state.room.wait(ticket, cx.waker(), until);
            // The task sees to the deadline.
            state.drive_by_task(link);
            args.ports = exports;
            self.stage = Stage::Encoded(args, ticket);
            return Poll::Pending;
        }
        if let Some(ticket) = ticket {
            state.room.leave(ticket);
        }
        let ports = match ports::announce(&mut state, link, now, exports) {
            Ok(ports) => ports,
            Err((code, garbage)) => {
                drop(state);
                drop(garbage);
                return Poll::Ready(Err(code));
            }
        };
        let request = Request { handle: self.handle, ..self.request };
        let head = RequestHead { request: &request, remaining };
        let place = state.waiters().add();
        let queued = state.session.request(now, head, &mut args, ports.wire(), place);
        let number = match queued {
            Ok(number) => number,
            Err(code) => {
                state.waiters().remove(place);
                let garbage = ports.withdraw(&mut state, link);
                drop(state);
                drop(garbage);
                return Poll::Ready(Err(code));
            }
        };
        self.stage = Stage::Waiting { place, number };
        state.choose_driver(link, now, place);
        drop(state);
        ports.start(self.hold);
        // Nothing of a call stays behind it.
        args.clear();
        SCRATCH.set(args);
        Poll::Ready(Ok(place))
    }

    fn poll_answer(&mut self, place: usize, cx: &mut Context<'_>) -> Poll<Result<Label, Failed>> {
        let link = self.hold.link();
        let drives = {
            let mut state = link.lock();
            // While it drives it finds its answer itself; to be woken would only poll it once more in vain.
            let drives = state.driver == Driver::Caller(place);
            if drives {
                state.waiters().forget(place);
            }
            drives
        };
        if drives {
            drive(link, place, cx);
        }
        let mut state = link.lock();
        if !state.waiters().is_answered(place) {
            state.waiters().wait(place, cx.waker());
            return Poll::Pending;
        }
        self.stage = Stage::Done;
        let answer = state.leave(link, place);
        drop(state);
        Poll::Ready(self.take(answer))
    }

    fn take(&mut self, answer: Option<Answer>) -> Result<Label, Failed> {
        let own = |code| (code, None);
        let late = self.request.meta.deadline.is_some_and(|deadline| left(deadline, self.link()).is_none());
        match answer {
            Some(Answer::Reply { kind, label, ports, body }) => {
                let ports = ports::import(self.hold, &ports);
                if late {
                    return Err(own(FaultCode::DeadlineExceeded));
                }
                self.body.decode_reply(kind, Incoming { bytes: body.0, ports }).map_err(own)?;
                Ok(label)
            }
            Some(Answer::Fault { code, trace }) if !late => Err((code, trace)),
            Some(Answer::Fault { .. }) => Err(own(FaultCode::DeadlineExceeded)),
            None => Err(own(FaultCode::Internal)),
        }
    }
}

/// Moves bytes until the answer is there or there are none.
fn drive(link: &Link, place: usize, cx: &mut Context<'_>) {
    // Dropped when the pump is let go.
    let mut garbage = Garbage::default();
    if let Err(broken) = drive_pump(link, place, cx, &mut garbage) {
        link.broke(broken);
    }
}

fn drive_pump(link: &Link, place: usize, cx: &mut Context<'_>, garbage: &mut Garbage) -> Result<(), Broken> {
    let mut pump = link.pump();
    let Some(pump) = pump.as_mut() else { return Ok(()) };
    // Asked while the pump is held: whoever took over since may have read already and waits to be woken by the
    // stream, which wakes only the last who read.
    if link.lock().driver != Driver::Caller(place) {
        return Ok(());
    }
    pump.write(link, cx)?;
    while pump.read(cx)?.is_ready() {
        let now = link.now();
        let mut state = link.lock();
        state.session.handle(now, &mut pump.input);
        state.dispatch(link, garbage);
        let is_over = state.waiters().is_answered(place) || state.driver != Driver::Caller(place);
        let has_output = state.session.has_output();
        drop(state);
        if has_output {
            pump.write(link, cx)?;
        }
        if is_over {
            break;
        }
    }
    Ok(())
}

fn left(deadline: Deadline, link: &Link) -> Option<std::time::Duration> {
    deadline.remaining(&**link.options.clock())
}

impl Future for RemoteCall<'_> {
    type Output = Result<Label, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let own = self.request.meta.trace.trace;
        self.poll_call(cx).map_err(|(code, trace)| Fault::new(code, trace.unwrap_or(own)))
    }
}

impl Drop for RemoteCall<'_> {
    fn drop(&mut self) {
        let (place, number) = match self.stage {
            Stage::Waiting { place, number } => (place, number),
            Stage::Encoded(_, ticket) => return self.link().lock().room.leave(ticket),
            Stage::New | Stage::Done => return,
        };
        let link = self.hold.link();
        let answer = link.tell(|state| {
            state.session.cancel(number);
            state.leave(link, place)
        });
        // What came in it is closed.
        if let Some(Answer::Reply { ports, .. }) = answer {
            drop(ports::import(self.hold, &ports));
        }
    }
}
