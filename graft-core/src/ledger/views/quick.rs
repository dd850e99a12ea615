//! A look at a short text that rules most of them out: nothing in it is encoded.
//!
//! What it says no to goes through the whole of the decoder. It costs no allocation, and about a quarter of that.

use super::base::Packed;
use super::bytes::{self, HIGH_BYTE, MIN_UNITS};
use super::scan;

/// The longest text that is looked at, in bytes.
const LONGEST: usize = 256;

/// Whether no view finds anything in `text`: true is certain.
pub(super) fn holds_nothing(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() > LONGEST {
        return false;
    }
    let (mut nothing, mut packed) = (true, Packed::default());
    let triggers = scan::scan(bytes, |alphabet, at| {
        let run = alphabet.pack(bytes, at, &mut packed);
        for shift in alphabet.shifts() {
            let mut raw = [0; WINDOW];
            let len = alphabet.stream_into(&packed, run.digits, shift, &mut raw);
            nothing &= len.is_some_and(|len| !is_text(&raw[..len]));
        }
        run.seen
    });
    nothing && triggers.found().next().is_none()
}

/// The most bytes of one stream that are looked at.
const WINDOW: usize = 64;

/// Whether a text of either kind is found in `raw`.
fn is_text(raw: &[u8]) -> bool {
    let mut found = false;
    bytes::texts(raw, |_, _| found = true);
    if !found && may_be_utf16(raw) && !bytes::is_text(raw) {
        bytes::utf16(raw, &mut String::new(), |_, _| found = true);
    }
    found
}

/// Whether [`MIN_UNITS`] units of UTF-16 of one family may stand in `raw`, in either byte order and at either
/// alignment: false is certain. Their high bytes stand at every other place, so that of a short text all that there
/// may be have the middle in common.
fn may_be_utf16(raw: &[u8]) -> bool {
    [0, 1].into_iter().any(|parity| {
        let units = raw.len().saturating_sub(parity).div_ceil(2);
        if units >= 2 * MIN_UNITS {
            return true; // nothing is common to all
        }
        let middle = (units.saturating_sub(MIN_UNITS)..MIN_UNITS).map(|unit| parity + 2 * unit);
        let may_begin = |at: usize| raw.get(at).map_or(0, |high| HIGH_BYTE[usize::from(*high)]);
        units >= MIN_UNITS && middle.fold(u8::MAX, |all, at| all & may_begin(at)) != 0
    })
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
