//! Text in decoded bytes: as UTF-8 and as UTF-16.

use std::ops::Range;

/// The fewest bytes of a text that is taken from bytes, and how many of them must not be dropped by folding.
const MIN_TEXT: usize = 12;
const MIN_FOLDED: usize = 8;
/// The fewest units of UTF-16.
const MIN_UNITS: usize = 8;
/// Plain UTF-8 is not looked at as UTF-16, save so many bytes at its ends.
pub(super) const MARGIN: usize = 24;

/// Whether a text has anything in it that is compared.
fn says_something(text: &str) -> bool {
    text.bytes().filter(|b| b.is_ascii_alphanumeric() || !b.is_ascii()).take(MIN_FOLDED).count() == MIN_FOLDED
}

/// Whether a text is plainly what it is, and not UTF-16 whose bytes happen to be valid.
pub(super) fn is_plain(text: &str) -> bool {
    let is_control = |b: u8| b.is_ascii_control() && !b"\t\r\n".contains(&b);
    text.len() > 2 * MARGIN && !text.bytes().any(is_control)
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

/// The families that a character may have by the high byte of its first unit.
static HIGH_BYTE: [u8; 256] = {
    let mut table = [0; 256];
    let mut high = 0;
    while high < 256 {
        table[high] = match high as u8 {
            0x00..=0x04 | 0x20..=0x27 => ALPHABETIC | HAN | HANGUL,
            0x11 => ALPHABETIC | HANGUL,
            0x05..=0x2f | 0xa0..=0xab => ALPHABETIC,
            0x30 | 0x31 => HAN | HANGUL,
            0x32..=0x9f => HAN,
            0xac..=0xd7 => HANGUL,
            0xe0..=0xf8 => 0,
            _ => ALPHABETIC | HAN | HANGUL,
        };
        high += 1;
    }
    table
};

/// Calls `found` with each run of UTF-16 of one family, of either byte order and at either alignment.
pub(super) fn utf16(raw: &[u8], text: &mut String, mut found: impl FnMut(Range<usize>, &str)) {
    const CHUNK: usize = 64;
    /// Bytes from the first high byte of a run to the last that has to be there.
    const SPAN: usize = 2 * (MIN_UNITS - 1);
    if raw.len() < 2 * MIN_UNITS {
        return;
    }
    let mut cursors = [[0_usize; 3]; 4];
    for base in (0..raw.len()).step_by(CHUNK) {
        let mut run = [0; CHUNK + SPAN];
        let run = &mut run[..(raw.len() - base).min(CHUNK + SPAN)];
        for (family, byte) in run.iter_mut().zip(&raw[base..]) {
            *family = HIGH_BYTE[usize::from(*byte)];
        }
        // Each step doubles the units in a row whose families agree: two, four, eight.
        for step in [2, 4, 8] {
            for n in 0..run.len().saturating_sub(step) {
                run[n] &= run[n + step];
            }
        }
        for (n, families) in run
            .iter()
            .take(CHUNK.min(run.len().saturating_sub(SPAN)))
            .enumerate()
            .filter(|(_, families)| **families != 0)
        {
            let high = base + n;
            for (big, start) in [(true, Some(high)), (false, high.checked_sub(1))] {
                let Some(start) = start else { continue };
                let cursors = &mut cursors[start % 2 * 2 + usize::from(big)];
                if cursors.iter().all(|cursor| *cursor > start) {
                    continue;
                }
                let first = units(&raw[start..], big).next().map_or(0, |c| self::families(c) & families);
                for (family, cursor) in [ALPHABETIC, HAN, HANGUL].into_iter().zip(cursors) {
                    if first & family != 0 && *cursor <= start {
                        text.clear();
                        text.extend(
                            units(&raw[start..], big).take_while(|c| self::families(*c) & family != 0),
                        );
                        *cursor = start + 2 * text.chars().map(char::len_utf16).sum::<usize>();
                        let long = *cursor - start >= 2 * MIN_UNITS;
                        if long && says_something(text) && has_own(text, family) {
                            found(start..*cursor, text);
                        }
                    }
                }
            }
        }
    }
}

/// The characters that UTF-16 at the start of `raw` gives, up to a unit that is none.
fn units(raw: &[u8], big: bool) -> impl Iterator<Item = char> {
    let pairs = raw.as_chunks::<2>().0.iter();
    let units =
        pairs.map(move |pair| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) });
    char::decode_utf16(units).map_while(Result::ok)
}

/// Whether a text belongs to `family` and not to the alphabetic one, which is looked at too.
fn has_own(text: &str, family: u8) -> bool {
    family == ALPHABETIC || text.chars().any(|c| families(c) & ALPHABETIC == 0)
}
