//! Folding: what is compared is neither case, nor width, nor spacing, nor what cannot be seen.
//!
//! Two folds over the same characters. [`span_fold`] keeps letters and digits only, for carried text.
//! [`tokens`] keeps words, numbers and punctuation apart, for whole values.

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
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Letters and digits of `text`, folded, with the byte offset in `text` that each folded byte came from.
pub(super) fn span_fold(text: &str, folded: &mut Vec<u8>, offsets: &mut Vec<u32>) {
    folded.clear();
    offsets.clear();
    for (at, c) in text.char_indices() {
        fold_char(c, |c| {
            if c.is_alphanumeric() {
                folded.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                offsets.resize(folded.len(), u32::try_from(at).unwrap_or(u32::MAX));
            }
        });
    }
}

/// What a token is, as far as the edges of a value care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Letters, digits and underscores.
    Word = 0,
    /// A number, in one canonical spelling.
    Number = 1,
    /// `@` or `-`: what it touches is part of a longer name.
    Binder = 2,
    /// `.`: likewise, if a word stands on its other side.
    Dot = 3,
    /// `:` or `/`: likewise for numbers, which may be part of a time, a date or a path.
    Slash = 4,
    /// Any other mark.
    Mark = 5,
    /// The end of a text. No value reaches across it.
    End = 6,
}

/// A token on its way out of [`tokens`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// Whether white space stands before it.
    pub(super) spaced: bool,
    /// The folded spelling.
    pub(super) text: &'a str,
}

/// Cuts `text` into tokens.
pub(super) fn tokens(text: &str, emit: impl FnMut(Token<'_>)) {
    let mut chars = Vec::with_capacity(text.len());
    for c in text.chars() {
        fold_char(c, |c| chars.push(c));
    }
    Tokenizer { chars: &chars, at: 0, spelling: String::new() }.run(emit);
}

struct Tokenizer<'a> {
    chars: &'a [char],
    at: usize,
    spelling: String,
}

impl Tokenizer<'_> {
    fn run(mut self, mut emit: impl FnMut(Token<'_>)) {
        let mut spaced = false;
        while let Some(&c) = self.chars.get(self.at) {
            if c.is_whitespace() {
                spaced = true;
                self.at += 1;
                continue;
            }
            self.spelling.clear();
            let kind = if is_word(c) {
                self.word()
            } else {
                self.spelling.push(c);
                self.at += 1;
                match c {
                    '@' | '-' => Kind::Binder,
                    '.' => Kind::Dot,
                    ':' | '/' => Kind::Slash,
                    _ => Kind::Mark,
                }
            };
            emit(Token { kind, spaced, text: &self.spelling });
            spaced = false;
        }
    }

    fn word(&mut self) -> Kind {
        self.take_while(is_word);
        if !self.spelling.bytes().all(|b| b.is_ascii_digit()) {
            return Kind::Word;
        }
        // Groups of thousands, then a fraction without its trailing zeros: 2,200.50 is 2200.5.
        while self.is_group() {
            self.at += 1;
            self.take_while(is_word);
        }
        if self.peek(0) == Some('.') && self.digits_at(1) > 0 {
            let whole = self.spelling.len();
            self.spelling.push('.');
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
            let kept = self.spelling.trim_end_matches('0').trim_end_matches('.').len();
            self.spelling.truncate(kept.max(whole));
        }
        Kind::Number
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) {
        while let Some(c) = self.peek(0).filter(|&c| keep(c)) {
            self.spelling.push(c);
            self.at += 1;
        }
    }

    /// A comma, then exactly three digits.
    fn is_group(&self) -> bool {
        self.peek(0) == Some(',') && self.digits_at(1) == 3
    }

    /// How many digits stand `skip` characters on, if the word that they begin is digits only.
    fn digits_at(&self, skip: usize) -> usize {
        let rest = &self.chars[(self.at + skip).min(self.chars.len())..];
        let word = rest.iter().take_while(|c| is_word(**c)).count();
        if rest[..word].iter().all(char::is_ascii_digit) { word } else { 0 }
    }

    fn peek(&self, skip: usize) -> Option<char> {
        self.chars.get(self.at + skip).copied()
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The host of a URL with a scheme, or of a bare host with a path behind it if there is one.
///
/// Strict, because a host that somebody trusted named vouches for the whole value: without a scheme in
/// front nothing with an `@` is a host, and only a path may follow one.
pub(super) fn host(value: &str) -> Option<&str> {
    let value = value.trim();
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
    };
    let (authority, rest) = match value.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => split_at_any(rest, &['/', '?', '#']),
        _ if value.contains('@') => return None,
        _ => split_at_any(value, &['/']),
    };
    if rest.contains(char::is_whitespace) {
        return None;
    }
    let host = match authority.split_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) => return None,
        None => authority,
    };
    let is_label = |label: &str| !label.is_empty() && label.chars().all(|c| is_word(c) || c == '-');
    let top = host.rsplit_once('.')?.1;
    (host.split('.').all(is_label) && top.len() >= 2 && top.chars().all(char::is_alphabetic)).then_some(host)
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
    fn spans_fold_to_letters_and_digits_with_their_offsets() {
        let (mut folded, mut offsets) = (Vec::new(), Vec::new());
        span_fold("Ａb\u{200b}-\nÉ 1", &mut folded, &mut offsets);
        assert_eq!(folded, "abé1".as_bytes());
        assert_eq!(offsets, [0, 3, 9, 9, 12]);
    }

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(spelled("2,200.50"), ["2200.5"]);
        assert_eq!(spelled("98.70 98.0 98"), ["98.7", " 98", " 98"]);
        assert_eq!(spelled("1,20"), ["1", ",", "20"]);
        assert_eq!(spelled("3.x"), ["3", ".", "x"]);
        assert_eq!(spelled("US1330"), ["us1330"]);
    }

    #[test]
    fn hosts_are_found_in_urls_and_bare_names() {
        assert_eq!(host("https://www.Shop.com:80/a?b"), Some("www.Shop.com"));
        assert_eq!(host("shop.co.uk"), Some("shop.co.uk"));
        assert_eq!(host("shop.com:8080/a/b"), Some("shop.com"));
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
            "shop.com or evil.example",
            "https://shop.com/ https://evil.example/",
        ] {
            assert_eq!(host(none), None, "{none}");
        }
    }
}
