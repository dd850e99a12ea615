//! Where the keys of segments come from, in both modes, and the file `ratchet`.

use std::io;

use crate::disk::{Disk, Open};
use crate::format::{LogId, Mode, RATCHET_LEN, RatchetFile, Salt, array};
use crate::seal::SegmentKeys;
use crate::seal::ratchet::Ratchet;
use crate::{AuditError, AuditKey};

const FILE: &str = "ratchet";
/// The one that takes its place.
const NEXT: &str = "ratchet.new";

/// The keys of one segment, and the way to those of the next.
pub(super) enum HostKeys {
    Readable { key: AuditKey, log: LogId, number: u64 },
    Sealed { ratchet: Ratchet, host: AuditKey },
}

impl HostKeys {
    pub(super) fn mode(&self) -> Mode {
        match self {
            Self::Readable { .. } => Mode::Readable,
            Self::Sealed { .. } => Mode::Sealed,
        }
    }

    /// The key that the host opens the log with.
    pub(super) fn key(&self) -> AuditKey {
        match self {
            Self::Readable { key, .. } => key.clone(),
            Self::Sealed { host, .. } => host.clone(),
        }
    }

    /// The keys of its segment.
    pub(super) fn segment(&self) -> SegmentKeys {
        match self {
            Self::Readable { key, log, number } => SegmentKeys::readable(key, *log, *number),
            Self::Sealed { ratchet, .. } => ratchet.segment(),
        }
    }

    /// Those of the segment behind: under the same key, or under `change`, which is the master key in mode *sealed*.
    pub(super) fn next(&self, change: Option<AuditKey>) -> Self {
        match self {
            Self::Readable { key, log, number } => {
                Self::Readable { key: change.unwrap_or_else(|| key.clone()), log: *log, number: number + 1 }
            }
            Self::Sealed { ratchet, host } => Self::Sealed {
                ratchet: match change {
                    None => ratchet.next(),
                    Some(master) => Ratchet::root(&master, ratchet.log(), ratchet.number() + 1),
                },
                host: host.clone(),
            },
        }
    }

    /// What the host keeps of it, in mode *sealed*.
    pub(super) fn file(&self) -> Result<Option<[u8; RATCHET_LEN]>, AuditError> {
        match self {
            Self::Readable { .. } => Ok(None),
            Self::Sealed { ratchet, host } => Ok(Some(ratchet.wrap(host, Salt(super::random()?)).encode())),
        }
    }

    /// The ring of the last segment, as the disk has it.
    ///
    /// A crash between the beginning of a segment and the exchange of the file leaves the file of the segment
    /// before, and the new one beside it: whichever is that of the last segment is taken.
    ///
    /// # Errors
    /// [`AuditError::WrongKey`] if `key` opens none; [`AuditError::NoRatchet`] if none is that of the segment.
    pub(super) fn open(
        disk: &dyn Disk,
        mode: Mode,
        key: &AuditKey,
        log: LogId,
        number: u64,
    ) -> Result<Self, AuditError> {
        if mode == Mode::Readable {
            return Ok(Self::Readable { key: key.clone(), log, number });
        }
        let mut wrong = false;
        for name in [FILE, NEXT] {
            let Some(file) = read(disk, name)?.filter(|file| (file.log, file.number) == (log, number)) else {
                continue;
            };
            match Ratchet::unwrap(key, &file) {
                Some(ratchet) => {
                    if name == NEXT {
                        take_place(disk)?;
                    }
                    return Ok(Self::Sealed { ratchet, host: key.clone() });
                }
                None => wrong = true,
            }
        }
        Err(if wrong { AuditError::WrongKey } else { AuditError::NoRatchet })
    }
}

/// Writes the file of the next segment beside that of this one. It does not count yet.
pub(super) fn prepare(disk: &dyn Disk, file: &[u8; RATCHET_LEN]) -> io::Result<()> {
    disk.write_new(NEXT, file)?;
    disk.sync_folder("")
}

/// Exchanges the file, now that its segment is there, and overwrites the old one: what it held must not be
/// found. Doing it twice does no harm.
pub(super) fn take_place(disk: &dyn Disk) -> io::Result<()> {
    match disk.open(FILE, Open::Write) {
        Ok(mut old) => {
            old.write_all_at(&[0; RATCHET_LEN], 0)?;
            old.sync()?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    disk.rename(NEXT, FILE)?;
    disk.sync_folder("")
}

/// The file if it is there and whole; another one will do otherwise, or none.
fn read(disk: &dyn Disk, name: &str) -> Result<Option<RatchetFile>, AuditError> {
    match disk.read(name, RATCHET_LEN) {
        Ok(bytes) if bytes.len() == RATCHET_LEN => {
            Ok(RatchetFile::decode(&array::<RATCHET_LEN>(&bytes)).ok())
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
