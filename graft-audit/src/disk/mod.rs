//! The seam between the log's logic and the disk, so that tests can be the disk.

use std::io;

mod folder;
#[cfg(test)]
mod simulated;

pub(crate) use folder::{FolderDisk, private, sync_names};
#[cfg(test)]
pub(crate) use simulated::{Fault, Random, SimulatedDisk};

/// A folder of files. A name is flat or one level deep, like `tree/1`; the folder of a deep name is made with
/// the first file in it.
///
/// What a crash leaves: of the bytes that were written and not synced, any; of the names that were made,
/// removed or exchanged since [`sync_folder`](Self::sync_folder), any. Bytes that nobody was writing stay as
/// they are, also when their neighbours were being written.
pub(crate) trait Disk: Send + Sync {
    /// Opens one file.
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, in the place of the file that had it, at once: a crash leaves the one or the other.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of the files in a folder, sorted and without its own name; `""` is the root. A folder that is
    /// not there has none.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Returns once the names in a folder, and its own, are as durable as synced bytes.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;

    /// Keeps other writers out until the lock is dropped or the process ends, however it ends.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another has it.
    fn lock(&self, name: &str) -> io::Result<Box<dyn Lock>>;

    /// Puts a small file in the place of the one that has this name: a crash leaves the one or the other, and
    /// once this returns the new one.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let fresh = format!("{name}.new");
        self.write_new(&fresh, bytes)?;
        self.rename(&fresh, name)?;
        self.sync_folder(folder_of(name))
    }

    /// Writes a file from its beginning and syncs its bytes; its name is not synced.
    fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.open(name, Open::Truncated)?;
        file.write_all_at(bytes, 0)?;
        file.sync()
    }

    /// A whole small file.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] if it has more than `most` bytes.
    fn read(&self, name: &str, most: usize) -> io::Result<Vec<u8>> {
        let file = self.open(name, Open::Read)?;
        let mut bytes =
            vec![0; most.saturating_add(1).min(usize::try_from(file.length()?).unwrap_or(most) + 1)];
        let read = file.read_full_at(&mut bytes, 0)?;
        bytes.truncate(read);
        if read > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    /// To read what is there.
    Read,
    /// To read and write what is there.
    Write,
    /// To read and write; it must not be there yet.
    New,
    /// To read and write from an empty beginning, whether it was there or not.
    Truncated,
}

/// A file without a position: each call says where.
pub(crate) trait DiskFile: Send + Sync {
    /// In bytes.
    fn length(&self) -> io::Result<u64>;

    /// Reads into the beginning of `buffer` and returns how much; 0 at the end.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes some of `bytes` and returns how much. After an error, any part may have been written.
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<usize>;

    /// Cuts the file to `length` bytes, or fills it up with zeros.
    fn set_length(&mut self, length: u64) -> io::Result<()>;

    /// Returns once the bytes, and the length, are on the disk. After an error what was written since the last
    /// success may be lost, and a second try that succeeds says nothing about it.
    fn sync(&mut self) -> io::Result<()>;

    /// Reads until `buffer` is full or the file ends, and returns how much there was.
    fn read_full_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Writes all of `bytes`.
    fn write_all_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            match self.write_at(&bytes[written..], at + written as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Held as long as nobody else may write.
pub(crate) trait Lock: Send + Sync {}

/// The folder that a name lies in; `""` is the root.
pub(crate) fn folder_of(name: &str) -> &str {
    name.split_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    /// What every disk does when nothing goes wrong.
    pub(super) fn keeps_the_promises_of_a_disk(disk: &dyn Disk) {
        let kind = |result: io::Result<Box<dyn DiskFile>>| result.err().map(|error| error.kind());
        assert_eq!(kind(disk.open("a", Open::Read)), Some(ErrorKind::NotFound));
        assert_eq!(kind(disk.open("a", Open::Write)), Some(ErrorKind::NotFound));
        assert!(disk.list("tree").expect("lists").is_empty());

        let mut file = disk.open("a", Open::New).expect("creates");
        assert_eq!(kind(disk.open("a", Open::New)), Some(ErrorKind::AlreadyExists));
        file.write_all_at(b"there", 6).expect("writes");
        file.write_all_at(b"hello,", 0).expect("writes");
        file.sync().expect("syncs");
        assert_eq!(file.length().expect("is there"), 11);
        assert_eq!(disk.read("a", 11).expect("reads"), b"hello,there");
        assert_eq!(disk.read("a", 10).map_err(|error| error.kind()), Err(ErrorKind::FileTooLarge));
        file.set_length(2).expect("cuts");
        file.set_length(4).expect("fills up");
        assert_eq!(file.read_at(&mut [0; 8], 4).expect("reads"), 0);
        assert_eq!(disk.read("a", 99).expect("reads"), b"he\0\0");

        disk.replace("a", b"other").expect("replaces");
        assert_eq!(disk.read("a", 99).expect("reads"), b"other");
        disk.replace("tree/1", b"1").expect("makes the folder");
        disk.rename("a", "b").expect("renames");
        assert_eq!(disk.list("").expect("lists"), ["b"]);
        assert_eq!(disk.list("tree").expect("lists"), ["1"]);
        disk.remove("b").expect("removes");
        disk.sync_folder("").expect("syncs");
        assert!(disk.list("").expect("lists").is_empty());

        let lock = disk.lock("lock").expect("locks");
        assert_eq!(disk.lock("lock").err().map(|error| error.kind()), Some(ErrorKind::WouldBlock));
        drop(lock);
        assert!(disk.lock("lock").is_ok());
    }
}
