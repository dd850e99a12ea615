//! The seam between the log's logic and the disk, so that tests can be the disk.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::AuditError;

/// What a log asks of a disk. It has one file, which only grows, except for [`Storage::truncate`].
pub(crate) trait Storage: Read + Seek + Send {
    /// Writes at the end. After an error, any part may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything that was appended or truncated is on the disk.
    fn sync(&mut self) -> io::Result<()>;

    /// Copies everything from `offset` on to a place of its own, and returns once it is on the disk.
    /// Doing it twice leaves one copy.
    fn quarantine(&mut self, offset: u64) -> io::Result<()>;

    /// Drops everything from `length` on.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// A locked file. The lock is the file's own and goes with it, however the process ends.
pub(crate) struct FileStorage {
    file: File,
    path: PathBuf,
}

impl FileStorage {
    pub(crate) fn create(path: &Path) -> Result<Self, AuditError> {
        let mut options = private();
        let storage = Self::lock(options.create_new(true), path)?;
        sync_folder(path)?;
        Ok(storage)
    }

    pub(crate) fn open(path: &Path) -> Result<Self, AuditError> {
        Self::lock(&mut private(), path)
    }

    fn lock(options: &mut OpenOptions, path: &Path) -> Result<Self, AuditError> {
        let file = options.read(true).append(true).open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => AuditError::Missing,
            io::ErrorKind::AlreadyExists => AuditError::Exists,
            _ => AuditError::Io(error),
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path: path.to_owned() }),
            Err(std::fs::TryLockError::WouldBlock) => Err(AuditError::Locked),
            Err(std::fs::TryLockError::Error(error)) => Err(AuditError::Io(error)),
        }
    }

    /// `acts.graft-log.torn-1234`, or with `-2` and so on behind it if an earlier tail of other bytes lies there.
    fn quarantine_path(&self, offset: u64, attempt: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".torn-{offset}"));
        if attempt > 1 {
            name.push(format!("-{attempt}"));
        }
        name.into()
    }
}

impl Storage for FileStorage {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn quarantine(&mut self, offset: u64) -> io::Result<()> {
        let mut attempt = 1;
        let mut copy = loop {
            let path = self.quarantine_path(offset, attempt);
            match private().write(true).create_new(true).open(&path) {
                Ok(copy) => break copy,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.file.seek(SeekFrom::Start(offset))?;
                    // A crash between the copy and the truncation leaves a copy that need not be made again.
                    if same_bytes(&mut self.file, &mut File::open(&path)?)? {
                        return Ok(());
                    }
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        };
        self.file.seek(SeekFrom::Start(offset))?;
        io::copy(&mut self.file, &mut copy)?;
        copy.sync_all()?;
        sync_folder(&self.path)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
}

impl Read for FileStorage {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for FileStorage {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// New files are for their owner alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes the name of a new file as durable as its bytes. Windows has no such call and needs none.
fn sync_folder(file: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn same_bytes(a: &mut impl Read, b: &mut impl Read) -> io::Result<bool> {
    let mut buffers = [[0; 4096]; 2];
    loop {
        let [left, right] = &mut buffers;
        let read = crate::v0::frames::read_full(a, left)?;
        if read != crate::v0::frames::read_full(b, right)? || left[..read] != right[..read] {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}
