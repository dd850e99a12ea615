//! The header of a segment, and whether anything that counts lies behind a bad one.

use std::io;

use super::files::{Files, read_full};
use super::frame::Frame;
use super::window::Window;
use crate::What;
use crate::format::{SEGMENT_PREFIX, SegmentHeader, segment_name};
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
    let found = read_full(files, &name, 0, &mut prefix)?;
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

/// Whether a commit stands anywhere in a segment. One whose header is bad and that has none, a crash may have left.
pub(crate) fn has_commit(files: &dyn Files, number: u64) -> io::Result<bool> {
    let mut window = Window::new(files, segment_name(number), 0);
    while Frame::find(&mut window)? {
        if let Ok(Frame::Commit(_)) = Frame::read(&mut window, 0)? {
            return Ok(true);
        }
        window.advance(1);
    }
    Ok(false)
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
