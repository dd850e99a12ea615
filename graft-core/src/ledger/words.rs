//! Values and texts kept apart from a ledger, as digests under its key.

use super::hash::LedgerKey;
use super::seen::bare;
use super::values::{Class, Found, Value, ValueIndex};

impl LedgerKey {
    /// The digest of a whole value: equal for all that the ledger takes for one value, in whatever case, width
    /// and white space, numbers as numbers. `None` for a text in which nothing can be seen, or more than can be seen.
    ///
    /// ```
    /// let key = graft_core::LedgerKey::danger_for_replay("example");
    /// assert_eq!(key.value("Jane  Doe"), key.value("jane doe"));
    /// assert_eq!(key.value("2,200.00"), key.value("2200"));
    /// assert_ne!(key.value("janedoe"), key.value("jane doe"));
    /// assert_eq!(key.value(" "), None);
    /// ```
    pub fn value(&self, value: &str) -> Option<u64> {
        let value = Value::new(self, bare(value));
        (!value.is_empty() && !value.hides_text()).then(|| value.digest(self))
    }
}

/// Texts in which whole values are looked up, kept as keyed digests of their words.
///
/// ```
/// use graft_core::{LedgerKey, ledger::Words};
/// let mut words = Words::new(LedgerKey::danger_for_replay("example"));
/// words.record("add her to 'general' and 'random'");
/// assert_eq!((words.hold("General"), words.hold("gene")), (Some(true), Some(false)));
/// ```
pub struct Words {
    key: LedgerKey,
    index: ValueIndex,
}

impl Words {
    /// No text, under `key`.
    pub fn new(key: LedgerKey) -> Self {
        Self { key, index: ValueIndex::default() }
    }

    /// Adds a text. Costs some 16 bytes of memory a word; the bound is the caller's to keep.
    pub fn record(&mut self, text: &str) {
        self.index.record(&self.key, text, 0, Class::Trusted);
    }

    /// Whether `value` stands in one of the texts as a value of its own; `None` if its words are too common
    /// to say.
    pub fn hold(&self, value: &str) -> Option<bool> {
        let value = Value::new(&self.key, bare(value));
        if value.is_empty() {
            return Some(false);
        }
        match self.index.find(&value, false, Class::Trusted) {
            Found::At(_) => Some(true),
            Found::Nowhere => Some(false),
            Found::Undecided => None,
        }
    }
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Words(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_digests_under_one_key_only() {
        let key = LedgerKey::danger_for_replay("a");
        for (one, other) in [("Ann@Home.example", " ann@home.example "), ("#7", "7.0"), ("a\u{200b}b", "AB")]
        {
            assert_eq!(key.value(one), key.value(other), "{one}");
        }
        for (one, other) in [("a b", "ab"), ("a b", "b a"), ("1-2", "12"), ("a", "a a"), ("-5", "5")] {
            assert_ne!(key.value(one), key.value(other), "{one}");
        }
        assert_ne!(key.value("a"), LedgerKey::danger_for_replay("b").value("a"));
    }

    #[test]
    fn no_value_reaches_over_two_texts_and_a_flood_is_admitted() {
        let mut words = Words::new(LedgerKey::danger_for_replay("a"));
        words.record("jane");
        words.record("doe");
        assert_eq!(
            (words.hold("jane"), words.hold("jane doe"), words.hold("")),
            (Some(true), Some(false), Some(false))
        );
        words.record(&"jane-".repeat(5000));
        assert_eq!(words.hold("jane"), None);
    }
}
