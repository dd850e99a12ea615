//! Carried spans: hashes of 16 folded bytes, at every ninth offset of what was recorded and at every
//! offset of what is judged.
//!
//! A span of [`SPAN_AUTHORITY`] folded bytes covers a multiple of [`STRIDE`] with [`GRAM`] bytes after
//! it, and equal text has equal hashes; so it is always found. The alignment is that of rsync (Tridgell
//! and Mackerras, 1996).

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::hash::{KeyedSet, LedgerKey};
use super::layers::Layers;
use super::packed;
use super::stop::stop_grams;
use super::table::Payload;

/// Folded bytes in one gram.
pub(super) const GRAM: usize = 16;
/// Folded bytes from one recorded gram to the next.
pub(super) const STRIDE: usize = 9;

/// Folded bytes of a carried span that is always found: one recorded gram lies wholly within it.
pub const SPAN_AUTHORITY: usize = GRAM + STRIDE - 1;
/// Folded bytes of a span of content that is always found: three recorded grams in a row lie within it.
pub const SPAN_CONTENT: usize = GRAM + 2 * STRIDE + STRIDE - 1;

/// The text was a stranger's.
pub(super) const UNTRUSTED: u16 = 1;
/// The text was secret.
pub(super) const SECRET: u16 = 2;
/// The gram is one that unrelated texts share.
const COMMON: u16 = 4;

/// The grams of recorded texts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct GramIndex(Layers);

/// A recorded gram in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    at: usize,
    payload: Payload,
}

/// A run of recorded grams in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// In folded bytes.
    pub(super) range: Range<usize>,
    /// The number of the source that brought its first gram.
    pub(super) source: u32,
    /// Whether it is long enough to mean something in content: three recorded grams lie [`STRIDE`] apart.
    pub(super) is_wide: bool,
    /// Whether all its grams are ones that unrelated texts share.
    pub(super) is_common: bool,
}

impl GramIndex {
    /// Whether nothing long enough for a gram was recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Records a folded text of the source with this number, which is [`UNTRUSTED`], [`SECRET`] or both.
    pub(super) fn record(&mut self, key: &LedgerKey, folded: &[u8], flags: u16, source: u32) {
        let stop = stop_grams();
        let last = folded.len().checked_sub(GRAM);
        for at in (0..).step_by(STRIDE).take_while(|at| Some(*at) < last).chain(last) {
            if let Some(gram) = folded[at..].first_chunk() {
                let common = if stop.contains(gram) { COMMON } else { 0 };
                self.0.add(key.gram(gram), Payload::new(flags | common, source));
            }
        }
    }

    /// Puts every recorded gram of `folded` into `hits`, in order.
    pub(super) fn look(&self, key: &LedgerKey, folded: &[u8], hits: &mut Vec<Hit>) {
        hits.clear();
        if self.0.is_empty() {
            return;
        }
        for (at, window) in folded.windows(GRAM).enumerate() {
            let Some(gram) = window.first_chunk() else { continue };
            let hash = key.gram(gram);
            if self.0.may_have(hash) {
                hits.extend(self.0.get(hash).map(|payload| Hit { at, payload }));
            }
        }
    }

    /// Makes fingerprints of all so far: still found, and no longer by whom it was written.
    pub(super) fn seal(&mut self) {
        self.0.seal();
    }
}

/// Calls `found` with each run of hits of texts that are `flag`. The recorded grams of one text lie
/// [`STRIDE`] apart; its last may lie nearer.
pub(super) fn spans(hits: &[Hit], flag: u16, mut found: impl FnMut(Span)) {
    let mut span: Option<Span> = None;
    // For each place modulo the stride, the last hit there and how many stood in a row up to it.
    let mut rows = [(0, 0_u8); STRIDE];
    for hit in hits.iter().filter(|hit| hit.payload.has(flag)) {
        let row = &mut rows[hit.at % STRIDE];
        *row = match *row {
            (at, count) if at == hit.at && count > 0 => (at, count),
            (at, count) if at + STRIDE == hit.at => (hit.at, count.saturating_add(1)),
            _ => (hit.at, 1),
        };
        let (end, is_common) = (hit.at + GRAM, hit.payload.has(COMMON));
        let is_wide = row.1 >= 3;
        match &mut span {
            Some(span) if end <= span.range.end + STRIDE => {
                span.range.end = end;
                span.is_wide |= is_wide;
                span.is_common &= is_common;
            }
            _ => {
                let next = Span { range: hit.at..end, source: hit.payload.number(), is_wide, is_common };
                span.replace(next).into_iter().for_each(&mut found);
            }
        }
    }
    span.into_iter().for_each(found);
}

/// Every gram of what the user and the operator said: a span wholly inside it is theirs to repeat.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Phrases(#[serde(with = "packed::set")] KeyedSet);

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

    fn found(index: &GramIndex, text: &[u8], flag: u16) -> Vec<Span> {
        let (mut hits, mut all) = (Vec::new(), Vec::new());
        index.look(&key(), text, &mut hits);
        spans(&hits, flag, |span| all.push(span));
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
            sealed: bool,
        ) {
            let mut index = GramIndex::default();
            index.record(&key(), &recorded, UNTRUSTED, 0);
            if sealed {
                index.seal();
            }
            let from = at.min(recorded.len());
            let carried = &recorded[from..(from + length).min(recorded.len())];
            let text = [&before[..], carried, &before[..]].concat();
            let found = found(&index, &text, UNTRUSTED);
            if naive(&recorded, &text, SPAN_AUTHORITY) {
                prop_assert!(!found.is_empty());
            }
            if naive(&recorded, &text, SPAN_CONTENT) {
                prop_assert!(found.iter().any(|span| span.is_wide));
            }
            // Nothing shorter than a gram is ever called carried.
            if !naive(&recorded, &text, GRAM) {
                prop_assert!(found.is_empty());
            }
        }
    }

    #[test]
    fn a_span_is_found_for_each_class_that_it_is_of() {
        let text = b"pleasesendthereporttotheboardtoday";
        let mut index = GramIndex::default();
        index.record(&key(), text, UNTRUSTED, 4);
        index.record(&key(), &text[..20], UNTRUSTED | SECRET, 5);
        assert_eq!(
            found(&index, text, UNTRUSTED),
            [Span { range: 0..34, source: 4, is_wide: true, is_common: false }]
        );
        assert_eq!(
            found(&index, text, SECRET),
            [Span { range: 0..20, source: 5, is_wide: false, is_common: false }]
        );
    }

    #[test]
    fn what_the_user_said_is_known_and_text_glued_to_it_is_not() {
        let said = b"pleasesendthereporttotheboardtoday";
        let both = [&said[..], b"andalsowirethemoney"].concat();
        let mut phrases = Phrases::default();
        phrases.record(&key(), said);
        assert_eq!(phrases.contains(&key(), said), Some(true));
        assert_eq!(phrases.contains(&key(), &both), Some(false));
        assert_eq!(phrases.contains(&key(), b"short"), None);
    }
}
