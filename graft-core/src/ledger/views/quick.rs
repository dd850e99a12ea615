//! A look at a short text that rules most of them out: nothing in it is encoded.
//!
//! What it says no to goes through the whole of the decoder. It costs no allocation, and about a quarter of that.

use super::base::{Bytes, shifted};
use super::bits::{WINDOW, may_hold};
use super::{bytes, scan};

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
        if !nothing {
            return bytes.len(); // it is known already
        }
        let run = alphabet.pack(bytes, at, &mut packed);
        let may = may_hold(alphabet, &packed.bytes, run.digits);
        for shift in alphabet.shifts().take_while(|_| !may.nothing()) {
            nothing &= !packed.is_text(shift, alphabet.stream_len(run.digits, shift), may.at(shift));
        }
        run.seen
    });
    nothing && triggers.found().next().is_none()
}

/// The bytes of a short run, in place. What is too long is cut off, and counts as text.
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

impl Packed {
    /// Whether a text is found in the `len` bytes from the bit `shift` on, where UTF-8 and UTF-16 may be found.
    fn is_text(&self, shift: usize, len: usize, (utf8, utf16): (bool, bool)) -> bool {
        if !utf8 && !utf16 {
            return false;
        }
        let (mut raw, mut found) = ([0; WINDOW], self.len > WINDOW);
        let Some(raw) = raw.get_mut(..len).filter(|_| !found) else { return true };
        shifted(&self.bytes, shift, raw);
        if utf8 {
            bytes::texts(raw, |_, _| found = true);
        }
        if utf16 && !found && !bytes::is_text(raw) {
            bytes::utf16(raw, &mut String::new(), |_, _| found = true);
        }
        found
    }
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
