//! What a session waits for, and for how long.

use std::time::Duration;

use super::Role;
use crate::{CloseReason, Limits};

pub(super) struct Watch {
    began: Duration,
    /// Since when the peer said nothing that it could have said.
    quiet: Duration,
    /// When it was asked since.
    asked: Option<Duration>,
    /// Since when a frame is half read.
    partial: Option<Duration>,
    /// Whether too much waited for the peer for anything to be read from it, so that its silence says nothing.
    pub(super) not_read: bool,
    /// Since when the peer takes no bytes.
    stalled: Option<Duration>,
}

impl Watch {
    pub(super) fn new(now: Duration) -> Self {
        Self { began: now, quiet: now, asked: None, partial: None, not_read: false, stalled: None }
    }

    /// Bytes came in, of which `left` are not a whole frame; whether any frame got whole.
    pub(super) fn heard(&mut self, now: Duration, left: usize, any_whole: bool) {
        self.quiet_since(now);
        self.partial = match left {
            0 => None,
            _ if any_whole || self.not_read => Some(now),
            _ => self.partial.or(Some(now)),
        };
        self.not_read = false;
    }

    /// Reading begins again, so what the peer is waited for counts from now.
    pub(super) fn reads_again(&mut self, now: Duration) {
        self.quiet_since(now);
        self.partial = self.partial.map(|_| now);
        self.not_read = false;
    }

    pub(super) fn quiet_since(&mut self, now: Duration) {
        self.quiet = now;
        self.asked = None;
    }

    pub(super) fn asked(&mut self, now: Duration) {
        self.asked = Some(now);
    }

    pub(super) fn writing(&mut self, now: Duration, is_stalled: bool) {
        self.stalled = is_stalled.then(|| self.stalled.unwrap_or(now));
    }

    /// What is due next: an end with its reason, or a question whether the peer is there.
    pub(super) fn due(
        &self,
        limits: &Limits,
        is_greeted: bool,
        is_active: bool,
        role: Role,
    ) -> Option<(Duration, Option<CloseReason>)> {
        let frame = limits.frame_timeout();
        let handshake = (!is_greeted)
            .then(|| self.began.saturating_add(limits.handshake_timeout()))
            .map(|at| (at, Some(CloseReason::HandshakeTimeout)));
        let stuck = self.partial.into_iter().chain(self.stalled).min();
        let stuck = stuck.map(|since| (since.saturating_add(frame), Some(CloseReason::FrameTimeout)));
        let quiet = match (is_active, self.asked) {
            _ if !is_greeted => None,
            (true, None) => Some((self.quiet.saturating_add(limits.keepalive()), None)),
            // From the question on, so that a peer has its time to answer also if the clock jumped.
            (true, Some(asked)) => {
                Some((asked.saturating_add(limits.keepalive()), Some(CloseReason::PeerSilent)))
            }
            (false, _) if role == Role::Server && self.partial.is_none() => {
                Some((self.quiet.saturating_add(limits.idle_timeout()), Some(CloseReason::IdleTimeout)))
            }
            (false, _) => None,
        };
        [handshake, stuck, quiet].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}
