//! The kinds of value that a plan may ask for, and how each is recognised in text.
//!
//! | kind | a value is | after |
//! | --- | --- | --- |
//! | `email` | dot-atom, `@`, two or more labels of letters, digits and hyphens, the last of letters | RFC 5322 §3.2.3, RFC 5321 §4.1.2 |
//! | `url` | `http://`, `https://` or `www.` up to white space, a quote or a bracket, less punctuation at its end | RFC 3986, appendix C |
//! | `iban` | two letters, two digits, 11 to 30 letters and digits; in one word or in groups of four | ISO 13616, §5 |
//! | `phone` | 7 to 15 digits, `+` before and single separators between them allowed | ITU-T E.164, E.123 |
//! | `number` | digits, groups of three behind commas, a fraction, a sign; in no longer word, date, time or version | |
//! | `date` | `YYYY-MM-DD`, with a time if one follows; a day, an English month and a year | ISO 8601-1, §5.2.2 and §5.4 |
//! | `id` | letters, digits, `_` and `-` in one word with at least one digit that is no date | |
//! | `name` | words that begin with a capital, with particles such as `de` between them; each part of it counts too,
//! and so does the short line that it stands in | |
//! | `text` | the text as a whole; with the pick `any` also each value that stands in it | |
//!
//! The check digits of an IBAN only tell where one in groups ends: what is printed in a letter counts as the
//! letter says it. Every recogniser takes time in proportion to the text.

mod date;
mod name;

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

pub(super) use date::moment;
use date::{date, dates};
use graft_core::ledger::links;
use name::names;

/// A kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A web address.
    Url,
    /// An account number of ISO 13616's shape.
    Iban,
    /// A telephone number.
    Phone,
    /// A number.
    Number,
    /// A date, with its time if there is one.
    Date,
    /// A word with a digit in it.
    Id,
    /// A name of a person, place or house.
    Name,
    /// Text.
    Text,
}

impl Kind {
    /// Every kind, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::Email,
        Self::Url,
        Self::Iban,
        Self::Phone,
        Self::Number,
        Self::Date,
        Self::Id,
        Self::Name,
        Self::Text,
    ];

    /// The word that files carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Url => "url",
            Self::Iban => "iban",
            Self::Phone => "phone",
            Self::Number => "number",
            Self::Date => "date",
            Self::Id => "id",
            Self::Name => "name",
            Self::Text => "text",
        }
    }

    /// Calls `found` with each value of this kind in `text`, in order: the value first, then what else it
    /// goes by.
    pub(super) fn each(self, text: &str, found: &mut dyn FnMut(&[&str])) {
        match self {
            Self::Email => emails(text, found),
            Self::Url => links(text, |range| {
                let end: &[char] = &[';', ':', ']', '}', '*', '_', '`', '|', '.', ',', '!', '?'];
                found(&[text[range].trim_end_matches(end)]);
            }),
            Self::Iban => ibans(text, found),
            Self::Phone => phones(text, found),
            Self::Number => numbers(text, found),
            Self::Date => dates(text, found),
            Self::Id => ids(text, found),
            Self::Name => names(text, found),
            Self::Text => found(&[text.trim()]),
        }
    }

    /// The spelling in which two values of this kind are compared. What is more than a value of the kind stays as
    /// it is, so that nothing rides along.
    pub(super) fn canonical(self, value: &str) -> Cow<'_, str> {
        let value = value.trim();
        let only = |is_part: fn(char) -> bool, around: &str| {
            let is_value = value.chars().all(|c| is_part(c) || around.contains(c));
            is_value.then(|| value.chars().filter(|c| is_part(*c)).collect::<String>())
        };
        let canonical = match self {
            Self::Url => return Cow::Borrowed(url(value)),
            Self::Iban => only(|c| c.is_ascii_alphanumeric(), " \u{a0}-"),
            Self::Phone => only(|c| c.is_ascii_digit(), "+-.()/ \u{a0}"),
            Self::Date => date(value).filter(|(_, len)| *len == value.len()).map(|(date, _)| date.spelled()),
            _ => None,
        };
        canonical.map_or(Cow::Borrowed(value), Cow::Owned)
    }
}

/// A web address without its scheme and without a slash at its end; anything else as it is.
pub(super) fn url(value: &str) -> &str {
    let value = value.trim();
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let is_www = value.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."));
    match scheme {
        Some(scheme) => value[scheme.len()..].trim_end_matches('/'),
        None if is_www => value.trim_end_matches('/'),
        None => value,
    }
}

/// The maximal runs of characters that are `part` of a word, as ranges.
fn runs<'t>(
    text: &'t str,
    part: impl Fn(char) -> bool + Copy + 't,
) -> impl Iterator<Item = Range<usize>> + 't {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(part)?;
        let end = text[start..].find(|c| !part(c)).map_or(text.len(), |len| start + len);
        at = end;
        Some(start..end)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn emails(text: &str, found: &mut dyn FnMut(&[&str])) {
    let is_atext = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let is_label = |c: char| c.is_alphanumeric() || c == '-' || c == '.';
    for (at, _) in text.match_indices('@') {
        let local = &text[text[..at].trim_end_matches(is_atext).len()..at];
        let local = local.trim_start_matches(['\'', '`', '=', '/', '*', '.']);
        let domain = &text[at + 1..];
        let domain = &domain[..domain.len() - domain.trim_start_matches(is_label).len()];
        let domain = domain.trim_end_matches(['.', '-']);
        let labels = || domain.split('.');
        let top = labels().next_back().unwrap_or_default();
        let is_domain = labels().count() > 1
            && labels().all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
            && top.len() > 1
            && top.chars().all(char::is_alphabetic);
        if is_domain && !local.is_empty() && !local.ends_with('.') && !local.contains("..") {
            found(&[&text[at - local.len()..at + 1 + domain.len()]]);
        }
    }
}

fn ibans(text: &str, found: &mut dyn FnMut(&[&str])) {
    let words: Vec<Range<usize>> = runs(text, is_word).collect();
    let mut next = 0;
    while let Some(word) = words.get(next) {
        next += 1;
        let whole = &text[word.clone()];
        let begins = |word: &str| {
            let bytes = word.as_bytes();
            word.is_ascii()
                && bytes.len() >= 4
                && bytes[..2].iter().all(u8::is_ascii_alphabetic)
                && bytes[2..4].iter().all(u8::is_ascii_digit)
        };
        if !begins(whole) {
            continue;
        }
        if (15..=34).contains(&whole.len()) && whole.bytes().all(|b| b.is_ascii_alphanumeric()) {
            found(&[whole]);
            continue;
        }
        if whole.len() != 4 {
            continue;
        }
        // Groups of four, the last of one to four, a blank or hyphen between them.
        let is_group = |word: &str| word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let mut len = 4;
        let mut ends: Vec<(usize, usize)> = Vec::new();
        for (at, pair) in words[next - 1..].windows(2).enumerate().take(8) {
            let (before, group) = (&pair[0], &text[pair[1].clone()]);
            let between = &text[before.end..pair[1].start];
            if ![" ", "\u{a0}", "-"].contains(&between) || group.len() > 4 || !is_group(group) {
                break;
            }
            len += group.len();
            if (15..=34).contains(&len) {
                ends.push((pair[1].end, at + 1));
            }
            if group.len() < 4 {
                break;
            }
        }
        let start = word.start;
        let checked = ends.iter().rev().find(|(end, _)| has_check_digits(&text[start..*end]));
        if let Some((end, groups)) = checked.or(ends.last()) {
            found(&[&text[start..*end]]);
            next += groups;
        }
    }
}

/// ISO 7064, MOD 97-10, over the number with its first four characters moved to its end.
fn has_check_digits(iban: &str) -> bool {
    let all: Vec<u32> = iban.chars().filter_map(|c| c.to_digit(36)).collect();
    let (head, tail) = all.split_at(all.len().min(4));
    let step = |rest: u32, digit: &u32| (rest * if *digit > 9 { 100 } else { 10 } + digit) % 97;
    tail.iter().chain(head).fold(0, step) == 1
}

fn phones(text: &str, found: &mut dyn FnMut(&[&str])) {
    let is_part = |c: char| c.is_ascii_digit() || "+-.()/ \u{a0}".contains(c);
    for run in runs(text, is_part) {
        // A plus sign, and two separators in a row other than around a bracket, part one number from the next.
        let mut starts = vec![run.start];
        let mut previous = '+';
        for (at, c) in text[run.clone()].char_indices() {
            let is_gap = |c: char| !c.is_ascii_digit() && c != '(' && c != ')';
            if at > 0 && (c == '+' || is_gap(c) && is_gap(previous)) {
                starts.push(run.start + at);
            }
            previous = c;
        }
        starts.push(run.end);
        for part in starts.windows(2) {
            let range = trimmed(text, part[0]..part[1], |c| !c.is_ascii_digit() && c != '+' && c != '(');
            let number = &text[range.clone()];
            let digits = number.bytes().filter(u8::is_ascii_digit).count();
            if (7..=15).contains(&digits) && !is_bound(text, range, ",:") && date(number).is_none() {
                found(&[number]);
            }
        }
    }
}

/// `range` without what `is_around` says of its ends.
fn trimmed(text: &str, range: Range<usize>, is_around: impl Fn(char) -> bool) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start_matches(&is_around).len();
    start..(range.start + part.trim_end_matches(&is_around).len()).max(start)
}

/// Whether what touches `range` makes it a part of something longer: a word, or one of `joints` with a word
/// behind it.
fn is_bound(text: &str, range: Range<usize>, joints: &str) -> bool {
    let is_bound = |beside: &mut dyn Iterator<Item = char>| match beside.next() {
        Some(c) if joints.contains(c) => beside.next().is_some_and(is_word),
        next => next.is_some_and(is_word),
    };
    is_bound(&mut text[..range.start].chars().rev()) || is_bound(&mut text[range.end..].chars())
}

fn numbers(text: &str, found: &mut dyn FnMut(&[&str])) {
    for run in runs(text, |c: char| c.is_ascii_digit() || c == '.' || c == ',') {
        let range = trimmed(text, run, |c| !c.is_ascii_digit());
        if is_number(&text[range.clone()]) && !is_bound(text, range.clone(), "-/:") {
            let is_signed = text[..range.start].ends_with('-');
            found(&[&text[range.start - usize::from(is_signed)..range.end]]);
        }
    }
}

/// Digits, groups of three behind commas if there are any, and a fraction if there is one.
fn is_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let mut rest = groups.peekable();
    let is_first = is_digits(first) && (rest.peek().is_none() || first.len() <= 3);
    is_first && rest.all(|group| group.len() == 3 && is_digits(group)) && is_digits(fraction)
}

/// What `value` is as a number, if the whole of it is one.
pub(super) fn number(value: &str) -> Option<f64> {
    let value = value.trim();
    let digits = value.strip_prefix('-').unwrap_or(value);
    is_number(digits).then(|| value.replace(',', "").parse().ok()).flatten()
}

fn ids(text: &str, found: &mut dyn FnMut(&[&str])) {
    for run in runs(text, |c| is_word(c) || c == '-') {
        let id = text[run].trim_matches('-');
        if id.bytes().any(|b| b.is_ascii_digit()) && id.len() <= MAX_ID && date(id).is_none() {
            found(&[id]);
        }
    }
}

/// The longest id, in bytes.
const MAX_ID: usize = 128;

#[cfg(test)]
mod tests {
    use super::date::iso_date;
    use super::*;

    /// The values of `kind` in `text`, each in its canonical spelling, without what else it goes by.
    fn all(kind: Kind, text: &str) -> Vec<String> {
        let mut all = Vec::new();
        kind.each(text, &mut |spelled| all.push(kind.canonical(spelled[0]).into_owned()));
        all
    }

    #[test]
    fn each_kind_finds_its_values_and_no_others() {
        for (kind, text, values) in [
            (
                Kind::Email,
                "mail Ann.Lee+x@mail.home.example, <bob@x.org>, 'c@d.io'.",
                &["Ann.Lee+x@mail.home.example", "bob@x.org", "c@d.io"][..],
            ),
            (Kind::Email, "@home a@b a@.com a..b@c.de .@x.org x@1.2 x@-a.com", &[]),
            (
                Kind::Url,
                "see https://A.example/x?y=1; or (www.b.example/). me@www.c.example",
                &["A.example/x?y=1", "www.b.example"],
            ),
            (
                Kind::Iban,
                "to UK12345678901234567890, or DE89 3704 0044 0532 0130 00 NOW",
                &["UK12345678901234567890", "DE89370400440532013000"],
            ),
            (
                Kind::Iban,
                "BE68 5390 0754 7034 TO ME; XX12 1234 short, A1234567890123456, DE89370400440532013000x_",
                &["BE68539007547034"],
            ),
            (
                Kind::Phone,
                "+41 44 668 18 00 or (555) 123-4567, not 2022-01-01, 12345 or DE1234567890",
                &["41446681800", "5551234567"],
            ),
            (Kind::Phone, "555 1234  555 9876", &["5551234", "5559876"]),
            (Kind::Number, "98.70, $2,200.50 (10%), -5 and 7.", &["98.70", "2,200.50", "10", "-5", "7"]),
            (Kind::Number, "2022-01-02 10:30 v1.2.3 A4 1,20 3/4", &[]),
            (
                Kind::Date,
                "2024-05-15, 2024-05-15T10:30Z, May 3rd, 2024 and 3 Jun 2024.",
                &["2024-05-15", "2024-05-15 10:30:00", "2024-05-03", "2024-06-03"],
            ),
            (Kind::Date, "2024-13-01 12024-05-15 2024-05-150 Mayor 3 2024", &[]),
            (Kind::Id, "order INV-2024-001, file_7, #12; 2024-05-15 word", &["INV-2024-001", "file_7", "12"]),
            (
                Kind::Name,
                "Ask Jane de Vries about it; J. Doe knows Alice's house.",
                &["Ask Jane de Vries", "J. Doe", "Alice"],
            ),
            (Kind::Name, "Names: Le Marais\nMotel 6\nthe of", &["Names", "Le Marais", "Motel 6"]),
            (Kind::Text, " all of it ", &["all of it"]),
        ] {
            assert_eq!(all(kind, text), values, "{kind:?} in {text}");
        }
    }

    #[test]
    fn a_name_goes_by_its_parts_and_a_time_by_its_day() {
        let mut parts = Vec::new();
        Kind::Name
            .each("Dear Ann of Kent", &mut |all| parts.extend(all.iter().map(|part| (*part).to_owned())));
        assert_eq!(parts, ["Dear Ann of Kent", "Ann of Kent", "Dear Ann", "Dear", "Ann", "Kent"]);
        parts.clear();
        Kind::Name.each("Tea - at Ann's", &mut |all| parts.push(all.join("|")));
        assert_eq!(parts, ["Tea|Tea - at Ann's", "Ann"]);
        parts.clear();
        Kind::Date
            .each("at 2024-05-15 10:30", &mut |all| parts.extend(all.iter().map(|part| (*part).to_owned())));
        assert_eq!(parts, ["2024-05-15 10:30:00", "2024-05-15"]);
    }

    #[test]
    fn values_of_a_kind_have_one_spelling() {
        for (kind, one, other) in [
            (Kind::Url, "HTTPS://www.x.com/", "www.x.com"),
            (Kind::Iban, "DE89 3704-0044", "DE8937040044"),
            (Kind::Phone, "+41 (44) 668", "4144668"),
            (Kind::Date, "15 May 2024", "2024-05-15"),
            (Kind::Date, "2024-05-15T10:30", "2024-05-15 10:30:00Z"),
            (Kind::Date, "2024-05-15T10:30:00.250+02:00", "2024-05-15 10:30"),
        ] {
            assert_eq!(kind.canonical(one), kind.canonical(other), "{one}");
        }
        for (kind, value) in [
            (Kind::Phone, "5551234 and the key"),
            (Kind::Iban, "DE8937040044 # key"),
            (Kind::Date, "2024-05-15 key"),
        ] {
            assert_eq!(kind.canonical(value), value, "what rides along stays");
        }
    }

    #[test]
    fn numbers_and_dates_have_an_order() {
        assert_eq!((number("2,200.50"), number("-3"), number("3 apples")), (Some(2200.5), Some(-3.0), None));
        let [first, second, third] =
            ["2024-01-31", "1 Feb 2024", "2024-02-01 10:00"].map(|text| moment(text).expect("a date"));
        assert!(first < second && second < third);
        assert_eq!(moment("2024-01-31 or so"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange_and_every_value_stands_in_it(text in "[-+.,:@/' a-zA-Z0-9é\u{a0}\n]{0,60}|\\PC{0,40}") {
            for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Date) {
                kind.each(&text, &mut |all| {
                    assert!(!all.is_empty());
                    for value in all {
                        assert!(text.contains(value));
                        kind.canonical(value);
                    }
                });
            }
            Kind::Date.each(&text, &mut |all| assert!(all.iter().all(|value| iso_date(value).is_some())));
            let _ = (number(&text), moment(&text));
        }
    }
}
