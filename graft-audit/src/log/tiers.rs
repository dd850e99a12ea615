//! The files `tree/1`, `tree/2`, ..: hashes of whole subtrees, so that proofs do not read the log.
//!
//! They can be made anew from the segments, so they are synced where a segment ends and not with each batch.

use std::io::{self, ErrorKind};

use crate::disk::{Disk, DiskFile, Open};
use crate::tree::{MAX_TIER, TierEntry};

/// Open files, by tier.
#[derive(Default)]
pub(super) struct TierFiles {
    files: Vec<Option<Box<dyn DiskFile>>>,
    buffer: Vec<u8>,
}

impl TierFiles {
    /// Writes entries to their places: neighbours of a tier in one go.
    pub(super) fn append(&mut self, disk: &dyn Disk, entries: &[TierEntry]) -> io::Result<()> {
        let highest = entries.iter().map(|entry| entry.tier).max().unwrap_or(0);
        for tier in 1..=highest {
            let mut of_tier = entries.iter().filter(|entry| entry.tier == tier).peekable();
            let Some(first) = of_tier.peek().map(|entry| entry.index) else { continue };
            self.buffer.clear();
            of_tier.for_each(|entry| self.buffer.extend_from_slice(&entry.hash.0));
            let index = usize::from(tier);
            if self.files.len() <= index {
                self.files.resize_with(index + 1, || None);
            }
            let file = match &mut self.files[index] {
                Some(file) => file,
                none => none.insert(open(disk, tier)?),
            };
            file.write_all_at(&self.buffer, first * 32)?;
        }
        Ok(())
    }

    /// Returns once they are on the disk.
    pub(super) fn sync(&mut self, disk: &dyn Disk) -> io::Result<()> {
        for file in self.files.iter_mut().flatten() {
            file.sync()?;
        }
        if self.files.is_empty() { Ok(()) } else { disk.sync_folder("tree") }
    }
}

/// The name of the file of a tier.
fn name(tier: u8) -> String {
    format!("tree/{tier}")
}

fn open(disk: &dyn Disk, tier: u8) -> io::Result<Box<dyn DiskFile>> {
    match disk.open(&name(tier), Open::Write) {
        Err(error) if error.kind() == ErrorKind::NotFound => disk.open(&name(tier), Open::New),
        opened => opened,
    }
}

/// Whether each file has what a tree of `size` leaves has completed. Their bytes are not looked at.
pub(super) fn reach(disk: &dyn Disk, size: u64) -> io::Result<bool> {
    for tier in 1..=MAX_TIER {
        let expected = 32 * crate::tree::tier_len(tier, size);
        if expected == 0 {
            break;
        }
        match disk.open(&name(tier), Open::Read) {
            Ok(file) if file.length()? >= expected => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
