//! A look at a short text that rules most of them out: nothing in it is encoded.
//!
//! What it says no to goes through the whole of the decoder. It costs no allocation, and about a quarter of that.

use super::base::{Bytes, shifted};
use super::bytes::{self, MIN_TEXT, MIN_UNITS};
use super::scan::{self, gather};

/// The longest text that is looked at, in bytes.
const LONGEST: usize = 256;

/// Whether no view finds anything in `text`: true is certain.
pub(super) fn holds_nothing(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() > LONGEST {
        return false;
    }
    let (mut nothing, mut packed, mut wide) = (true, Packed::default(), String::new());
    let triggers = scan::scan(bytes, |alphabet, at| {
        if !nothing {
            return bytes.len(); // it is known already
        }
        let run = alphabet.pack(bytes, at, &mut packed);
        let bits = packed.bits();
        for shift in alphabet.shifts() {
            let len = alphabet.stream_len(run.digits, shift);
            let stream = bits.as_ref().and_then(|bits| bits[shift..].first_chunk());
            nothing &= stream.is_some_and(|bits| !packed.is_text(bits, shift, len, &mut wide));
        }
        run.seen
    });
    nothing && triggers.found().next().is_none()
}

/// The most bytes of one stream that are looked at: a bit of a mask for each.
const WINDOW: usize = u64::BITS as usize;

/// The bytes of a short run, in place. What is too long is cut off, and no stream is made of it.
struct Packed {
    bytes: [u8; WINDOW + 8],
    len: usize,
}

impl Default for Packed {
    fn default() -> Self {
        Self { bytes: [0; WINDOW + 8], len: 0 }
    }
}

impl Bytes for Packed {
    fn clear(&mut self) {
        self.len = 0;
    }

    fn put(&mut self, word: u64, count: usize) {
        // What is written beyond is written over by what comes next.
        if let Some(room) = self.bytes.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut) {
            *room = word.to_be_bytes();
        }
        self.len += count;
    }
}

/// The bits of up to [`WINDOW`] bytes: a mask for each bit of a byte, the highest first, with a bit for each byte.
type Bits = [u64; 8];

impl Packed {
    /// The bits of the bytes from each bit of the first byte on: from bit `n` they are those at `n`. `None` if the
    /// bytes are more than are looked at.
    fn bits(&self) -> Option<[u64; 16]> {
        if self.len > WINDOW {
            return None;
        }
        let mut bits = [0; 16];
        for (n, eight) in self.bytes.as_chunks().0[..self.len.div_ceil(8)].iter().enumerate() {
            let word = u64::from_le_bytes(*eight);
            for (bit, mask) in bits[..8].iter_mut().enumerate() {
                *mask |= gather(word >> (7 - bit)) << (8 * n);
            }
        }
        // The bits behind the last of a byte are those of the next.
        for bit in 0..8 {
            bits[bit + 8] = bits[bit] >> 1;
        }
        Some(bits)
    }

    /// Whether a text of either kind is found in the `len` bytes from the bit `shift` on, whose bits these are.
    fn is_text(&self, bits: &Bits, shift: usize, len: usize, wide: &mut String) -> bool {
        let within = !u64::MAX.checked_shl(len as u32).unwrap_or(0);
        let utf8 = has_row::<{ MIN_TEXT - 1 }, 1>(pairs(bits) & within);
        let utf16 = len >= 2 * MIN_UNITS
            && families(bits).into_iter().any(|family| has_row::<MIN_UNITS, 2>(family & within));
        if !utf8 && !utf16 {
            return false;
        }
        let (mut raw, mut found) = ([0; WINDOW], false);
        let raw = &mut raw[..len];
        shifted(&self.bytes, shift, raw);
        if utf8 {
            bytes::texts(raw, |_, _| found = true);
        }
        if utf16 && !found && !bytes::is_text(raw) {
            bytes::utf16(raw, wide, |_, _| found = true);
        }
        found
    }
}

/// Whether `N` bits are set in a row, each `STEP` behind the one before.
fn has_row<const N: usize, const STEP: usize>(mut mask: u64) -> bool {
    const { assert!(N >= 8 && N <= 16) }
    mask &= mask >> STEP;
    mask &= mask >> (2 * STEP);
    mask &= mask >> (4 * STEP);
    mask & mask >> ((N - 8) * STEP) != 0
}

/// The bytes that may stand before the next one in UTF-8: what begins a character of several bytes has to be
/// followed, and what follows has to follow something.
fn pairs(&[b7, b6, ..]: &Bits) -> u64 {
    let next_follows = (b7 & !b6) >> 1;
    b7 & (!b6 | next_follows) | !(b7 | next_follows)
}

/// The bytes that may be the high one of a unit of UTF-16, by family, where the next unit is two bytes behind: as
/// [`bytes::HIGH_BYTE`], but of surrogates only those that stand in pairs.
fn families(&[b7, b6, b5, b4, b3, b2, b1, b0]: &Bits) -> [u64; 3] {
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

    use super::super::encode::{self, Draw, Payload};
    use super::super::{Budget, MAX_DEPTH, decode_whole};
    use super::*;
    use crate::LedgerKey;

    /// Whether the whole decoder finds anything.
    fn finds(text: &str) -> bool {
        let mut budget = Budget::for_input(text.len(), &LedgerKey::danger_for_replay("quick"));
        let mut found = false;
        decode_whole(text, MAX_DEPTH, false, &mut budget, &mut |_| found = true);
        found || !budget.complete()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn what_it_rules_out_the_whole_decoder_finds_nothing_in(
            text in "(?s:.{0,80})|[0-9a-f]{16,120}|[A-Za-z0-9+/]{16,120}|[a-z2-7 ]{0,90}|([a-z]{1,9} ?){0,20}",
        ) {
            prop_assert!(!holds_nothing(&text) || !finds(&text), "{:?}", text);
        }

        #[test]
        fn what_is_encoded_is_not_ruled_out(seed: u64, cut in 0..80_usize) {
            let draw = &mut Draw::new(seed);
            let view = encode::chain(draw, 1)[0];
            let plain = Payload::Text("pay the whole sum to somebody else, and be quick about it".to_owned());
            if let Some(Payload::Text(text)) = encode::encode(view, &plain, draw) {
                let text: String = text.chars().skip(cut).collect();
                prop_assert!(!holds_nothing(&text) || !finds(&text), "{:?}", text);
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
            let known = if is_surrogate { 0 } else { bytes::HIGH_BYTE[usize::from(high)] };
            assert_eq!(mask, known, "{high:#x}");
            // With its other half before or behind it, two bytes away.
            let of_three = |three: [u8; 3]| -> Bits {
                std::array::from_fn(|bit| {
                    three.iter().enumerate().fold(0, |all, (n, high)| all | of(*high)[bit] << (2 * n))
                })
            };
            let middle = families(&of_three([0xd8, high, 0xdc])).map(|family| family >> 2 & 1);
            assert!(!is_surrogate || middle == [1; 3], "{high:#x}");
        }
    }

    #[test]
    fn it_rules_out_most_of_what_is_usual() {
        let digits = |n: u64| {
            format!("{:032x}", u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
        };
        let plain = (1..1000).filter(|&n| holds_nothing(&digits(n))).count();
        assert!(plain > 900, "{plain}");
        for text in ["", "order 17 for mr smith on foot", "internationalisation of the summer-house"] {
            assert!(holds_nothing(text), "{text}");
        }
        for text in ["cGF5IHRoZSB3aG9sZSBzdW0gdG8gZXZl", "a%41b", &"7061792074686520".repeat(4)] {
            assert!(!holds_nothing(text), "{text}");
        }
    }
}
