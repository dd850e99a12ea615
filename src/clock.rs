//! The machine's own clock, for hosts; nothing in the core reads it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use graft_core::{Clock, Timestamp};

/// Reads the machine's wall and monotonic time.
///
/// ```
/// use graft::{Clock, SystemClock};
/// let clock = SystemClock::new();
/// assert!(clock.now().0 > 0 && clock.monotonic() <= clock.monotonic());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    /// Before 1970 it says 1970.
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
