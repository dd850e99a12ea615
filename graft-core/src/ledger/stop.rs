//! Grams that many texts share which have nothing to do with each other: openings of letters, the words
//! around a receipt, the way in which people ask for a program.
//!
//! A span of nothing but such grams says little about where content came from, so that it weighs less
//! ([`super::Carry::is_common`]). It is still found. Values that decide where something goes, and secrets, know no
//! stop grams.
//!
//! `stop_grams.bin` is version 1: the hashes of every gram of 16 folded bytes that stands in at least three
//! texts of a list, as sorted 32-bit numbers, little-endian. The texts are the benign ones of public
//! benchmarks, named in `graft-core/STOP_GRAMS.md` with the command that makes the file. An unrelated gram is
//! taken for one of them less than once in a hundred thousand times.

use std::sync::LazyLock;

use super::grams::GRAM;
use super::hash::LedgerKey;

/// Version 1 of the list.
static LIST: &[u8] = include_bytes!("stop_grams.bin");

/// The grams of the list.
pub(super) struct StopGrams {
    key: LedgerKey,
    /// Sorted.
    grams: Vec<u32>,
    /// A bit for the upper bits of each.
    filter: Vec<u64>,
}

/// Bits of a gram that choose its bit of the filter.
const FILTER_BITS: u32 = 19;

static STOP: LazyLock<StopGrams> = LazyLock::new(|| {
    StopGrams::new(LIST.as_chunks().0.iter().map(|gram| u32::from_le_bytes(*gram)).collect())
});

/// The shipped list.
pub(super) fn stop_grams() -> &'static StopGrams {
    &STOP
}

impl StopGrams {
    fn new(mut grams: Vec<u32>) -> Self {
        grams.sort_unstable();
        let mut filter = vec![0; 1 << (FILTER_BITS - 6)];
        for gram in &grams {
            let bit = gram >> (u32::BITS - FILTER_BITS);
            filter[bit as usize / 64] |= 1_u64 << (bit % 64);
        }
        Self { key: key(), grams, filter }
    }

    pub(super) fn contains(&self, gram: &[u8; GRAM]) -> bool {
        let hash = hash(&self.key, gram);
        let bit = hash >> (u32::BITS - FILTER_BITS);
        self.filter[bit as usize / 64] >> (bit % 64) & 1 == 1 && self.grams.binary_search(&hash).is_ok()
    }
}

/// The key of the list: anyone may know it.
fn key() -> LedgerKey {
    LedgerKey::danger_for_replay("graft stop grams 1")
}

fn hash(key: &LedgerKey, gram: &[u8; GRAM]) -> u32 {
    (key.gram(gram) >> 32) as u32
}

/// The list of the grams that stand in at least `least` of these texts, as `stop_grams.bin` holds it.
#[cfg(feature = "conformance")]
pub fn make_stop_grams<'t>(texts: impl IntoIterator<Item = &'t str>, least: usize) -> Vec<u8> {
    let key = key();
    let mut counts = std::collections::HashMap::<u32, usize>::new();
    for text in texts {
        let folded = super::fold::span_fold(text);
        let grams = folded.windows(GRAM).filter_map(|window| window.first_chunk());
        let grams: std::collections::HashSet<u32> = grams.map(|gram| hash(&key, gram)).collect();
        grams.into_iter().for_each(|gram| *counts.entry(gram).or_default() += 1);
    }
    let mut common: Vec<u32> =
        counts.into_iter().filter(|&(_, count)| count >= least).map(|(gram, _)| gram).collect();
    common.sort_unstable();
    common.into_iter().flat_map(u32::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_knows_its_grams_and_hardly_any_other() {
        let gram = |n: u64| -> [u8; GRAM] {
            let text = format!("{n:016x}");
            text.as_bytes().first_chunk().copied().unwrap_or_default()
        };
        let list = StopGrams::new((0..5000).map(|n| hash(&key(), &gram(n))).collect());
        assert!((0..5000).all(|n| list.contains(&gram(n))));
        assert!((5000..100_000).filter(|&n| list.contains(&gram(n))).count() < 5);
    }

    #[test]
    fn the_shipped_list_is_whole_and_in_order() {
        let (list, rest) = LIST.as_chunks::<4>();
        assert!(rest.is_empty() && list.len() > 10_000);
        assert!(list.iter().map(|gram| u32::from_le_bytes(*gram)).is_sorted());
    }
}
