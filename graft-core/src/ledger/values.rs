//! Whole values that somebody trusted said: was this name, address, number or id said before, by whom, as
//! a value of its own?
//!
//! What is found here vouches, so it is matched exactly. Recorded texts are kept as the hashes of their tokens, in order, each linked to the previous
//! occurrence of the same token. A value is looked up by its rarest token.

use serde::{Deserialize, Serialize};

use super::fold::{Kind, Token, is_invisible, tokens};
use super::hash::{KeyedMap, LedgerKey};
use super::packed;
use super::short::Short;

/// The hash in the upper bits; in the lower six the kind, the space before it and a capital letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

    /// As it stands in a snapshot.
    pub(super) fn word(self) -> u64 {
        self.0
    }

    pub(super) fn from_word(word: u64) -> Self {
        Self(word)
    }

    const END: Self = Self(Kind::End as u64);

    fn is(self, kind: Kind) -> bool {
        self.0 & KIND == kind as u64
    }

    fn kind(self) -> Kind {
        Kind::ALL[(self.0 & KIND) as usize % Kind::ALL.len()]
    }

    pub(super) fn is_spaced(self) -> bool {
        self.0 & SPACED != 0
    }

    /// What it says, whatever stands before it.
    pub(super) fn unspaced(self) -> u64 {
        self.0 & !(SPACED | CAPITAL)
    }

    /// The same with the space before it.
    pub(super) fn spelled(self) -> u64 {
        self.0 & !CAPITAL
    }

    fn is_capital(self) -> bool {
        self.0 & CAPITAL != 0
    }

    pub(super) fn is_wordlike(self) -> bool {
        self.is(Kind::Word) || self.is(Kind::Number)
    }
}

/// The most occurrences of a value's rarest token that one look-up visits.
const MAX_VISITS: u32 = 4096;

/// Who said a text. Occurrences are linked within a class, so that what is often repeated does not stand in
/// the way of what the user said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Class {
    /// The user or the operator.
    Spoken = 0,
    /// A trusted output.
    Trusted = 1,
    /// A trusted output that vouches for destinations which strangers named too.
    Directory = 2,
}

#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// The newest occurrence, plus one.
    newest: u32,
    count: u32,
}

/// All values of the texts that vouch for theirs.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Entries")]
pub(super) struct ValueIndex {
    #[serde(with = "packed")]
    tokens: Vec<TokenHash>,
    /// For each token the previous occurrence of the same in the same class, plus one; 0 for none.
    #[serde(skip)]
    previous: Vec<u32>,
    /// Where each text begins, its source, and who said it.
    texts: Vec<(u32, u32, Class)>,
    #[serde(skip)]
    heads: KeyedMap<[Head; 3]>,
}

/// What a snapshot holds of them: the links are made anew.
#[derive(Deserialize)]
struct Entries {
    #[serde(with = "packed")]
    tokens: Vec<TokenHash>,
    texts: Vec<(u32, u32, Class)>,
}

impl TryFrom<Entries> for ValueIndex {
    type Error = packed::Unsound;

    fn try_from(Entries { tokens, texts }: Entries) -> Result<Self, Self::Error> {
        let mut index = Self::default();
        index.tokens.reserve_exact(tokens.len());
        index.previous.reserve_exact(tokens.len());
        let mut rest = &tokens[..];
        for (at, &(start, source, class)) in texts.iter().enumerate() {
            let end = texts.get(at + 1).map_or(tokens.len(), |&(next, ..)| next as usize);
            let text = end.checked_sub(start as usize).and_then(|length| rest.split_at_checked(length));
            let Some((text, behind)) = text.filter(|_| start as usize == index.tokens.len()) else {
                return Err(packed::Unsound);
            };
            index.texts.push((start, source, class));
            text.iter().for_each(|&token| index.push(token, class));
            rest = behind;
        }
        packed::sound(rest.is_empty(), index)
    }
}

/// What may touch a value without making it a part of a longer one depends on what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueKind {
    Plain,
    /// One number: a dot or a colon beside it makes it a part of a date, a time or a version.
    Number,
    /// A host: a path may stand behind it, and a scheme before.
    Host,
    /// Of an `@`: the marks that an address may have in it belong to it.
    Address,
}

/// A value to look for.
pub(super) struct Value {
    tokens: Tokens,
    kind: ValueKind,
    /// It holds characters that nobody sees and that could spell anything, so that nobody vouches for it.
    hides_text: bool,
}

/// Characters that nobody sees, and that names in some scripts need, in one value.
const MAX_UNSEEN: usize = 4;

fn hides_text(text: &str) -> bool {
    let mut unseen = text.chars().filter(|&c| is_invisible(c));
    !text.is_ascii() && (unseen.clone().any(|c| c >= '\u{e0000}') || unseen.nth(MAX_UNSEEN).is_some())
}

impl Value {
    pub(super) fn new(key: &LedgerKey, text: &str) -> Self {
        let tokens = tokens_of(key, text);
        let kind = match &tokens[..] {
            [only] if only.is(Kind::Number) => ValueKind::Number,
            _ if text.contains('@') => ValueKind::Address,
            _ => ValueKind::Plain,
        };
        Self { tokens, kind, hides_text: hides_text(text) }
    }

    /// A host: a path may stand behind it, and a scheme before.
    pub(super) fn host(key: &LedgerKey, text: &str) -> Self {
        Self { kind: ValueKind::Host, tokens: tokens_of(key, text), hides_text: hides_text(text) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    pub(super) fn hides_text(&self) -> bool {
        self.hides_text
    }

    /// One hash of all its tokens: equal for spellings of one value.
    pub(super) fn digest(&self, key: &LedgerKey) -> u64 {
        let spelled =
            |(i, token): (usize, &TokenHash)| if i == 0 { token.unspaced() } else { token.spelled() };
        self.tokens
            .iter()
            .enumerate()
            .map(spelled)
            .fold(self.tokens.len() as u64, |all, one| key.extend(all, one))
    }

    pub(super) fn tokens(&self) -> &[TokenHash] {
        &self.tokens
    }

    /// The bit of its kind in [`Value::may_open`] and [`Value::may_close`].
    pub(super) fn kind_flag(&self) -> u16 {
        1 << self.kind as u16
    }

    /// Of which kinds a value may begin at `start`: nothing before makes it a part of a longer one.
    pub(super) fn may_open(text: &[TokenHash], start: usize) -> u16 {
        let back = |by| start.checked_sub(by).and_then(|at| text.get(at)).copied();
        let Some(before) = back(1).filter(|_| !text[start].is_spaced()) else { return EVERY_KIND };
        let is_led = !before.is_spaced() && back(2).is_some_and(TokenHash::is_wordlike);
        match before.kind() {
            Kind::Dot if is_led => 0,
            Kind::Dot => EVERY_KIND & !NUMBER,
            Kind::Atext if is_led => EVERY_KIND & !ADDRESS,
            Kind::Atext => EVERY_KIND,
            kind => beside(kind),
        }
    }

    /// Of which kinds a value may end before `end`.
    pub(super) fn may_close(text: &[TokenHash], end: usize) -> u16 {
        let Some(after) = text.get(end).filter(|token| !token.is_spaced()) else { return EVERY_KIND };
        let is_led = || text.get(end + 1).is_some_and(|next| !next.is_spaced() && next.is_wordlike());
        match after.kind() {
            Kind::Dot if is_led() => 0,
            Kind::Dot => EVERY_KIND,
            kind => beside(kind),
        }
    }
}

const NUMBER: u16 = 1 << ValueKind::Number as u16;
const HOST: u16 = 1 << ValueKind::Host as u16;
const ADDRESS: u16 = 1 << ValueKind::Address as u16;
const EVERY_KIND: u16 = 0b1111;

/// The kinds of values that a token of `kind` may touch.
fn beside(kind: Kind) -> u16 {
    match kind {
        Kind::Word | Kind::Number | Kind::Binder => 0,
        Kind::Slash => HOST,
        Kind::Colon => EVERY_KIND & !NUMBER,
        Kind::Dot | Kind::Atext | Kind::Mark | Kind::End => EVERY_KIND,
    }
}

/// The tokens of a text.
pub(super) type Tokens = Short<TokenHash, 8>;

/// The tokens of `text`.
pub(super) fn tokens_of(key: &LedgerKey, text: &str) -> Tokens {
    let mut all = Tokens::default();
    tokens(text, |token| all.push(TokenHash::new(key, &token)));
    all
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
        let Ok(start) = u32::try_from(self.tokens.len()) else { return };
        self.texts.push((start, source, class));
        tokens(text, |token| self.push(TokenHash::new(key, &token), class));
        self.push(TokenHash::END, class);
    }

    fn push(&mut self, token: TokenHash, class: Class) {
        let Ok(at) = u32::try_from(self.tokens.len() + 1) else { return };
        let mut previous = 0;
        if !token.is(Kind::End) {
            let head = &mut self.heads.entry(token.unspaced()).or_default()[class as usize];
            previous = head.newest;
            *head = Head { newest: at, count: head.count + 1 };
        }
        self.tokens.push(token);
        self.previous.push(previous);
    }

    /// Whether each token of `value` stands in some text of any class: if not, it is found in none.
    pub(super) fn knows(&self, value: &Value) -> bool {
        value.tokens.iter().all(|token| self.heads.contains_key(&token.unspaced()))
    }

    /// Looks for `value` standing on its own in a text of `class`. With `loose_end` a full stop that runs
    /// into the next sentence ends it too.
    pub(super) fn find(&self, value: &Value, loose_end: bool, class: Class) -> Found {
        self.find_of(value, loose_end, class, |_| true)
    }

    /// As [`ValueIndex::find`], in texts of the sources that `counts` takes.
    pub(super) fn find_of(
        &self,
        value: &Value,
        loose_end: bool,
        class: Class,
        counts: impl Fn(u32) -> bool,
    ) -> Found {
        let Some((anchor, head)) = self.rarest(value, class).filter(|_| !value.hides_text) else {
            return Found::Nowhere;
        };
        let mut next = head.newest;
        for _ in 0..MAX_VISITS {
            let Some(at) = (next as usize).checked_sub(1) else { return Found::Nowhere };
            if at >= anchor && self.stands_at(value, at - anchor, loose_end) && counts(self.source_at(at)) {
                return Found::At(self.source_at(at));
            }
            next = self.previous[at];
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

    fn source_at(&self, at: usize) -> u32 {
        let text = self.texts.partition_point(|&(start, ..)| start as usize <= at);
        text.checked_sub(1).map_or(u32::MAX, |text| self.texts[text].1)
    }

    fn stands_at(&self, value: &Value, start: usize, loose_end: bool) -> bool {
        let end = start + value.tokens.len();
        let Some(span) = self.tokens.get(start..end) else { return false };
        let same = span.iter().zip(value.tokens()).enumerate().all(|(i, (there, here))| {
            if i == 0 { there.unspaced() == here.unspaced() } else { there.spelled() == here.spelled() }
        });
        let kind = value.kind_flag();
        let closes = || Value::may_close(&self.tokens, end) & kind != 0 || loose_end && self.runs_on(end);
        same && Value::may_open(&self.tokens, start) & kind != 0 && closes()
    }

    /// Whether a full stop stands at `end`, and a sentence begins right behind it.
    fn runs_on(&self, end: usize) -> bool {
        let is_dot = |token: &TokenHash| token.is(Kind::Dot) && !token.is_spaced();
        let next = self.tokens.get(end + 1);
        self.tokens.get(end).is_some_and(is_dot) && next.is_some_and(|next| next.is_capital())
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
        index.record(&key(), "something before", 0, Class::Trusted);
        index.record(&key(), text, 1, Class::Trusted);
        matches!(index.find(&Value::new(&key(), value), false, Class::Trusted), Found::At(1))
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
            texts.iter().for_each(|text| index.record(&key(), text, 0, Class::Trusted));
            let found = matches!(index.find(&Value::new(&key(), &value), false, Class::Trusted), Found::At(_));
            let expected = texts.iter().any(|text| naive(text, &value));
            proptest::prop_assert_eq!(found, expected, "{:?} in {:?}", value, texts);
        }
    }

    #[test]
    fn no_value_reaches_from_one_text_into_the_next() {
        let mut index = ValueIndex::default();
        index.record(&key(), "jane", 0, Class::Trusted);
        index.record(&key(), "doe", 0, Class::Trusted);
        assert!(matches!(index.find(&Value::new(&key(), "jane doe"), false, Class::Trusted), Found::Nowhere));
    }

    #[test]
    fn a_flood_of_one_token_bounds_the_look_up_and_says_so() {
        let mut index = ValueIndex::default();
        index.record(&key(), "spam ham", 0, Class::Trusted);
        index.record(&key(), &"spam-".repeat(5000), 1, Class::Trusted);
        let find = |value| index.find(&Value::new(&key(), value), false, Class::Trusted);
        assert!(matches!(find("spam"), Found::Undecided));
        assert!(matches!(find("spam ham"), Found::At(0)));
    }

    #[test]
    fn what_tools_repeat_does_not_hide_what_the_user_said() {
        let mut index = ValueIndex::default();
        index.record(&key(), "mail ann", 0, Class::Spoken);
        (0..5000).for_each(|_| index.record(&key(), "ann", 1, Class::Trusted));
        let find = |class| index.find(&Value::new(&key(), "ann"), false, class);
        assert!(matches!(find(Class::Spoken), Found::At(0)));
        assert!(matches!(find(Class::Trusted), Found::At(1)));
    }
}
