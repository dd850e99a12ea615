//! The header of a segment, and what may lie behind its last good commit.

use std::io;

use super::files::{Files, read_full};
use super::window::Window;
use crate::What;
use crate::format::{
    BATCH_HEADER_LEN, BatchHeader, COMMIT_LEN, Commit, MAX_BATCH, SEGMENT_PREFIX, SegmentHeader, array,
    segment_name,
};
use crate::seal::SegmentKeys;

/// A header as it was read. Its digest holds.
pub(crate) struct Opened {
    pub(crate) header: SegmentHeader,
    /// Its length in bytes: where the first batch begins.
    pub(crate) len: usize,
    commitment: [u8; 32],
    mac: [u8; 32],
    maced: Vec<u8>,
}

/// Reads the header of the segment with this number.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] if there is no such file, and those of the disk; within, what is wrong with the header.
pub(crate) fn open_segment(files: &dyn Files, number: u64) -> io::Result<Result<Opened, What>> {
    let name = segment_name(number);
    let mut prefix = [0; SEGMENT_PREFIX];
    let found = match read_full(files, &name, 0, &mut prefix) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(Err(What::NotAFile)),
        found => found?,
    };
    let torn =
        |found: usize, expected: usize| What::TornTail { found: found as u64, expected: expected as u64 };
    if found < SEGMENT_PREFIX || prefix == [0; SEGMENT_PREFIX] {
        // Zeros are room that was made for a header which never came.
        return Ok(Err(torn(if prefix == [0; SEGMENT_PREFIX] { 0 } else { found }, SEGMENT_PREFIX)));
    }
    let len = match SegmentHeader::len_of(&prefix) {
        Ok(len) => len,
        Err(what) => return Ok(Err(what)),
    };
    let mut bytes = vec![0; len];
    let found = read_full(files, &name, 0, &mut bytes)?;
    if found < len {
        return Ok(Err(torn(found, len)));
    }
    Ok(SegmentHeader::decode(&bytes).and_then(|read| {
        if read.header.number != number {
            return Err(What::OtherSegment { found: read.header.number });
        }
        let (maced, commitment, mac) = (read.maced.to_vec(), read.commitment, read.mac);
        Ok(Opened { header: read.header, len, commitment, mac, maced })
    }))
}

impl Opened {
    /// Whether these are the keys of this segment.
    ///
    /// # Errors
    /// [`What::Forged`] if they are, and somebody without them wrote the rest of the header.
    pub(crate) fn is_keyed(&self, keys: &SegmentKeys) -> Result<bool, What> {
        if !keys.is_committed(&self.commitment) {
            return Ok(false);
        }
        if keys.is_header_mac(&self.maced, &self.mac) { Ok(true) } else { Err(What::Forged) }
    }
}

/// Whether bytes behind the last good commit may be what a crash left of one batch: no more than a batch has, no header
/// of another, and no commit but its own. No batch is written before the one before it is on the disk.
pub(super) fn is_of_one_batch(
    files: &dyn Files,
    name: &str,
    offset: u64,
    length: u64,
    is_own: impl Fn(&Commit) -> bool,
) -> io::Result<bool> {
    if length > MAX_BATCH as u64 {
        return Ok(false);
    }
    // The end of a frame may be zeros.
    let mut bytes = vec![0; length as usize + COMMIT_LEN];
    read_full(files, name, offset, &mut bytes)?;
    let mut commits = 0;
    for (at, frame) in bytes.windows(COMMIT_LEN).enumerate() {
        if at > 0
            && frame[0] == BatchHeader::KIND
            && BatchHeader::decode(&array(&frame[..BATCH_HEADER_LEN])).is_ok()
        {
            return Ok(false);
        }
        if frame[0] == Commit::KIND
            && let Ok(read) = Commit::decode(&array(frame))
        {
            commits += 1;
            if commits > 1 || !is_own(&read.commit) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// How many bytes a file has up to the last that is not zero.
pub(crate) fn used_length(files: &dyn Files, name: &str, from: u64) -> io::Result<u64> {
    let mut rest = Window::new(files, name.to_owned(), from);
    let mut end = from;
    while rest.skip_zeros()? {
        let run = rest.bytes().iter().take_while(|&&byte| byte != 0).count();
        rest.advance(run);
        end = rest.offset();
    }
    Ok(end - from)
}
