//! Whole values: was this name, address, number or id said before, by whom, as a value of its own?
//!
//! Recorded texts are kept as the hashes of their tokens, in order, each linked to the previous
//! occurrence of the same token. A value is looked up by its rarest token.

use super::fold::{Kind, Token, tokens};
use super::hash::{KeyedMap, LedgerKey};

/// The hash in the upper bits; in the lower six the kind, the space before it and a capital letter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenHash(u64);

const CAPITAL: u64 = 1 << 5;
const SPACED: u64 = 1 << 4;
const KIND: u64 = 0b1111;
const DOMAIN: u64 = 0x0074_6f6b_656e;

impl TokenHash {
    fn new(key: &LedgerKey, token: &Token<'_>) -> Self {
        let spaced = if token.spaced { SPACED } else { 0 };
        let capital = if token.capital { CAPITAL } else { 0 };
        let hash = key.text(DOMAIN, token.text.as_bytes());
        Self(hash & !(KIND | SPACED | CAPITAL) | token.kind as u64 | spaced | capital)
    }

    const END: Self = Self(Kind::End as u64);

    fn is(self, kind: Kind) -> bool {
        self.0 & KIND == kind as u64
    }

    fn is_spaced(self) -> bool {
        self.0 & SPACED != 0
    }

    /// What it says, whatever stands before it.
    fn unspaced(self) -> u64 {
        self.0 & !(SPACED | CAPITAL)
    }

    /// The same with the space before it.
    fn spelled(self) -> u64 {
        self.0 & !CAPITAL
    }

    fn is_capital(self) -> bool {
        self.0 & CAPITAL != 0
    }

    fn is_wordlike(self) -> bool {
        self.is(Kind::Word) || self.is(Kind::Number)
    }
}

/// The most occurrences of a value's rarest token that one look-up visits.
const MAX_VISITS: u32 = 4096;

/// Who said a text. Occurrences are linked within a class, so that what strangers say, however often,
/// does not stand in the way of what the user said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The user or the operator.
    Spoken = 0,
    /// A trusted output.
    Trusted = 1,
    /// Anyone.
    Untrusted = 2,
}

#[derive(Clone, Copy)]
struct Occurrence {
    token: TokenHash,
    source: u32,
    /// The previous occurrence of the same token in the same class, plus one; 0 for none.
    previous: u32,
}

#[derive(Clone, Copy, Default)]
struct Head {
    /// The newest occurrence, plus one.
    newest: u32,
    count: u32,
}

/// All values of all recorded texts.
#[derive(Default)]
pub(super) struct ValueIndex {
    occurrences: Vec<Occurrence>,
    heads: KeyedMap<[Head; 3]>,
}

/// A value to look for.
pub(super) struct Value {
    tokens: Vec<TokenHash>,
    is_number: bool,
    is_host: bool,
    is_address: bool,
}

impl Value {
    pub(super) fn new(key: &LedgerKey, text: &str) -> Self {
        let mut all = Vec::new();
        tokens(text, |token| all.push(TokenHash::new(key, &token)));
        let is_number = all.len() == 1 && all[0].is(Kind::Number);
        Self { tokens: all, is_number, is_host: false, is_address: text.contains('@') }
    }

    /// A host: a path may stand behind it, and a scheme before.
    pub(super) fn host(key: &LedgerKey, text: &str) -> Self {
        Self { is_host: true, ..Self::new(key, text) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// What a look-up came to.
pub(super) enum Found {
    /// The source that said it.
    At(u32),
    /// Nobody did.
    Nowhere,
    /// The bound on work was reached before an answer.
    Undecided,
}

impl ValueIndex {
    /// Records a text of `source`.
    pub(super) fn record(&mut self, key: &LedgerKey, text: &str, source: u32, class: Class) {
        tokens(text, |token| self.push(TokenHash::new(key, &token), source, class));
        self.push(TokenHash::END, source, class);
    }

    fn push(&mut self, token: TokenHash, source: u32, class: Class) {
        let Ok(at) = u32::try_from(self.occurrences.len() + 1) else { return };
        let mut previous = 0;
        if !token.is(Kind::End) {
            let head = &mut self.heads.entry(token.unspaced()).or_default()[class as usize];
            previous = head.newest;
            *head = Head { newest: at, count: head.count + 1 };
        }
        self.occurrences.push(Occurrence { token, source, previous });
    }

    /// Looks for `value` standing on its own in a text of `class`. With `loose_end` a full stop that runs
    /// into the next sentence ends it too.
    pub(super) fn find(&self, value: &Value, loose_end: bool, class: Class) -> Found {
        let Some((anchor, head)) = self.rarest(value, class) else { return Found::Nowhere };
        let mut next = head.newest;
        for _ in 0..MAX_VISITS {
            let Some(at) = (next as usize).checked_sub(1) else { return Found::Nowhere };
            let occurrence = self.occurrences[at];
            if at >= anchor && self.stands_at(value, at - anchor, loose_end) {
                return Found::At(occurrence.source);
            }
            next = occurrence.previous;
        }
        if next == 0 { Found::Nowhere } else { Found::Undecided }
    }

    /// The value's token with the fewest occurrences in `class`; `None` if one of them has none at all.
    fn rarest(&self, value: &Value, class: Class) -> Option<(usize, Head)> {
        let mut rarest: Option<(usize, Head)> = None;
        for (at, token) in value.tokens.iter().enumerate() {
            let head = self.heads.get(&token.unspaced())?[class as usize];
            if head.count == 0 {
                return None;
            }
            if rarest.is_none_or(|(_, other)| head.count < other.count) {
                rarest = Some((at, head));
            }
        }
        rarest
    }

    fn stands_at(&self, value: &Value, start: usize, loose_end: bool) -> bool {
        let end = start + value.tokens.len();
        let Some(span) = self.occurrences.get(start..end) else { return false };
        let same = span.iter().zip(&value.tokens).enumerate().all(|(i, (there, here))| {
            if i == 0 {
                there.token.unspaced() == here.unspaced()
            } else {
                there.token.spelled() == here.spelled()
            }
        });
        same && self.opens(value, start) && self.closes(value, end, loose_end)
    }

    /// Whether nothing before `start` makes the value a part of a longer one.
    fn opens(&self, value: &Value, start: usize) -> bool {
        let token = |at: Option<usize>| at.and_then(|at| self.occurrences.get(at)).map(|o| o.token);
        let first = self.occurrences[start].token;
        let Some(before) = token(start.checked_sub(1)).filter(|_| !first.is_spaced()) else { return true };
        let is_led = !before.is_spaced() && token(start.checked_sub(2)).is_some_and(TokenHash::is_wordlike);
        match () {
            () if before.is(Kind::Dot) => !(is_led || value.is_number),
            () if before.is(Kind::Atext) => !(is_led && value.is_address),
            () => !(before.is_wordlike() || before.is(Kind::Binder) || value.is_bound_by(before)),
        }
    }

    /// Whether nothing from `end` on makes it a part of a longer one.
    fn closes(&self, value: &Value, end: usize, loose_end: bool) -> bool {
        let token = |at: usize| self.occurrences.get(at).map(|o| o.token);
        let Some(after) = token(end).filter(|token| !token.is_spaced()) else { return true };
        if after.is(Kind::Dot) {
            let next = token(end + 1).filter(|next| !next.is_spaced() && next.is_wordlike());
            return next.is_none_or(|next| loose_end && next.is_capital());
        }
        !(after.is_wordlike() || after.is(Kind::Binder) || value.is_bound_by(after))
    }
}

impl Value {
    /// Whether `mark` beside the value makes it a part of a path or a time.
    fn is_bound_by(&self, mark: TokenHash) -> bool {
        mark.is(Kind::Slash) && !self.is_host || mark.is(Kind::Colon) && self.is_number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LedgerKey {
        LedgerKey::danger_for_replay("test")
    }

    fn said(text: &str, value: &str) -> bool {
        let mut index = ValueIndex::default();
        index.record(&key(), "something before", 0, Class::Untrusted);
        index.record(&key(), text, 1, Class::Untrusted);
        matches!(index.find(&Value::new(&key(), value), false, Class::Untrusted), Found::At(1))
    }

    #[test]
    fn a_value_counts_only_where_it_stands_on_its_own() {
        assert!(said("mail Bob@Example.com.", "bob@example.com"));
        assert!(said("(see www.x.com)", "www.x.com"));
        assert!(said("ask Dora, then", "Dora"));
        for part in
            ["xbob@example.com", "bob@example.com.evil.org", "evil-bob@example.com", "bob@example.comx"]
        {
            assert!(!said(part, "bob@example.com"), "{part}");
        }
        assert!(!said("www.x.com.evil.org", "www.x.com"));
        assert!(!said("evil.www.x.com", "www.x.com"));
        assert!(!said("fred@x.com", "fred"));
        for longer in ["ann+bob@example.com", "o'bob@example.com", "bob@example.com.Au", "x/bob@example.com"]
        {
            assert!(!said(longer, "bob@example.com"), "{longer}");
        }
        assert!(said("'bob@example.com' or <bob@example.com>", "bob@example.com"));
        assert!(
            !said("backup/old", "backup") && !said("10.0.0.1", "10.0.0") && !said("10.0.0.1", "10.0.0.10")
        );
    }

    #[test]
    fn a_full_stop_that_runs_into_a_sentence_ends_a_value_and_one_in_a_longer_name_does_not() {
        let mut index = ValueIndex::default();
        index.record(&key(), "see www.x.com.They say. Mail ann@acme.com.au or www.y.com.", 0, Class::Spoken);
        let said =
            |value| matches!(index.find(&Value::new(&key(), value), true, Class::Spoken), Found::At(_));
        assert!(said("www.x.com") && said("www.y.com") && said("ann@acme.com.au"));
        assert!(!said("ann@acme.com") && !said("www.x"));
    }

    #[test]
    fn several_words_are_one_value_with_their_order_and_spacing() {
        assert!(said("pay  Jane\nDoe now", "jane doe"));
        assert!(!said("Doe Jane", "Jane Doe"));
        assert!(!said("JaneDoe", "Jane Doe"));
    }

    #[test]
    fn numbers_match_as_numbers_and_not_inside_dates_or_versions() {
        assert!(said("rent is 2,200.00 now", "2200"));
        assert!(said("98.70", "98.7"));
        for part in ["2022-01-01", "1/2022", "12:2022", "v.2022", "20220"] {
            assert!(!said(part, "2022"), "{part}");
        }
    }

    /// The slow reference, over characters: `value` occurs in `text`, white space being all the same, and
    /// what touches it makes it no part of a longer name.
    fn naive(text: &str, value: &str) -> bool {
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (text, value) = (squeeze(text), squeeze(value));
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let touches = |c: Option<char>| c.is_some_and(|c| is_word(c) || "@-/".contains(c));
        text.char_indices().filter(|&(at, _)| text[at..].starts_with(&value)).any(|(at, _)| {
            let mut before = text[..at].chars().rev();
            let mut after = text[at + value.len()..].chars();
            let (previous, next) = (before.next(), after.next());
            let led = previous == Some('.') && before.next().is_some_and(is_word);
            let trailed = next == Some('.') && after.next().is_some_and(is_word);
            !(touches(previous) || touches(next) || led || trailed)
        })
    }

    proptest::proptest! {
        #[test]
        fn the_index_agrees_with_the_slow_reference(
            texts in proptest::collection::vec("[ab @.,/-]{0,24}", 1..4),
            value in "[ab@.,/-]([ab @.,/-]{0,4}[ab@.,/-])?",
        ) {
            let mut index = ValueIndex::default();
            texts.iter().for_each(|text| index.record(&key(), text, 0, Class::Untrusted));
            let found = matches!(index.find(&Value::new(&key(), &value), false, Class::Untrusted), Found::At(_));
            let expected = texts.iter().any(|text| naive(text, &value));
            proptest::prop_assert_eq!(found, expected, "{:?} in {:?}", value, texts);
        }
    }

    #[test]
    fn no_value_reaches_from_one_text_into_the_next() {
        let mut index = ValueIndex::default();
        index.record(&key(), "jane", 0, Class::Untrusted);
        index.record(&key(), "doe", 0, Class::Untrusted);
        assert!(matches!(
            index.find(&Value::new(&key(), "jane doe"), false, Class::Untrusted),
            Found::Nowhere
        ));
    }

    #[test]
    fn a_flood_of_one_token_bounds_the_look_up_and_says_so() {
        let mut index = ValueIndex::default();
        index.record(&key(), "spam ham", 0, Class::Untrusted);
        index.record(&key(), &"spam-".repeat(5000), 1, Class::Untrusted);
        let find = |value| index.find(&Value::new(&key(), value), false, Class::Untrusted);
        assert!(matches!(find("spam"), Found::Undecided));
        assert!(matches!(find("spam ham"), Found::At(0)));
    }

    #[test]
    fn what_strangers_repeat_does_not_hide_what_the_user_said() {
        let mut index = ValueIndex::default();
        index.record(&key(), "mail ann", 0, Class::Spoken);
        (0..5000).for_each(|_| index.record(&key(), "ann", 1, Class::Untrusted));
        let find = |class| index.find(&Value::new(&key(), "ann"), false, class);
        assert!(matches!(find(Class::Spoken), Found::At(0)));
        assert!(matches!(find(Class::Trusted), Found::Nowhere));
        assert!(matches!(find(Class::Untrusted), Found::At(1)));
    }
}
