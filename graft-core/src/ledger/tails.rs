//! The end of what has left toward each destination, so that a text sent in pieces is still found.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::fold::{span_fold, span_fold_ascii};
use super::grams::SPAN_CONTENT;
use super::hash::{KeyedMap, LedgerKey};
use super::packed;
use super::short::Short;
use crate::{Name, Role};

/// Folded bytes that are kept of what has left: one less than a span of content that is always found. It
/// is the only text of arguments that a ledger holds.
const TAIL: usize = SPAN_CONTENT - 1;

/// The most destinations with a tail of their own; the others share one.
const MAX_OPEN: usize = 256;

/// The last folded bytes that left through one argument of one tool toward one destination.
#[derive(Debug, Default, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub(super) struct Tail {
    #[serde(with = "packed")]
    bytes: Vec<u8>,
    /// Bits of text that have left in all.
    bits: u64,
}

/// The tails of a run, by the hash of tool, destination and argument.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Entries<Tail, Tail>")]
pub(super) struct Tails {
    open: KeyedMap<Tail>,
    shared: Tail,
}

/// What a snapshot holds of them.
#[derive(Serialize, Deserialize)]
struct Entries<T, S> {
    open: Vec<(u64, T)>,
    shared: S,
}

impl Serialize for Tails {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut open: Vec<_> = self.open.iter().map(|(&way, tail)| (way, tail)).collect();
        open.sort_unstable_by_key(|&(way, _)| way);
        Entries { open, shared: &self.shared }.serialize(to)
    }
}

impl TryFrom<Entries<Tail, Tail>> for Tails {
    type Error = packed::Unsound;

    fn try_from(Entries { open, shared }: Entries<Tail, Tail>) -> Result<Self, Self::Error> {
        let is_short = |tail: &Tail| tail.bytes.len() <= TAIL;
        let fits = open.len() <= MAX_OPEN && is_short(&shared) && open.iter().all(|(_, tail)| is_short(tail));
        packed::sound(fits, Self { open: open.into_iter().collect(), shared })
    }
}

impl Tails {
    /// Notes that text of so many bytes has left, of which `folded` is the end.
    pub(super) fn record(&mut self, way: u64, folded: &[u8], bytes: usize) {
        let is_open = self.open.contains_key(&way) || self.open.len() < MAX_OPEN;
        let tail = if is_open { self.open.entry(way).or_default() } else { &mut self.shared };
        tail.bits = tail.bits.saturating_add(8 * bytes as u64);
        keep_end(&mut tail.bytes, folded);
    }

    /// What left that way last.
    pub(super) fn of(&self, way: u64) -> &[u8] {
        &self.get(way).bytes
    }

    /// How much left that way, in bits of text.
    pub(super) fn bits(&self, way: u64) -> u64 {
        self.get(way).bits
    }

    fn get(&self, way: u64) -> &Tail {
        self.open.get(&way).unwrap_or(&self.shared)
    }
}

/// The ways that one call's arguments take: where it goes, and through which arguments that are no
/// authority.
#[derive(Debug, Default)]
pub(super) struct Ways {
    destination: u64,
    args: Short<u64, 4>,
}

const DOMAIN_TOOL: u64 = 0x7761_7974;
const DOMAIN_DESTINATION: u64 = 0x7761_7964;
const DOMAIN_ARG: u64 = 0x7761_7961;

/// The most arguments of one call that have ways of their own.
const MAX_ARGS: usize = 64;

impl Ways {
    /// Adds a leaf that is a value. Gives the number of the argument that it is content of.
    pub(super) fn add(&mut self, key: &LedgerKey, arg: &str, role: Role, text: &str) -> Option<usize> {
        if role == Role::Destination {
            self.destination = key.extend(self.destination, key.text(DOMAIN_DESTINATION, text.as_bytes()));
        }
        if role.is_authority() {
            return None;
        }
        let hash = key.text(DOMAIN_ARG, arg.as_bytes());
        let known = self.args.iter().position(|&other| other == hash);
        known.or_else(|| {
            let is_room = self.args.len() < MAX_ARGS;
            is_room.then(|| {
                self.args.push(hash);
                self.args.len() - 1
            })
        })
    }

    /// How many arguments there are.
    pub(super) fn len(&self) -> usize {
        self.args.len()
    }

    /// The way of the argument with this number, once all leaves are added.
    pub(super) fn of(&self, key: &LedgerKey, tool: &Name, arg: usize) -> u64 {
        key.extend(
            key.extend(key.text(DOMAIN_TOOL, tool.as_str().as_bytes()), self.destination),
            self.args[arg],
        )
    }
}

/// The end of an argument on its way out.
#[derive(Debug, Zeroize, ZeroizeOnDrop)]
pub(super) struct Ending {
    folded: [u8; TAIL],
    len: usize,
    pub(super) bytes: usize,
}

impl Default for Ending {
    fn default() -> Self {
        Self { folded: [0; TAIL], len: 0, bytes: 0 }
    }
}

impl Ending {
    pub(super) fn add(&mut self, text: &str) {
        /// Bytes whose fold is a whole tail, unless most of them are dropped by it.
        const ENOUGH: usize = 4 * TAIL;
        self.bytes = self.bytes.saturating_add(text.len());
        // The fold of an end is the end of the fold; only if the end folds to little, all of it is.
        let mut end = text.len().saturating_sub(ENOUGH);
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let mut room = [0; ENOUGH];
        if let Some(folded) = span_fold_ascii(&text[end..], &mut room)
            && (folded >= TAIL || end == 0)
        {
            self.keep(&room[..folded]);
            room[..folded].zeroize();
            return;
        }
        room.zeroize();
        let mut folded = span_fold(&text[end..]);
        if folded.len() < TAIL && end > 0 {
            folded.zeroize();
            folded = span_fold(text);
        }
        self.keep(&folded);
        folded.zeroize();
    }

    pub(super) fn folded(&self) -> &[u8] {
        &self.folded[..self.len]
    }

    fn keep(&mut self, more: &[u8]) {
        let more = last(more);
        let kept = self.len.min(TAIL - more.len());
        self.folded.copy_within(self.len - kept..self.len, 0);
        self.len = kept + more.len();
        self.folded[kept..self.len].copy_from_slice(more);
    }
}

/// Adds `more` to `end` and cuts it to the last [`TAIL`] bytes, in place, so that no copy stays behind: it never
/// gets shorter, so that what goes is written over.
fn keep_end(end: &mut Vec<u8>, more: &[u8]) {
    let more = last(more);
    let kept = end.len().min(TAIL - more.len());
    end.reserve_exact(TAIL - end.len().min(TAIL));
    let gone = end.len() - kept;
    end.copy_within(gone.., 0);
    end.truncate(kept);
    end.extend_from_slice(more);
}

/// The last [`TAIL`] bytes.
fn last(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.len().saturating_sub(TAIL)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_end_of_all_that_left_that_way() {
        let mut tails = Tails::default();
        let text: Vec<u8> = (0..200).collect();
        for (from, to) in [(0, 1), (1, 40), (40, 40), (40, 43), (43, 190), (190, 200)] {
            tails.record(7, &text[from..to], to - from);
            assert_eq!(tails.of(7), &text[to.saturating_sub(TAIL)..to]);
            assert_eq!(tails.bits(7), 8 * to as u64);
        }
        assert!(tails.of(8).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn an_ending_is_the_end_of_the_fold(
            texts in proptest::collection::vec("[a-zA-Z .é—ﷺ]{0,60}|[a -]{150,200}|[-é ]{300,400}", 1..4),
        ) {
            let mut ending = Ending::default();
            texts.iter().for_each(|text| ending.add(text));
            // The slow reference folds all of it.
            let folded = span_fold(&texts.concat());
            proptest::prop_assert_eq!(ending.folded(), last(&folded));
            proptest::prop_assert_eq!(ending.bytes, texts.iter().map(String::len).sum::<usize>());
        }
    }

    #[test]
    fn past_the_bound_destinations_share_a_tail() {
        let mut tails = Tails::default();
        (0..MAX_OPEN as u64).for_each(|way| tails.record(way, b"a", 1));
        tails.record(1000, b"b", 1);
        tails.record(1001, b"c", 1);
        assert_eq!((tails.of(3), tails.of(1000), tails.of(2000)), (&b"a"[..], &b"bc"[..], &b"bc"[..]));
        assert_eq!(tails.open.len(), MAX_OPEN);
    }
}
