//! One segment from its header on, frame by frame.

use std::collections::VecDeque;
use std::io;

use super::batch::{Batch, RecordAt, check_parts};
use super::files::Files;
use super::frame::Frame;
use super::open::{is_of_one_batch, used_length};
use super::reached::{Reached, SegmentEnd, Tail};
use super::window::Window;
use crate::format::{
    BATCH_HEADER_LEN, BatchHeader, COMMIT_LEN, COMMIT_MACED, Commit, CommitDigest, Leaf, MAX_BATCH, Mark,
    ReadCommit, RecordHeader, Salt, SegmentHeader, segment_name,
};
use crate::seal::SegmentKeys;
use crate::sealer::Tip;
use crate::tree::{Frontier, TreeHash, TreeHead};
use crate::{Break, Place, What};

/// What comes next in a segment. It lives on the stack, one at a time.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Item<'s> {
    /// A batch, or what there is of a broken one.
    Batch(Batch<'s>),
    /// Something is not as it must be. The next call goes on behind it.
    Break(Break),
    /// There is no frame any more: [`SegmentScan::so_far`] tells how it ends.
    End,
}

/// A walk over one segment. Memory is that of one batch.
pub(crate) struct SegmentScan<'a> {
    window: Window<'a>,
    number: u64,
    began: u64,
    keys: Option<&'a SegmentKeys>,
    reached: Reached,
    /// As it was behind the last good commit: size and hashes of the tree, leaf, commit, place, mark.
    good: Good,
    records: Vec<RecordAt>,
    breaks: VecDeque<Break>,
    first_bad: Option<Break>,
    is_commit_behind: bool,
    /// Whether no segment follows.
    is_last: bool,
    /// Whether a commit said that the segment ends there.
    has_ended: bool,
    /// A batch that was walked over and not handed out yet, with its commit if it has one.
    ready: Option<Option<ReadCommit>>,
    /// How many bytes of the window were walked over.
    consumed: usize,
    /// The salt of the batch that the walk is in the middle of, behind a broken place.
    salt: Option<Salt>,
    /// Whether the next frame has to be searched for.
    is_lost: bool,
    /// Sizes whose roots are asked for, the next one last; and the roots that were found.
    watched: Vec<u64>,
    roots: Vec<TreeHead>,
}

struct Good {
    size: u64,
    hashes: Vec<TreeHash>,
    last_leaf: Leaf,
    last_commit: CommitDigest,
    end: u64,
    mark: Mark,
}

impl<'a> SegmentScan<'a> {
    /// A walk that begins behind the segment's header, of `header_len` bytes.
    pub(crate) fn new(
        files: &'a dyn Files,
        header: &SegmentHeader,
        header_len: usize,
        keys: Option<&'a SegmentKeys>,
    ) -> Self {
        let tip = Tip {
            tree: header.tree.clone(),
            last_leaf: header.previous_leaf,
            last_commit: header.previous_commit,
        };
        Self::resume(files, header.number, header_len as u64, &tip, keys)
    }

    /// A walk that begins behind a commit, at byte `offset`.
    pub(crate) fn resume(
        files: &'a dyn Files,
        number: u64,
        offset: u64,
        tip: &Tip,
        keys: Option<&'a SegmentKeys>,
    ) -> Self {
        let good = Good {
            size: tip.tree.size(),
            hashes: tip.tree.hashes().to_vec(),
            last_leaf: tip.last_leaf,
            last_commit: tip.last_commit,
            end: offset,
            mark: Mark::None,
        };
        let reached = Reached::at(tip);
        Self {
            window: Window::new(files, segment_name(number), offset),
            number,
            began: offset,
            keys,
            reached,
            good,
            records: Vec::new(),
            breaks: VecDeque::new(),
            first_bad: None,
            is_commit_behind: false,
            is_last: false,
            has_ended: false,
            ready: None,
            consumed: 0,
            salt: None,
            is_lost: false,
            watched: Vec::new(),
            roots: Vec::new(),
        }
    }

    /// Tells whether no segment follows. Then a batch with zeros in it and nothing behind it is a torn one: what names
    /// an erased record comes in a later batch.
    pub(crate) fn in_last(mut self, is_last: bool) -> Self {
        self.is_last = is_last;
        self
    }

    /// Asks for the root of the tree at each of these sizes that the walk passes.
    pub(crate) fn watch(&mut self, mut sizes: Vec<u64>) {
        sizes.retain(|&size| size >= self.reached.next);
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        self.watched = sizes;
        self.note_root();
    }

    /// The roots that were asked for and passed.
    pub(crate) fn roots(&self) -> &[TreeHead] {
        &self.roots
    }

    /// Where the walk began.
    pub(crate) fn began(&self) -> u64 {
        self.began
    }

    /// Whether a commit lies behind the first broken place, which therefore no crash has torn.
    pub(crate) fn is_commit_behind(&self) -> bool {
        self.is_commit_behind
    }

    /// The next broken place, batch or the end. What is wrong with a batch comes before it.
    pub(crate) fn next(&mut self) -> io::Result<Item<'_>> {
        if self.breaks.is_empty() && self.ready.is_none() {
            self.window.advance(std::mem::take(&mut self.consumed));
            self.records.clear();
            if self.is_lost && !Frame::find(&mut self.window)? {
                return Ok(Item::End);
            }
            let commit = match self.walk_batch()? {
                Walked::Committed(commit) => Some(commit),
                Walked::Broken => None,
                Walked::Nothing => return Ok(Item::End),
            };
            if commit.is_some() && self.first_bad.is_none() {
                self.keep_good();
            }
            if commit.is_some() || !self.records.is_empty() {
                self.ready = Some(commit);
            }
        }
        if let Some(found) = self.breaks.pop_front() {
            return Ok(Item::Break(found));
        }
        // A walk that found neither a break nor a batch has ended.
        let Some(commit) = self.ready.take() else { return Ok(Item::End) };
        let salt = self.salt.or(commit.map(|commit| commit.commit.salt));
        if commit.is_some() {
            self.salt = None;
        }
        let key = self.keys.zip(salt).map(|(keys, salt)| keys.batch(salt));
        let offset = self.window.offset();
        let bytes = &mut self.window.bytes_mut()[..self.consumed];
        Ok(Item::Batch(Batch { bytes, records: &self.records, offset, key, commit }))
    }

    /// Walks to the commit of the batch that begins the window, or as far as it goes.
    fn walk_batch(&mut self) -> io::Result<Walked> {
        // Behind a broken place, the walk may stand anywhere in a batch.
        let was_lost = std::mem::take(&mut self.is_lost);
        let (mut at, mut is_whole) = (0, false);
        loop {
            let frame = match Frame::read(&mut self.window, at)? {
                Ok(frame) => frame,
                Err(what) => {
                    if at == 0 && !was_lost && self.is_nothing_behind(0)? {
                        return Ok(Walked::Nothing);
                    }
                    return Ok(self.lose(at, self.place_at(at), what));
                }
            };
            let is_first = at == 0;
            if is_first && self.has_ended {
                self.broken(at, self.place_at(at), What::BehindEnd);
            }
            match frame {
                Frame::Batch(header) if is_first => {
                    self.begin(header, was_lost);
                    is_whole = true;
                    at += BATCH_HEADER_LEN;
                }
                Frame::Batch(_) => {
                    self.broken(at, Place::Batch, What::NoCommit);
                    self.reached.last_commit = None;
                    self.consumed = at;
                    return Ok(Walked::Broken);
                }
                Frame::Record(header, leaf) => {
                    if is_first && !was_lost {
                        self.broken(at, Place::Record(header.seq), What::Misplaced);
                    }
                    let parts = at + header.len();
                    let end = parts + header.parts_len();
                    if end + COMMIT_LEN > MAX_BATCH {
                        return Ok(self.lose(at, Place::Record(header.seq), What::LongBatch));
                    }
                    if !self.window.fill(end)? {
                        let found = (self.window.bytes().len() - at) as u64;
                        let what = What::TornTail { found, expected: (end - at) as u64 };
                        return Ok(self.lose(at, Place::Record(header.seq), what));
                    }
                    self.record(header, leaf, at, parts, end, was_lost && is_first);
                    at = end;
                }
                Frame::Commit(read) => {
                    if is_first && !was_lost {
                        self.broken(at, Place::Commit, What::Misplaced);
                    }
                    self.doubt(at + COMMIT_LEN)?;
                    self.commit(&read, at, is_whole, was_lost && is_first);
                    self.consumed = at + COMMIT_LEN;
                    return Ok(Walked::Committed(read));
                }
            }
        }
    }

    fn begin(&mut self, header: BatchHeader, was_lost: bool) {
        if was_lost {
            // The commit before was not seen.
            self.reached.last_commit = None;
        }
        if let Some(what) = self.reached.meet(header.first, was_lost) {
            self.broken(0, Place::Batch, what);
        }
        self.salt = Some(header.salt);
    }

    fn record(
        &mut self,
        header: RecordHeader,
        leaf: Leaf,
        at: usize,
        parts: usize,
        end: usize,
        was_lost: bool,
    ) {
        let place = Place::Record(header.seq);
        if let Some(what) = self.reached.meet(header.seq, was_lost) {
            self.broken(at, place, what);
        }
        if let Some(what) = self.reached.follow(header.previous) {
            self.broken(at, place, what);
        }
        let record = check_parts(header, leaf, parts, &self.window.bytes()[parts..end]);
        if record.damaged != 0 {
            self.broken(at, place, What::DamagedBody);
        }
        self.records.push(record);
        self.reached.push(leaf);
        self.note_root();
    }

    /// Looks at the batch whose commit ends at byte `end` of the window: is it whole but for a part that never came?
    fn doubt(&mut self, end: usize) -> io::Result<()> {
        let zeros = self.records.iter().find(|record| record.erased != 0);
        if let Some(record) = zeros.filter(|_| self.is_last && self.first_bad.is_none())
            && self.is_nothing_behind(end)?
        {
            let (seq, at) = (record.header.seq, record.at - record.header.len());
            let offset = self.window.offset() + at as u64;
            let (segment, place, what) = (self.number, Place::Record(seq), What::DamagedBody);
            self.note(Break { segment, place, seq, offset, what });
        }
        Ok(())
    }

    fn commit(&mut self, read: &ReadCommit, at: usize, is_whole: bool, was_lost: bool) {
        let commit = &read.commit;
        if self.first_bad.is_some() {
            self.is_commit_behind |= !self.is_own(commit);
        }
        let reached = &mut self.reached;
        let mut bad = None;
        if was_lost && commit.size > reached.next {
            reached.gap = commit.size - reached.next;
            reached.next = commit.size;
            reached.last_leaf = None;
            // The leaf of the last record that was passed over stands in the commit.
            reached.follow(commit.last_leaf);
        }
        let count = self.records.len() as u64;
        if commit.size != reached.next {
            bad = Some(What::WrongSize { found: commit.size, expected: reached.next });
        } else if is_whole && u64::from(commit.count) != count {
            bad = Some(What::WrongCount { found: commit.count.into(), expected: count });
        } else if let Some(expected) = reached.last_leaf.filter(|leaf| *leaf != commit.last_leaf) {
            bad = Some(What::WrongPrevious { found: commit.last_leaf, expected });
        } else if reached.last_commit.is_some_and(|digest| digest != commit.previous) {
            bad = Some(What::WrongCommit);
        } else if self.salt.is_some_and(|salt| salt != commit.salt) {
            bad = Some(What::WrongSalt);
        } else if reached.tree.as_ref().is_some_and(|tree| tree.root() != commit.root) {
            bad = Some(What::WrongRoot);
        } else if let Some(keys) = self.keys
            && !keys.is_commit_mac(&self.window.bytes()[at..at + COMMIT_MACED], &read.mac)
        {
            bad = Some(What::Forged);
        }
        if let Some(what) = bad {
            self.broken(at, Place::Commit, what);
            // Behind it, its own word is all there is to compare with.
            if self.reached.next != commit.size || !matches!(what, What::Forged | What::WrongCommit) {
                self.reached.tree = None;
            }
            self.reached.next = commit.size;
            self.reached.last_leaf = Some(commit.last_leaf);
        }
        self.reached.last_commit = Some(read.digest);
        self.has_ended |= commit.mark == Mark::SegmentEnd;
        if self.first_bad.is_none() {
            self.good.mark = commit.mark;
        }
    }

    /// Notes a broken place at byte `at` of the window.
    fn broken(&mut self, at: usize, place: Place, what: What) {
        let offset = self.window.offset() + at as u64;
        self.note(Break { segment: self.number, place, seq: self.reached.next, offset, what });
    }

    fn note(&mut self, found: Break) {
        self.first_bad.get_or_insert_with(|| found.clone());
        self.breaks.push_back(found);
    }

    /// The frame at byte `at` of the window is none: the walk goes on at the next that is one.
    fn lose(&mut self, at: usize, place: Place, what: What) -> Walked {
        self.broken(at, place, what);
        // What stands at `at` is no frame, so the search does not find it again.
        self.consumed = at;
        self.is_lost = true;
        if matches!(what, What::TornTail { .. } | What::LongBatch) {
            self.consumed = (at + 1).min(self.window.bytes().len());
        }
        Walked::Broken
    }

    /// The name of what should stand at byte `at` of the window, by its first byte.
    fn place_at(&self, at: usize) -> Place {
        match self.window.bytes().get(at) {
            Some(&RecordHeader::KIND) => Place::Record(self.reached.next),
            Some(&BatchHeader::KIND) if at == 0 => Place::Batch,
            Some(&Commit::KIND) => Place::Commit,
            _ => Place::Frame(self.reached.next),
        }
    }

    /// Whether there are only zeros from byte `at` of the window on.
    fn is_nothing_behind(&self, at: usize) -> io::Result<bool> {
        if self.window.bytes().get(at).is_some_and(|&byte| byte != 0) {
            return Ok(false);
        }
        // A look ahead that leaves the window where it is.
        let (files, name) = self.window.source();
        Ok(!Window::new(files, name.to_owned(), self.window.offset() + at as u64).skip_zeros()?)
    }

    fn note_root(&mut self) {
        while let Some(size) = self.watched.pop_if(|size| *size <= self.reached.next) {
            if let Some(tree) = self.reached.tree.as_ref().filter(|tree| tree.size() == size) {
                self.roots.push(tree.head());
            }
        }
    }

    fn keep_good(&mut self) {
        let (Reached { next, last_leaf, last_commit, tree, .. }, good) = (&self.reached, &mut self.good);
        let (Some(tree), Some(last_leaf), Some(last_commit)) = (tree, last_leaf, last_commit) else { return };
        good.hashes.clear();
        good.hashes.extend_from_slice(tree.hashes());
        (good.size, good.last_leaf, good.last_commit) = (*next, *last_leaf, *last_commit);
        good.end = self.window.offset() + self.consumed as u64;
    }

    /// Whether a commit can be that of the batch that was being written behind the last good one.
    fn is_own(&self, commit: &Commit) -> bool {
        commit.previous == self.good.last_commit && commit.size - u64::from(commit.count) == self.good.size
    }

    /// How the segment ends, or how it stands where the walk is.
    pub(crate) fn so_far(&self) -> io::Result<SegmentEnd> {
        let mut end = self.end_here();
        if let Some(tail) = &mut end.tail {
            let (files, name) = self.window.source();
            tail.length = used_length(files, name, tail.offset)?;
            let is_of_one =
                is_of_one_batch(files, name, tail.offset, tail.length, |commit| self.is_own(commit))?;
            // Of a log that is being written there may be more by now, and the batch before that is whole.
            if !is_of_one && !self.is_whole_by_now(&end.tip)? {
                end.tail = None;
            }
        }
        Ok(end)
    }

    /// Whether a good batch stands behind the last good commit since the walk came by.
    fn is_whole_by_now(&self, tip: &Tip) -> io::Result<bool> {
        let mut again = Self::resume(self.window.source().0, self.number, self.good.end, tip, self.keys);
        Ok(matches!(again.next()?, Item::Batch(batch) if batch.commit.is_some()))
    }

    fn end_here(&self) -> SegmentEnd {
        let good = &self.good;
        let tail = self.first_bad.as_ref().filter(|bad| !self.is_commit_behind && bad.what.may_be_torn());
        SegmentEnd {
            tip: Tip {
                // These are the hashes of a tree of this size.
                tree: Frontier::restore(good.size, &good.hashes).unwrap_or_default(),
                last_leaf: good.last_leaf,
                last_commit: good.last_commit,
            },
            end: good.end,
            mark: good.mark,
            last: self.reached.clone(),
            tail: tail.map(|bad| Tail { offset: good.end, length: 0, first_bad: bad.clone() }),
        }
    }
}

enum Walked {
    Committed(ReadCommit),
    Broken,
    Nothing,
}
