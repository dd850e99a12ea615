//! Maps by the numbers of calls, streams and objects.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map whose size a limit bounds, so that numbers chosen to collide cost a bounded walk and nothing more.
pub(crate) type NumberMap<V> = HashMap<u64, V, BuildHasherDefault<NumberHasher>>;

/// Multiplies and folds; numbers need no more.
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // Two factors of 64 bits: their product fits.
        let wide = u128::from(self.0 ^ number) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (wide >> 64) as u64 ^ wide as u64;
    }
}

/// How many of something a second, in bursts of as many.
pub(super) struct Bucket {
    rate: u32,
    left: f64,
    at: std::time::Duration,
}

impl Bucket {
    pub(super) fn new(rate: u32, now: std::time::Duration) -> Self {
        Self { rate, left: f64::from(rate), at: now }
    }

    /// Whether there is one more now.
    pub(super) fn take(&mut self, now: std::time::Duration) -> bool {
        if self.left < 1.0 || now.saturating_sub(self.at) > std::time::Duration::from_secs(1) {
            let since = now.saturating_sub(self.at).as_secs_f64();
            self.left = (self.left + since * f64::from(self.rate)).min(f64::from(self.rate));
            self.at = now;
        }
        let is_there = self.left >= 1.0;
        if is_there {
            self.left -= 1.0;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn any_number_has_a_hash_and_near_ones_have_others() {
        let hash = |number| {
            let mut hasher = NumberHasher::default();
            hasher.write_u64(number);
            hasher.finish()
        };
        let numbers = (0..10_000).chain(u64::MAX - 10_000..=u64::MAX);
        let hashes: std::collections::HashSet<u64> = numbers.map(hash).collect();
        assert_eq!(hashes.len(), 20_001);
    }

    #[test]
    fn a_bucket_fills_at_its_rate_and_not_beyond() {
        let mut bucket = Bucket::new(10, Duration::ZERO);
        let count = |bucket: &mut Bucket, now| (0..1000).filter(|_| bucket.take(now)).count();
        assert_eq!(count(&mut bucket, Duration::ZERO), 10);
        assert_eq!(count(&mut bucket, Duration::from_millis(300)), 3);
        assert_eq!(count(&mut bucket, Duration::from_secs(60)), 10);
    }
}
