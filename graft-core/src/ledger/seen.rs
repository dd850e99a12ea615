//! What a ledger answers.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::RwLockReadGuard;

use super::fold::{host, span_fold, span_offsets};
use super::intent::fold_line;
use super::values::{Class, Found, Value};
use super::{DOMAIN_CREDENTIAL, DOMAIN_STEM, State, TaintLedger};
use crate::{Sensitivity, Source};

/// Who named a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// The user, the operator or a trusted output did, or it is one of the user's own identifiers.
    Trusted(Option<Source>),
    /// Only untrusted text did.
    Untrusted(Source),
    /// Nobody did.
    Unknown,
    /// Nobody trusted did, and the ledger is full: this source may have. Raise its limit to know.
    Overflow(Source),
}

/// Which texts a span is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Untrusted ones; what the user or the operator said as well does not count.
    Untrusted,
    /// Secret ones, whoever said them too.
    Secret,
}

/// A consistent look at a [`TaintLedger`].
pub struct Seen<'a> {
    pub(super) ledger: &'a TaintLedger,
    pub(super) state: RwLockReadGuard<'a, State>,
}

impl Seen<'_> {
    /// Whether any untrusted text has come in.
    pub fn untrusted(&self) -> bool {
        self.state.seen_untrusted
    }

    /// Whether data of this tier has been read.
    pub fn tier(&self, tier: Sensitivity) -> bool {
        self.state.seen_tiers[tier as usize]
    }

    /// Whether any secret text or credential has come in, from whatever kind of call.
    pub fn secrets(&self) -> bool {
        !self.state.secret.is_empty()
            || !self.state.credentials.is_empty()
            || self.state.secret_overflow.is_some()
    }

    /// Who named this value: numbers are compared as numbers, all else as whole words with their punctuation.
    pub fn provenance(&self, value: &str) -> Provenance {
        let value = bare(value);
        self.look_up(value, &Value::new(&self.ledger.key, value), value.contains('@'))
    }

    /// Who named this destination: as [`Seen::provenance`], but a web address is compared by its host, and
    /// its port if it names one.
    pub fn provenance_by_host(&self, value: &str) -> Provenance {
        let value = bare(value);
        match host(value) {
            Some(host) => self.look_up(value, &Value::host(&self.ledger.key, host), true),
            None => self.provenance(value),
        }
    }

    fn look_up(&self, value: &str, whole: &Value, loose: bool) -> Provenance {
        if self.ledger.is_own(value) {
            return Provenance::Trusted(None);
        }
        if whole.is_empty() {
            return Provenance::Trusted(None);
        }
        // A value whose look-up was cut short is not vouched for.
        for (class, loose_end) in [(Class::Spoken, loose), (Class::Trusted, false)] {
            if let Found::At(index) = self.state.values.find(whole, loose_end, class) {
                return Provenance::Trusted(Some(self.state.source_of(index)));
            }
        }
        match self.state.values.find(whole, false, Class::Untrusted) {
            Found::At(index) => Provenance::Untrusted(self.state.source_of(index)),
            Found::Undecided => Provenance::Untrusted(Source::Unknown),
            Found::Nowhere => match self.state.overflow {
                Some(index) => Provenance::Overflow(self.state.source_of(index)),
                None => Provenance::Unknown,
            },
        }
    }

    /// Calls `found` with each span of `text`, as a range of its bytes, that was carried over from a
    /// recorded text, and that text's source. `content` asks for [`SPAN_CONTENT`](super::SPAN_CONTENT) in place of
    /// [`SPAN_AUTHORITY`](super::SPAN_AUTHORITY).
    pub fn carried(
        &self,
        which: Carried,
        text: &str,
        content: bool,
        mut found: impl FnMut(Range<usize>, Source),
    ) {
        let folded = span_fold(text);
        let offsets = OnceCell::new();
        let (index, exempt) = match which {
            Carried::Untrusted => (&self.state.untrusted, Some(&self.state.said)),
            Carried::Secret => (&self.state.secret, None),
        };
        let grams = if content { 3 } else { 1 };
        index.carried(&self.ledger.key, &folded, grams, exempt, |span, source| {
            let offsets = offsets.get_or_init(|| span_offsets(text));
            found(bytes_of(text, offsets, span), self.state.source_of(source));
        });
    }

    /// Calls `found` with each whole value of a credential field that stands anywhere in `text`, however it
    /// is spaced: values of 4 to 40 folded bytes, since longer ones are found as spans.
    pub fn credentials(&self, text: &str, mut found: impl FnMut(Range<usize>, Source)) {
        if self.state.credentials.is_empty() {
            return;
        }
        let folded = span_fold(text);
        let offsets = OnceCell::new();
        for (&len, known) in &self.state.credentials {
            for (at, window) in folded.windows(len).enumerate() {
                if let Some(&source) = known.get(&self.ledger.key.text(DOMAIN_CREDENTIAL, window)) {
                    let offsets = offsets.get_or_init(|| span_offsets(text));
                    found(bytes_of(text, offsets, at..at + len), self.state.source_of(source));
                }
            }
        }
    }

    /// Whether the user or the operator said this text, with all its letters and digits in order.
    pub fn was_said(&self, text: &str) -> bool {
        let key = &self.ledger.key;
        if let Some(said) = self.state.said.contains(key, &span_fold(text)) {
            return said;
        }
        let value = Value::new(key, text);
        !value.is_empty() && matches!(self.state.values.find(&value, true, Class::Spoken), Found::At(_))
    }

    /// The secret output that no longer fitted into the ledger, so that nothing can be said of its spans.
    pub fn secret_overflow(&self) -> Option<Source> {
        self.state.secret_overflow.map(|index| self.state.source_of(index))
    }

    /// Whether a word of the user's prompt begins with one of `stems`.
    pub fn asked_for<S: AsRef<str>>(&self, stems: impl IntoIterator<Item = S>) -> bool {
        stems.into_iter().any(|stem| {
            let stem = fold_line(stem.as_ref());
            let stem = stem.trim();
            !stem.is_empty() && self.state.stems.contains(&self.ledger.key.text(DOMAIN_STEM, stem.as_bytes()))
        })
    }
}

/// The value without what people put around one.
fn bare(value: &str) -> &str {
    value.trim().trim_start_matches('#').trim_matches(['\'', '"'])
}

fn bytes_of(text: &str, offsets: &[usize], span: Range<usize>) -> Range<usize> {
    let start = offsets[span.start];
    let last = offsets[span.end - 1];
    let width = text[last..].chars().next().map_or(0, char::len_utf8);
    start..last + width
}
