//! A folder of the file system, with nothing but the standard library.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::{Disk, DiskFile, Lock, Open, folder_of};

/// Files and folders that it makes are for their owner alone, on Unix.
pub(crate) struct FolderDisk {
    root: PathBuf,
}

impl FolderDisk {
    /// A folder that is there already.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] or [`io::ErrorKind::NotADirectory`].
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        if std::fs::metadata(root)?.is_dir() {
            Ok(Self { root: root.to_owned() })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Makes the folder, unless it is there; its parent has to be.
    pub(crate) fn create(root: &Path) -> io::Result<Self> {
        make_folder(root)?;
        let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_names(parent.unwrap_or(Path::new(".")))?;
        Self::open(root)
    }

    /// The names are ours, and no text from outside ever reaches them; this holds that.
    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
        };
        let mut parts = name.split('/');
        if parts.clone().count() > 2 || !parts.all(plain) {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        Ok(self.root.join(name))
    }

    fn folder(&self, folder: &str) -> io::Result<PathBuf> {
        if folder.is_empty() { Ok(self.root.clone()) } else { self.path(folder) }
    }
}

impl Disk for FolderDisk {
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path(name)?;
        let folder = folder_of(name);
        if !folder.is_empty() && matches!(how, Open::New | Open::Truncated) {
            make_folder(&self.folder(folder)?)?;
        }
        let mut options = private();
        options.read(true).write(how != Open::Read);
        match how {
            Open::New => options.create_new(true),
            Open::Truncated => options.create(true).truncate(true),
            Open::Read | Open::Write => &mut options,
        };
        Ok(Box::new(FolderFile(options.open(path)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from)?, self.path(to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name)?)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(self.folder(folder)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_empty() => {
                return Ok(Vec::new());
            }
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // A name that is not UTF-8 is none of ours.
            if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        sync_names(&self.folder(folder)?)?;
        if folder.is_empty() { Ok(()) } else { sync_names(&self.root) }
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Lock>> {
        let mut options = private();
        let file = options.read(true).write(true).create(true).truncate(false).open(self.path(name)?)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(FolderFile(file))),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

struct FolderFile(File);

/// The lock is the open file's own: the system drops it with the last handle.
impl Lock for FolderFile {}

impl DiskFile for FolderFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, buffer, at)
    }

    #[cfg(unix)]
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(&self.0, bytes, at)
    }

    // A file of ours has one user at a time, so its position is nobody else's.
    #[cfg(not(unix))]
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        use io::{Read, Seek};
        (&self.0).seek(io::SeekFrom::Start(at))?;
        (&self.0).read(buffer)
    }

    #[cfg(not(unix))]
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<usize> {
        use io::{Seek, Write};
        self.0.seek(io::SeekFrom::Start(at))?;
        self.0.write(bytes)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// New files are for their owner alone.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Makes the names in a folder as durable as the bytes. Windows has no such call and needs none.
pub(crate) fn sync_names(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let place = std::env::temp_dir().join(format!("graft-audit-disk-{name}-{}", std::process::id()));
            _ = std::fs::remove_dir_all(&place);
            Self(place)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_folder_keeps_the_promises_of_a_disk() {
        let place = Place::new("promises");
        super::super::tests::keeps_the_promises_of_a_disk(&FolderDisk::create(&place.0).expect("creates"));
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let place = Place::new("names");
        let disk = FolderDisk::create(&place.0).expect("creates");
        for name in ["", "/", "../x", "a/../b", "/etc/passwd", "a/b/c", ".hidden", "a/", "/a", "a b", "a\0"] {
            let error = disk.open(name, Open::Truncated).err().expect("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidFilename, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_and_folders_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let place = Place::new("owner");
        let disk = FolderDisk::create(&place.0).expect("creates");
        disk.replace("tree/1", b"x").expect("replaces");
        let _lock = disk.lock("lock").expect("locks");
        for (name, mode) in [("", 0o700), ("tree", 0o700), ("tree/1", 0o600), ("lock", 0o600)] {
            let found = std::fs::metadata(place.0.join(name)).expect("is there").permissions().mode();
            assert_eq!(found & 0o777, mode, "{name}");
        }
    }
}
