//! Time comes in through a trait, so that nothing in the core reads a clock and tests own the time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds since 1970-01-01T00:00:00Z; ends in the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

/// Nanoseconds by a host's monotonic clock, from a point of its own that no other run of the host shares. 0 if it
/// gave none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Monotonic(pub u64);

/// Past the year 584 it stands still.
impl From<Duration> for Monotonic {
    fn from(since: Duration) -> Self {
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Wall and monotonic time of the host.
///
/// Implement it to control time; `graft::SystemClock` is the one that reads the machine's.
pub trait Clock: Send + Sync {
    /// Wall time, for records. It may jump.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start that never goes back, for deadlines.
    fn monotonic(&self) -> Duration;
}

/// A clock that moves only when told to.
///
/// ```
/// use graft_core::{Clock, ManualClock};
/// use std::time::Duration;
/// let clock = ManualClock::default();
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.monotonic(), Duration::from_secs(2));
/// ```
#[derive(Debug, Default)]
pub struct ManualClock {
    nanos: AtomicU64,
}

impl ManualClock {
    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        self.nanos.fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.nanos.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::SeqCst))
    }
}

/// The point on a [`Clock`]'s monotonic time after which nobody waits any more.
///
/// It crosses a wire as the time that remains, since two machines share no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    at: Duration,
}

impl Deadline {
    /// `timeout` from now.
    pub fn after(clock: &dyn Clock, timeout: Duration) -> Self {
        Self { at: clock.monotonic().saturating_add(timeout) }
    }

    /// What is left, or `None` once it has passed.
    pub fn remaining(&self, clock: &dyn Clock) -> Option<Duration> {
        self.remaining_at(clock.monotonic())
    }

    /// What is left at this time of the clock, for whoever has just read it; `None` once it has passed.
    pub fn remaining_at(&self, now: Duration) -> Option<Duration> {
        self.at.checked_sub(now).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_runs_out_at_its_instant_and_stays_out() {
        let clock = ManualClock::default();
        let deadline = Deadline::after(&clock, Duration::from_millis(5));
        clock.advance(Duration::from_millis(4));
        assert_eq!(deadline.remaining(&clock), Some(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(deadline.remaining(&clock), None);
        clock.advance(Duration::from_secs(9));
        assert_eq!(deadline.remaining(&clock), None);
    }
}
