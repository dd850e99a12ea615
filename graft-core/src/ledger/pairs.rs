//! What strangers named: the values of untrusted text, as the hashes of its single words, of pairs of tokens
//! that touch, and of words that are neighbours.
//!
//! A value counts as named if each of its neighbours stood side by side, its first began and its last ended
//! a value. That may join pieces of different places, and of words that only stood apart one pair in fifty
//! is taken for neighbours: it accuses more and never less. What vouches for a value, on the contrary, is
//! matched exactly ([`super::values`]).

use serde::{Deserialize, Serialize};

use super::hash::LedgerKey;
use super::layers::Layers;
use super::neighbours::Neighbours;
use super::table::{Payload, Table};
use super::values::{TokenHash, Value};

/// Values of untrusted texts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct PairIndex {
    known: Layers,
    spaced: Neighbours,
}

/// What may begin at a token is a flag for each kind of value; the flags for what may end lie below.
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
                self.known.merge(key.extend(DOMAIN_ALONE, token.unspaced()), Payload::new(alone, source));
            }
            let Some(&next) = tokens.get(at + 1) else { return };
            let next_opens = Value::may_open(tokens, at + 1);
            if next.is_spaced() {
                self.spaced.add(pair(key, token, next));
            } else {
                let flags = SEEN | opens << OPENS | Value::may_close(tokens, at + 2);
                self.known.merge(pair(key, token, next), Payload::new(flags, source));
            }
            opens = next_opens;
        }
    }

    /// The source that named `value`; of several, one.
    pub(super) fn find(&self, key: &LedgerKey, value: &Value) -> Option<u32> {
        let kind = value.kind_flag();
        let tokens = value.tokens();
        let mut named = None;
        for (at, &token) in tokens.iter().enumerate() {
            let next = tokens.get(at + 1);
            let source = match next {
                Some(&next) if !next.is_spaced() => {
                    let opens = if at == 0 { kind << OPENS } else { 0 };
                    let closes = if at + 2 == tokens.len() { kind } else { 0 };
                    self.source(pair(key, token, next), SEEN | opens | closes)
                }
                // The last of tokens that touch was looked up with the one before it.
                _ if at > 0 && !token.is_spaced() => named,
                _ => self.source(key.extend(DOMAIN_ALONE, token.unspaced()), kind),
            }?;
            // The newest source: what is said often was said first elsewhere.
            named = named.max(Some(source));
            if next.is_some_and(|next| next.is_spaced() && !self.spaced.contains(pair(key, token, *next))) {
                return None;
            }
        }
        named
    }

    fn source(&self, hash: u64, flags: u16) -> Option<u32> {
        let is_it = |known: &Payload| known.has(flags) || known.number() == Table::MAX_NUMBER;
        self.known.get(hash).find(is_it).map(Payload::number)
    }

    /// Makes fingerprints of all so far: known still, and no longer where it was named nor what it touched.
    pub(super) fn seal(&mut self) {
        self.known.seal();
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
