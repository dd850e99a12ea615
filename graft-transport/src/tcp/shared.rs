//! A session between the task that pumps it and the calls that use it.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard};

use futures::task::AtomicWaker;
use tokio::sync::Notify;

use crate::session::Session;
use crate::{CloseReason, Closed};

pub(super) struct Shared<S> {
    session: Mutex<S>,
    /// Wakes the pump when there is something to write or the session was closed.
    pump: AtomicWaker,
    /// Wakes whoever waits for room in the bytes to write.
    room: Notify,
}

impl<S: Session> Shared<S> {
    pub(super) fn new(session: S) -> Self {
        Self { session: Mutex::new(session), pump: AtomicWaker::new(), room: Notify::new() }
    }

    /// The session. No user code runs while it is held, so a poisoned lock still guards a whole session.
    pub(super) fn lock(&self) -> MutexGuard<'_, S> {
        self.session.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Queues something once there is room for it, or the session is closed.
    pub(super) async fn queue<R>(&self, queue: impl FnOnce(&mut S) -> R) -> R {
        let mut queue = Some(queue);
        loop {
            if let Some(queued) = self.try_queue(&mut queue) {
                return queued;
            }
            let mut room = pin!(self.room.notified());
            // Enabled before looking again, so that room made in between is not missed.
            room.as_mut().enable();
            if let Some(queued) = self.try_queue(&mut queue) {
                return queued;
            }
            room.await;
        }
    }

    fn try_queue<R>(&self, queue: &mut Option<impl FnOnce(&mut S) -> R>) -> Option<R> {
        let mut session = self.lock();
        if !session.has_room() && session.closed().is_none() {
            return None;
        }
        let queued = queue.take()?(&mut session);
        drop(session);
        self.pump.wake();
        Some(queued)
    }

    /// Queues something small whether there is room or not.
    pub(super) fn queue_now(&self, queue: impl FnOnce(&mut S)) {
        queue(&mut self.lock());
        self.pump.wake();
    }

    /// Ends the session; the first end stays and is returned.
    pub(super) fn close(&self, closed: Closed) -> Closed {
        let closed = self.lock().close(closed);
        self.room.notify_waiters();
        self.pump.wake();
        closed
    }

    pub(super) fn pump_waker(&self) -> &AtomicWaker {
        &self.pump
    }

    /// Says that bytes were fetched to be written.
    pub(super) fn made_room(&self) {
        self.room.notify_waiters();
    }
}

/// Ends the session when the pump is dropped, with its runtime for example: no call is left waiting.
pub(super) struct EndOnDrop<'a, S: Session>(pub(super) &'a Shared<S>);

impl<S: Session> Drop for EndOnDrop<'_, S> {
    fn drop(&mut self) {
        self.0.close(Closed::by_us(CloseReason::Disconnected));
    }
}
