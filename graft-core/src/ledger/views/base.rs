//! Base64, base32 and hexadecimal: runs of digits of 6, 5 and 4 bits.
//!
//! The text that is looked for may begin at any digit of a run, because digits of something else may stand
//! before it. So a run is one stream of bits, read as bytes from each bit at which a digit can begin.

use super::View;
use crate::ledger::fold::word_of;

/// The fewest digits of a run that is decoded.
pub(super) const MIN_RUN: usize = 16;

/// How to read the digits of one base.
pub(super) struct Alphabet {
    pub(super) view: View,
    pub(super) bits: usize,
    values: [u8; 256],
}

/// What stands between lines: it and the blanks after it are skipped.
const BREAK: u8 = 0x80;
/// What may stand between hexadecimal digits.
const SEPARATOR: u8 = 0x81;
/// What ends a run.
const END: u8 = 0xff;
/// The bit that no digit has, of eight bytes.
const NO_DIGIT: u64 = u64::from_ne_bytes([BREAK; 8]);

/// The four kinds of runs. Base32 is of one case, so that mixed text is no candidate.
pub(super) static ALPHABETS: [Alphabet; 4] = [
    Alphabet::new(View::Base64, 6, &[b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"])
        .also(b"-", 62)
        .also(b"_", 63),
    Alphabet::new(View::Base32, 5, &[b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"]),
    Alphabet::new(View::Base32, 5, &[b"abcdefghijklmnopqrstuvwxyz234567"]),
    Alphabet::new(View::Hex, 4, &[b"0123456789abcdef", b"0123456789ABCDEF"]).also(b" \t\r\n:,;-", SEPARATOR),
];

/// Where a run is packed into.
pub(super) trait Bytes {
    fn clear(&mut self);
    /// Adds the first `count` bytes of `word`, the highest first.
    fn put(&mut self, word: u64, count: usize);
}

impl Bytes for Vec<u8> {
    fn clear(&mut self) {
        Self::clear(self);
    }

    fn put(&mut self, word: u64, count: usize) {
        self.extend_from_slice(&word.to_be_bytes()[..count]);
    }
}

/// A run of digits.
pub(super) struct Run {
    /// The end of its last digit.
    pub(super) end: usize,
    /// The end of what was looked at: no run that was not part of this one begins before.
    pub(super) seen: usize,
    pub(super) digits: usize,
}

impl Alphabet {
    const fn new(view: View, bits: usize, digits: &[&[u8]]) -> Self {
        let mut alphabet = Self { view, bits, values: [END; 256] }.also(b"\r\n", BREAK);
        let mut case = 0;
        while case < digits.len() {
            let mut n = 0;
            while n < digits[case].len() {
                alphabet.values[digits[case][n] as usize] = n as u8;
                n += 1;
            }
            case += 1;
        }
        alphabet
    }

    const fn also(mut self, bytes: &[u8], value: u8) -> Self {
        let mut n = 0;
        while n < bytes.len() {
            self.values[bytes[n] as usize] = value;
            n += 1;
        }
        self
    }

    pub(super) const fn is_digit(&self, byte: u8) -> bool {
        self.values[byte as usize] < BREAK
    }

    /// Whether `byte` can stand in a run; blanks after a break can too.
    pub(super) const fn is_member(&self, byte: u8) -> bool {
        self.values[byte as usize] != END || self.bits == 4 && (byte == b'x' || byte == b'X')
    }

    /// Packs the digits of the run at `at` into bytes, first digit in the highest bits.
    pub(super) fn pack(&self, bytes: &[u8], at: usize, packed: &mut impl Bytes) -> Run {
        packed.clear();
        let mut run = Run { end: at, seen: at, digits: 0 };
        let (mut word, mut held) = (0_u64, 0);
        let (mut since_separator, mut retry) = (0, 0);
        while let Some(&byte) = bytes.get(run.seen) {
            if run.seen >= retry {
                if let Some(eight) = self.eight(&bytes[run.seen..]) {
                    word = word << (8 * self.bits) | eight;
                    held += 8 * self.bits;
                    packed.put(word << (64 - held), held / 8);
                    held %= 8;
                    run.seen += 8;
                    run.digits += 8;
                    run.end = run.seen;
                    since_separator += 8;
                    continue;
                }
                retry = run.seen + 8;
            }
            match self.values[usize::from(byte)] {
                BREAK => {
                    let blanks = bytes[run.seen..].iter().take_while(|b| b" \t\r\n".contains(b)).count();
                    run.seen += blanks;
                    since_separator = 0;
                }
                SEPARATOR => {
                    run.seen += 1;
                    since_separator = 0;
                }
                END => break,
                _ if self.bits == 4 && since_separator % 2 == 0 && is_prefix(&bytes[run.seen..]) => {
                    run.seen += 2;
                    since_separator = 0;
                }
                value => {
                    word = word << self.bits | u64::from(value);
                    held += self.bits;
                    if held >= 8 {
                        held -= 8;
                        packed.put(word >> held << 56, 1);
                    }
                    since_separator += 1;
                    run.digits += 1;
                    run.seen += 1;
                    run.end = run.seen;
                }
            }
        }
        if held > 0 {
            packed.put(word << (64 - held), 1);
        }
        run
    }

    /// Eight digits at the start of `bytes`, which no prefix follows.
    #[inline]
    fn eight(&self, bytes: &[u8]) -> Option<u64> {
        const HALVES: [u64; 3] = [0x00ff_00ff_00ff_00ff, 0x0000_ffff_0000_ffff, 0x0000_0000_ffff_ffff];
        let values = word_of(&self.values, bytes.first_chunk()?);
        let is_prefix = self.bits == 4 && bytes.get(8).is_some_and(|b| b.eq_ignore_ascii_case(&b'x'));
        if values & NO_DIGIT != 0 || is_prefix {
            return None;
        }
        // Each with its neighbour, the first in the higher bits; then pairs, and fours.
        let join =
            |word, (n, half): (usize, u64)| (word & half) << (self.bits << n) | word >> (8 << n) & half;
        Some(HALVES.into_iter().enumerate().fold(values, join))
    }

    /// The bits within a byte at which a digit can begin.
    pub(super) fn shifts(&self) -> impl Iterator<Item = usize> {
        (0..8).step_by(self.step())
    }

    /// How far they are apart.
    pub(super) fn step(&self) -> usize {
        1 << self.bits.trailing_zeros()
    }

    /// The bytes of `packed` from its bit `shift` on, into `raw`.
    pub(super) fn stream(&self, packed: &[u8], digits: usize, shift: usize, raw: &mut Vec<u8>) {
        let len = self.stream_len(digits, shift);
        raw.clear();
        raw.resize(len, 0);
        shifted(packed, shift, raw);
    }

    /// How many bytes there are from the bit `shift` of so many digits on.
    pub(super) fn stream_len(&self, digits: usize, shift: usize) -> usize {
        (digits * self.bits).saturating_sub(shift) / 8
    }
}

/// Fills `to` with the bytes of `packed` from its bit `shift` on.
pub(super) fn shifted(packed: &[u8], shift: usize, to: &mut [u8]) {
    if shift == 0 {
        to.copy_from_slice(&packed[..to.len()]);
        return;
    }
    // Eight at a time: a byte takes its last bits from the one behind it.
    let (eights, rest) = to.as_chunks_mut::<8>();
    let mut from = packed;
    for eight in eights {
        let Some((word, behind)) = from.split_first_chunk() else { return };
        let last = behind.first().map_or(0, |byte| u64::from(*byte));
        *eight = (u64::from_be_bytes(*word) << shift | last >> (8 - shift)).to_be_bytes();
        from = behind;
    }
    for (to, pair) in rest.iter_mut().zip(from.windows(2)) {
        *to = pair[0] << shift | pair[1] >> (8 - shift);
    }
}

/// Whether a `0x` stands here and not a digit.
fn is_prefix(bytes: &[u8]) -> bool {
    matches!(bytes, [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit())
}
