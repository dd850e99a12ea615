//! The floor of the disk: bare writes into room made beforehand, each followed by a sync.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

use super::ON_DISK;
use crate::harness::{Case, Failure, Round};

/// How much room is made at a time.
const ROOM: u64 = 64 << 20;

/// How room is made in a file before it is written to.
#[derive(Clone, Copy)]
pub enum Room {
    /// The file system sets blocks aside; writing to them changes what it knows of them.
    Allocated,
    /// Zeros were written and synced.
    Written,
}

/// A file that is written to from front to back.
pub struct Bare {
    file: File,
    room: Room,
    at: u64,
    end: u64,
}

impl Bare {
    pub fn create(path: &Path, room: Room) -> Result<Self, Failure> {
        let file = OpenOptions::new().create_new(true).read(true).write(true).open(path)?;
        Ok(Self { file, room, at: 0, end: 0 })
    }

    /// Makes room for so many bytes more.
    fn make_room(&mut self, bytes: u64) -> Result<(), Failure> {
        while self.end < self.at + bytes {
            match self.room {
                Room::Allocated => fallocate(&self.file, FallocateFlags::empty(), self.end, ROOM)?,
                Room::Written => self.file.write_all(&vec![0; ROOM as usize])?,
            }
            self.end += ROOM;
            self.file.sync_all()?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all_at(bytes, self.at)?;
        self.file.sync_data()?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// One record at a time, each timed alone.
    pub fn one_at_a_time(mut self, name: &'static str) -> Case<'static> {
        let record = [7; ON_DISK];
        Case::new(name, move |round: &mut Round| {
            self.make_room(round.iterations() * ON_DISK as u64)?;
            round.each(|| self.write(&record))
        })
    }

    /// So many records at a time.
    pub fn batches(mut self, name: &'static str, records: u64) -> Case<'static> {
        let batch = vec![7; ON_DISK * records as usize];
        Case::new(name, move |round: &mut Round| {
            let batches = round.iterations().div_ceil(records);
            self.make_room(batches * batch.len() as u64)?;
            let start = round.start();
            for _ in 0..batches {
                self.write(&batch)?;
            }
            round.stop(start, batches * records);
            Ok(())
        })
    }
}
