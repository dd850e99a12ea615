//! Calls that wait until there is room for them in what is to be written.

use std::task::Waker;
use std::time::Duration;

use crate::session::NumberMap;

/// Each has a ticket, so that one that is polled often or gives up leaves nothing behind.
#[derive(Default)]
pub(super) struct Room {
    waiting: NumberMap<(Waker, Option<Duration>)>,
    next: u64,
    /// No call has its deadline before.
    first: Option<Duration>,
}

impl Room {
    /// Notes whom to wake when there is room, or at `until`. Returns the ticket, which is `ticket` if there was one.
    pub(super) fn wait(&mut self, ticket: Option<u64>, waker: &Waker, until: Option<Duration>) -> u64 {
        let ticket = ticket.unwrap_or(self.next);
        self.next = self.next.max(ticket + 1);
        self.first = self.first.into_iter().chain(until).min();
        self.waiting.insert(ticket, (waker.clone(), until));
        ticket
    }

    pub(super) fn leave(&mut self, ticket: u64) {
        self.waiting.remove(&ticket);
    }

    pub(super) fn wake_all(&mut self) {
        self.first = None;
        self.waiting.drain().for_each(|(_, (waker, _))| waker.wake());
    }

    /// When somebody is to be woken without there being room.
    pub(super) fn due(&self) -> Option<Duration> {
        self.first
    }

    /// Wakes those whose deadline has passed.
    pub(super) fn expire(&mut self, now: Duration) {
        if self.first.is_some_and(|first| first <= now) {
            let is_over = |until: &Option<Duration>| until.is_some_and(|until| until <= now);
            for (_, (waker, _)) in self.waiting.extract_if(|_, (_, until)| is_over(until)) {
                waker.wake();
            }
            self.first = self.waiting.values().filter_map(|(_, until)| *until).min();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::task::noop_waker;

    #[test]
    fn who_is_polled_often_or_gives_up_leaves_nothing_behind() {
        let mut room = Room::default();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let mut ticket = None;
        for _ in 0..1000 {
            ticket = Some(room.wait(ticket, &noop_waker(), seconds(9)));
            let other = room.wait(None, &noop_waker(), None);
            room.leave(other);
        }
        assert_eq!(room.waiting.len(), 1);
        room.wait(None, &noop_waker(), seconds(2));
        assert_eq!(room.due(), seconds(2));
        room.expire(Duration::from_secs(2));
        assert_eq!((room.waiting.len(), room.due()), (1, seconds(9)));
        room.wake_all();
        assert_eq!((room.waiting.len(), room.due()), (0, None));
    }
}
