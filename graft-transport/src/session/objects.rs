//! Objects that one end hosts for the other, on a lease.

use std::time::Duration;

use graft_core::{FaultCode, HandleId};

use super::numbers::NumberMap;
use super::{Frame, Session};

pub(super) struct Objects {
    /// Until when each object that is hosted here is kept.
    hosted: NumberMap<Duration>,
    ever_hosted: bool,
    ever_held: bool,
    /// Objects of the peer that are held here.
    held: NumberMap<()>,
    /// How long the peer keeps its objects.
    peer_lease: Duration,
    /// When those that are held are renewed.
    renewal: Option<Duration>,
    /// No lease ends before.
    next_end: Option<Duration>,
}

impl Objects {
    pub(super) fn new() -> Self {
        Self {
            hosted: NumberMap::default(),
            ever_hosted: false,
            ever_held: false,
            held: NumberMap::default(),
            peer_lease: Duration::ZERO,
            renewal: None,
            next_end: None,
        }
    }

    pub(super) fn peer_lease(&mut self, lease: Duration) {
        self.peer_lease = lease;
    }

    pub(super) fn len(&self) -> usize {
        self.hosted.len() + self.held.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hosted.is_empty() && self.held.is_empty()
    }

    pub(super) fn ever_hosted(&self) -> bool {
        self.ever_hosted
    }

    pub(super) fn ever_held(&self) -> bool {
        self.ever_held
    }

    pub(super) fn clear(&mut self) {
        self.hosted.clear();
        self.held.clear();
    }

    /// The peer uses or renews an object that is hosted here; whether it is here.
    pub(super) fn used(&mut self, handle: HandleId, until: Duration) -> bool {
        self.hosted.get_mut(&handle.0).map(|end| *end = until.max(*end)).is_some()
    }

    pub(super) fn released(&mut self, handle: HandleId) -> bool {
        self.hosted.remove(&handle.0).is_some()
    }

    /// An object of the peer came in; whether there may be that many. One too many is released by whoever
    /// refuses what brought it.
    pub(super) fn held(&mut self, now: Duration, handle: HandleId, most: usize) -> bool {
        if self.held.is_empty() {
            self.renewal = Some(now.saturating_add(self.renewed_after()));
        }
        self.held.insert(handle.0, ());
        self.ever_held = true;
        self.held.len() <= most
    }

    /// Three times in the course of a lease.
    fn renewed_after(&self) -> Duration {
        (self.peer_lease / 3).max(Duration::from_millis(10))
    }

    pub(super) fn due(&self) -> Option<Duration> {
        let renewal = self.renewal.filter(|_| !self.held.is_empty());
        let end = self.next_end.filter(|_| !self.hosted.is_empty());
        renewal.into_iter().chain(end).min()
    }

    /// Objects whose lease ran out, and those that are to be renewed.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> (Vec<HandleId>, Vec<HandleId>) {
        let mut gone = Vec::new();
        if self.next_end.is_some_and(|end| end <= now) {
            self.hosted.retain(|handle, end| {
                let is_kept = *end > now;
                if !is_kept {
                    gone.push(HandleId(*handle));
                }
                is_kept
            });
            self.next_end = self.hosted.values().min().copied();
        }
        let mut held = Vec::new();
        if self.renewal.is_some_and(|renewal| renewal <= now) {
            held.extend(self.held.keys().map(|handle| HandleId(*handle)));
            self.renewal = (!held.is_empty()).then(|| now.saturating_add(self.renewed_after()));
        }
        (gone, held)
    }
}

impl<C, A> Session<C, A> {
    /// Takes note of an object that is hosted here from `now` on, for the ports of a call or reply.
    ///
    /// # Errors
    /// [`FaultCode::LimitExceeded`] if there are [`Limits::max_handles`](crate::Limits::max_handles) of them.
    pub fn host(&mut self, now: Duration, handle: HandleId) -> Result<(), FaultCode> {
        if self.objects.hosted.len() >= self.limits.max_handles() as usize {
            return Err(FaultCode::LimitExceeded);
        }
        let end = now.saturating_add(self.limits.lease());
        self.objects.hosted.insert(handle.0, end);
        self.objects.ever_hosted = true;
        self.objects.next_end = Some(self.objects.next_end.map_or(end, |next| next.min(end)));
        Ok(())
    }

    /// Takes back an object whose call or reply did not go out.
    pub fn unhost(&mut self, handle: HandleId) {
        self.objects.hosted.remove(&handle.0);
    }

    /// Whether an object is hosted here for this peer.
    pub fn hosts(&self, handle: HandleId) -> bool {
        self.objects.hosted.contains_key(&handle.0)
    }

    /// Says that an object of the peer is no longer held here.
    pub fn release(&mut self, handle: HandleId) {
        if self.objects.held.remove(&handle.0).is_some() {
            self.say(&Frame::Release { handle });
        }
    }

    /// Says that an object of the peer is still held. Held objects are also renewed as time passes.
    pub fn renew(&mut self, handle: HandleId) {
        if self.objects.held.contains_key(&handle.0) {
            self.say(&Frame::Renew { handle });
        }
    }
}
