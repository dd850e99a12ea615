//! A disk at which threads wait, and one that takes no bytes for segments.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile, Lock, Open, SimulatedDisk};

/// Who is held up, and who is there. A thread without a name is `""`.
#[derive(Default)]
struct Names {
    shut: BTreeSet<String>,
    there: BTreeSet<String>,
    is_full: bool,
}

/// Clones share disk and gate.
#[derive(Clone)]
pub(super) struct GatedDisk {
    pub(super) disk: SimulatedDisk,
    /// Whether checkpoints fail.
    pub(super) refuses_checkpoints: bool,
    gate: Arc<(Mutex<Names>, Condvar)>,
}

impl GatedDisk {
    pub(super) fn new() -> Self {
        Self { disk: SimulatedDisk::new(0), refuses_checkpoints: false, gate: Arc::default() }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.gate.0.lock().expect("no test fails with it")
    }

    /// Holds up the threads of this name when they list the folder, sync a file or keep a checkpoint.
    pub(super) fn shut(&self, name: &str) {
        self.names().shut.insert(name.into());
    }

    pub(super) fn open(&self, name: &str) {
        self.names().shut.remove(name);
        self.gate.1.notify_all();
    }

    /// Returns once a thread of this name is held up.
    pub(super) fn until_there(&self, name: &str) {
        let mut names = self.names();
        while !names.there.contains(name) {
            names = self.gate.1.wait(names).expect("no test fails with it");
        }
    }

    /// From now on, or no more, no segment takes a byte.
    pub(super) fn set_full(&self, is_full: bool) {
        self.names().is_full = is_full;
    }

    fn pass(&self) {
        let name = std::thread::current().name().unwrap_or("").to_owned();
        let mut names = self.names();
        while names.shut.contains(&name) {
            names.there.insert(name.clone());
            self.gate.1.notify_all();
            names = self.gate.1.wait(names).expect("no test fails with it");
        }
        names.there.remove(&name);
    }
}

impl Disk for GatedDisk {
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>> {
        if self.refuses_checkpoints && name.starts_with("checkpoints/") {
            self.pass();
            return Err(ErrorKind::PermissionDenied.into());
        }
        let file = Disk::open(&self.disk, name, how)?;
        Ok(Box::new(GatedFile { file, is_segment: name.contains(".seg"), gate: self.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.pass();
        Disk::list(&self.disk, folder)
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.disk.sync_folder(folder)
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Lock>> {
        self.disk.lock(name)
    }
}

struct GatedFile {
    file: Box<dyn DiskFile>,
    is_segment: bool,
    gate: GatedDisk,
}

impl DiskFile for GatedFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(buffer, at)
    }

    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<usize> {
        if self.is_segment && self.gate.names().is_full {
            let mut there = vec![0; bytes.len()];
            let read = self.file.read_full_at(&mut there, at)?;
            // What is there may be written over itself.
            return if there[..read] == *bytes { Ok(read) } else { Err(ErrorKind::StorageFull.into()) };
        }
        self.file.write_at(bytes, at)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync()
    }
}
