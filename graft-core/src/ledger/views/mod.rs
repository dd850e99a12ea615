//! Decoded views: the texts that a text holds in encoded form.
//!
//! The grammar of each view, the bounds and what is not seen stand in `VIEWS.md` of this crate.
//! A decoder does not judge whether its input is likely: it decodes at every phase, and its output is cut into
//! valid text, which ordinary words taken for base64 do not give.

mod base;
mod bits;
mod budget;
mod bytes;
#[cfg(any(test, feature = "conformance"))]
pub mod encode;
mod entities;
mod quick;
mod scan;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use base::Alphabet;
pub(super) use budget::Budget;
use text::Changes;

/// The most views that are taken off one text.
pub(super) const MAX_DEPTH: usize = 4;

/// A way in which text was encoded. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// RFC 4648 base64, standard or URL-safe.
    Base64,
    /// RFC 4648 base32.
    Base32,
    /// Hexadecimal digits of bytes.
    Hex,
    /// `%XX` and `%uXXXX`.
    Percent,
    /// `\uXXXX`, `\u{X}`, `\UXXXXXXXX`, `\xXX` and the escapes of control characters.
    Escape,
    /// HTML character references and tags.
    Html,
    /// RFC 2045 quoted-printable.
    QuotedPrintable,
    /// UTF-16 of either byte order in bytes.
    Utf16,
    /// Letters moved by thirteen places.
    Rot13,
    /// Characters from last to first.
    Reversed,
}

impl View {
    /// Every view, in the order of `VIEWS.md`.
    pub const ALL: [Self; 10] = [
        Self::Base64,
        Self::Base32,
        Self::Hex,
        Self::Percent,
        Self::Escape,
        Self::Html,
        Self::QuotedPrintable,
        Self::Utf16,
        Self::Rot13,
        Self::Reversed,
    ];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Base32 => "base32",
            Self::Hex => "hex",
            Self::Percent => "percent",
            Self::Escape => "escape",
            Self::Html => "html",
            Self::QuotedPrintable => "quoted-printable",
            Self::Utf16 => "utf16",
            Self::Rot13 => "rot13",
            Self::Reversed => "reversed",
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A decoded text.
pub(super) struct Decoded<'a> {
    /// The text.
    pub(super) text: &'a str,
    /// What was taken off, outermost first.
    pub(super) chain: &'a [View],
    /// The bytes of it that the innermost view changed: the rest stood in the text before, or as given.
    pub(super) new: Range<usize>,
    /// The bytes of the text as given that it came from, less what is only its surroundings.
    pub(super) range: Range<usize>,
}

/// Calls `emit` with every text that `text` holds under up to `depth` (at most [`MAX_DEPTH`]) views, and
/// `switched` with the whole text under rot13 and reversal too.
pub(super) fn decode(
    text: &str,
    depth: usize,
    switched: bool,
    budget: &mut Budget,
    emit: &mut dyn FnMut(Decoded<'_>),
) {
    if switched || !quick::holds_nothing(text) {
        decode_whole(text, depth, switched, budget, emit);
    }
}

fn decode_whole(
    text: &str,
    depth: usize,
    switched: bool,
    budget: &mut Budget,
    emit: &mut dyn FnMut(Decoded<'_>),
) {
    with_frames(depth, budget, emit, |walk, frames| {
        walk.text(text, 0..text.len(), &mut frames[1..]);
        if switched && depth > 0 {
            walk.switched(text, 0, &mut frames[0].wide);
        }
    });
}

/// The same for bytes: the valid text in them, and every text that it holds.
pub(super) fn decode_bytes(
    bytes: &[u8],
    depth: usize,
    switched: bool,
    budget: &mut Budget,
    emit: &mut dyn FnMut(Decoded<'_>),
) {
    with_frames(depth, budget, emit, |walk, frames| {
        let Some((first, deeper)) = frames.split_first_mut() else { return };
        walk.bytes(bytes, &mut first.wide, deeper);
        if switched && depth > 0 {
            bytes::texts(bytes, |range, text| walk.switched(text, range.start, &mut first.wide));
        }
    });
}

fn with_frames(
    depth: usize,
    budget: &mut Budget,
    emit: &mut dyn FnMut(Decoded<'_>),
    work: impl FnOnce(&mut Walk<'_>, &mut [Frame]),
) {
    budget.next_text();
    let mut frames = std::mem::take(&mut budget.frames);
    frames.resize_with(MAX_DEPTH + 1, Frame::default);
    let mut walk =
        Walk { budget, emit, chain: [View::Base64; MAX_DEPTH], steps: 0, range: 0..0, place: 0..0 };
    work(&mut walk, &mut frames[..=depth.min(MAX_DEPTH)]);
    budget.frames = frames;
}

/// The buffers of one level, kept from text to text.
#[derive(Debug, Default)]
struct Frame {
    packed: Vec<u8>,
    raw: Vec<u8>,
    /// Where in `raw` something was changed.
    marks: Vec<usize>,
    wide: String,
}

/// One descent through the views. The frames that are left are the depth that is left.
struct Walk<'w> {
    budget: &'w mut Budget,
    emit: &'w mut dyn FnMut(Decoded<'_>),
    chain: [View; MAX_DEPTH],
    steps: usize,
    /// Where the outermost view stood, and the same with its surroundings.
    range: Range<usize>,
    place: Range<usize>,
}

impl Walk<'_> {
    /// Decodes what `text` holds. `dirty` spans what the view before has changed: what does not touch it was
    /// decoded before that view was taken off.
    fn text(&mut self, text: &str, dirty: Range<usize>, frames: &mut [Frame]) {
        let Some((frame, deeper)) = frames.split_first_mut() else { return };
        let bytes = text.as_bytes();
        self.budget.scanned += bytes.len();
        let triggers = scan::scan(bytes, |alphabet, at| self.run(alphabet, bytes, at, &dirty, frame, deeper));
        for (view, from) in triggers.found() {
            let mut changes = Changes::new(view, bytes, from);
            self.substitute(&mut changes, &dirty, frame, deeper);
            if let Some(from) = changes.entity_in_tag() {
                self.substitute(&mut Changes::keeping_tags(bytes, from), &dirty, frame, deeper);
            }
        }
    }

    /// Decodes the run of `alphabet` that begins at `at`; gives the end of what was looked at.
    fn run(
        &mut self,
        alphabet: &'static Alphabet,
        bytes: &[u8],
        at: usize,
        dirty: &Range<usize>,
        frame: &mut Frame,
        deeper: &mut [Frame],
    ) -> usize {
        let run = alphabet.pack(bytes, at, &mut frame.packed);
        self.budget.scanned += run.seen - at;
        if run.digits < base::MIN_RUN || run.end < dirty.start || dirty.end < at {
            return run.seen;
        }
        let may = bits::may_hold(alphabet, &frame.packed, run.digits);
        if may.nothing() {
            return run.seen;
        }
        self.step(alphabet.view, at..run.end, |walk| {
            for shift in alphabet.shifts().filter(|&shift| may.at(shift) != (false, false)) {
                alphabet.stream(&frame.packed, run.digits, shift, &mut frame.raw);
                walk.bytes(&frame.raw, &mut frame.wide, deeper);
            }
        });
        run.seen
    }

    /// Replaces what `changes` finds, and decodes the surroundings of what was replaced. Changes that lie near
    /// each other share their surroundings, so that a text that is encoded here and there stays whole.
    fn substitute(
        &mut self,
        changes: &mut Changes<'_>,
        dirty: &Range<usize>,
        frame: &mut Frame,
        deeper: &mut [Frame],
    ) {
        let (view, bytes) = (changes.view, changes.bytes);
        let (mut start, mut first, mut last) = (0, 0, None);
        while let Some(change) = changes.next() {
            let at = change.range.start;
            // What is as short as two margins lies within them.
            let near = last.is_some_and(|last| at - last <= 2 * text::MARGIN);
            let (floor, left) = if near || bytes.len() <= text::WHOLE {
                (at, last.unwrap_or(0))
            } else {
                let floor = last.map_or(0, |last| last + text::reach_right(&bytes[last..at]));
                (floor, at - text::reach_left(&bytes[floor..at]))
            };
            match last {
                Some(last) if left <= floor => frame.raw.extend_from_slice(&bytes[last..at]),
                _ => {
                    if let Some(last) = last {
                        frame.raw.extend_from_slice(&bytes[last..floor]);
                        self.region(view, start..floor, first..last, dirty, frame, deeper);
                    }
                    frame.raw.clear();
                    frame.marks.clear();
                    frame.raw.extend_from_slice(&bytes[left..at]);
                    (start, first) = (left, at);
                }
            }
            frame.raw.extend_from_slice(change.with());
            frame.marks.push(frame.raw.len() - usize::from(!change.with().is_empty()));
            last = Some(change.range.end);
            if !self.budget.complete() {
                return;
            }
        }
        if let Some(last) = last {
            let short = bytes.len() <= text::WHOLE;
            let end = if short { bytes.len() } else { last + text::reach_right(&bytes[last..]) };
            frame.raw.extend_from_slice(&bytes[last..end]);
            self.region(view, start..end, first..last, dirty, frame, deeper);
        }
        self.budget.scanned += 3 * bytes.len();
    }

    /// Hands on what `substitute` made of the bytes at `range`, of which those at `changed` held signs.
    fn region(
        &mut self,
        view: View,
        range: Range<usize>,
        changed: Range<usize>,
        dirty: &Range<usize>,
        frame: &mut Frame,
        deeper: &mut [Frame],
    ) {
        if range.end < dirty.start || dirty.end < range.start {
            return;
        }
        let Frame { raw, marks, wide, .. } = frame;
        let (Some(&first), Some(&last)) = (marks.first(), marks.last()) else { return };
        self.budget.scanned += raw.len();
        self.step(view, range, |walk| {
            if walk.steps == 1 {
                walk.range = changed;
            }
            // UTF-16 is looked for near what was changed.
            let mut from = first.saturating_sub(bytes::MARGIN);
            let to = (last + bytes::MARGIN).min(raw.len());
            let mut start = 0;
            for chunk in raw.utf8_chunks() {
                let text = chunk.valid();
                let end = start + text.len();
                let inside = &marks[marks.partition_point(|m| *m < start)..];
                let inside = &inside[..inside.partition_point(|m| *m < end)];
                if let (Some(first), Some(last)) = (inside.first(), inside.last()) {
                    walk.found(text, first - start..last - start + 1, deeper);
                }
                if view != View::Html && bytes::is_plain(text) {
                    walk.utf16(raw, from..to.min(start + bytes::MARGIN), wide, deeper);
                    from = from.max(end - bytes::MARGIN);
                }
                start = end + chunk.invalid().len();
            }
            if view != View::Html {
                walk.utf16(raw, from..to, wide, deeper);
            }
        });
    }

    /// Decodes the texts in `raw`, all of which is new: as UTF-8, and as UTF-16 where it is not plainly UTF-8.
    fn bytes(&mut self, raw: &[u8], wide: &mut String, deeper: &mut [Frame]) {
        self.budget.scanned += raw.len();
        let mut from = 0;
        bytes::texts(raw, |range, text| {
            if self.steps == 0 {
                (self.range, self.place) = (range.clone(), range.clone());
            }
            self.found(text, 0..text.len(), deeper);
            if bytes::is_plain(text) {
                self.utf16(raw, from..range.start + bytes::MARGIN, wide, deeper);
                from = range.end - bytes::MARGIN;
            }
        });
        self.utf16(raw, from..raw.len(), wide, deeper);
    }

    fn utf16(&mut self, raw: &[u8], within: Range<usize>, wide: &mut String, deeper: &mut [Frame]) {
        let Some((_, deeper)) = deeper.split_first_mut() else { return };
        if within.is_empty() || bytes::is_text(&raw[within.clone()]) {
            return;
        }
        self.budget.scanned += within.len();
        let offset = within.start;
        bytes::utf16(&raw[within], wide, |range, text| {
            self.budget.scanned += range.len();
            self.step(View::Utf16, offset + range.start..offset + range.end, |walk| {
                walk.found(text, 0..text.len(), deeper);
            });
        });
    }

    /// Rot13 and reversal of a whole text.
    fn switched(&mut self, text: &str, at: usize, buffer: &mut String) {
        for view in [View::Rot13, View::Reversed] {
            buffer.clear();
            match view {
                View::Rot13 => buffer.extend(text.chars().map(text::rot13)),
                _ => buffer.extend(text.chars().rev()),
            }
            self.budget.scanned += text.len();
            self.step(view, at..at + text.len(), |walk| walk.found(buffer, 0..buffer.len(), &mut []));
        }
    }

    /// Hands on a text, once however many ways lead to it: views that replace different signs give the same
    /// text in every order.
    fn found(&mut self, text: &str, dirty: Range<usize>, deeper: &mut [Frame]) {
        self.budget.scanned += text.len();
        let (open, new) = self.budget.enter(text, deeper.len(), &self.place);
        if !open || !self.budget.spend(text.len()) {
            return;
        }
        if new {
            let (chain, range) = (&self.chain[..self.steps], self.range.clone());
            (self.emit)(Decoded { text, new: dirty.clone(), chain, range });
        }
        self.text(text, dirty, deeper);
    }

    /// Does `work` with one view more taken off, which stood at `range` if it is the outermost.
    fn step(&mut self, view: View, range: Range<usize>, work: impl FnOnce(&mut Self)) {
        if !self.budget.complete() {
            return;
        }
        if self.steps == 0 {
            (self.range, self.place) = (range.clone(), range);
        }
        self.chain[self.steps] = view;
        self.steps += 1;
        work(self);
        self.steps -= 1;
    }
}
