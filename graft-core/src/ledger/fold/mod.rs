//! Folding: what is compared is neither case, nor width, nor spacing, nor what cannot be seen.
//!
//! Each code point folds on its own, by one closed table, so `fold(x + y) = fold(x) + fold(y)` and
//! `fold(fold(x)) = fold(x)`. What is kept are letters and numbers in compatibility decomposition (NFKD,
//! UAX 15); all marks, vowel signs of Indic scripts among them, controls, bidi controls, tags, variation
//! selectors and other default-ignorables, white space, punctuation and symbols are dropped. Hangul
//! syllables fold to their letters.
//!
//! - [`span_fold`], for carried text, then makes one class of whatever case pairs and the single-character
//!   look-alikes of UTS 39 connect. The closure is large on purpose: among ASCII it makes one of `06co`,
//!   `1il`, `3j`, `5fs`, `7ertuy` and `nv`. A symbol that looks like a letter or digit of ASCII counts as it,
//!   so `|` is `1`, and a table in Markdown gains letters on both sides alike.
//! - [`exact_fold`], for ids, numbers and whatever vouches, makes one of case pairs only.
//!
//! Case that changes the count of letters (`ß` and `SS`) and look-alikes of several (`rn` and `m`) stay apart.

#[rustfmt::skip]
mod table;
mod tokens;

use table::{
    BLOCK_RUNS, BLOCKS, DROPPED, ENTRIES, FIRST, HANGUL, ITSELF, LONG, LONGEST, LONGS, PAGE, PAGE_RUNS,
    SINGLES,
};
pub(crate) use tokens::host;
pub(super) use tokens::{Kind, Token, is_invisible, tokens};

/// Letters and digits of `text`, look-alikes as one.
pub(super) fn span_fold(text: &str) -> Vec<u8> {
    let mut folded = Vec::new();
    span_fold_into(text, &mut folded);
    folded
}

/// Appends [`span_fold`] of `text` to `out`.
pub(super) fn span_fold_into(text: &str, out: &mut Vec<u8>) {
    SPAN.fold_into(text, out);
}

/// Writes [`span_fold`] of `text` to the front of `room`, and gives its length. `None` if `text` is not ASCII, or
/// longer than `room`; then what stands in `room` means nothing.
pub(super) fn span_fold_ascii(text: &str, room: &mut [u8]) -> Option<usize> {
    let room = room.get_mut(..text.len()).filter(|_| text.is_ascii())?;
    Some(SPAN.fold_ascii(text.as_bytes(), room))
}

/// The byte offset in `text` that each byte of [`span_fold`] came from.
pub(super) fn span_offsets(text: &str) -> Vec<usize> {
    SPAN.offsets(text)
}

/// Letters and digits of `text`, look-alikes apart.
pub(super) fn exact_fold(text: &str) -> Vec<u8> {
    let mut folded = Vec::new();
    EXACT.fold_into(text, &mut folded);
    folded
}

/// The byte offset in `text` that each byte of [`exact_fold`] came from.
pub(super) fn exact_offsets(text: &str) -> Vec<usize> {
    EXACT.offsets(text)
}

static SPAN: Folder = Folder::new(false);
static EXACT: Folder = Folder::new(true);

/// The page of each block of code points, and the entries of the pages.
static BLOCK: [u16; BLOCKS] = expand(&BLOCK_RUNS);
static ENTRY: [u16; ENTRIES] = expand(&PAGE_RUNS);

/// Bytes that the longest fold of one character has, and some that are written past a short one.
const ROOM: usize = if LONGEST > 12 { LONGEST } else { 12 };

/// One of the two folds, ready for use.
struct Folder {
    is_exact: bool,
    /// The fold of each ASCII byte; 0 if it is dropped. All fold to one byte at most. Nothing is known of others.
    ascii: [u8; 256],
    /// The fold of each of [`SINGLES`] in UTF-8; zeros behind it.
    singles: [[u8; 4]; SINGLES.len()],
}

impl Folder {
    const fn new(is_exact: bool) -> Self {
        let mut folder = Self { is_exact, ascii: [0; 256], singles: [[0; 4]; SINGLES.len()] };
        let mut at = 0;
        while at < SINGLES.len() {
            let (exact, span) = SINGLES[at];
            folder.singles[at] = utf8(if is_exact { exact } else { span });
            at += 1;
        }
        let mut byte = 0;
        while byte < 128 {
            folder.ascii[byte] = match entry(byte) {
                DROPPED => 0,
                ITSELF => byte as u8,
                at => folder.singles[(at - FIRST) as usize][0],
            };
            byte += 1;
        }
        folder
    }

    fn fold_into(&self, text: &str, out: &mut Vec<u8>) {
        if text.is_ascii() {
            let from = out.len();
            out.resize(from + text.len(), 0);
            let width = self.fold_ascii(text.as_bytes(), &mut out[from..]);
            out.truncate(from + width);
            return;
        }
        // Always room for as much as is left to read, and for one fold more.
        let mut to = out.len();
        out.resize(to + text.len() + ROOM, 0);
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c.is_ascii() {
                let folded = self.ascii[c as usize];
                out[to] = folded;
                to += usize::from(folded != 0);
                continue;
            }
            let Some(room) = out[to..].first_chunk_mut() else { break };
            let width = self.fold(c, room);
            to += width;
            if width > c.len_utf8() {
                let needed = to + chars.as_str().len() + ROOM;
                if out.len() < needed {
                    out.resize(needed + needed / 4, 0);
                }
            }
        }
        out.truncate(to);
    }

    /// Folds ASCII into `out`, which is as long, and gives the length of the fold.
    fn fold_ascii(&self, text: &[u8], out: &mut [u8]) -> usize {
        let mut to = 0;
        let (eights, rest) = text.as_chunks::<8>();
        for eight in eights {
            let word = word_of(&self.ascii, eight);
            // Mostly nothing of a few bytes is dropped.
            let has_zero = word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080 != 0;
            match out.get_mut(to..to + 8) {
                Some(free) if !has_zero => {
                    free.copy_from_slice(&word.to_le_bytes());
                    to += 8;
                }
                _ => to = keep(&word.to_le_bytes(), out, to),
            }
        }
        rest.iter().fold(to, |to, byte| keep(&[self.ascii[usize::from(*byte)]], out, to))
    }

    fn offsets(&self, text: &str) -> Vec<usize> {
        let mut offsets = Vec::with_capacity(text.len());
        let mut room = [0; ROOM];
        for (at, c) in text.char_indices() {
            if c.is_ascii() {
                if self.ascii[c as usize] != 0 {
                    offsets.push(at);
                }
            } else {
                offsets.resize(offsets.len() + self.fold(c, &mut room), at);
            }
        }
        offsets
    }

    /// Writes the fold of `c` to the front of `out`, and gives its length.
    #[inline]
    fn fold(&self, c: char, out: &mut [u8; ROOM]) -> usize {
        match entry(c as usize) {
            HANGUL => self.fold_hangul(c as u32, out),
            at if at >= LONG => {
                let (exact, span) = LONGS[usize::from(at - LONG)];
                let folded = if self.is_exact { exact } else { span };
                out[..folded.len()].copy_from_slice(folded.as_bytes());
                folded.len()
            }
            at => put(self.single(at, c as u32), out),
        }
    }

    /// By the arithmetic decomposition of the Unicode Standard, section 3.12.
    fn fold_hangul(&self, syllable: u32, out: &mut [u8]) -> usize {
        let at = syllable - 0xac00;
        let last = at % 28;
        let letters = [0x1100 + at / 588, 0x1161 + at % 588 / 28, 0x11a7 + last];
        let mut to = 0;
        for &letter in &letters[..2 + usize::from(last != 0)] {
            to += put(self.single(entry(letter as usize), letter), &mut out[to..]);
        }
        to
    }

    #[inline]
    fn single(&self, entry: u16, c: u32) -> [u8; 4] {
        match entry {
            DROPPED => [0; 4],
            ITSELF => utf8(c),
            at => self.singles[usize::from(at - FIRST)],
        }
    }
}

/// What a table says of eight bytes, the first lowest.
#[inline]
pub(super) fn word_of(table: &[u8; 256], eight: &[u8; 8]) -> u64 {
    let add = |word, (n, byte): (usize, &u8)| word | u64::from(table[usize::from(*byte)]) << (8 * n);
    eight.iter().enumerate().fold(0, add)
}

/// Writes what is not 0 to `out`, from `to` on, and gives where that ends.
#[inline]
fn keep(folded: &[u8], out: &mut [u8], mut to: usize) -> usize {
    for &byte in folded {
        if let Some(free) = out.get_mut(to) {
            *free = byte;
        }
        to += usize::from(byte != 0);
    }
    to
}

/// Writes all of `single` to the front of `out`, and gives how much of it is text.
#[inline]
fn put(single: [u8; 4], out: &mut [u8]) -> usize {
    out[..4].copy_from_slice(&single);
    match single[0] {
        0 => 0,
        1..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

/// The entry of a code point.
#[inline]
const fn entry(c: usize) -> u16 {
    let block = c / PAGE;
    if block >= BLOCKS {
        return DROPPED;
    }
    ENTRY[BLOCK[block] as usize * PAGE + c % PAGE]
}

/// A code point in UTF-8, with zeros behind it; 0 is nothing.
const fn utf8(c: u32) -> [u8; 4] {
    const fn tail(c: u32, shift: u32) -> u8 {
        0x80 | (c >> shift & 0x3f) as u8
    }
    match c {
        0..0x80 => [c as u8, 0, 0, 0],
        0x80..0x800 => [0xc0 | (c >> 6) as u8, tail(c, 0), 0, 0],
        0x800..0x1_0000 => [0xe0 | (c >> 12) as u8, tail(c, 6), tail(c, 0), 0],
        _ => [0xf0 | (c >> 18) as u8, tail(c, 12), tail(c, 6), tail(c, 0)],
    }
}

/// Writes out runs of one value, or of ascending ones where the length is below zero.
const fn expand<const N: usize>(runs: &[(u16, i16)]) -> [u16; N] {
    let mut all = [0; N];
    let (mut at, mut run) = (0, 0);
    while run < runs.len() {
        let (first, length) = runs[run];
        let mut next = 0;
        while next < length.unsigned_abs() {
            all[at] = if length < 0 { first + next } else { first };
            at += 1;
            next += 1;
        }
        run += 1;
    }
    assert!(at == N, "the runs fill the table");
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Fold = fn(&str) -> Vec<u8>;
    type Offsets = fn(&str) -> Vec<usize>;
    const BOTH: [(Fold, Offsets); 2] = [(span_fold, span_offsets), (exact_fold, exact_offsets)];

    fn every() -> impl Iterator<Item = char> {
        (0..=u32::from(char::MAX)).filter_map(char::from_u32)
    }

    fn one(fold: Fold, c: char) -> String {
        String::from_utf8(fold(c.encode_utf8(&mut [0; 4]))).expect("a fold is text")
    }

    proptest! {
        #[test]
        fn folds_distribute_over_concatenation_and_fold_to_themselves(
            x in any::<String>(), y in "(?s:[a-zA-Z|가-힣ﷺ½а-я一-丰 \\u{e0001}]{0,40})",
        ) {
            for (fold, offsets) in BOTH {
                let (a, b) = (fold(&x), fold(&y));
                let both = fold(&(x.clone() + &y));
                prop_assert_eq!(&both, &[&a[..], &b[..]].concat());
                prop_assert_eq!(&fold(std::str::from_utf8(&both)?), &both);
                // A slow reference: character by character.
                let by_one: Vec<(usize, u8)> = x.char_indices()
                    .flat_map(|(at, c)| one(fold, c).into_bytes().into_iter().map(move |byte| (at, byte)))
                    .collect();
                let (at, bytes): (Vec<usize>, Vec<u8>) = by_one.into_iter().unzip();
                prop_assert_eq!((offsets(&x), a), (at, bytes));
            }
        }
    }

    #[test]
    fn every_code_point_folds_to_what_folds_to_itself_and_the_exact_fold_is_the_finer() {
        for c in every() {
            let (span, exact) = (one(span_fold, c), one(exact_fold, c));
            for folded in span.chars() {
                assert_eq!(one(span_fold, folded), folded.to_string(), "{c:?}");
                assert!(folded.is_alphanumeric() || !folded.is_ascii(), "{c:?}");
            }
            exact.chars().for_each(|folded| assert_eq!(one(exact_fold, folded), folded.to_string(), "{c:?}"));
            assert!(exact.is_empty() || span_fold(&exact) == span.as_bytes(), "{c:?}");
            assert!(!c.is_ascii() || span.len() <= 1 && exact.len() <= 1, "{c:?}");
        }
    }

    #[test]
    fn every_case_pair_folds_equal() {
        let mut pairs = 0;
        for c in every() {
            for cased in [c.to_lowercase().to_string(), c.to_uppercase().to_string()] {
                let is_pair = cased.chars().count() == 1 && !cased.starts_with(c);
                if is_pair && !one(span_fold, c).is_empty() {
                    pairs += 1;
                    for (fold, _) in BOTH {
                        assert_eq!(
                            one(fold, c).as_bytes(),
                            fold(&cased),
                            "{c:?}; is the table of this Unicode?"
                        );
                    }
                }
            }
        }
        assert!(pairs > 2700, "{pairs}");
    }

    #[test]
    fn look_alikes_are_one_for_spans_and_apart_for_what_vouches() {
        for (a, b) in [
            ("Il1|ıӀ｜", "1111111"),
            ("oO0оΟօ๐", "0000000"),
            ("раураl.сом", "paypal.com"),
            ("ΜΝЅ", "MNS"),
            ("𝗶𝗴𝗻𝗼𝗿𝗲", "ignore"),
            ("ⓘⓖⓝⓞⓡⓔ", "ignore"),
            ("🅘🅖🅝🅞🅡🅔", "ignore"),
            ("ｉｇｎ", "ign"),
            ("❶➋⓷", "123"),
            ("×", "x"),
            ("ς", "Σ"),
        ] {
            assert_eq!(span_fold(a), span_fold(b), "{a} {b}");
        }
        assert_eq!(exact_fold("O0 l1I|, Ⅰ ２²"), b"o0l1ii22");
        assert_ne!(exact_fold("раураl"), exact_fold("paypal"));
        assert_ne!(span_fold("modern"), span_fold("modem"));
    }

    #[test]
    fn what_is_no_letter_and_no_number_is_dropped() {
        for dropped in [
            " \n\t\u{a0}\u{3000}",
            "\0\u{1b}\u{85}",
            "\u{200b}\u{2060}\u{feff}\u{ad}",
            "\u{202e}\u{2066}",
            "\u{e0041}",
            "\u{fe0f}\u{e0100}",
            "\u{301}\u{20dd}\u{93f}\u{903}",
            "\u{115f}\u{3164}",
            "\u{640}",
            "’‘ʼ",
            "-—_.,。/\\",
            "$€+=<>",
            "🙂",
            "\u{e000}\u{10ffff}\u{fdd0}",
        ] {
            assert_eq!((span_fold(dropped), exact_fold(dropped)), (vec![], vec![]), "{dropped:?}");
        }
    }

    #[test]
    fn letters_of_every_script_are_kept() {
        for (text, letters) in [
            ("漢字、かな。カナ", "漢字かなカナ"),
            ("한글", "\u{1112}\u{1161}\u{1102}\u{1100}\u{1173}\u{1105}"),
            ("सत्य", "सतय"),
            ("กขค", "กขค"),
            ("ابجد", "1بجد"),
            ("אבג", "אבג"),
            ("ж-Я", "жя"),
            ("ა", "ა"),
            ("አማ", "አማ"),
        ] {
            assert_eq!(String::from_utf8(span_fold(text)).as_deref(), Ok(letters));
        }
    }

    #[test]
    fn composed_and_decomposed_text_fold_equal() {
        for (composed, decomposed) in
            [("éÅ", "e\u{301}A\u{30a}"), ("각", "\u{1100}\u{1161}\u{11a8}"), ("が", "か\u{3099}")]
        {
            assert_eq!(span_fold(composed), span_fold(decomposed));
            assert_eq!(exact_fold(composed), exact_fold(decomposed));
        }
    }

    #[test]
    fn offsets_are_those_of_the_characters() {
        let text = "Ａb\u{200b}-\nÉ 1ﬀ";
        assert_eq!((span_fold(text), span_offsets(text)), (b"ab7155".to_vec(), vec![0, 3, 9, 12, 13, 13]));
        assert_eq!((exact_fold(text), exact_offsets(text)), (b"abe1ff".to_vec(), vec![0, 3, 9, 12, 13, 13]));
    }
}
