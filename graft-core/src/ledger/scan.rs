//! The text of one call's arguments, searched for what was recorded.

use std::cell::OnceCell;
use std::ops::Range;

use zeroize::Zeroizing;

use super::State;
use super::fold::{exact_fold, exact_offsets, span_fold, span_fold_ascii, span_offsets};
use super::grams::{GRAM, Hit, SECRET, SPAN_CONTENT, Span, UNTRUSTED, spans};
use super::seen::Seen;
use super::short::Short;
use super::tails::Ways;
use super::views::{Budget, Decoded, MAX_DEPTH, View, decode, decode_bytes};
use crate::{Leaf, Name, Role, Source};

/// What a carried text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carried {
    /// A stranger's; what the user or the operator said as well does not count.
    Untrusted,
    /// Secret, whoever said it too.
    Secret,
    /// A whole value of a field that holds credentials, of 4 to 40 folded bytes, with `0` and `O` apart.
    Credential,
}

/// A recorded text in an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carry {
    /// What was carried.
    pub what: Carried,
    /// The leaf that it stands in, by how many leaves were added before.
    pub leaf: usize,
    /// The bytes of that leaf.
    pub range: Range<usize>,
    /// The call that brought it.
    pub source: Source,
    /// Whether it proves [`SPAN_CONTENT`](super::SPAN_CONTENT) folded bytes and not only
    /// [`SPAN_AUTHORITY`](super::SPAN_AUTHORITY). Credentials do.
    pub is_wide: bool,
    /// Whether all of it is what unrelated texts share, so that in content it says little. Credentials are not.
    pub is_common: bool,
    /// Whether the user or the operator said it as well.
    pub was_said: bool,
    /// Whether it reaches into other leaves, of which the range does not speak.
    pub goes_on: bool,
    /// What was undone to find it: of the argument, outermost first, then of what was recorded. If anything of
    /// the argument was, the range is that of all that was decoded.
    pub views: Vec<View>,
}

/// The arguments of one call on their way through the ledger. Their leaves are searched as one text, in
/// the order in which they are added, so that what is split over them is found too; keys are a text of
/// their own. Behind what left the same way before, each argument's beginning is searched once more.
pub struct Scan<'s> {
    seen: &'s Seen<'s>,
    values: Joined,
    keys: Joined,
    added: usize,
    /// Leaves that are bytes, beside what of them is text.
    bytes: Vec<(usize, Vec<u8>)>,
    ciphers: bool,
    ways: Ways,
}

/// What looks for recorded text in one text after the other.
struct Search<'s> {
    seen: &'s Seen<'s>,
    hits: Vec<Hit>,
}

/// Texts end to end, and their folds.
#[derive(Default)]
struct Joined {
    text: String,
    folded: Short<u8, SHORT>,
    leaves: Short<Part, 2>,
}

#[derive(Default)]
struct Part {
    /// Where it begins in the text, and in its fold.
    start: usize,
    folded: usize,
    leaf: usize,
    /// The number of the argument that it is of, if it is the first of its content.
    opens: Option<usize>,
}

impl<'s> Scan<'s> {
    #[inline]
    pub(super) fn new(seen: &'s Seen<'s>) -> Self {
        Self {
            seen,
            values: Joined::default(),
            keys: Joined::default(),
            added: 0,
            bytes: Vec::new(),
            ciphers: false,
            ways: Ways::default(),
        }
    }

    /// The same, also looking for text under rot13 and reversal, which costs about half as much again.
    #[inline]
    #[must_use]
    pub fn with_ciphers(self, ciphers: bool) -> Self {
        Self { ciphers, ..self }
    }

    /// Adds a leaf of the argument called `arg`.
    pub fn add(&mut self, arg: &str, role: Role, leaf: Leaf<'_>) {
        let number = self.added;
        self.added += 1;
        if let Leaf::Bytes(bytes) = leaf {
            self.bytes.push((number, bytes.to_owned()));
        }
        leaf.with_text(|text| {
            let is_key = matches!(leaf, Leaf::Key(_));
            let known = self.ways.len();
            let arg = if is_key { None } else { self.ways.add(&self.seen.ledger.key, arg, role, text) };
            let opens = arg.filter(|&arg| arg >= known);
            let joined = if is_key { &mut self.keys } else { &mut self.values };
            joined.push(text, number, opens);
        });
    }

    /// Counts a leaf in which nothing is looked for: what stands beside it is searched as if it were not there.
    pub fn pass_over(&mut self, arg: &str, role: Role, leaf: Leaf<'_>) {
        self.added += 1;
        if !matches!(leaf, Leaf::Key(_)) {
            leaf.with_text(|text| self.ways.add(&self.seen.ledger.key, arg, role, text));
        }
    }

    /// Calls `found` with each recorded text in the arguments of a call of `tool`, as it is and under up to four
    /// [`View`]s. False if the bound on decoding was reached: then there may be more, and whoever judges has
    /// to take it that there is.
    #[must_use = "what was not decoded may carry anything"]
    pub fn finish(self, tool: &Name, found: &mut dyn FnMut(Carry)) -> bool {
        let Self { seen, values, keys, bytes, ciphers, ways, .. } = self;
        let (state, mut search) = (&seen.state, Search { seen, hits: Vec::new() });
        if state.grams.is_empty() && state.credentials.is_empty() {
            return true;
        }
        let given =
            values.text.len() + keys.text.len() + bytes.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        let mut budget = Budget::for_input(given, &seen.ledger.key);
        let has_keys = !keys.leaves.is_empty();
        let all = if has_keys { values.merged(&keys) } else { Joined::default() };
        let texts = [(&values, false), (&keys, false), (&all, true)];
        let mut is_clean = true;
        for &(joined, only_split) in &texts[..if has_keys { 3 } else { 1 }] {
            // What lies in one leaf was found there already.
            let found = &mut |carry| {
                joined.of_leaves(&carry, &mut |carry| {
                    if carry.goes_on || !only_split {
                        found(carry);
                    }
                });
            };
            search.text(&joined.text, &joined.folded, found);
            is_clean &= search.hits.is_empty();
            decode(&joined.text, MAX_DEPTH, ciphers, &mut budget, &mut |decoded| {
                search.decoded(&decoded, found);
            });
        }
        for (leaf, bytes) in bytes {
            decode_bytes(&bytes, MAX_DEPTH, ciphers, &mut budget, &mut |decoded| {
                search.decoded(&decoded, &mut |carry| found(Carry { leaf, ..carry }));
            });
        }
        for (at, part) in values.leaves.iter().enumerate() {
            if let Some(arg) = part.opens {
                let way = ways.of(&seen.ledger.key, tool, arg);
                let (text, folded) = values.of(at);
                search.behind(way, text, folded, is_clean, &mut |carry| {
                    found(Carry { leaf: part.leaf, ..carry });
                });
            }
        }
        budget.complete() && !hides_text(&values.text) && !hides_text(&keys.text)
    }
}

impl Search<'_> {
    fn decoded(&mut self, decoded: &Decoded<'_>, found: &mut dyn FnMut(Carry)) {
        let mut folded = Short::default();
        fold_onto(decoded.text, &mut folded);
        self.text(decoded.text, &folded, &mut |mut carry| {
            if carry.range.end <= decoded.new.start || decoded.new.end <= carry.range.start {
                return; // it was found without this view
            }
            carry.range = decoded.range.clone();
            carry.views.splice(0..0, decoded.chain.iter().copied());
            found(carry);
        });
    }

    /// Searches one text by its fold; the leaf of what it finds is still to be told.
    fn text(&mut self, text: &str, folded: &[u8], found: &mut dyn FnMut(Carry)) {
        let (seen, key) = (self.seen, &self.seen.ledger.key);
        let state = &seen.state;
        let mut carry = |what, range: Range<usize>, span: &Span| {
            let was_said = seen.was_said(&text[range.clone()]);
            if what != Carried::Untrusted || !was_said {
                found(span.carry(state, what, range, was_said));
            }
        };
        let offsets = OnceCell::new();
        state.grams.look(key, folded, &mut self.hits);
        for (what, flag) in [(Carried::Untrusted, UNTRUSTED), (Carried::Secret, SECRET)] {
            spans(&self.hits, flag, |span| {
                let offsets = offsets.get_or_init(|| span_offsets(text));
                carry(what, bytes_of(text, offsets, span.range.clone()), &span);
            });
        }
        if state.credentials.is_empty() {
            return;
        }
        let offsets = OnceCell::new();
        state.credentials.find(key, &exact_fold(text), |range, source| {
            let offsets = offsets.get_or_init(|| exact_offsets(text));
            let span = Span { range: range.clone(), source, is_wide: true, is_common: false };
            carry(Carried::Credential, bytes_of(text, offsets, range), &span);
        });
    }

    /// Searches what reaches from the text that left that way before into `text`, which folds to `folded` and is
    /// clean if it is known to hold no recorded gram by itself.
    fn behind(&mut self, way: u64, text: &str, folded: &[u8], is_clean: bool, found: &mut dyn FnMut(Carry)) {
        let (seen, key) = (self.seen, &self.seen.ledger.key);
        let tail = seen.state.tails.of(way);
        if tail.is_empty() {
            return;
        }
        let mut both = Zeroizing::new(Short::<u8, { 2 * SPAN_CONTENT }>::default());
        both.extend_from_slice(tail);
        both.extend_from_slice(&folded[..folded.len().min(SPAN_CONTENT - 1)]);
        if is_clean {
            // What reaches over has a gram that ends behind the tail: here only one that begins within it is left.
            let over = tail.len().saturating_sub(GRAM - 1)..both.len().min(tail.len() + GRAM - 1);
            seen.state.grams.look(key, &both[over], &mut self.hits);
            if self.hits.is_empty() {
                return;
            }
        }
        let offsets = span_offsets(text);
        seen.state.grams.look(key, &both, &mut self.hits);
        for (what, flag) in [(Carried::Untrusted, UNTRUSTED), (Carried::Secret, SECRET)] {
            spans(&self.hits, flag, |span| {
                if span.range.start >= tail.len() || span.range.end <= tail.len() {
                    return; // it lies on one side, where it was found already
                }
                let was_said = seen.state.said_alike.contains(key, &both[span.range.clone()]) == Some(true);
                if what != Carried::Untrusted || !was_said {
                    let range = bytes_of(text, &offsets, 0..span.range.end - tail.len());
                    found(span.carry(&seen.state, what, range, was_said));
                }
            });
        }
    }
}

impl Span {
    /// The finding that it is; its leaf is still to be told.
    fn carry(&self, state: &State, what: Carried, range: Range<usize>, was_said: bool) -> Carry {
        let (source, is_wide, is_common) = (state.source_of(self.source), self.is_wide, self.is_common);
        let views = state.views_of(self.source).to_vec();
        Carry { what, leaf: 0, range, source, is_wide, is_common, was_said, goes_on: false, views }
    }
}

/// Texts of ASCII up to this length are folded in place.
const SHORT: usize = 64;

/// Adds the fold of `text`. That of texts end to end is that of each, end to end.
fn fold_onto(text: &str, folded: &mut Short<u8, SHORT>) {
    let mut room = [0; SHORT];
    match span_fold_ascii(text, &mut room) {
        Some(len) => folded.extend_from_slice(&room[..len]),
        None => folded.extend_from_slice(&span_fold(text)),
    }
}

impl Joined {
    fn push(&mut self, text: &str, leaf: usize, opens: Option<usize>) {
        self.leaves.push(Part { start: self.text.len(), folded: self.folded.len(), leaf, opens });
        self.text.push_str(text);
        fold_onto(text, &mut self.folded);
    }

    /// The text at this place among the leaves, and its fold.
    fn of(&self, at: usize) -> (&str, &[u8]) {
        let (part, next) = (&self.leaves[at], self.leaves.get(at + 1));
        let (end, folded) =
            next.map_or((self.text.len(), self.folded.len()), |next| (next.start, next.folded));
        (&self.text[part.start..end], &self.folded[part.folded..folded])
    }

    /// The leaves of both, in the order in which they were added.
    fn merged(&self, other: &Self) -> Self {
        let (mut all, mut here, mut there) = (Self::default(), 0, 0);
        all.text.reserve(self.text.len() + other.text.len());
        loop {
            match (self.leaves.get(here), other.leaves.get(there)) {
                (Some(part), other) if other.is_none_or(|other| part.leaf < other.leaf) => {
                    all.push(self.of(here).0, part.leaf, None);
                    here += 1;
                }
                (_, Some(part)) => {
                    all.push(other.of(there).0, part.leaf, None);
                    there += 1;
                }
                (_, None) => return all,
            }
        }
    }

    /// Calls `found` with the same finding in each leaf that it reaches into.
    fn of_leaves(&self, carry: &Carry, found: &mut dyn FnMut(Carry)) {
        let Range { start, end } = carry.range;
        let first = self.leaves.partition_point(|part| part.start <= start).saturating_sub(1);
        let last = self.leaves.partition_point(|part| part.start < end).max(first + 1);
        for at in first..last {
            let Some(part) = self.leaves.get(at) else { return };
            let ends = self.leaves.get(at + 1).map_or(self.text.len(), |next| next.start);
            let range = start.max(part.start) - part.start..end.min(ends).max(part.start) - part.start;
            if !range.is_empty() {
                found(Carry { leaf: part.leaf, range, goes_on: last - first > 1, ..carry.clone() });
            }
        }
    }
}

/// Whether `text` holds characters that are not seen and can spell anything: tags outside of a flag (UTS 51), and
/// variation selectors of the supplement in a row. Nobody reads them but a machine.
fn hides_text(text: &str) -> bool {
    const PLANE: u8 = 0xf3; // the first byte of each of them
    if text.is_ascii() || !text.as_bytes().contains(&PLANE) {
        return false;
    }
    let (mut before, mut run, mut all) = ('\0', 0, 0);
    text.chars().any(|c| {
        let is_tag = matches!(c, '\u{e0000}'..='\u{e007f}');
        let is_hidden = is_tag || matches!(c, '\u{e0100}'..='\u{e01ef}');
        let opens_flag = before == '\u{1f3f4}' && is_tag;
        run = if is_hidden { run + 1 } else { 0 };
        all += usize::from(is_hidden);
        let is_odd = is_hidden && run == 1 && is_tag && !opens_flag;
        let is_long = run > 8 || !is_tag && run > 1;
        before = c;
        is_odd || is_long || all > MAX_HIDDEN
    })
}

/// The most characters of that kind in flags and ideographs of one call.
const MAX_HIDDEN: usize = 64;

/// The bytes of `text` that folded to `span`.
pub(super) fn bytes_of(text: &str, offsets: &[usize], span: Range<usize>) -> Range<usize> {
    let start = offsets[span.start];
    let last = offsets[span.end - 1];
    let width = text[last..].chars().next().map_or(0, char::len_utf8);
    start..last + width
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallId, Label, LedgerKey, TaintLedger, ToolMetadata};

    proptest::proptest! {
        #[test]
        fn what_reaches_over_two_calls_is_found_with_the_quick_look_too(
            recorded in "[a-d]{30,90}",
            (from, cut, to) in (0..60_usize, 1..60_usize, 1..60_usize),
            noise in "[x-z]{0,9}",
        ) {
            let ledger = TaintLedger::new(LedgerKey::danger_for_replay("scan"));
            let tool = ToolMetadata::new(Name::from_static("page"));
            let _ = ledger.record_output(CallId(0), &tool, &recorded, &Label::default());
            let carried = &recorded[from.min(recorded.len())..];
            let (left, goes_on) = carried.split_at(cut.min(carried.len()));
            let text = format!("{}{noise}", &goes_on[..to.min(goes_on.len())]);
            let left = [noise.as_bytes(), &span_fold(left)].concat();
            ledger.write().tails.record(7, &left, left.len());

            let seen = ledger.read();
            let mut search = Search { seen: &seen, hits: Vec::new() };
            let folded = span_fold(&text);
            search.text(&text, &folded, &mut |_| {});
            let is_clean = search.hits.is_empty();
            let mut behind = |is_clean| {
                let mut all = Vec::new();
                search.behind(7, &text, &folded, is_clean, &mut |carry| all.push(carry));
                all
            };
            proptest::prop_assert_eq!(behind(is_clean), behind(false));
        }
    }
}
