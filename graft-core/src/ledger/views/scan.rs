//! One pass over a text that finds where something may be encoded.

use std::ops::Range;

use super::View;
use super::base::{ALPHABETS, Alphabet, MIN_RUN};

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

/// Calls `run` with each place where a run may begin; it gives the end of what it has looked at.
pub(super) fn scan(bytes: &[u8], mut run: impl FnMut(&'static Alphabet, usize) -> usize) -> Triggers {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut triggers = Triggers::default();
    let mut cursors = [0; ALPHABETS.len()];
    let mut before = [0_u8; 2];
    for (chunk, base) in bytes.chunks(CHUNK).zip((0_usize..).step_by(CHUNK)) {
        let mut class = [0; CHUNK];
        for (class, byte) in class.iter_mut().zip(chunk) {
            *class = CLASS[usize::from(*byte)];
        }
        // A run of sixteen holds three aligned fours in a row, wherever it begins.
        let (mut full, mut marks) = (0, 0_u64);
        for (n, eight) in class.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*eight);
            let pairs = word & word >> 8;
            let fours = pairs & pairs >> 16;
            let (low, high) = (fours as u8, (fours >> 32) as u8);
            full |= before[1] & low & (before[0] | high);
            before = [low, high];
            // The product moves the eight bits next to each other.
            let signs = (word >> TRIGGER & ONES).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            marks |= signs << (8 * n);
        }
        let from = base.saturating_sub(MIN_RUN);
        while marks != 0 {
            let at = base + marks.trailing_zeros() as usize;
            marks &= marks - 1;
            if bytes[at] != b'\n' {
                triggers.note(bytes, at);
            } else if bytes.get(at + 1).is_some_and(is_blank) {
                // First what begins before, so that no run is entered in its middle.
                runs(bytes, from..at, full, &mut cursors, &mut run);
                narrow(bytes, at, &mut cursors, &mut run);
            }
        }
        runs(bytes, from..base + CHUNK, full, &mut cursors, &mut run);
    }
    triggers
}

/// Calls `run` where [`MIN_RUN`] bytes of one of the classes of `full` begin within `starts`.
fn runs(
    bytes: &[u8],
    starts: Range<usize>,
    full: u8,
    cursors: &mut [usize; ALPHABETS.len()],
    run: &mut impl FnMut(&'static Alphabet, usize) -> usize,
) {
    for (kind, alphabet) in ALPHABETS.iter().enumerate() {
        // Base32 stands in what was seen as base64, whose alphabet is larger.
        let within = !matches!(kind, 1 | 2) || cursors[0] > starts.start;
        let mut start = starts.start.max(cursors[kind]);
        while full >> kind & 1 != 0 && within && start < starts.end {
            let Some(window) = bytes.get(start..start + MIN_RUN) else { break };
            // From its end: what is no member there rules out all that begins before.
            match window.iter().rposition(|b| CLASS[usize::from(*b)] >> kind & 1 == 0) {
                Some(at) => start += at + 1,
                None => {
                    start = run(alphabet, start).max(start + 1);
                    cursors[kind] = start;
                }
            }
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
