//! An anchor in a file of its own.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Anchor, AnchorError, Anchored};
use crate::LogId;
use crate::disk::{private, sync_names};
use crate::note::text;
use crate::tree::{TreeHash, TreeHead};

const FIRST_LINE: &str = "graft-audit/anchor@v1";
/// The longest file: first line, id, size of 19 digits and two hashes.
const MAX_FILE: usize = 22 + 33 + 20 + 45 + 45;

/// Keeps the state of one log in a small text file, which is to lie on another disk or with other rights than
/// the log.
///
/// It is replaced as a whole, so a crash leaves the old state or the new one. A file beside it, with `.lock`
/// behind its name, is locked while it is moved. Both are for their owner alone (mode 0600 on Unix).
///
/// The text is five lines: `graft-audit/anchor@v1`, the log's id in hex, the size, the root in base64, and the
/// SHA-256 of the lines before in base64, which tells damage from a wrong state.
///
/// ```
/// use graft_audit::{Anchor, Anchored, FileAnchor, LogId, TreeHead};
/// # let folder = std::env::temp_dir().join(format!("graft-anchor-example-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let anchor = FileAnchor::new(folder.join("audit.anchor"));
/// let state = Anchored { log: LogId([1; 16]), head: TreeHead::EMPTY };
/// anchor.advance(None, &state)?;
/// assert_eq!(anchor.load(LogId([1; 16]))?, Some(state));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileAnchor {
    path: PathBuf,
}

impl FileAnchor {
    /// The anchor at this place, whose folder exists. Nothing is read or written yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(ending);
        name.into()
    }

    fn read(&self) -> Result<Option<Anchored>, AnchorError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
        parse(&bytes).map(Some).ok_or(AnchorError::Malformed)
    }

    /// Its bytes are on the disk before its name is, and its name before this returns.
    fn replace(&self, text: &str) -> io::Result<()> {
        let new = self.beside(".new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private().write(true).create_new(true).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        sync_names(folder.unwrap_or(Path::new(".")))
    }
}

impl Anchor for FileAnchor {
    fn load(&self, log: LogId) -> Result<Option<Anchored>, AnchorError> {
        let kept = self.read()?;
        if kept.is_some_and(|kept| kept.log != log) {
            return Err(AnchorError::WrongLog);
        }
        Ok(kept)
    }

    fn advance(&self, from: Option<&Anchored>, to: &Anchored) -> Result<(), AnchorError> {
        to.ensure_step(from)?;
        // Held until this returns, and gone with the process. The anchor itself cannot be locked: it is replaced.
        let lock = private().write(true).create(true).truncate(false).open(self.beside(".lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(AnchorError::Locked),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        if self.load(to.log)?.as_ref() != from {
            return Err(AnchorError::Conflict);
        }
        if from != Some(to) {
            self.replace(&print(to))?;
        }
        Ok(())
    }
}

impl fmt::Debug for FileAnchor {
    /// Without the path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileAnchor")
    }
}

fn print(state: &Anchored) -> String {
    let root = text::print_hash(&state.head.root);
    let text = format!("{FIRST_LINE}\n{}\n{}\n{root}\n", state.log, state.head.size);
    let check = text::print_hash(&check(&text));
    format!("{text}{check}\n")
}

/// Only what prints as the same bytes.
fn parse(bytes: &[u8]) -> Option<Anchored> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_prefix(FIRST_LINE)?.strip_prefix('\n')?.split('\n');
    let log = hex(lines.next()?)?;
    let size = text::decimal(lines.next()?)?;
    let root = text::hash(lines.next()?)?;
    let state = Anchored { log, head: TreeHead { size, root } };
    (print(&state) == text).then_some(state)
}

fn check(text: &str) -> TreeHash {
    TreeHash(Sha256::digest(text).into())
}

fn hex(text: &str) -> Option<LogId> {
    let mut id = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(LogId(id))
}
