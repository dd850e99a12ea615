//! What a ledger answers.

use std::sync::RwLockReadGuard;

use super::fold::{exact_fold, host};
use super::intent::fold_line;
use super::scan::Scan;
use super::tails::Ways;
use super::values::{Class, Found, Value};
use super::{DOMAIN_STEM, State, TaintLedger};
use crate::{Name, Role, Sensitivity, Source};

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
        self.state.seen_secret
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
        match (self.state.pairs.find(&self.ledger.key, whole), self.state.overflow) {
            (Some(index), _) => Provenance::Untrusted(self.state.source_of(index)),
            (None, Some(index)) => Provenance::Overflow(self.state.source_of(index)),
            (None, None) => Provenance::Unknown,
        }
    }

    /// Begins to search the arguments of one call for what was recorded.
    pub fn scan(&self) -> Scan<'_> {
        Scan::new(self)
    }

    /// How much has left through calls of `tool` toward a destination that stands in one text, and in one
    /// argument: in bits of text.
    pub fn sent_bits(&self, tool: &Name, destination: &str, arg: &str) -> u64 {
        let (key, mut ways) = (&self.ledger.key, Ways::default());
        ways.add(key, "", Role::Destination, destination);
        let arg = ways.add(key, arg, Role::Content, "");
        arg.map_or(0, |arg| self.state.tails.bits(ways.of(key, tool, arg)))
    }

    /// Whether the user or the operator said this text, with all its letters and digits in order, look-alikes
    /// apart.
    pub fn was_said(&self, text: &str) -> bool {
        let key = &self.ledger.key;
        if let Some(said) = self.state.said.contains(key, &exact_fold(text)) {
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
