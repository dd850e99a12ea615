//! Which streams of a short run may hold text, told by the bits of all its bytes at once.

use super::base::Alphabet;
use super::bytes::{MIN_TEXT, MIN_UNITS};
use super::scan::gather;

/// The most bytes of a run that are looked at: a bit of a mask for each.
pub(super) const WINDOW: usize = u64::BITS as usize;
/// Of so few bytes two streams are looked at together, one in each half of a mask.
const HALF: usize = WINDOW / 2;

/// The streams of a run, a bit for each by the bit at which it begins, that may hold text. For all others it is
/// certain that they hold none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MayHold {
    pub(super) utf8: u8,
    pub(super) utf16: u8,
}

impl MayHold {
    /// Whether no stream holds text of either kind.
    pub(super) fn nothing(self) -> bool {
        self.utf8 | self.utf16 == 0
    }

    /// Whether the stream from the bit `shift` on may hold UTF-8, and UTF-16.
    pub(super) fn at(self, shift: usize) -> (bool, bool) {
        (self.utf8 >> shift & 1 == 1, self.utf16 >> shift & 1 == 1)
    }
}

/// Looks at the streams of a run of so many digits. `packed` may go on behind them.
pub(super) fn may_hold(alphabet: &Alphabet, packed: &[u8], digits: usize) -> MayHold {
    let bytes = (digits * alphabet.bits).div_ceil(8);
    let Some(packed) = packed.get(..bytes).filter(|packed| packed.len() <= WINDOW) else {
        return MayHold { utf8: u8::MAX, utf16: u8::MAX };
    };
    let (bits, step) = (bits_of(packed), alphabet.step());
    let within = |shift| !u64::MAX.checked_shl(alphabet.stream_len(digits, shift) as u32).unwrap_or(0);
    let mut may = MayHold::default();
    if bytes > HALF {
        for shift in alphabet.shifts() {
            let stream = std::array::from_fn(|bit| bits[shift + bit]);
            let (utf8, utf16) = rows(&stream, within(shift));
            may.utf8 |= u8::from(utf8 != 0) << shift;
            may.utf16 |= u8::from(utf16 != 0) << shift;
        }
        return may;
    }
    for shift in alphabet.shifts().step_by(2) {
        let next = shift + step;
        let streams = std::array::from_fn(|bit| bits[shift + bit] | bits[next + bit] << HALF);
        let (utf8, utf16) = rows(&streams, within(shift) | within(next) << HALF);
        may.utf8 |= u8::from(utf8 as u32 != 0) << shift | u8::from(utf8 >> HALF != 0) << next;
        may.utf16 |= u8::from(utf16 as u32 != 0) << shift | u8::from(utf16 >> HALF != 0) << next;
    }
    may
}

/// A mask for each bit of a byte, the highest first, with a bit for each byte; behind them those of the next byte.
fn bits_of(packed: &[u8]) -> [u64; 16] {
    let mut bits = [0; 16];
    let mut add = |at: usize, eight: &[u8; 8]| {
        let word = u64::from_le_bytes(*eight);
        for (bit, mask) in bits[..8].iter_mut().enumerate() {
            *mask |= gather(word >> (7 - bit)) << at;
        }
    };
    let (eights, rest) = packed.as_chunks();
    eights.iter().enumerate().for_each(|(n, eight)| add(8 * n, eight));
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        add(packed.len() - rest.len(), &last);
    }
    for bit in 0..8 {
        bits[bit + 8] = bits[bit] >> 1;
    }
    bits
}

/// Where rows of bytes begin that may be UTF-8, and UTF-16: what stands in the other of two streams can only add to
/// them.
fn rows(bits: &[u64; 8], within: u64) -> (u64, u64) {
    let utf16 = families(bits).map(|family| row::<MIN_UNITS, 2>(family & within));
    (row::<{ MIN_TEXT - 1 }, 1>(pairs(bits) & within), utf16[0] | utf16[1] | utf16[2])
}

/// Where `N` bits are set in a row, each `STEP` behind the one before.
fn row<const N: usize, const STEP: usize>(mut mask: u64) -> u64 {
    const { assert!(N >= 8 && N <= 16) }
    mask &= mask >> STEP;
    mask &= mask >> (2 * STEP);
    mask &= mask >> (4 * STEP);
    mask & mask >> ((N - 8) * STEP)
}

/// The bytes that may stand before the next one in UTF-8: what begins a character of several bytes has to be
/// followed, and what follows has to follow something.
fn pairs(&[b7, b6, ..]: &[u64; 8]) -> u64 {
    let next_follows = (b7 & !b6) >> 1;
    b7 & (!b6 | next_follows) | !(b7 | next_follows)
}

/// The bytes that may be the high one of a unit of UTF-16, by family, where the next unit is two bytes behind: as
/// [`super::bytes::HIGH_BYTE`], but of surrogates only those that stand in pairs.
fn families(&[b7, b6, b5, b4, b3, b2, b1, b0]: &[u64; 8]) -> [u64; 3] {
    let (low, high) = (!(b7 | b6), b7 & b6);
    let surrogate = high & !b5 & b4 & b3;
    let (first, second) = (surrogate & !b2, surrogate & b2);
    let paired = first & second >> 2 | second & first << 2;
    let to_04 = low & !(b5 | b4 | b3) & (!b2 | !(b1 | b0));
    let from_20_to_27 = low & b5 & !(b4 | b3);
    let from_f9 = high & b5 & b4 & b3 & (b2 | b1 | b0);
    let all = paired | to_04 | from_20_to_27 | from_f9;
    let to_2f = low & !(b5 & b4);
    let from_a0_to_ab = b7 & !b6 & b5 & !b4 & !(b3 & b2);
    let from_30_to_9f = !b7 & (b6 | b5 & b4) | b7 & !(b6 | b5);
    let of_11 = low & !b5 & b4 & !(b3 | b2 | b1) & b0;
    let from_30_to_31 = low & b5 & b4 & !(b3 | b2 | b1);
    let from_ac_to_bf = b7 & !b6 & b5 & (b4 | b3 & b2);
    let from_c0_to_d7 = high & !b5 & !(b4 & b3);
    [
        all | to_2f | from_a0_to_ab,
        all | from_30_to_9f,
        all | of_11 | from_30_to_31 | from_ac_to_bf | from_c0_to_d7,
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::base::ALPHABETS;
    use super::super::bytes::{self, HIGH_BYTE};
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_stream_that_is_ruled_out_holds_no_text(
            kind in 0..ALPHABETS.len(),
            before in proptest::collection::vec(any::<u8>(), 0..20),
            text in "([a-z ]|é|漢|한|\\PC){0,24}",
            wide in 0..3_u8,
            after in proptest::collection::vec(any::<u8>(), 0..20),
            (turn, cut) in (0..8_usize, 0..12_usize),
        ) {
            let text: Vec<u8> = match wide {
                0 => text.into_bytes(),
                1 => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
                _ => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            };
            let whole = [before, text, after].concat();
            // Moved to the right by some bits.
            let packed: Vec<u8> = std::iter::once(0).chain(whole.iter().copied()).chain([0])
                .collect::<Vec<_>>().windows(2).map(|two| ((u16::from(two[0]) << 8 | u16::from(two[1])) >> turn) as u8)
                .collect();
            let alphabet = &ALPHABETS[kind];
            let digits = (packed.len() * 8 / alphabet.bits).saturating_sub(cut);
            let may = may_hold(alphabet, &packed, digits);
            for shift in alphabet.shifts() {
                let ((utf8, utf16), mut raw, mut found) = (may.at(shift), Vec::new(), false);
                alphabet.stream(&packed, digits, shift, &mut raw);
                if !utf8 {
                    bytes::texts(&raw, |_, _| found = true);
                }
                if !utf16 && !bytes::is_text(&raw) {
                    bytes::utf16(&raw, &mut String::new(), |_, _| found = true);
                }
                prop_assert!(!found, "{:?}", raw);
            }
        }
    }

    #[test]
    fn the_families_are_those_of_the_table() {
        for high in 0..=u8::MAX {
            let of = |high: u8| std::array::from_fn(|bit| u64::from(high >> (7 - bit) & 1));
            let mask =
                families(&of(high)).iter().enumerate().fold(0, |all, (n, one)| all | (*one as u8 & 1) << n);
            let is_surrogate = (0xd8..=0xdf).contains(&high);
            let known = if is_surrogate { 0 } else { HIGH_BYTE[usize::from(high)] };
            assert_eq!(mask, known, "{high:#x}");
            // With its other half before or behind it, two bytes away.
            let of_three = |three: [u8; 3]| -> [u64; 8] {
                std::array::from_fn(|bit| {
                    three.iter().enumerate().fold(0, |all, (n, high)| all | of(*high)[bit] << (2 * n))
                })
            };
            let middle = families(&of_three([0xd8, high, 0xdc])).map(|family| family >> 2 & 1);
            assert!(!is_surrogate || middle == [1; 3], "{high:#x}");
        }
    }
}
