//! What a ledger answers.

use std::sync::RwLockReadGuard;

use super::fold::{exact_fold, host};
use super::intent::folded_stem;
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
    /// Untrusted text did, and nobody trusted; where only some trusted outputs vouch, none of those.
    Untrusted(Source),
    /// Nobody did.
    Unknown,
    /// Nobody trusted did, and this source may have: the ledger is full, or could not decode all of it. Past its cap,
    /// raise that to know.
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

    /// The output that brought untrusted text in last: the first suspect for an effect that nobody asked for.
    pub fn newest_untrusted(&self) -> Option<Source> {
        self.state.newest_untrusted.map(|index| self.state.source_of(index))
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
        self.look_up(value, &Value::new(&self.ledger.key, value), value.contains('@'), false)
    }

    /// Who named this value, as [`Seen::provenance`] compares. For one that strangers named too, a trusted output
    /// counts only where it [vouches](crate::ToolMetadata::vouches).
    pub fn vouched(&self, value: &str) -> Provenance {
        let value = bare(value);
        self.look_up(value, &Value::new(&self.ledger.key, value), value.contains('@'), true)
    }

    /// Who named this destination, as [`Seen::provenance_by_host`] compares. For a destination that strangers named
    /// too, a trusted output counts only where it [vouches](crate::ToolMetadata::vouches).
    pub fn destination(&self, value: &str) -> Provenance {
        self.by_host(value, true)
    }

    /// Who named this destination: as [`Seen::provenance`], but a web address is compared by its host, and
    /// its port if it names one.
    pub fn provenance_by_host(&self, value: &str) -> Provenance {
        self.by_host(value, false)
    }

    fn by_host(&self, value: &str, strict: bool) -> Provenance {
        let value = bare(value);
        match host(value) {
            Some(host) => self.look_up(value, &Value::host(&self.ledger.key, host), true, strict),
            None => {
                let whole = Value::new(&self.ledger.key, value);
                self.look_up(value, &whole, value.contains('@'), strict)
            }
        }
    }

    /// Whether the user's own words hold this value, whoever else said it too: compared as
    /// [`Seen::provenance`] does or, `by_host`, as [`Seen::provenance_by_host`].
    pub fn user_said(&self, value: &str, by_host: bool) -> bool {
        let value = bare(value);
        let (whole, loose_end) = match host(value).filter(|_| by_host) {
            Some(host) => (Value::host(&self.ledger.key, host), true),
            None => (Value::new(&self.ledger.key, value), value.contains('@')),
        };
        let is_prompt = |index| matches!(self.state.sources.get(index as usize), Some((Source::Prompt, _)));
        let find = || self.state.values.find_of(&whole, loose_end, Class::Spoken, is_prompt);
        !whole.is_empty() && matches!(find(), Found::At(_))
    }

    /// Whether `value` is one of the user's own identifiers.
    pub fn is_own(&self, value: &str) -> bool {
        self.ledger.is_own(value)
    }

    fn look_up(&self, value: &str, whole: &Value, loose: bool, strict: bool) -> Provenance {
        if self.ledger.is_own(value) {
            return Provenance::Trusted(None);
        }
        if value.is_empty() {
            return Provenance::Trusted(None);
        }
        let is_known = self.state.values.knows(whole);
        // A value whose look-up was cut short is not vouched for.
        let said = |class, loose| match self.state.values.find(whole, loose, class) {
            Found::At(index) => Some(Provenance::Trusted(Some(self.state.source_of(index)))),
            Found::Undecided | Found::Nowhere => None,
        };
        let strangers = || {
            let index = self.state.pairs.find(&self.ledger.key, whole)?;
            Some(Provenance::Untrusted(self.state.source_of(index)))
        };
        // Mostly one of its tokens stands nowhere.
        let said = |class, loose| if is_known { said(class, loose) } else { None };
        let trusted = || said(Class::Trusted, false);
        let vouched = said(Class::Spoken, loose).or_else(|| said(Class::Directory, false));
        let named = vouched.or_else(|| match strict {
            // A full ledger cannot say that no stranger named it.
            true => strangers().or_else(|| trusted().filter(|_| self.state.overflow.is_none())),
            false => trusted().or_else(strangers),
        });
        named.unwrap_or_else(|| match self.state.overflow {
            Some(index) => Provenance::Overflow(self.state.source_of(index)),
            None => Provenance::Unknown,
        })
    }

    /// Begins to search the arguments of one call for what was recorded.
    #[inline]
    pub fn scan(&self) -> Scan<'_> {
        Scan::new(self)
    }

    /// Whether a value of a field that holds credentials stands in this text.
    pub fn holds_credential(&self, text: &str) -> bool {
        let mut found = false;
        if !self.state.credentials.is_empty() {
            self.state.credentials.find(&self.ledger.key, &exact_fold(text), |_, _| found = true);
        }
        found
    }

    /// How much has left through calls of `tool` toward a destination that stands in one text, and in one
    /// argument: in bits of text.
    pub fn sent_bits(&self, tool: &Name, destination: &str, arg: &str) -> u64 {
        let (key, mut ways) = (&self.ledger.key, Ways::default());
        ways.add(key, "", Role::Destination, destination);
        let arg = ways.add(key, arg, Role::Content, "");
        arg.map_or(0, |arg| self.state.tails.bits(ways.of(key, tool, arg)))
    }

    /// The output in which strangers wrote this link, whole and as it is, in a text that was not itself fetched.
    pub fn written_link(&self, link: &str) -> Option<Source> {
        self.state.links.written(&self.ledger.key, link).map(|index| self.state.source_of(index))
    }

    /// Whether this link was fetched by a call that went through.
    pub fn was_fetched(&self, link: &str) -> bool {
        self.state.links.was_fetched(&self.ledger.key, link)
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
            let stem = folded_stem(stem.as_ref());
            let stem = stem.trim();
            !stem.is_empty() && self.state.stems.contains(&self.ledger.key.text(DOMAIN_STEM, stem.as_bytes()))
        })
    }
}

/// The value without what people put around one.
pub(super) fn bare(value: &str) -> &str {
    let is_inner = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let is_bare = is_inner(value.as_bytes().first()) && is_inner(value.as_bytes().last());
    if is_bare { value } else { stripped(value) }
}

fn stripped(value: &str) -> &str {
    value.trim().trim_start_matches('#').trim_matches(['\'', '"'])
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_looks_bare_is(value in "[a1é#'\" ]{0,4}") {
            proptest::prop_assert_eq!(bare(&value), stripped(&value));
        }
    }
}
