//! A disk in memory that fails and crashes as it is told, the same way for the same seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, Lock, Open, folder_of};

/// What is on its way to the disk arrives in sectors, in any order and each as a whole, or in order up to any byte.
const SECTOR: usize = 512;

/// What goes wrong at an operation. Reading counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The power fails before it, and stays off.
    PowerOff,
    /// It fails, once. A sync that fails drops some of what it was to make durable.
    Io,
    /// There is no more room, until [`SimulatedDisk::make_room`]: no file grows and none is made.
    Full,
}

/// Clones share the disk, as handles of one folder do.
#[derive(Clone)]
pub(crate) struct SimulatedDisk(Arc<Mutex<State>>);

struct State {
    files: Vec<Bytes>,
    /// What a reader sees, by name.
    names: BTreeMap<String, usize>,
    /// The names that a crash leaves for sure.
    durable: BTreeMap<String, usize>,
    /// What was done to names since.
    undecided: Vec<NameChange>,
    locked: BTreeSet<String>,
    operations: u64,
    faults: Vec<(u64, Fault)>,
    off: bool,
    full: bool,
    /// Whether reads and writes do less than they are asked to.
    short: bool,
    random: Random,
    /// Every write that was ever asked for, with the file's name and the place.
    written: Vec<(String, u64, Vec<u8>)>,
}

#[derive(Clone, Default)]
struct Bytes {
    name: String,
    live: Vec<u8>,
    durable: Vec<u8>,
    undecided: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone)]
enum NameChange {
    Made(String, usize),
    Removed(String),
    Renamed(String, String, usize),
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Made(name, file) => _ = names.insert(name, file),
            Self::Removed(name) => _ = names.remove(&name),
            Self::Renamed(from, to, file) => {
                // If the old name never became durable there is none to remove.
                if names.get(&from) == Some(&file) {
                    names.remove(&from);
                }
                names.insert(to, file);
            }
        }
    }

    fn is_in(&self, folder: &str) -> bool {
        let (Self::Made(name, _) | Self::Removed(name) | Self::Renamed(_, name, _)) = self;
        folder_of(name) == folder
    }
}

impl SimulatedDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            undecided: Vec::new(),
            locked: BTreeSet::new(),
            operations: 0,
            faults: Vec::new(),
            off: false,
            full: false,
            short: false,
            random: Random(seed),
            written: Vec::new(),
        })))
    }

    /// Reads and writes do less than they are asked to from here on.
    pub(crate) fn with_short_calls(self) -> Self {
        self.state().short = true;
        self
    }

    /// Lets the operation of this number, counted from now and from 0, go wrong.
    pub(crate) fn fail(&self, operation: u64, fault: Fault) {
        let mut state = self.state();
        let at = state.operations + operation;
        state.faults.push((at, fault));
    }

    /// Nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        (state.faults, state.full, state.off) = (Vec::new(), false, false);
    }

    /// How many operations there were.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Every write that was ever asked for: file, place, bytes.
    pub(crate) fn written(&self) -> Vec<(String, u64, Vec<u8>)> {
        self.state().written.clone()
    }

    /// A disk with the same live files, all of them durable.
    pub(crate) fn copy(&self) -> Self {
        let state = self.state();
        let files: Vec<_> =
            state.names.iter().map(|(name, &file)| (name.clone(), state.files[file].live.clone())).collect();
        Self::holding(files, state.short)
    }

    /// The disk after the power failed: of everything that was not synced, any part, by this seed.
    pub(crate) fn after_crash(&self, seed: u64) -> Self {
        let random = &mut Random(seed);
        let state = self.state();
        let mut names = state.durable.clone();
        for change in &state.undecided {
            if random.below(2) == 0 {
                change.clone().apply(&mut names);
            }
        }
        let files = names.into_iter().map(|(name, file)| (name, state.files[file].after_crash(random)));
        Self::holding(files.collect(), state.short)
    }

    /// Changes a file's bytes behind everybody's back.
    pub(crate) fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let file = state.names[name];
        change(&mut state.files[file].live);
        state.files[file].durable = state.files[file].live.clone();
    }

    /// All bytes of a file, past every fault.
    pub(crate) fn read_all(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.files[state.names[name]].live.clone()
    }

    /// The names in a folder, past every fault.
    pub(crate) fn list_all(&self, folder: &str) -> Vec<String> {
        let state = self.state();
        let names = state.names.keys().filter(|name| folder_of(name) == folder);
        names.map(|name| name.split_once('/').map_or(&**name, |(_, last)| last).to_owned()).collect()
    }

    fn holding(files: Vec<(String, Vec<u8>)>, short: bool) -> Self {
        let disk = Self::new(files.len() as u64);
        let mut state = disk.state();
        state.short = short;
        for (name, bytes) in files {
            let number = state.files.len();
            state.durable.insert(name.clone(), number);
            state.names.insert(name.clone(), number);
            state.files.push(Bytes { name, live: bytes.clone(), durable: bytes, undecided: Vec::new() });
        }
        drop(state);
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more operation; `Err` if it is to go wrong.
    fn operate(&self) -> Result<MutexGuard<'_, State>, (MutexGuard<'_, State>, io::Error)> {
        let mut state = self.state();
        let now = state.operations;
        state.operations += 1;
        let fault = state.faults.iter().find(|(at, _)| *at == now).map(|(_, fault)| *fault);
        match fault {
            Some(Fault::PowerOff) => state.off = true,
            Some(Fault::Full) => state.full = true,
            Some(Fault::Io) => return Err((state, io::Error::other("a bad sector"))),
            None => {}
        }
        if state.off { Err((state, io::Error::other("the power is off"))) } else { Ok(state) }
    }

    fn names(&self) -> io::Result<MutexGuard<'_, State>> {
        self.operate().map_err(|(_, error)| error)
    }
}

impl State {
    fn change(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.undecided.push(change);
    }

    fn amount(&mut self, asked: usize) -> usize {
        if self.short && asked > 1 { 1 + self.random.below(asked) } else { asked }
    }
}

impl Bytes {
    fn apply(&mut self, change: Change) {
        apply(&change, &mut self.live);
        self.undecided.push(change);
    }

    /// What is durable and, of what was changed since, nothing, all, what came before some byte, or for each sector
    /// what came before some change: a sector has the bytes of all writes to it up to one.
    fn after_crash(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let changes = &self.undecided[..];
        match random.below(4) {
            0 => {}
            1 => changes.iter().for_each(|change| apply(change, &mut bytes)),
            2 if !changes.is_empty() => {
                let last = random.below(changes.len());
                changes[..last].iter().for_each(|change| apply(change, &mut bytes));
                if let Change::Write { at, bytes: new } = &changes[last] {
                    let before = new[..random.below(new.len() + 1)].to_vec();
                    apply(&Change::Write { at: *at, bytes: before }, &mut bytes);
                }
            }
            _ => {
                let mut states = vec![bytes];
                for change in changes {
                    let mut next = states[states.len() - 1].clone();
                    apply(change, &mut next);
                    states.push(next);
                }
                bytes = vec![0; states[random.below(states.len())].len()];
                for (number, sector) in bytes.chunks_mut(SECTOR).enumerate() {
                    let state = &states[random.below(states.len())];
                    let from = state.get(number * SECTOR..).unwrap_or_default();
                    let length = from.len().min(sector.len());
                    sector[..length].copy_from_slice(&from[..length]);
                }
            }
        }
        bytes
    }

    fn sync(&mut self) {
        for change in self.undecided.drain(..) {
            apply(&change, &mut self.durable);
        }
    }
}

fn apply(change: &Change, bytes: &mut Vec<u8>) {
    match change {
        Change::Length(length) => bytes.resize(*length, 0),
        Change::Write { at, bytes: new } => {
            bytes.resize(bytes.len().max(at + new.len()), 0);
            bytes[*at..at + new.len()].copy_from_slice(new);
        }
    }
}

impl Disk for SimulatedDisk {
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.names()?;
        let there = state.names.get(name).copied();
        let file = match (there, how) {
            (Some(_), Open::New) => return Err(ErrorKind::AlreadyExists.into()),
            (Some(file), Open::Truncated) => {
                state.files[file].apply(Change::Length(0));
                file
            }
            (Some(file), _) => file,
            (None, Open::Read | Open::Write) => return Err(ErrorKind::NotFound.into()),
            (None, _) if state.full => return Err(ErrorKind::StorageFull.into()),
            (None, _) => {
                let file = state.files.len();
                state.files.push(Bytes { name: name.to_owned(), ..Bytes::default() });
                state.change(NameChange::Made(name.to_owned(), file));
                file
            }
        };
        Ok(Box::new(SimulatedFile { disk: self.clone(), file, reads_only: how == Open::Read }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.names()?;
        let file = *state.names.get(from).ok_or(ErrorKind::NotFound)?;
        state.files[file].name = to.to_owned();
        state.change(NameChange::Renamed(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.names()?;
        if !state.names.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change(NameChange::Removed(name.to_owned()));
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        drop(self.names()?);
        Ok(self.list_all(folder))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.names()?;
        let (now, later) = state.undecided.drain(..).partition::<Vec<_>, _>(|change| change.is_in(folder));
        state.undecided = later;
        for change in now {
            change.apply(&mut state.durable);
        }
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Lock>> {
        let mut state = self.names()?;
        if !state.locked.insert(name.to_owned()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimulatedLock(self.clone(), name.to_owned())))
    }
}

/// Readers meet no faults.
impl crate::Files for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.list_all(""))
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.state();
        let file = *state.names.get(name).ok_or(ErrorKind::NotFound)?;
        let rest = state.files[file].live.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
}

struct SimulatedLock(SimulatedDisk, String);

impl Lock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.0.state().locked.remove(&self.1);
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
    reads_only: bool,
}

impl SimulatedFile {
    fn may_write(&self) -> io::Result<()> {
        if self.reads_only { Err(ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].live.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let mut state = self.disk.names()?;
        let amount = state.amount(buffer.len());
        let rest = state.files[self.file].live.get(at as usize..).unwrap_or_default();
        let read = rest.len().min(amount);
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.may_write()?;
        // A write that fails may have reached the disk all the same, but not without power.
        let (mut state, error) = match self.disk.operate() {
            Ok(state) => (state, None),
            Err((state, error)) if state.off => return Err(drop_first(state, error)),
            Err((state, error)) => (state, Some(error)),
        };
        let name = state.files[self.file].name.clone();
        state.written.push((name, at, bytes.to_vec()));
        let mut amount = state.amount(bytes.len());
        if error.is_some() {
            amount = state.random.below(bytes.len() + 1);
        }
        if state.full {
            amount = amount.min(state.files[self.file].live.len().saturating_sub(at as usize));
        }
        let written = bytes[..amount].to_vec();
        state.files[self.file].apply(Change::Write { at: at as usize, bytes: written });
        match error {
            Some(error) => Err(error),
            None if amount == 0 && !bytes.is_empty() => Err(ErrorKind::StorageFull.into()),
            None => Ok(amount),
        }
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.may_write()?;
        let mut state = self.disk.names()?;
        if state.full && length as usize > state.files[self.file].live.len() {
            return Err(ErrorKind::StorageFull.into());
        }
        state.files[self.file].apply(Change::Length(length as usize));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.may_write()?;
        let (mut state, error) = match self.disk.operate() {
            Ok(state) => (state, None),
            Err((state, error)) if state.off => return Err(drop_first(state, error)),
            Err((state, error)) => (state, Some(error)),
        };
        let State { files, random, .. } = &mut *state;
        let file = &mut files[self.file];
        if error.is_some() {
            // As Linux does: what could not be written is forgotten, readers still see it, and the next sync succeeds.
            file.durable = file.after_crash(random);
            file.undecided.clear();
        }
        file.sync();
        error.map_or(Ok(()), Err)
    }
}

/// The error, once the guard that it came with is gone.
fn drop_first(guard: MutexGuard<'_, State>, error: io::Error) -> io::Error {
    drop(guard);
    error
}

/// SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_disk_keeps_the_promises_of_a_disk() {
        super::super::tests::keeps_the_promises_of_a_disk(&SimulatedDisk::new(1));
        super::super::tests::keeps_the_promises_of_a_disk(&SimulatedDisk::new(2).with_short_calls());
    }

    /// What `reads` says of the disk after each of many crashes.
    fn outcomes<T: Ord>(disk: &SimulatedDisk, reads: impl Fn(&SimulatedDisk) -> T) -> BTreeSet<T> {
        (0..2000).map(|seed| reads(&disk.after_crash(seed))).collect()
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_any_part_of_the_rest() {
        let disk = SimulatedDisk::new(0);
        let mut file = disk.open("a", Open::New).expect("creates");
        file.write_all_at(&[1; 100], 0).expect("writes");
        file.sync().expect("syncs");
        let there = |disk: &SimulatedDisk| disk.open("a", Open::Read).is_ok();
        assert_eq!(outcomes(&disk, there), [false, true].into(), "the name was not synced");
        disk.sync_folder("").expect("syncs");
        assert_eq!(outcomes(&disk, there), [true].into());

        file.write_all_at(&[2; 2000], 100).expect("writes");
        file.write_all_at(&[3; 10], 2100).expect("writes");
        let bytes = |disk: &SimulatedDisk| disk.read("a", 9999).expect("reads");
        let all = outcomes(&disk, bytes);
        assert!(all.iter().all(|bytes| bytes[..100] == [1; 100]));
        assert!(all.iter().any(|bytes| bytes.len() == 100));
        assert!(all.iter().any(|bytes| bytes.len() == 2110 && bytes[100..2100] == [2; 2000]));
        let hole = |bytes: &[u8]| bytes[100..2100].contains(&0);
        assert!(
            all.iter().any(|bytes| bytes.len() == 2110 && bytes[2100..] == [3; 10] && hole(bytes)),
            "reordered"
        );
        let torn =
            |bytes: &[u8]| !bytes.len().is_multiple_of(SECTOR) && bytes.len() < 2000 && bytes.len() > 100;
        assert!(all.iter().any(|bytes| torn(bytes)), "torn at a byte");
        file.sync().expect("syncs");
        assert_eq!(outcomes(&disk, bytes).len(), 1);
    }

    #[test]
    fn a_crash_leaves_the_old_file_or_the_new_one_of_an_exchange() {
        let disk = SimulatedDisk::new(0);
        disk.replace("a", b"old").expect("replaces");
        disk.write_new("a.new", b"new").expect("writes");
        disk.rename("a.new", "a").expect("renames");
        let bytes = |disk: &SimulatedDisk| disk.read("a", 9).expect("reads");
        assert_eq!(outcomes(&disk, bytes), [b"new".to_vec(), b"old".to_vec()].into());
        disk.remove("a").expect("removes");
        let there = |disk: &SimulatedDisk| disk.open("a", Open::Read).is_ok();
        assert_eq!(outcomes(&disk, there), [false, true].into());
        disk.sync_folder("").expect("syncs");
        assert_eq!(outcomes(&disk, there), [false].into());
    }

    #[test]
    fn a_failed_sync_forgets_and_the_next_one_does_not_say_so() {
        let lost = (0..20).filter(|&seed| {
            let disk = SimulatedDisk::new(seed);
            let mut file = disk.open("a", Open::New).expect("creates");
            disk.sync_folder("").expect("syncs");
            file.write_all_at(b"word", 0).expect("writes");
            disk.fail(0, Fault::Io);
            assert!(file.sync().is_err());
            file.sync().expect("says that all is well");
            assert_eq!(disk.read("a", 9).expect("reads"), b"word");
            disk.after_crash(0).read("a", 9).expect("reads") != b"word"
        });
        assert!((1..20).contains(&lost.count()));
    }

    #[test]
    fn a_full_disk_takes_what_fits_into_files_that_are_there() {
        let disk = SimulatedDisk::new(0);
        let mut file = disk.open("a", Open::New).expect("creates");
        file.write_all_at(&[0; 10], 0).expect("writes");
        disk.fail(0, Fault::Full);
        file.write_all_at(&[1; 10], 0).expect("overwrites");
        assert_eq!(file.write_at(&[2; 4], 8).expect("writes less"), 2);
        assert_eq!(file.write_at(&[2; 4], 10).map_err(|error| error.kind()), Err(ErrorKind::StorageFull));
        assert!(disk.open("b", Open::New).is_err());
        disk.heal();
        assert!(disk.open("b", Open::New).is_ok());
        disk.fail(1, Fault::PowerOff);
        file.write_all_at(&[3; 4], 0).expect("writes");
        assert!(file.write_at(&[4; 4], 0).is_err() && file.sync().is_err() && disk.list("").is_err());
    }
}
