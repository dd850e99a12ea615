//! Carried spans: hashes of 16 folded bytes, at every ninth offset of what was recorded and at every
//! offset of what is judged.
//!
//! A span of [`SPAN_AUTHORITY`] folded bytes covers a multiple of [`STRIDE`] with [`GRAM`] bytes after
//! it, and equal text has equal hashes; so it is always found. The alignment is that of rsync (Tridgell
//! and Mackerras, 1996).

use super::hash::{KeyedMap, KeyedSet, LedgerKey};

/// Folded bytes in one gram.
pub(super) const GRAM: usize = 16;
/// Folded bytes from one recorded gram to the next.
pub(super) const STRIDE: usize = 9;

/// Folded bytes of a carried span that is always found: one recorded gram lies wholly within it.
pub const SPAN_AUTHORITY: usize = GRAM + STRIDE - 1;
/// Folded bytes of a span of content that is always found: three recorded grams in a row lie within it.
pub const SPAN_CONTENT: usize = GRAM + 2 * STRIDE + STRIDE - 1;

/// What the grams of recorded texts say about a text.
#[derive(Debug, Default)]
pub(super) struct GramIndex {
    /// Gram to the index of the source that brought it first.
    recorded: KeyedMap<u32>,
}

impl GramIndex {
    /// Whether nothing long enough for a gram was recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.recorded.is_empty()
    }

    /// Records a folded text of `source`.
    pub(super) fn record(&mut self, key: &LedgerKey, folded: &[u8], source: u32) {
        let last = folded.len().checked_sub(GRAM);
        for at in (0..).step_by(STRIDE).take_while(|at| Some(*at) <= last).chain(last) {
            if let Some(gram) = folded[at..].first_chunk() {
                self.recorded.entry(key.gram(gram)).or_insert(source);
            }
        }
    }

    /// Calls `found` with the folded range and source of each carried span that is proved by at least
    /// `grams` recorded grams in a row and not wholly covered by `exempt`.
    pub(super) fn carried(
        &self,
        key: &LedgerKey,
        folded: &[u8],
        grams: usize,
        exempt: Option<&Phrases>,
        mut found: impl FnMut(std::ops::Range<usize>, u32),
    ) {
        if self.recorded.is_empty() || folded.len() < GRAM {
            return;
        }
        let hash = |at: usize| folded[at..].first_chunk().map(|gram| key.gram(gram));
        let hit = |at: usize| hash(at).and_then(|hash| self.recorded.get(&hash).copied());
        let mut from = 0;
        while from + GRAM <= folded.len() {
            let Some(source) = hit(from) else {
                from += 1;
                continue;
            };
            // The recorded grams of one text lie STRIDE apart; its last may lie nearer.
            let mut end = from;
            let mut run = 1;
            while let Some(next) =
                (end + 1..=end + STRIDE).rev().find(|&at| at < folded.len() && hit(at).is_some())
            {
                end = next;
                run += 1;
            }
            let said = || {
                exempt.is_some_and(|phrases| phrases.contains(key, &folded[from..end + GRAM]) == Some(true))
            };
            if run >= grams && !said() {
                found(from..end + GRAM, source);
            }
            from = end + 1;
        }
    }
}

/// Every gram of what the user and the operator said: a span wholly inside it is theirs to repeat.
#[derive(Debug, Default)]
pub(super) struct Phrases(KeyedSet);

impl Phrases {
    /// Records a folded text.
    pub(super) fn record(&mut self, key: &LedgerKey, folded: &[u8]) {
        self.0.extend(folded.windows(GRAM).filter_map(|w| w.first_chunk()).map(|gram| key.gram(gram)));
    }

    /// Whether all of `folded` was said; `None` if it is shorter than a gram.
    pub(super) fn contains(&self, key: &LedgerKey, folded: &[u8]) -> Option<bool> {
        let grams = folded.windows(GRAM).filter_map(|w| w.first_chunk());
        (folded.len() >= GRAM).then(|| grams.map(|gram| key.gram(gram)).all(|gram| self.0.contains(&gram)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> LedgerKey {
        LedgerKey::danger_for_replay("test")
    }

    fn spans(index: &GramIndex, text: &[u8], grams: usize) -> Vec<std::ops::Range<usize>> {
        let mut all = Vec::new();
        index.carried(&key(), text, grams, None, |span, _| all.push(span));
        all
    }

    /// The slow reference: does any window of `width` bytes of `text` occur in `recorded`?
    fn naive(recorded: &[u8], text: &[u8], width: usize) -> bool {
        text.windows(width).any(|window| recorded.windows(width).any(|other| other == window))
    }

    proptest! {
        #[test]
        fn every_carried_span_of_the_guaranteed_length_is_found(
            recorded in proptest::collection::vec(b'a'..=b'd', 0..200),
            before in proptest::collection::vec(b'x'..=b'z', 0..40),
            at in 0..200_usize,
            length in 0..80_usize,
        ) {
            let mut index = GramIndex::default();
            index.record(&key(), &recorded, 0);
            let from = at.min(recorded.len());
            let carried = &recorded[from..(from + length).min(recorded.len())];
            let text = [&before[..], carried, &before[..]].concat();
            if naive(&recorded, &text, SPAN_AUTHORITY) {
                prop_assert!(!spans(&index, &text, 1).is_empty());
            }
            if naive(&recorded, &text, SPAN_CONTENT) {
                prop_assert!(!spans(&index, &text, 3).is_empty());
            }
            // Nothing shorter than a gram is ever called carried.
            if !naive(&recorded, &text, GRAM) {
                prop_assert!(spans(&index, &text, 1).is_empty());
            }
        }
    }

    #[test]
    fn what_the_user_said_is_exempt_and_text_glued_to_it_is_not() {
        let (said, strange) =
            (b"pleasesendthereporttotheboardtoday", b"andalsowirethemoneytomallorynowplease");
        let both = [&said[..], &strange[..]].concat();
        let mut index = GramIndex::default();
        index.record(&key(), &both, 7);
        let mut phrases = Phrases::default();
        phrases.record(&key(), said);
        let carried = |text: &[u8]| {
            let mut all = Vec::new();
            index.carried(&key(), text, 1, Some(&phrases), |_, source| all.push(source));
            all
        };
        assert!(carried(said).is_empty());
        assert_eq!(carried(strange), [7]);
        assert_eq!(carried(&both), [7]);
    }
}
