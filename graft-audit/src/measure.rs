//! The sealing core alone, for benches: no file, no queue and no thread. Nothing else is to use it.

use crate::format::{Mark, Salt};
use crate::seal::SegmentKeys;
use crate::sealer::{Sealer, Tip};
use crate::{AuditKey, LogId, Mode};

/// Seals batches into memory and keeps none.
pub struct SealedInMemory {
    sealer: Sealer,
    bytes: Vec<u8>,
}

impl SealedInMemory {
    /// A log of its own under `key`.
    pub fn new(key: &AuditKey) -> Self {
        let log = LogId([1; 16]);
        let keys = SegmentKeys::readable(key, log, 0);
        let (sealer, _) = Sealer::start(keys, Mode::Readable, 0, Tip::genesis(log));
        Self { sealer, bytes: Vec::new() }
    }

    /// Seals a batch of so many records of `body` under fresh randomness and returns its bytes, which the next
    /// batch overwrites; `None` if a batch does not take them, or there is no randomness.
    pub fn batch(&mut self, body: &[u8], records: u32) -> Option<&[u8]> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).ok()?;
        self.bytes.clear();
        let mut batch = self.sealer.begin(Salt(salt), &mut self.bytes);
        for _ in 0..records {
            batch.push(body, None).ok()?;
        }
        batch.commit(Mark::None);
        Some(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_as_many_bytes_as_the_format_says() {
        let key = AuditKey::new(std::array::from_fn::<u8, 32, _>(|i| (i * i) as u8)).expect("strong");
        let mut log = SealedInMemory::new(&key);
        for _ in 0..2 {
            assert_eq!(log.batch(&[9; 200], 10).map(<[u8]>::len), Some(40 + 10 * (92 + 216) + 168));
        }
        assert_eq!(log.batch(&[], 1), None);
    }
}
