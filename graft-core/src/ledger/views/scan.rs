//! One pass over a text that finds where something may be encoded.

use super::View;
use super::base::{ALPHABETS, Alphabet, MIN_RUN};
use crate::ledger::fold::word_of;

/// Bytes that are looked at together.
const CHUNK: usize = 64;
/// The bit in [`CLASS`] after those of the alphabets.
const TRIGGER: u8 = ALPHABETS.len() as u8;

/// For each byte: which alphabets it may stand in a run of, and whether it may begin something else.
static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut kind = 0;
        while kind < ALPHABETS.len() {
            class[byte] |= (ALPHABETS[kind].is_member(byte as u8) as u8) << kind;
            kind += 1;
        }
        class[byte] |= (matches!(byte as u8, b'%' | b'\\' | b'&' | b'<' | b'=' | b'\n') as u8) << TRIGGER;
        byte += 1;
    }
    class
};

/// Where the first sign of each view that replaces stands.
#[derive(Default)]
pub(super) struct Triggers {
    first: [Option<usize>; 4],
    /// A quotation mark after a backslash.
    quote: Option<usize>,
}

impl Triggers {
    const VIEWS: [View; 4] = [View::Percent, View::Escape, View::Html, View::QuotedPrintable];

    /// Quotation marks alone are no reason to undo escapes: their backslash is dropped in folding. It only
    /// matters among bytes that another view gives.
    pub(super) fn found(mut self) -> impl Iterator<Item = (View, usize)> {
        if let Some(quote) = self.quote
            && self.first != [None; 4]
        {
            let escape = &mut self.first[1];
            *escape = Some(escape.map_or(quote, |at| at.min(quote)));
        }
        Self::VIEWS.into_iter().zip(self.first).filter_map(|(view, at)| at.map(|at| (view, at)))
    }

    /// Notes the sign at `at`, if what follows it fits.
    fn note(&mut self, bytes: &[u8], at: usize) {
        let next = |n: usize| bytes.get(at + n).copied().unwrap_or(b'.');
        let hex = next(1).is_ascii_hexdigit() && next(2).is_ascii_hexdigit();
        if bytes[at] == b'\\' && matches!(next(1), b'"' | b'\'') {
            self.quote.get_or_insert(at);
            return;
        }
        let (slot, fits) = match bytes[at] {
            b'%' => (0, hex || next(1) == b'u'),
            b'\\' => (1, b"uUxnrtbfv/\\".contains(&next(1))),
            b'&' => (2, next(1) == b'#' || next(1).is_ascii_alphabetic()),
            b'<' => (2, b"/!?".contains(&next(1)) || next(1).is_ascii_alphabetic()),
            b'=' => (3, hex || b" \t\r\n".contains(&next(1))),
            _ => return,
        };
        if fits {
            self.first[slot].get_or_insert(at);
        }
    }
}

/// The bytes of one chunk that are of each class, a bit for each byte, the first lowest.
#[derive(Clone, Copy, Default)]
struct Masks {
    kinds: [u64; ALPHABETS.len()],
    marks: u64,
}

impl Masks {
    fn of(chunk: &[u8]) -> Self {
        let mut masks = Self::default();
        let (eights, rest) = chunk.as_chunks::<8>();
        for (n, eight) in eights.iter().enumerate() {
            masks.add(8 * n, word_of(&CLASS, eight));
        }
        let mut last = [0; 8];
        if let Some(last) = last.get_mut(..rest.len()).filter(|last| !last.is_empty()) {
            last.copy_from_slice(rest);
        }
        // What is no byte of the text is of no class.
        let behind = u64::MAX.checked_shl(8 * rest.len() as u32).unwrap_or(0);
        masks.add(chunk.len() - rest.len(), word_of(&CLASS, &last) & !behind);
        masks
    }

    fn add(&mut self, at: usize, classes: u64) {
        if classes != 0 {
            for (kind, mask) in self.kinds.iter_mut().enumerate() {
                *mask |= gather(classes >> kind) << at;
            }
            self.marks |= gather(classes >> TRIGGER) << at;
        }
    }

    /// Where [`MIN_RUN`] bytes of each alphabet begin in a row, if `next` are those of the chunk behind.
    fn starts(&self, next: &Self) -> [u64; ALPHABETS.len()] {
        std::array::from_fn(|kind| {
            let rows = u128::from(next.kinds[kind]) << CHUNK | u128::from(self.kinds[kind]);
            let rows = rows & rows >> 1;
            let rows = rows & rows >> 2;
            let rows = rows & rows >> 4;
            (rows & rows >> 8) as u64
        })
    }
}

const _: () = assert!(MIN_RUN == 16 && CHUNK == u64::BITS as usize);

/// The lowest bit of each of eight bytes, next to each other.
pub(super) fn gather(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    (word & ONES).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Calls `run` with each place where a run may begin; it gives the end of what it has looked at.
pub(super) fn scan(bytes: &[u8], mut run: impl FnMut(&'static Alphabet, usize) -> usize) -> Triggers {
    let mut triggers = Triggers::default();
    let mut cursors = [0; ALPHABETS.len()];
    let mut chunks = bytes.chunks(CHUNK);
    let mut next = chunks.next().map(Masks::of);
    let mut base = 0;
    while let Some(masks) = next {
        next = chunks.next().map(Masks::of);
        let starts = masks.starts(&next.unwrap_or_default());
        let mut marks = masks.marks;
        while marks != 0 {
            let bit = marks.trailing_zeros();
            let at = base + bit as usize;
            marks &= marks - 1;
            if bytes[at] != b'\n' {
                triggers.note(bytes, at);
            } else if bytes.get(at + 1).is_some_and(is_blank) {
                // First what begins before, so that no run is entered in its middle.
                runs(base, starts.map(|starts| starts & !(u64::MAX << bit)), &mut cursors, &mut run);
                narrow(bytes, at, &mut cursors, &mut run);
            }
        }
        runs(base, starts, &mut cursors, &mut run);
        base += CHUNK;
    }
    triggers
}

/// Calls `run` at these places behind `base`, but for those that an earlier run has looked at.
fn runs(
    base: usize,
    starts: [u64; ALPHABETS.len()],
    cursors: &mut [usize; ALPHABETS.len()],
    run: &mut impl FnMut(&'static Alphabet, usize) -> usize,
) {
    for ((alphabet, cursor), mut left) in ALPHABETS.iter().zip(cursors).zip(starts) {
        while left != 0 {
            let start = base + left.trailing_zeros() as usize;
            if start >= *cursor {
                *cursor = run(alphabet, start).max(start + 1);
            }
            left &= u64::MAX.checked_shl(cursor.saturating_sub(base) as u32).unwrap_or(0);
        }
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Looks for a run in short indented lines, of which `at` ends the first. Hexadecimal digits need none of this,
/// because blanks may stand in a run of them.
fn narrow(
    bytes: &[u8],
    at: usize,
    cursors: &mut [usize; ALPHABETS.len()],
    run: &mut impl FnMut(&'static Alphabet, usize) -> usize,
) {
    let indent = bytes[at + 1..].iter().take_while(|b| is_blank(b)).count();
    let next = &bytes[at + 1 + indent..];
    let line = bytes[..at].strip_suffix(b"\r").unwrap_or(&bytes[..at]);
    for (alphabet, cursor) in ALPHABETS.iter().zip(cursors).filter(|(alphabet, _)| alphabet.bits > 4) {
        if !next.first().is_some_and(|b| alphabet.is_digit(*b)) || *cursor > at {
            continue;
        }
        let digits = line[(*cursor).min(line.len())..].iter().rev();
        let before = digits.take_while(|b| alphabet.is_digit(**b)).count();
        let after = next.iter().take_while(|b| alphabet.is_digit(**b)).take(MIN_RUN).count();
        let goes_on = next.get(after).is_some_and(|b| matches!(b, b'\r' | b'\n'));
        if before > 0 && (before + after >= MIN_RUN || goes_on) {
            *cursor = run(alphabet, line.len() - before).max(at + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where what stands in a run of this alphabet ends.
    fn end(alphabet: &Alphabet, bytes: &[u8], at: usize) -> usize {
        at + bytes[at..].iter().take_while(|byte| alphabet.is_member(**byte)).count()
    }

    proptest::proptest! {
        #[test]
        fn each_place_is_found_where_a_run_is_long_enough(
            parts in proptest::collection::vec("[a-f0-9]{12,20}|[A-Z2-7]{14,18}|[a-z2-7]{14,18}|[ -~]{0,70}|é", 0..8),
        ) {
            let text = parts.concat();
            let bytes = text.as_bytes();
            let mut found = Vec::new();
            scan(bytes, |alphabet, at| {
                found.push((ALPHABETS.iter().position(|one| std::ptr::eq(one, alphabet)), at));
                end(alphabet, bytes, at)
            });
            // The slow reference, byte by byte.
            let mut naive = Vec::new();
            for (kind, alphabet) in ALPHABETS.iter().enumerate() {
                let mut at = 0;
                while at < bytes.len() {
                    let end = end(alphabet, bytes, at);
                    if end - at >= MIN_RUN {
                        naive.push((Some(kind), at));
                    }
                    at = end + 1;
                }
            }
            found.sort_unstable();
            proptest::prop_assert_eq!(found, naive);
        }
    }
}
