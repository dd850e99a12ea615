//! What strangers named: the values of untrusted text, as the hashes of its single tokens and of pairs of
//! neighbours.
//!
//! A value counts as named if each of its neighbours stood side by side, its first began and its last ended
//! a value. That may join pieces of different places, which accuses more and never less; what vouches for a
//! value, on the contrary, is matched exactly ([`super::values`]).

use super::hash::LedgerKey;
use super::layers::Layers;
use super::table::{Payload, Table};
use super::values::{TokenHash, Value};

/// Values of untrusted texts.
#[derive(Debug, Default)]
pub(super) struct PairIndex(Layers);

/// What may begin or end at a token, as a flag for each kind of value.
const OPENS: u32 = 4;
/// A pair stood there, whatever it opens or closes.
const SEEN: u16 = 1 << 8;

const DOMAIN_ALONE: u64 = 0x616c_6f6e_6501;

impl PairIndex {
    /// Records the tokens of a text of `source`.
    pub(super) fn record(&mut self, key: &LedgerKey, tokens: &[TokenHash], source: u32) {
        let mut opens = Value::may_open(tokens, 0);
        for (at, &token) in tokens.iter().enumerate() {
            let alone = opens & Value::may_close(tokens, at + 1);
            if alone != 0 {
                self.0.merge(key.extend(DOMAIN_ALONE, token.unspaced()), Payload::new(alone, source));
            }
            if let Some(&next) = tokens.get(at + 1) {
                let flags = SEEN | opens << OPENS | Value::may_close(tokens, at + 2);
                self.0.merge(pair(key, token, next), Payload::new(flags, source));
                opens = Value::may_open(tokens, at + 1);
            }
        }
    }

    /// The source that named `value`; of several, one.
    pub(super) fn find(&self, key: &LedgerKey, value: &Value) -> Option<u32> {
        let kind = value.kind_flag();
        let entry = |hash, flags: u16| {
            let mut all =
                self.0.get(hash).filter(|known| known.has(flags) || known.number() == Table::MAX_NUMBER);
            all.next().map(Payload::number)
        };
        if let [only] = value.tokens() {
            return entry(key.extend(DOMAIN_ALONE, only.unspaced()), kind);
        }
        let last = value.tokens().len().checked_sub(2)?;
        let mut named = 0;
        for (at, two) in value.tokens().windows(2).enumerate() {
            let opens = if at == 0 { kind << OPENS } else { 0 };
            let closes = if at == last { kind } else { 0 };
            // The newest source: what is said often was said first elsewhere.
            named = entry(pair(key, two[0], two[1]), SEEN | opens | closes)?.max(named);
        }
        Some(named)
    }

    /// Makes fingerprints of all so far: known still, and no longer where it was named nor what it touched.
    pub(super) fn seal(&mut self) {
        self.0.seal();
    }
}

fn pair(key: &LedgerKey, first: TokenHash, second: TokenHash) -> u64 {
    key.extend(first.unspaced(), second.spelled())
}

#[cfg(test)]
mod tests {
    use super::super::values::tokens_of;
    use super::*;

    fn key() -> LedgerKey {
        LedgerKey::danger_for_replay("pairs")
    }

    fn named(texts: &[&str], value: &str) -> bool {
        let mut index = PairIndex::default();
        texts.iter().for_each(|text| index.record(&key(), &tokens_of(&key(), text), 1));
        index.find(&key(), &Value::new(&key(), value)).is_some()
    }

    #[test]
    fn a_value_counts_only_where_it_stands_on_its_own() {
        assert!(named(&["mail Bob@Example.com."], "bob@example.com"));
        assert!(named(&["pay  Jane\nDoe now"], "jane doe"));
        assert!(!named(&["Jane", "Doe"], "jane doe") && !named(&["Doe Jane"], "Jane Doe"));
        for part in
            ["xbob@example.com", "bob@example.com.evil.org", "ann+bob@example.com", "o'bob@example.com"]
        {
            assert!(!named(&[part], "bob@example.com"), "{part}");
        }
        assert!(!named(&["fred@x.com"], "fred") && !named(&["backup/old"], "backup"));
        assert!(named(&["rent is 2,200.00 now"], "2200") && !named(&["12:2022"], "2022"));
    }

    proptest::proptest! {
        /// What the exact index finds, this one finds.
        #[test]
        fn it_misses_nothing_that_the_exact_index_finds(
            texts in proptest::collection::vec("[ab1 @.,/+:-]{0,24}", 1..4),
            value in "[ab1@.,/-]([ab1 @.,/-]{0,4}[ab1@.,/-])?",
            sealed: bool,
        ) {
            use super::super::values::{Class, Found, ValueIndex};
            let (mut exact, mut pairs) = (ValueIndex::default(), PairIndex::default());
            for text in &texts {
                exact.record(&key(), text, 1, Class::Trusted);
                pairs.record(&key(), &tokens_of(&key(), text), 1);
            }
            if sealed {
                pairs.seal();
            }
            for value in [Value::new(&key(), &value), Value::host(&key(), &value)] {
                if matches!(exact.find(&value, false, Class::Trusted), Found::At(_)) {
                    proptest::prop_assert!(pairs.find(&key(), &value).is_some());
                }
            }
        }
    }
}
