//! The keys that a reader has.

use std::fmt;
use std::io;

use crate::format::{Mode, RATCHET_LEN, RatchetFile};
use crate::scan::{Files, Opened, read_full};
use crate::seal::SegmentKeys;
use crate::seal::ratchet::Ratchet;
use crate::{AuditKey, What};

/// How many segments a ratchet is turned over to reach the one that is asked for: what a header claims is not
/// believed further. A segment an hour, these are more than a hundred years.
const MAX_TURNS: u64 = 1 << 20;

/// The keys to read a log with: one, or several after the key was rotated. Which key is for which segment is
/// found by the commitments in the segments' headers.
///
/// What kind of key each is need not be said: that of a log in mode *readable*, the master key of one in mode
/// *sealed*, or its host key, which opens the last segment alone.
///
/// ```
/// use graft_audit::{AuditKey, KeyRing};
/// let ring: KeyRing = [AuditKey::generate()?, AuditKey::generate()?].into_iter().collect();
/// assert_eq!(format!("{ring:?}"), "KeyRing(2 keys)");
/// # Ok::<(), graft_audit::AuditError>(())
/// ```
#[derive(Clone, Default)]
pub struct KeyRing(Vec<AuditKey>);

impl KeyRing {
    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a key.
    pub fn add(&mut self, key: AuditKey) {
        self.0.push(key);
    }
}

impl From<AuditKey> for KeyRing {
    fn from(key: AuditKey) -> Self {
        Self(vec![key])
    }
}

impl FromIterator<AuditKey> for KeyRing {
    fn from_iter<I: IntoIterator<Item = AuditKey>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.0.len())
    }
}

/// Opens the segments of one log, best in their order.
pub(crate) struct Opener<'r> {
    ring: &'r KeyRing,
    /// For each key, the ratchet that it was turned to last, and the first segment under it.
    turned: Vec<Option<(u64, Ratchet)>>,
    /// What the file `ratchet` holds, if one of the keys opens it.
    kept: Option<Ratchet>,
}

/// The keys of a segment, and whose they are.
pub(crate) struct Found {
    pub(crate) keys: SegmentKeys,
    /// Only the last segments open with it: it is the host's, not the master's.
    pub(crate) is_host: bool,
}

impl<'r> Opener<'r> {
    /// Reads the file `ratchet` as well, if there is one. A damaged one opens nothing: whether the log itself is
    /// whole does not depend on it.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn new(ring: &'r KeyRing, files: &dyn Files) -> io::Result<Self> {
        let mut bytes = [0; RATCHET_LEN + 1];
        let kept = match read_full(files, "ratchet", 0, &mut bytes) {
            Ok(read) => RatchetFile::decode(&bytes[..read]).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let kept = kept.and_then(|file| ring.0.iter().find_map(|key| Ratchet::unwrap(key, &file)));
        Ok(Self { ring, turned: ring.0.iter().map(|_| None).collect(), kept })
    }

    /// The keys of this segment, if they come from one of those in the ring.
    ///
    /// # Errors
    /// [`What::Forged`] if the header says otherwise than whoever has the key wrote.
    pub(crate) fn find(&mut self, opened: &Opened) -> Result<Option<Found>, What> {
        let header = &opened.header;
        for (key, turned) in self.ring.0.iter().zip(&mut self.turned) {
            let keys = match header.mode {
                Mode::Readable => Some(SegmentKeys::readable(key, header.log, header.number)),
                Mode::Sealed => {
                    let from = turned.take().filter(|(from, ratchet)| {
                        *from == header.key_from
                            && ratchet.log() == header.log
                            && ratchet.number() <= header.number
                    });
                    let root = || Ratchet::root(key, header.log, header.key_from);
                    let ratchet = turn(from.map_or_else(root, |(_, ratchet)| ratchet), header.number);
                    let keys = ratchet.as_ref().map(Ratchet::segment);
                    *turned = ratchet.map(|ratchet| (header.key_from, ratchet));
                    keys
                }
            };
            if let Some(keys) = keys
                && opened.is_keyed(&keys)?
            {
                return Ok(Some(Found { keys, is_host: false }));
            }
        }
        let kept = self.kept.take_if(|kept| kept.log() == header.log && kept.number() <= header.number);
        if let Some(kept) = kept.filter(|_| header.mode == Mode::Sealed) {
            let ratchet = turn(kept, header.number);
            let keys = ratchet.as_ref().map(Ratchet::segment);
            self.kept = ratchet;
            if let Some(keys) = keys
                && opened.is_keyed(&keys)?
            {
                return Ok(Some(Found { keys, is_host: true }));
            }
        }
        Ok(None)
    }
}

fn turn(mut ratchet: Ratchet, number: u64) -> Option<Ratchet> {
    if number.checked_sub(ratchet.number())? > MAX_TURNS {
        return None;
    }
    while ratchet.number() < number {
        ratchet = ratchet.next();
    }
    Some(ratchet)
}
