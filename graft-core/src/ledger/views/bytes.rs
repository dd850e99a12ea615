//! Text in decoded bytes: as UTF-8 and as UTF-16.

use std::ops::Range;

/// The fewest bytes of a text that is taken from bytes, and how many of them must not be dropped by folding.
pub(super) const MIN_TEXT: usize = 12;
const MIN_FOLDED: usize = 8;
/// The fewest units of UTF-16.
pub(super) const MIN_UNITS: usize = 8;
/// Plain UTF-8 is not looked at as UTF-16, save so many bytes at its ends.
pub(super) const MARGIN: usize = 24;

/// Whether a text has anything in it that is compared.
fn says_something(text: &str) -> bool {
    text.bytes().filter(|b| b.is_ascii_alphanumeric() || !b.is_ascii()).take(MIN_FOLDED).count() == MIN_FOLDED
}

/// Whether a text is plainly what it is, and not UTF-16 whose bytes happen to be valid.
pub(super) fn is_plain(text: &str) -> bool {
    text.len() > 2 * MARGIN && !text.bytes().any(is_control)
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && !b"\t\r\n".contains(&byte)
}

/// Whether bytes are UTF-8 without controls, but for characters that are cut off at their ends. Read as UTF-16,
/// any text would be one, of Han mostly; what is UTF-16 has zeros at least where it has blanks.
pub(super) fn is_text(raw: &[u8]) -> bool {
    let cut = raw.iter().take(3).take_while(|b| **b & 0xc0 == 0x80).count();
    let is_utf8 = str::from_utf8(&raw[cut..]).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_utf8 && !raw.iter().any(|b| is_control(*b))
}

/// Calls `found` with each maximal run of valid UTF-8 of at least [`MIN_TEXT`] bytes that says something.
///
/// Controls do not end a run, because folding drops them.
pub(super) fn texts(raw: &[u8], mut found: impl FnMut(Range<usize>, &str)) {
    let mut at = 0;
    while let Some(block) = plausible(raw, at) {
        // A run that holds this block begins less than four bytes before it: the block before does not fit.
        at = at.max(block.saturating_sub(4));
        let rest = &raw[at..];
        let Some(chunk) = rest.utf8_chunks().next() else { return };
        let text = chunk.valid();
        if text.len() >= MIN_TEXT && says_something(text) {
            found(at..at + text.len(), text);
        }
        at += text.len() + chunk.invalid().len();
    }
}

/// The next of the eight bytes at every fourth place from `at` on that may be part of UTF-8. A run of
/// [`MIN_TEXT`] bytes holds such a block wherever it begins.
fn plausible(raw: &[u8], at: usize) -> Option<usize> {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    /// The pairs of neighbours within eight bytes, at the first of them.
    const PAIRS: u64 = HIGH >> 8;
    (at..).step_by(4).map_while(|at| Some((at, raw.get(at..)?.first_chunk()?))).find_map(|(at, eight)| {
        let word = u64::from_le_bytes(*eight);
        let high = word & HIGH;
        let lead = high & word << 1;
        let following = (high & !(word << 1)) >> 8;
        // A lead has to be followed, and what follows has to follow a lead or another.
        let broken = (lead & !following | !high & following) & PAIRS;
        (broken == 0).then_some(at)
    })
}

/// Scripts that are looked for together: with one family for all, random bytes would be text.
const ALPHABETIC: u8 = 1;
const HAN: u8 = 2;
const HANGUL: u8 = 4;

/// The families of a character. A blank and a small letter of ASCII make a general punctuation mark of none, so
/// that prose is not taken for Han.
pub(super) fn families(c: char) -> u8 {
    match c {
        '\t' | '\n' | '\r' => ALPHABETIC | HAN | HANGUL,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => 0,
        '\u{20}'..='\u{4ff}' | '\u{2000}'..='\u{205f}' | '\u{20a0}'..='\u{27bf}' => ALPHABETIC | HAN | HANGUL,
        '\u{1100}'..='\u{11ff}' => ALPHABETIC | HANGUL,
        '\u{2060}'..='\u{209f}' => ALPHABETIC,
        '\u{500}'..='\u{2fff}' | '\u{a000}'..='\u{abff}' => ALPHABETIC,
        '\u{3000}'..='\u{303f}' | '\u{3130}'..='\u{318f}' => HAN | HANGUL,
        '\u{3040}'..='\u{9fff}' => HAN,
        '\u{ac00}'..='\u{d7ff}' => HANGUL,
        '\u{e000}'..='\u{f8ff}' => 0,
        '\u{f900}'..='\u{ffff}' => ALPHABETIC | HAN | HANGUL,
        _ => ALPHABETIC | HAN | HANGUL,
    }
}

const ALL: u8 = ALPHABETIC | HAN | HANGUL;

/// The families that a character may have by the high byte of its first unit.
pub(super) static HIGH_BYTE: [u8; 256] = {
    let mut table = [0; 256];
    let mut high = 0;
    while high < 256 {
        table[high] = match high as u8 {
            0x00..=0x04 | 0x20..=0x27 => ALL,
            0x11 => ALPHABETIC | HANGUL,
            0x05..=0x2f | 0xa0..=0xab => ALPHABETIC,
            0x30 | 0x31 => HAN | HANGUL,
            0x32..=0x9f => HAN,
            0xac..=0xd7 => HANGUL,
            0xe0..=0xf8 => 0,
            _ => ALL,
        };
        high += 1;
    }
    table
};

/// Calls `found` with each run of UTF-16 of one family, of either byte order and at either alignment.
pub(super) fn utf16(raw: &[u8], text: &mut String, mut found: impl FnMut(Range<usize>, &str)) {
    for (offset, big) in [(0, true), (0, false), (1, true), (1, false)] {
        let units = raw.get(offset..).unwrap_or_default().as_chunks().0;
        let Some(first) = next_run(units, 0, big, ALL) else { continue };
        for family in [ALPHABETIC, HAN, HANGUL] {
            let mut at = first;
            while let Some(start) = next_run(units, at, big, family) {
                text.clear();
                text.extend(chars(&units[start..], big).take_while(|c| families(*c) & family != 0));
                let len = text.chars().map(char::len_utf16).sum::<usize>();
                at = start + len.max(1);
                let range = offset + 2 * start..offset + 2 * (start + len);
                let is_own = len >= MIN_UNITS && says_something(text) && has_own(text, family);
                if is_own && !is_text(&raw[range.clone()]) {
                    found(range, text);
                }
            }
        }
    }
}

/// Where [`MIN_UNITS`] units begin, from `at` on, that may be of one of `families`.
fn next_run(units: &[[u8; 2]], mut at: usize, big: bool, families: u8) -> Option<usize> {
    while let Some(window) = units.get(at..at + MIN_UNITS) {
        let mut left = families;
        // From its end: what does not fit there rules out all that begins before.
        let misfit = window.iter().rposition(|unit| {
            let (high, low) = if big { (unit[0], unit[1]) } else { (unit[1], unit[0]) };
            left &= if high == 0 && is_control(low) { 0 } else { HIGH_BYTE[usize::from(high)] };
            left == 0
        });
        match misfit {
            Some(misfit) => at += misfit + 1,
            None => return Some(at),
        }
    }
    None
}

/// The characters that units give, up to one that is none.
fn chars(units: &[[u8; 2]], big: bool) -> impl Iterator<Item = char> {
    let units = units.iter();
    let units =
        units.map(move |unit| if big { u16::from_be_bytes(*unit) } else { u16::from_le_bytes(*unit) });
    char::decode_utf16(units).map_while(Result::ok)
}

/// Whether a text belongs to `family` and not to the alphabetic one, which is looked at too.
fn has_own(text: &str, family: u8) -> bool {
    family == ALPHABETIC || text.chars().any(|c| families(c) & ALPHABETIC == 0)
}
