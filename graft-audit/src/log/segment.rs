//! The segment that is being written: a file with room made ahead.

use std::io;

use crate::disk::{Disk, DiskFile, Open};
use crate::format::segment_name;

/// Room is made ahead in steps of this many bytes, so that a sync writes bytes alone and not the file's length
/// and place as well: a sync of one record took 63 µs with it and 93 µs without.
pub(super) const ROOM: usize = 1024 * 1024;

/// What makes room. Behind it lie zeros up to where the file ends.
pub(super) struct Segment {
    file: Box<dyn DiskFile>,
    /// Where the last commit ends.
    end: u64,
    /// Where the zeros end.
    room: u64,
    zeros: Vec<u8>,
}

/// The name of a segment's file until its header is on the disk.
pub(super) fn unborn(number: u64) -> String {
    format!("{}.new", segment_name(number))
}

impl Segment {
    /// Makes a segment: once it has its name, its header is on the disk.
    pub(super) fn create(disk: &dyn Disk, number: u64, header: &[u8], room: usize) -> io::Result<Self> {
        let (unborn, name) = (unborn(number), segment_name(number));
        let file = disk.open(&unborn, Open::Truncated)?;
        let mut segment = Self { file, end: 0, room: 0, zeros: vec![0; room] };
        segment.append(header)?;
        disk.rename(&unborn, &name)?;
        disk.sync_folder("")?;
        Ok(segment)
    }

    /// Goes on in a file behind `end`; what lies there is zeros.
    pub(super) fn resume(file: Box<dyn DiskFile>, end: u64, room: usize) -> io::Result<Self> {
        let length = file.length()?;
        Ok(Self { file, end, room: length, zeros: vec![0; room] })
    }

    /// Writes behind the end and returns once it is on the disk.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.end + bytes.len() as u64;
        self.file.write_all_at(bytes, self.end)?;
        if end > self.room {
            self.room = end;
            // For batches of this size the zeros cost more than they save.
            if bytes.len() < self.zeros.len() / 2 {
                match self.file.write_all_at(&self.zeros, end) {
                    Ok(()) => self.room += self.zeros.len() as u64,
                    // There is room for what counts, and the next batch will say if there is none for it.
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.file.sync()?;
        self.end = end;
        Ok(())
    }

    /// Cuts the room off: behind the end of a segment that another follows lies nothing.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.file.set_length(self.end)?;
        self.room = self.end;
        self.file.sync()
    }
}
