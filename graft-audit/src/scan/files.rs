//! Where the bytes come from.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::format::segment_number;

/// A folder of files that is only read. Whoever keeps logs elsewhere than in a folder implements it.
pub trait Files: Sync {
    /// The names of the files in the folder itself, in any order, and those like a segment's whatever they name.
    ///
    /// # Errors
    /// Those of the disk.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Reads into the beginning of `buffer` from byte `offset` of the file on, and returns how much; 0 at its end.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such file, [`io::ErrorKind::InvalidInput`] if it is no regular file,
    /// and those of the disk.
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
            let entry = entry?;
            // A name that is not UTF-8 is none of ours. One like a segment's is never passed over.
            if let Ok(name) = entry.file_name().into_string()
                && (entry.file_type()?.is_file() || segment_number(&name).is_some())
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        use std::io::{Read, Seek, SeekFrom};
        let path = self.0.join(name);
        // Opening a pipe would wait for whoever writes into it, and a device or a link may have no end.
        if !std::fs::symlink_metadata(&path)?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut file = File::open(path)?;
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::format::{Mode, segment_name};
    use crate::sample_log::{key, small};
    use crate::{AuditError, Place, Reader, Verifier, What};

    /// What stands in a segment's place, and how it is made.
    type Make = (&'static str, fn(&Path));

    struct Removed(PathBuf);

    impl Drop for Removed {
        fn drop(&mut self) {
            _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_segment_that_is_no_regular_file_is_named_and_nothing_waits_for_it() {
        let makes: [Make; 5] = [
            ("folder", |path| std::fs::create_dir(path).expect("makes")),
            ("device", |path| symlink("/dev/zero", path).expect("links")),
            ("nothing", |path| symlink("nowhere", path).expect("links")),
            ("link", |path| {
                let elsewhere = path.with_file_name("elsewhere");
                std::fs::write(&elsewhere, &small(1, Mode::Readable).files.0[&segment_name(2)])
                    .expect("writes");
                symlink(&elsewhere, path).expect("links");
            }),
            ("pipe", |path| {
                assert!(std::process::Command::new("mkfifo").arg(path).status().expect("runs").success());
            }),
        ];
        for (name, make) in makes {
            for number in [2, 3] {
                let root =
                    std::env::temp_dir().join(format!("graft-audit-{name}-{number}-{}", std::process::id()));
                let root = Removed(root);
                _ = std::fs::remove_dir_all(&root.0);
                std::fs::create_dir(&root.0).expect("makes");
                for (name, bytes) in &small(1, Mode::Readable).files.0 {
                    std::fs::write(root.0.join(name), bytes).expect("writes");
                }
                let path = root.0.join(segment_name(number));
                if number == 2 {
                    std::fs::remove_file(&path).expect("removes");
                }
                make(&path);
                let (done, result) = mpsc::channel();
                let folder = root.0.clone();
                // What waits for ever waits in its own thread.
                std::thread::spawn(move || {
                    let report = Verifier::new().key(key(1)).verify(&folder).expect("reads");
                    _ = done.send((report, Reader::open(&folder, key(1)).err()));
                });
                let (report, refused) = result.recv_timeout(Duration::from_secs(20)).expect("ends");
                let expected = (number, Place::Segment, What::NotAFile);
                let found = report.first_bad().expect("it is found");
                assert_eq!((found.segment, found.place, found.what), expected, "{name}");
                assert!(
                    matches!(refused, Some(AuditError::Broken(found)) if found.what == What::NotAFile),
                    "{name}"
                );
            }
        }
    }
}
