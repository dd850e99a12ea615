//! What holds in every world: at each moment, where nothing moves any more, and at the end.

use std::time::Duration;

use graft_core::{FaultCode, HandleId};
use graft_transport::Closed;
use graft_transport::session::Room;

use crate::plan::{Outcome, Trouble};
use crate::world::{Task, World};

impl World {
    /// At each moment.
    pub(crate) fn check(&mut self) {
        for end in [0, 1] {
            let (here, limits) = (&self.ends[end], &self.setting.limits[end]);
            let calls = limits.max_in_flight().min(self.setting.limits[1 - end].max_in_flight()) as usize;
            assert!(here.session.in_flight() <= calls);
            assert!(here.session.serving() <= limits.max_in_flight() as usize);
            self.check_windows(end);
            if here.closed.is_some() {
                continue;
            }
            // A peer that is gone is noticed.
            if let Some(since) = here.active_since {
                let since = since.max(here.heard);
                assert!(self.now <= since + limits.keepalive() * 2, "a dead peer is noticed");
            }
            if !here.session.is_open() {
                assert!(self.now <= limits.handshake_timeout(), "a hello is not waited for in vain");
            }
            if let Some(troubled) = self.troubled {
                for (id, object) in self.objects.iter().filter(|(_, object)| object.host == end) {
                    let until = troubled.max(object.hosted_at) + limits.lease();
                    assert!(self.now <= until || !here.session.hosts(HandleId(*id)), "a lease runs out");
                }
            }
        }
    }

    /// What was sent and not taken of streams that `end` produces is within the windows of its reader.
    fn check_windows(&self, end: usize) {
        let (stream, all) = self.setting.windows(1 - end);
        let mut waits = 0;
        for flow in self.flows.range((end, 0)..(end + 1, 0)).map(|(_, flow)| flow) {
            let own = flow.cost[0] - flow.cost[1];
            assert!(own <= u64::from(stream) * 3 / 2, "{own} bytes of one stream wait in {stream}");
            waits += if flow.is_stopped || !flow.is_read { 0 } else { own };
        }
        assert!(waits <= u64::from(all) * 3 / 2, "{waits} bytes of all streams wait in {all}");
    }

    /// Nothing moves: the next thing to do, if there is one.
    pub(crate) fn goes_on(&mut self) -> bool {
        if !self.is_settled {
            if self.ends.iter().all(|end| end.session.is_open()) && self.troubled.is_none() {
                self.check_rest();
            }
            self.is_settled = true;
        }
        if self.bursts > 0 {
            self.bursts -= 1;
            // Long enough now and then for a session to be asked, or to be given up as idle.
            let longest = self.rng.one_of(&[0, 1, 100]);
            let gap = self.rng.time(Duration::from_secs(longest));
            self.after(gap, Task::Burst);
        } else if self.ends.iter().any(|end| end.closed.is_none()) {
            let first = self.rng.upto(1) as usize;
            let gap = self.rng.time(Duration::from_secs(1));
            if self.ends[first].closed.is_none() {
                self.after(gap, Task::Close(first));
            }
            // In silence each has to come to it by itself.
            if self.troubled.is_some() || self.ends[first].closed.is_some() {
                self.after(gap, Task::Close(1 - first));
            }
        } else {
            return false;
        }
        self.is_settled = false;
        true
    }

    /// While the network works everything comes to its end by itself.
    fn check_rest(&self) {
        for (id, call) in self.calls.iter().enumerate() {
            assert!(call.outcome.is_some(), "call {id} has no outcome");
        }
        for end in [0, 1] {
            let here = &self.ends[end];
            assert_eq!((here.session.in_flight(), here.session.serving()), (0, 0));
            assert!(here.told >= here.asked, "every question is answered");
            assert!(here.input.is_empty());
        }
        for (key, flow) in &self.flows {
            let is_left = !flow.is_read || flow.is_stopped;
            let is_whole = flow.is_over && flow.taken == flow.plan.items;
            assert!(is_whole || is_left && (flow.is_gone || flow.is_finished), "stream {key:?} stands still");
            assert!(!flow.is_gone || is_left, "stream {key:?} was stopped by nobody");
        }
        for (id, object) in &self.objects {
            let is_kept = object.is_held && !object.is_released;
            let hosts = self.ends[object.host].session.hosts(HandleId(*id));
            assert_eq!(hosts, is_kept, "object {id}");
            assert_eq!(object.is_gone, !is_kept, "object {id}");
        }
    }

    /// When both ends are closed and nothing moves.
    pub(crate) fn check_end(&mut self) {
        for end in [0, 1] {
            let here = &mut self.ends[end];
            assert!(here.closed.is_some() && !here.session.is_active(), "end {end} is settled");
            assert_eq!((here.session.in_flight(), here.session.serving()), (0, 0));
            assert_eq!(here.session.poll_timeout(), None);
        }
        for (id, call) in self.calls.iter_mut().enumerate() {
            let was_made = call.number.is_some() || matches!(call.outcome, Some(Outcome::Refused(_)));
            let closed = self.ends[call.plan.by].closed;
            let outcome = *call.outcome.get_or_insert(Outcome::Lost);
            assert!(was_made && call.made.get() <= 1, "call {id}");
            if call.number.is_some() {
                assert_eq!(call.made.get(), 1, "call {id} is let go of once");
            }
            assert_eq!(
                call.served.get(),
                u32::from(call.has_arrived),
                "the work for call {id} is let go of once"
            );
            if outcome == Outcome::Lost {
                self.seen.lost += 1;
                let code = closed.map(Closed::fault_code);
                assert_eq!(code, Some(FaultCode::Unavailable), "call {id} is lost with its connection");
            }
        }
        for (key, flow) in &self.flows {
            assert_eq!(self.ends[key.0].session.room(key.1, 1), Room::Gone);
            assert!(flow.is_finished || flow.is_gone, "the producer of {key:?} waits");
            assert!(!flow.is_read || flow.is_over || flow.is_stopped, "the reader of {key:?} waits");
            assert!(flow.taken <= flow.sent);
        }
        for (id, object) in &self.objects {
            assert!(!self.ends[object.host].session.hosts(HandleId(*id)), "object {id} is left");
        }
        if self.setting.trouble == Trouble::None {
            assert!(self.troubled.is_none());
        }
    }

    pub(crate) fn check_refusal(&self, id: usize, code: FaultCode) {
        let call = &self.calls[id];
        let end = call.plan.by;
        let here = &self.ends[end];
        let both = [0, 1].map(|end| self.setting.limits[end]);
        let is_right = match code {
            FaultCode::Unavailable => here.session.closed().is_some() || here.session.is_draining(),
            FaultCode::LimitExceeded => {
                let most = both[0].max_in_flight().min(both[1].max_in_flight()) as usize;
                let longest = both[0].max_frame().min(both[1].max_frame()) as usize;
                here.session.in_flight() >= most || call.plan.body + 200 > longest
            }
            _ => false,
        };
        assert!(is_right, "call {id} was refused with {code:?}");
    }
}
