//! The fold of whole values: [`tokens`] keeps words, numbers and punctuation apart.
//!
//! Neither case nor width nor what cannot be seen is compared, but look-alikes stay apart: a value that
//! somebody trusted named vouches for its like.

use std::borrow::Cow;

/// Folds a character: full-width forms to ASCII, case to lower, what is invisible to nothing.
fn fold_char(c: char, mut emit: impl FnMut(char)) {
    match c {
        'A'..='Z' => emit(c.to_ascii_lowercase()),
        '\0'..='\x7f' => emit(c),
        '\u{ff01}'..='\u{ff5e}' => {
            emit(char::from((c as u32 - 0xff01 + 0x21) as u8).to_ascii_lowercase());
        }
        c if is_invisible(c) => {}
        c if c.is_whitespace() => emit(' '),
        c => c.to_lowercase().for_each(emit),
    }
}

/// Characters without a shape of their own: Unicode's default-ignorable code points and the tags.
pub(in crate::ledger) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Calls `emit` with each folded character and the byte offset of the one that it came from.
fn fold_each(text: &str, mut emit: impl FnMut(usize, char)) {
    for (at, c) in text.char_indices() {
        if c.is_ascii() { emit(at, c.to_ascii_lowercase()) } else { fold_char(c, |c| emit(at, c)) }
    }
}

/// What a token is, as far as the edges of a value care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in super::super) enum Kind {
    /// Letters, digits and underscores.
    Word = 0,
    /// A number, in one canonical spelling.
    Number = 1,
    /// `@` or `-`: what it touches is part of a longer name.
    Binder = 2,
    /// `.`: likewise, if a word stands on its other side.
    Dot = 3,
    /// `/` or `\\`: what it touches is part of a path, unless a host ends there.
    Slash = 4,
    /// `:`: what it touches may be part of a time, where it is a number.
    Colon = 5,
    /// A mark that an address may have in it, such as `+`: it binds to an address behind it.
    Atext = 6,
    /// Any other mark.
    Mark = 7,
    /// The end of a text. No value reaches across it.
    End = 8,
}

impl Kind {
    /// Every kind, by its number.
    pub(in super::super) const ALL: [Self; 9] = [
        Self::Word,
        Self::Number,
        Self::Binder,
        Self::Dot,
        Self::Slash,
        Self::Colon,
        Self::Atext,
        Self::Mark,
        Self::End,
    ];
}

/// A token on its way out of [`tokens`].
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Token<'a> {
    pub(in super::super) kind: Kind,
    /// Whether white space stands before it.
    pub(in super::super) spaced: bool,
    /// Whether it began with a capital letter: a sentence may begin here.
    pub(in super::super) capital: bool,
    /// The folded spelling.
    pub(in super::super) text: &'a str,
}

/// Cuts `text` into tokens.
pub(in super::super) fn tokens(text: &str, mut emit: impl FnMut(Token<'_>)) {
    let folded = Folded::new(text);
    let (text, bytes) = (&*folded.text, folded.text.as_bytes());
    let mut spaced = false;
    // The two tokens before, as far as nothing stands between them and this one.
    let mut before = [Kind::End; 2];
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let (kind, width) = match ASCII[usize::from(byte)] {
            Class::Space => {
                (spaced, before) = (true, [Kind::End; 2]);
                at += 1;
                continue;
            }
            Class::Other => match text[at..].chars().next() {
                Some(c) if is_word(c) => (Kind::Word, 0),
                c => (Kind::Mark, c.map_or(1, char::len_utf8)),
            },
            Class::Word | Class::Digit => (Kind::Word, 0),
            Class::Mark(kind) => (kind, 1),
        };
        let capital = folded.is_capital(at);
        let (kind, spelled, end) = if kind == Kind::Word {
            let (end, is_number) = word_end(text, at);
            if is_number {
                let is_chained = matches!(before, [Kind::Number | Kind::Word, Kind::Dot]);
                let (number, rest) = number(text[at..].split_at(end - at), is_chained);
                (Kind::Number, number, text.len() - rest.len())
            } else {
                (Kind::Word, Cow::Borrowed(&text[at..end]), end)
            }
        } else {
            (kind, Cow::Borrowed(&text[at..at + width]), at + width)
        };
        emit(Token { kind, spaced, capital, text: &spelled });
        (spaced, before) = (false, [before[1], kind]);
        at = end;
    }
}

/// A folded text, and where its capitals were.
struct Folded<'a> {
    text: Cow<'a, str>,
    capitals: Capitals<'a>,
}

enum Capitals<'a> {
    /// Where they are in the text itself.
    Same(&'a [u8]),
    /// At these places of the folded text, in order.
    At(Vec<usize>),
}

impl<'a> Folded<'a> {
    fn new(text: &'a str) -> Self {
        if text.is_ascii() {
            // Without a branch for each byte, so that it is done for many of them at once.
            let is_folded = !text.bytes().fold(false, |any, byte| any | byte.is_ascii_uppercase());
            let folded = if is_folded { Cow::Borrowed(text) } else { Cow::Owned(text.to_ascii_lowercase()) };
            return Self { text: folded, capitals: Capitals::Same(text.as_bytes()) };
        }
        let mut folded = String::with_capacity(text.len());
        let mut capitals = Vec::new();
        let mut last = None;
        fold_each(text, |at, c| {
            if last.replace(at) != Some(at) && text[at..].starts_with(char::is_uppercase) {
                capitals.push(folded.len());
            }
            folded.push(c);
        });
        Self { text: Cow::Owned(folded), capitals: Capitals::At(capitals) }
    }

    fn is_capital(&self, at: usize) -> bool {
        match &self.capitals {
            Capitals::Same(text) => text[at].is_ascii_uppercase(),
            Capitals::At(places) => places.binary_search(&at).is_ok(),
        }
    }
}

/// What a folded byte is, or begins.
#[derive(Clone, Copy)]
enum Class {
    Space,
    Word,
    Digit,
    Mark(Kind),
    /// A character of several bytes.
    Other,
}

/// The class of every byte.
const ASCII: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'\t'..=b'\r' | b' ' => Class::Space,
            b'0'..=b'9' => Class::Digit,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Class::Word,
            b'@' | b'-' => Class::Mark(Kind::Binder),
            b'.' => Class::Mark(Kind::Dot),
            b'/' | b'\\' => Class::Mark(Kind::Slash),
            b':' => Class::Mark(Kind::Colon),
            // RFC 5322, section 3.2.3, less the hyphen.
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'=' | b'?' | b'^' | b'`' | b'{'
            | b'|' | b'}' | b'~' => Class::Mark(Kind::Atext),
            _ => Class::Mark(Kind::Mark),
        };
        byte += 1;
    }
    classes
};

/// The most bytes of a text that is looked at as one word.
const MAX_ONE: usize = 256;

/// Where the word at `at` ends, and whether it is digits only.
fn word_end(text: &str, at: usize) -> (usize, bool) {
    let bytes = text.as_bytes();
    // Ids and single words.
    let is_one = at == 0 && bytes.len() <= MAX_ONE && are_ascii_words(bytes);
    let mut end = if is_one { bytes.len() } else { at };
    loop {
        while bytes.get(end).is_some_and(|&byte| is_ascii_word(byte)) {
            end += 1;
        }
        if bytes.get(end).is_none_or(u8::is_ascii) {
            break;
        }
        match text[end..].chars().next() {
            Some(c) if c.is_alphanumeric() => end += c.len_utf8(),
            _ => break,
        }
    }
    (end, is_digits(&text[at..end]))
}

/// Whether each of these is a byte of ASCII that stands in words.
fn are_ascii_words(bytes: &[u8]) -> bool {
    // Without a branch or a table, so that it is done for all of them at once.
    bytes.iter().fold(true, |all, &byte| {
        let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        all & (is_letter | (byte.wrapping_sub(b'0') < 10) | (byte == b'_'))
    })
}

/// Whether a byte of ASCII stands in words.
fn is_ascii_word(byte: u8) -> bool {
    static WORD: [bool; 256] = {
        let mut word = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            word[byte] = matches!(ASCII[byte], Class::Word | Class::Digit);
            byte += 1;
        }
        word
    };
    WORD[usize::from(byte)]
}

/// The number that begins with `digits`, in its canonical spelling, and what is behind it. A number that is
/// chained to others by dots, as in a version or an address, stands for itself.
fn number<'t>((digits, mut rest): (&'t str, &'t str), is_chained: bool) -> (Cow<'t, str>, &'t str) {
    // Groups of thousands, then a fraction without its trailing zeros: 2,200.50 is 2200.5.
    let mut number = Cow::Borrowed(digits);
    while let Some(group) = digits_behind(rest, ',').filter(|group| group.len() == 3) {
        number.to_mut().push_str(group);
        rest = &rest[1 + group.len()..];
    }
    if let Some(fraction) = digits_behind(rest, '.').filter(|_| !is_chained) {
        let behind = &rest[1 + fraction.len()..];
        if digits_behind(behind, '.').is_none() {
            let kept = fraction.trim_end_matches('0');
            if !kept.is_empty() {
                number.to_mut().push('.');
                number.to_mut().push_str(kept);
            }
            rest = behind;
        }
    }
    (number, rest)
}

fn word_len(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

fn is_digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

/// The word behind `mark`, with which `text` begins, if that word is digits only.
fn digits_behind(text: &str, mark: char) -> Option<&str> {
    let behind = text.strip_prefix(mark)?;
    Some(&behind[..word_len(behind)]).filter(|word| is_digits(word))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() && c.is_alphanumeric()
}

/// The host, and the port if one is named, of a web address: `http` or `https` in front, or a bare host with
/// a path behind it if there is one.
///
/// Strict, because a host that somebody trusted named vouches for the whole value: without a scheme in
/// front nothing with an `@` is a host, and only a path may follow one.
pub(crate) fn host(value: &str) -> Option<&str> {
    let value = value.trim();
    let (authority, rest) = match value.split_once("://") {
        Some((scheme, rest)) if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            split_at_any(rest, &['/', '?', '#'])
        }
        _ if value.contains('@') => return None,
        _ => split_at_any(value, &['/']),
    };
    if rest.contains(char::is_whitespace) {
        return None;
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, "0"));
    let is_label = |label: &str| !label.is_empty() && label.chars().all(|c| is_word(c) || c == '-');
    let top = host.rsplit_once('.')?.1;
    let is_host = is_digits(port)
        && host.split('.').all(is_label)
        && top.len() >= 2
        && top.chars().all(char::is_alphabetic);
    is_host.then_some(authority)
}

fn split_at_any<'a>(text: &'a str, ends: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        tokens(text, |t| all.push(format!("{}{}", if t.spaced { " " } else { "" }, t.text)));
        all
    }

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(spelled("2,200.50"), ["2200.5"]);
        assert_eq!(spelled("98.70 98.0 98"), ["98.7", " 98", " 98"]);
        assert_eq!(spelled("1,20"), ["1", ",", "20"]);
        assert_eq!(spelled("3.x"), ["3", ".", "x"]);
        assert_eq!(spelled("US1330"), ["us1330"]);
        assert_eq!(spelled("10.0.0.10"), ["10", ".", "0", ".", "0", ".", "10"]);
        assert_eq!(spelled("v1.2.30"), ["v1", ".", "2", ".", "30"]);
    }

    proptest::proptest! {
        #[test]
        fn a_word_ends_where_no_character_of_words_goes_on(text in "[a1_é漢 .-]{0,12}|[a-zA-Z0-9_]{0,40}[é/:@\\[`{.]?[a-z]{0,20}", skipped in 0..12_usize) {
            let at = text.char_indices().nth(skipped).map_or(text.len(), |(at, _)| at);
            // The slow reference, character by character.
            let word: String = text[at..].chars().take_while(|&c| is_word(c)).collect();
            proptest::prop_assert_eq!(word_end(&text, at), (at + word.len(), is_digits(&word)));
        }
    }

    #[test]
    fn hosts_are_found_in_urls_and_bare_names() {
        assert_eq!(host("https://www.Shop.com:80/a?b"), Some("www.Shop.com:80"));
        assert_eq!(host("shop.co.uk"), Some("shop.co.uk"));
        assert_eq!(host("shop.com:8080/a/b"), Some("shop.com:8080"));
        assert_eq!(host("evil.example/?u=https://shop.com"), Some("evil.example"));
        assert_eq!(host("shop.com/@bob"), None);
        assert_eq!(host("https://shop.com/@bob?x#y"), Some("shop.com"));
        for none in [
            "bob@shop.com",
            "notes.2",
            "shop",
            "a..com",
            "3.14",
            "",
            "evil.example?u=https://shop.com",
            "eve@evil.example?x=://shop.com",
            "shop.com?@evil.example",
            "shop.com#@evil.example",
            "shop.com/../@evil.example",
            "https://shop.com@evil.example/",
            "https://shop.com\\@evil.example/",
            "https://shop.com:80@evil.example/",
            "file://shop.com/x",
            "javascript://shop.com/%0aalert(1)",
            "shop.com or evil.example",
            "https://shop.com/ https://evil.example/",
        ] {
            assert_eq!(host(none), None, "{none}");
        }
    }
}
