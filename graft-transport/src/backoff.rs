//! When to try again: how often, and after which pause.

use std::time::Duration;

/// The bounds of a pause that doubles with each failure, drawn at random between the first and as long as it has
/// grown, so that those who failed together do not come back together.
///
/// Source: "Exponential backoff and jitter", AWS Architecture Blog, 2015, its variant *full jitter* with a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause, and the shortest.
    pub min: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Default for Backoff {
    /// From 50 ms to 10 s.
    fn default() -> Self {
        Self { min: Duration::from_millis(50), max: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// The pause after so many failures in a row, `drawn` deciding where it lies between its bounds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use graft_transport::Backoff;
    /// let backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_secs(1) };
    /// assert_eq!(backoff.pause(1, u32::MAX), Duration::from_millis(100));
    /// assert_eq!(backoff.pause(3, u32::MAX), Duration::from_millis(400));
    /// assert_eq!(backoff.pause(3, 0), Duration::from_millis(100));
    /// assert_eq!(backoff.pause(99, u32::MAX), Duration::from_secs(1));
    /// ```
    pub fn pause(&self, failures: u32, drawn: u32) -> Duration {
        let grown = 2_u32.saturating_pow(failures.saturating_sub(1).min(31));
        let longest = self.min.saturating_mul(grown).min(self.max).max(self.min);
        self.min + (longest - self.min).mul_f64(f64::from(drawn) / f64::from(u32::MAX))
    }

    /// The same with a place drawn at random. Nothing but fairness rests on it.
    #[cfg(feature = "tcp")]
    pub(crate) fn draw(&self, failures: u32) -> Duration {
        use std::hash::{BuildHasher, RandomState};
        self.pause(failures, RandomState::new().hash_one(failures) as u32)
    }
}

/// How calls that are marked as idempotent are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often a call is tried, the first time included; at least 1.
    pub attempts: u32,
    /// The most retries for a hundred calls, over all calls of the channel. A peer in trouble is so spared the
    /// better part of the retries of everybody.
    pub percent: u8,
    /// The pauses between them.
    pub backoff: Backoff,
}

impl Default for Retry {
    /// Three attempts, at most 20 retries for a hundred calls.
    fn default() -> Self {
        Self { attempts: 3, percent: 20, backoff: Backoff::default() }
    }
}
