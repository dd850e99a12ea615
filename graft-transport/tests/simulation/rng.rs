//! Numbers out of a seed.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At most `most`, itself included.
    pub(crate) fn upto(&mut self, most: u64) -> u64 {
        self.next() % (most + 1)
    }

    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.upto(most - least)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.upto(of.len() as u64 - 1) as usize]
    }

    /// Whole microseconds.
    pub(crate) fn time(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.upto(most.as_micros() as u64))
    }
}
