//! Where the bytes come from.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A folder of files that is only read. Whoever keeps logs elsewhere than in a folder implements it.
pub trait Files: Sync {
    /// The names of the files in the folder itself, in any order.
    ///
    /// # Errors
    /// Those of the disk.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Reads into the beginning of `buffer` from byte `offset` of the file on, and returns how much; 0 at its end.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such file, and those of the disk.
    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A folder of the file system.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`. Nothing is read yet.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_owned())
    }
}

impl Files for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = File::open(self.0.join(name))?;
        file.seek(SeekFrom::Start(offset))?;
        file.read(buffer)
    }
}

/// Reads until `buffer` is full or the file ends, and returns how much there was.
pub(crate) fn read_full(files: &dyn Files, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match files.read_at(name, offset + filled as u64, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
