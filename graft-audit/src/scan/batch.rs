//! A batch whose structure was read, and the parts of its records.

use crate::What;
use crate::format::{Leaf, PartKind, ReadCommit, RecordHeader, sha256};
use crate::seal::BatchKey;

/// Where a record lies in its batch, and how its parts are.
pub(crate) struct RecordAt {
    pub(super) header: RecordHeader,
    pub(super) leaf: Leaf,
    /// Where its parts begin.
    pub(super) at: usize,
    /// Which parts are zeros, and which are not what the header says, a bit each.
    pub(super) erased: u8,
    pub(super) damaged: u8,
}

/// A batch, or what there is of a broken one.
pub(crate) struct Batch<'s> {
    pub(super) bytes: &'s mut [u8],
    pub(super) records: &'s [RecordAt],
    /// Where it begins in the segment.
    pub(crate) offset: u64,
    /// With the keys of the segment, and if the batch's header is whole.
    pub(super) key: Option<BatchKey>,
    /// Its commit; `None` if what is there of it holds none.
    pub(crate) commit: Option<ReadCommit>,
}

/// A part as it is found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Its body.
    Body(&'a [u8]),
    /// It is there, and no key to open it.
    Closed,
    /// It was overwritten with zeros.
    Erased,
}

/// A record of a batch. Its header is good.
pub(crate) struct Record<'b> {
    pub(crate) seq: u64,
    pub(crate) leaf: Leaf,
    pub(crate) offset: u64,
    pub(crate) erased: bool,
    pub(crate) damaged: bool,
    pub(super) at: &'b RecordAt,
    parts: &'b mut [u8],
    key: Option<&'b BatchKey>,
}

impl Batch<'_> {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// How many bytes there are of it.
    pub(crate) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The record at this place in the batch. Reading it opens its parts in place, so it is read once.
    pub(crate) fn record(&mut self, index: usize) -> Option<Record<'_>> {
        let at = self.records.get(index)?;
        let parts = self.bytes.get_mut(at.at..at.at + at.header.parts_len())?;
        Some(Record {
            seq: at.header.seq,
            leaf: at.leaf,
            offset: self.offset + (at.at - at.header.len()) as u64,
            erased: at.erased != 0,
            damaged: at.damaged != 0,
            at,
            parts,
            key: self.key.as_ref(),
        })
    }
}

impl Record<'_> {
    /// Opens each part in place and hands it over.
    ///
    /// # Errors
    /// [`What::DamagedBody`], [`What::Forged`], and what `take` returns.
    pub(crate) fn open(
        self,
        mut take: impl FnMut(PartKind, Part<'_>) -> Result<(), What>,
    ) -> Result<(), What> {
        let mut rest = self.parts;
        for (index, part) in self.at.header.parts().iter().enumerate() {
            let (bytes, behind) = rest.split_at_mut(part.length as usize);
            rest = behind;
            let found = if self.at.damaged & (1 << index) != 0 {
                return Err(What::DamagedBody);
            } else if self.at.erased & (1 << index) != 0 {
                Part::Erased
            } else if let Some(key) = self.key {
                Part::Body(key.open(self.seq, part.kind, bytes).ok_or(What::Forged)?)
            } else {
                Part::Closed
            };
            take(part.kind, found)?;
        }
        Ok(())
    }
}

/// Holds parts against their header.
pub(super) fn check_parts(header: RecordHeader, leaf: Leaf, at: usize, parts: &[u8]) -> RecordAt {
    let mut record = RecordAt { header, leaf, at, erased: 0, damaged: 0 };
    let mut rest = parts;
    for (index, part) in header.parts().iter().enumerate() {
        let (bytes, behind) = rest.split_at(part.length as usize);
        rest = behind;
        if sha256(bytes) != part.digest {
            let is_erased = bytes.iter().all(|&byte| byte == 0);
            *(if is_erased { &mut record.erased } else { &mut record.damaged }) |= 1 << index;
        }
    }
    record
}
