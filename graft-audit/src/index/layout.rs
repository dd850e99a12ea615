//! Where what stands in an index file: all of it follows from two counts.

use std::ops::Range;

/// The bytes of a block, its tag included.
pub(super) const BLOCK: usize = 2048;
const ROOM: usize = BLOCK - 16;

/// A tag and the ordinal of a record that has it.
pub(super) const ENTRY: usize = 12;
/// Where a record and its batch begin.
pub(super) const LOCATION: usize = 8;
/// The tag that a block begins with.
pub(super) const FENCE: usize = 8;

/// Things of one size, in a row of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The first block.
    pub(super) start: u64,
    /// How many things there are.
    pub(super) count: u64,
    size: usize,
}

impl Row {
    fn new(start: u64, count: u64, size: usize) -> Self {
        Self { start, count, size }
    }

    /// How many things a block has room for.
    pub(super) fn per_block(&self) -> u64 {
        (ROOM / self.size) as u64
    }

    pub(super) fn blocks(&self) -> u64 {
        self.count.div_ceil(self.per_block())
    }

    fn end(&self) -> u64 {
        self.start + self.blocks()
    }

    /// How many things stand in the `block`th block of the row.
    pub(super) fn in_block(&self, block: u64) -> usize {
        let before = block.saturating_mul(self.per_block());
        self.count.saturating_sub(before).min(self.per_block()) as usize
    }

    /// The block of the row that has this thing, and the bytes of it there.
    pub(super) fn find(&self, thing: u64) -> (u64, Range<usize>) {
        let at = (thing % self.per_block()) as usize * self.size;
        (thing / self.per_block(), at..at + self.size)
    }
}

/// The rows of an index, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) entries: Row,
    pub(super) locations: Row,
    /// The first tags of the blocks of entries, then the first tags of the blocks of these, until they fit one block.
    pub(super) fences: Vec<Row>,
}

impl Layout {
    pub(super) fn new(entries: u32, records: u32) -> Self {
        let entries = Row::new(0, entries.into(), ENTRY);
        let locations = Row::new(entries.end(), records.into(), LOCATION);
        let (mut fences, mut below, mut start) = (Vec::new(), entries, locations.end());
        while below.blocks() > 1 {
            below = Row::new(start, below.blocks(), FENCE);
            start = below.end();
            fences.push(below);
        }
        Self { entries, locations, fences }
    }

    /// How many blocks there are.
    #[cfg(test)]
    fn blocks(&self) -> u64 {
        self.fences.last().unwrap_or(&self.locations).end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_one_another_without_a_gap() {
        for (entries, records) in [(0, 0), (1, 1), (169, 20), (170, 20), (50_000, 7000), (u32::MAX, 1 << 19)]
        {
            let layout = Layout::new(entries, records);
            let mut rows = vec![layout.entries, layout.locations];
            rows.extend(&layout.fences);
            assert!(rows.windows(2).all(|pair| pair[0].end() == pair[1].start), "{layout:?}");
            assert_eq!(layout.blocks(), rows.iter().map(Row::blocks).sum::<u64>());
            assert!(layout.fences.last().is_none_or(|root| root.blocks() == 1) && layout.fences.len() <= 4);
            for row in rows {
                let things: usize = (0..row.blocks()).map(|block| row.in_block(block)).sum();
                assert_eq!((things as u64, row.in_block(row.blocks())), (row.count, 0));
                if let Some(last) = row.count.checked_sub(1) {
                    let (block, bytes) = row.find(last);
                    assert_eq!(block, row.blocks() - 1);
                    assert!(bytes.end <= ROOM);
                }
            }
        }
    }
}
