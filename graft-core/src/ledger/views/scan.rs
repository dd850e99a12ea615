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
pub(super) struct Triggers([Option<usize>; 4]);

impl Triggers {
    const VIEWS: [View; 4] = [View::Percent, View::Escape, View::Html, View::QuotedPrintable];

    pub(super) fn found(&self) -> impl Iterator<Item = (View, usize)> {
        Self::VIEWS.into_iter().zip(self.0).filter_map(|(view, at)| at.map(|at| (view, at)))
    }

    /// Notes the sign at `at`, if what follows it fits.
    fn note(&mut self, bytes: &[u8], at: usize) {
        let next = |n: usize| bytes.get(at + n).copied().unwrap_or(b'.');
        let hex = next(1).is_ascii_hexdigit() && next(2).is_ascii_hexdigit();
        let (slot, fits) = match bytes[at] {
            b'%' => (0, hex || next(1) == b'u'),
            b'\\' => (1, b"uUxnrtbfv/\\".contains(&next(1))),
            b'&' => (2, next(1) == b'#' || next(1).is_ascii_alphabetic()),
            b'<' => (2, b"/!?".contains(&next(1)) || next(1).is_ascii_alphabetic()),
            b'=' => (3, hex || b" \t\r\n".contains(&next(1))),
            _ => return,
        };
        if fits {
            self.0[slot].get_or_insert(at);
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
        for (kind, alphabet) in ALPHABETS.iter().enumerate() {
            // Base32 stands in what was seen as base64, whose alphabet is larger.
            let within = !matches!(kind, 1 | 2) || cursors[0] + MIN_RUN > base;
            if full >> kind & 1 != 0 && within {
                let around = base.saturating_sub(MIN_RUN)..bytes.len().min(base + CHUNK + MIN_RUN);
                runs(bytes, around, 1 << kind, &mut cursors[kind], |at| run(alphabet, at));
            }
        }
        while marks != 0 {
            let at = base + marks.trailing_zeros() as usize;
            marks &= marks - 1;
            if bytes[at] == b'\n' {
                narrow(bytes, at, &mut cursors, &mut run);
            } else {
                triggers.note(bytes, at);
            }
        }
    }
    triggers
}

/// Calls `run` where [`MIN_RUN`] bytes of the class `kind` begin within `around`.
fn runs(
    bytes: &[u8],
    around: Range<usize>,
    kind: u8,
    cursor: &mut usize,
    mut run: impl FnMut(usize) -> usize,
) {
    let mut start = around.start.max(*cursor);
    while start + MIN_RUN <= around.end {
        let window = &bytes[start..start + MIN_RUN];
        // From its end: what is no member there rules out all that begins before.
        match window.iter().rposition(|b| CLASS[usize::from(*b)] & kind == 0) {
            Some(at) => start += at + 1,
            None => {
                *cursor = run(start).max(start + 1);
                start = *cursor;
            }
        }
    }
}

/// Looks for a run in short indented lines, of which `at` ends the first.
fn narrow(
    bytes: &[u8],
    at: usize,
    cursors: &mut [usize],
    run: &mut impl FnMut(&'static Alphabet, usize) -> usize,
) {
    let is_blank = |b: &u8| matches!(b, b' ' | b'\t');
    if !bytes.get(at + 1).is_some_and(is_blank) {
        return;
    }
    let indent = bytes[at + 1..].iter().take_while(|b| is_blank(b)).count();
    let Some(&after) = bytes.get(at + 1 + indent) else { return };
    let line = bytes[..at].strip_suffix(b"\r").unwrap_or(&bytes[..at]);
    for (alphabet, cursor) in ALPHABETS.iter().zip(cursors) {
        if alphabet.is_digit(after) && *cursor <= at {
            let digits = line[(*cursor).min(line.len())..].iter().rev();
            let start = line.len() - digits.take_while(|b| alphabet.is_digit(**b)).count();
            *cursor = run(alphabet, start).max(at + 1);
        }
    }
}
