//! The frames of a segment, each believed only behind its check.

use std::io;

use super::window::Window;
use crate::What;
use crate::format::{
    BATCH_HEADER_LEN, BatchHeader, COMMIT_LEN, Commit, Leaf, MAX_RECORD_HEADER, ReadCommit, RecordHeader,
    array,
};

/// What stands at a place. A record's parts are not looked at yet.
pub(crate) enum Frame {
    Batch(BatchHeader),
    Record(RecordHeader, Leaf),
    Commit(ReadCommit),
}

impl Frame {
    /// Reads the frame at byte `at` of the window. If what is there is none, why.
    pub(crate) fn read(window: &mut Window<'_>, at: usize) -> io::Result<Result<Self, What>> {
        // Both of these are longer than the two bytes that say what it is and how long.
        window.fill(at + MAX_RECORD_HEADER)?;
        Ok(Self::parse(window.bytes().get(at..).unwrap_or_default()))
    }

    fn parse(bytes: &[u8]) -> Result<Self, What> {
        let whole = |expected: usize| {
            bytes
                .get(..expected)
                .ok_or(What::TornTail { found: bytes.len() as u64, expected: expected as u64 })
        };
        match whole(1)?[0] {
            BatchHeader::KIND => Ok(Self::Batch(BatchHeader::decode(&array(whole(BATCH_HEADER_LEN)?))?)),
            Commit::KIND => Ok(Self::Commit(Commit::decode(&array(whole(COMMIT_LEN)?))?)),
            RecordHeader::KIND => {
                let length = RecordHeader::len_of(array(whole(2)?)).ok_or(What::DamagedHeader)?;
                RecordHeader::decode(whole(length)?).map(|(header, leaf)| Self::Record(header, leaf))
            }
            _ => Err(What::DamagedHeader),
        }
    }

    /// Moves the window forward to the next frame, or to the end; returns whether there is one.
    ///
    /// The check of a frame is 64 bits of a hash over it, so neither a torn write nor chance makes one.
    pub(crate) fn find(window: &mut Window<'_>) -> io::Result<bool> {
        Self::find_within(window, u64::MAX)
    }

    /// The same, of frames that begin in the next `most` bytes, and hardly behind them.
    pub(crate) fn find_within(window: &mut Window<'_>, most: u64) -> io::Result<bool> {
        let end = window.offset().saturating_add(most);
        while window.offset() < end && window.fill(1)? {
            // The most that a frame's own bytes may take is looked at where it lies whole.
            window.fill(MAX_RECORD_HEADER)?;
            let bytes = window.bytes();
            let last = (bytes.len() + 1).saturating_sub(MAX_RECORD_HEADER).max(1);
            let found = (0..last).find(|&at| may_begin(bytes[at]) && Self::parse(&bytes[at..]).is_ok());
            window.advance(found.unwrap_or(last));
            if found.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn may_begin(byte: u8) -> bool {
    matches!(byte, BatchHeader::KIND | Commit::KIND | RecordHeader::KIND)
}
