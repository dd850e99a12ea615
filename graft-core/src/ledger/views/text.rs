//! Percent-encoding, escapes, HTML and quoted-printable: signs in a text that stand for something else.

use std::ops::Range;

use super::View;
use super::base::MIN_RUN;
use super::entities;

/// A text of so many bytes is kept whole around a change.
pub(super) const WHOLE: usize = 2 << 10;
/// Letters of ordinary words that are kept on each side of a change in a longer text.
pub(super) const MARGIN: usize = 128;
/// The most bytes that are kept on each side.
const REACH: usize = 16 << 10;

/// How many bytes from the start of `bytes` on belong to what stands before them.
pub(super) fn reach_right(bytes: &[u8]) -> usize {
    reach(bytes.iter().take(REACH))
}

/// How many bytes at the end of `bytes` belong to what stands after them.
pub(super) fn reach_left(bytes: &[u8]) -> usize {
    reach(bytes.iter().rev().take(REACH))
}

/// Up to [`MARGIN`] letters of words that cannot be encoded themselves. A line break with blanks around it ends
/// no word, since it may stand among digits of base64 and base32; what has digits or signs, or no letter but
/// hexadecimal ones, is none.
fn reach<'a>(bytes: impl Iterator<Item = &'a u8>) -> usize {
    let (mut reached, mut plain, mut word) = (0, 0, 0);
    let (mut suspect, mut is_plain, mut blank, mut broken) = (false, false, false, false);
    for &byte in bytes {
        let kind = KIND[usize::from(byte)];
        match kind {
            Kind::Blank => blank = true,
            Kind::Break => broken = true,
            _ => {
                if matches!(kind, Kind::Other) || blank && !broken {
                    if is_plain && !suspect && word < MIN_RUN {
                        plain += word;
                    }
                    if plain >= MARGIN {
                        break;
                    }
                    (word, suspect, is_plain) = (0, false, false);
                }
                (blank, broken) = (false, false);
                match kind {
                    Kind::Sign => suspect = true,
                    Kind::Other => plain += usize::from(!byte.is_ascii()),
                    _ => word += 1,
                }
                is_plain |= matches!(kind, Kind::Letter);
            }
        }
        reached += 1;
    }
    reached
}

/// What a byte says about whether the word that it is in may be encoded.
#[derive(Clone, Copy)]
enum Kind {
    Letter,
    HexLetter,
    Blank,
    Break,
    Sign,
    Other,
}

static KIND: [Kind; 256] = {
    let mut table = [Kind::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'f' | b'A'..=b'F' => Kind::HexLetter,
            b'g'..=b'z' | b'G'..=b'Z' | b'/' | b'-' | b'_' => Kind::Letter,
            b' ' | b'\t' => Kind::Blank,
            b'\r' | b'\n' => Kind::Break,
            b'0'..=b'9' | b'+' | b'%' | b'\\' | b'&' | b'#' | b';' | b'=' => Kind::Sign,
            _ => Kind::Other,
        };
        byte += 1;
    }
    table
};

/// A part of a text and the few bytes that it stands for.
pub(super) struct Change {
    pub(super) range: Range<usize>,
    with: [u8; 4],
    len: usize,
}

impl Change {
    fn byte(range: Range<usize>, byte: u8) -> Self {
        Self { range, with: [byte, 0, 0, 0], len: 1 }
    }

    fn char(range: Range<usize>, c: char) -> Self {
        let mut with = [0; 4];
        let len = c.encode_utf8(&mut with).len();
        Self { range, with, len }
    }

    fn nothing(range: Range<usize>) -> Self {
        Self { range, with: [0; 4], len: 0 }
    }

    pub(super) fn with(&self) -> &[u8] {
        &self.with[..self.len]
    }
}

/// What one view changes in a text, from left to right.
pub(super) struct Changes<'a> {
    pub(super) view: View,
    pub(super) bytes: &'a [u8],
    at: usize,
    keep_tags: bool,
    /// The first reference within a tag that was removed.
    entity_in_tag: Option<usize>,
    /// Whether a comment that begins here or later has an end.
    comments_end: bool,
}

impl<'a> Changes<'a> {
    /// The changes from the sign at `at` on, where none stands before.
    pub(super) fn new(view: View, bytes: &'a [u8], at: usize) -> Self {
        Self { view, bytes, at, keep_tags: false, entity_in_tag: None, comments_end: true }
    }

    /// The same for HTML whose tags stay, for what stands in their attributes.
    pub(super) fn keeping_tags(bytes: &'a [u8], at: usize) -> Self {
        Self { keep_tags: true, ..Self::new(View::Html, bytes, at) }
    }

    pub(super) fn entity_in_tag(&self) -> Option<usize> {
        self.entity_in_tag
    }

    pub(super) fn next(&mut self) -> Option<Change> {
        let (bytes, view) = (self.bytes, self.view);
        let signs = match view {
            View::Percent => [b'%'; 2],
            View::Escape => [b'\\'; 2],
            View::Html => [b'&', b'<'],
            _ => [b'='; 2],
        };
        while let Some(at) = next_of(signs, bytes, self.at) {
            self.at = at;
            let change = match view {
                View::Percent => percent(bytes, self.at),
                View::Escape => escape(bytes, self.at),
                View::Html if bytes[self.at] == b'<' => self.tag(),
                View::Html => entity(bytes, self.at),
                _ => quoted(bytes, self.at),
            };
            self.at = change.as_ref().map_or(self.at + 1, |change| change.range.end);
            if change.is_some() {
                return change;
            }
        }
        self.at = bytes.len();
        None
    }

    /// The tag or comment that begins here. A quoted value may hold anything, the rest of a tag no `<`; so no
    /// place is looked at from more than three signs.
    fn tag(&mut self) -> Option<Change> {
        let rest = &self.bytes[self.at + 1..];
        if self.keep_tags || !rest.first().is_some_and(|b| b.is_ascii_alphabetic() || b"/!?".contains(b)) {
            return None;
        }
        let len = if rest.starts_with(b"!--") && self.comments_end {
            let end = rest[3..].windows(3).position(|three| three == b"-->");
            self.comments_end = end.is_some();
            end.map_or_else(|| tag_end(rest), |end| Some(3 + end + 3))
        } else {
            tag_end(rest)
        }?;
        if self.entity_in_tag.is_none() {
            let reference = rest[..len].iter().position(|b| *b == b'&');
            self.entity_in_tag = reference.map(|n| self.at + 1 + n);
        }
        Some(Change::nothing(self.at..self.at + 1 + len))
    }
}

/// The next of two bytes from `at` on.
fn next_of(signs: [u8; 2], bytes: &[u8], at: usize) -> Option<usize> {
    let is_sign = |byte: &u8| *byte == signs[0] || *byte == signs[1];
    let chunks = bytes.get(at..)?.chunks(32);
    // Without an early end, so that the bytes of a chunk are looked at together.
    let any = |chunk: &[u8]| chunk.iter().fold(false, |any, byte| any | is_sign(byte));
    let (n, chunk) = chunks.enumerate().find(|(_, chunk)| any(chunk))?;
    Some(at + 32 * n + chunk.iter().position(is_sign)?)
}

fn tag_end(rest: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (n, &byte) in rest.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(n + 1),
            (None, b'<') => return None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

fn hex_digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

/// The number that exactly `digits` hexadecimal digits at `at` give.
fn hex(bytes: &[u8], at: usize, digits: usize) -> Option<u32> {
    let digits = bytes.get(at..at + digits)?;
    digits.iter().try_fold(0_u32, |value, byte| Some(value << 4 | hex_digit(*byte)?))
}

/// The byte that two digits at `at` give.
fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    hex(bytes, at, 2)?.try_into().ok()
}

/// The character whose UTF-16 unit stands as four digits after two bytes at `at`, and where it ends. The second
/// half of a pair has the same two bytes before it.
fn unit(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let first = hex(bytes, at + 2, 4)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, at + 6));
    }
    let pair = bytes.get(at + 6..at + 8)? == &bytes[at..at + 2];
    let second = hex(bytes, at + 8, 4).filter(|second| pair && (0xdc00..0xe000).contains(second))?;
    let c = (first < 0xdc00)
        .then(|| char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)))??;
    Some((c, at + 12))
}

fn percent(bytes: &[u8], at: usize) -> Option<Change> {
    if bytes.get(at + 1) == Some(&b'u') {
        let (c, end) = unit(bytes, at)?;
        return Some(Change::char(at..end, c));
    }
    Some(Change::byte(at..at + 3, byte(bytes, at + 1)?))
}

/// A backslash before anything else stays: folding drops it. Before a quotation mark it goes, because what was
/// escaped may be bytes of UTF-16.
fn escape(bytes: &[u8], at: usize) -> Option<Change> {
    let next = |n: usize| bytes.get(at + n).copied().unwrap_or(b'.');
    let control = |byte| Some(Change::byte(at..at + 2, byte));
    match next(1) {
        b'u' | b'x' if next(2) == b'{' => braced(bytes, at),
        b'u' => unit(bytes, at).map(|(c, end)| Change::char(at..end, c)),
        b'U' => hex(bytes, at + 2, 8).and_then(char::from_u32).map(|c| Change::char(at..at + 10, c)),
        b'x' => byte(bytes, at + 2).map(|byte| Change::byte(at..at + 4, byte)),
        b'n' => control(b'\n'),
        b'r' => control(b'\r'),
        b't' => control(b'\t'),
        b'b' => control(8),
        b'f' => control(12),
        b'v' => control(11),
        mark @ (b'/' | b'"' | b'\'') => control(mark),
        // What follows may be a sign for a later level.
        b'\\' => control(b'\\'),
        _ => None,
    }
}

/// `\u{X}` or `\x{X}` of one to eight digits.
fn braced(bytes: &[u8], at: usize) -> Option<Change> {
    let digits = bytes[at + 3..].iter().take(9).position(|b| *b == b'}')?;
    let c = if digits == 0 { None } else { hex(bytes, at + 3, digits).and_then(char::from_u32) }?;
    Some(Change::char(at..at + 4 + digits, c))
}

/// A character reference: a number or a name. The end mark may be missing where browsers do without.
fn entity(bytes: &[u8], at: usize) -> Option<Change> {
    let rest = &bytes[at + 1..];
    let (c, len) = match rest {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16).map(|(c, len)| (c, len + 2)),
        [b'#', digits @ ..] => number(digits, 10).map(|(c, len)| (c, len + 1)),
        _ => {
            let name = rest.iter().take(entities::LONGEST).take_while(|b| b.is_ascii_alphanumeric()).count();
            entities::named(&rest[..name], rest.get(name) == Some(&b';'))
        }
    }?;
    let end = at + 1 + len;
    Some(Change::char(at..end + usize::from(bytes.get(end) == Some(&b';')), c))
}

fn number(digits: &[u8], radix: u32) -> Option<(char, usize)> {
    let mut value = 0_u32;
    let mut len = 0;
    while let Some(digit) = digits.get(len).and_then(|b| char::from(*b).to_digit(radix)) {
        value = value.saturating_mul(radix).saturating_add(digit);
        len += 1;
    }
    let c = char::from_u32(value)?;
    (len > 0).then_some((c, len))
}

fn quoted(bytes: &[u8], at: usize) -> Option<Change> {
    if let Some(byte) = byte(bytes, at + 1) {
        return Some(Change::byte(at..at + 3, byte));
    }
    if at > 0 && bytes[at - 1] == b'=' {
        return None; // a ruler or padding: an equals sign of the text would be encoded
    }
    let blanks = bytes[at + 1..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let after = at + 1 + blanks;
    let end = match &bytes[after..] {
        [b'\r', b'\n', ..] => after + 2,
        [b'\n', ..] => after + 1,
        _ => return None,
    };
    Some(Change::nothing(at..end))
}

pub(super) fn rot13(c: char) -> char {
    let turn = |base: u8| char::from((c as u8 - base + 13) % 26 + base);
    match c {
        'a'..='z' => turn(b'a'),
        'A'..='Z' => turn(b'A'),
        c => c,
    }
}
