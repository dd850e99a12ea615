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
const MAX_TURNS: u64 = if cfg!(test) { 1 << 12 } else { 1 << 20 };
/// The same behind a segment that opened: the next one follows, or a few are missing between the two.
const MAX_GAP: u64 = MAX_TURNS / 256;

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
    turns: Turns,
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
        // One for each key, and one for the file.
        let turns = Turns { left: MAX_TURNS.saturating_mul(ring.0.len() as u64 + 1), at_most: MAX_TURNS };
        Ok(Self { ring, turned: ring.0.iter().map(|_| None).collect(), kept, turns })
    }

    /// The keys of this segment, if they come from one of those in the ring. Of one far behind the last that opened
    /// they are not looked for.
    ///
    /// # Errors
    /// [`What::Forged`] if the header says otherwise than whoever has the key wrote.
    pub(crate) fn find(&mut self, opened: &Opened) -> Result<Option<Found>, What> {
        let found = self.search(opened)?;
        if found.is_some() {
            self.turns.at_most = MAX_GAP;
        }
        Ok(found)
    }

    fn search(&mut self, opened: &Opened) -> Result<Option<Found>, What> {
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
                    let ratchet = from.map_or_else(root, |(_, ratchet)| ratchet);
                    let (ratchet, is_there) = self.turns.turn(ratchet, header.number);
                    let (_, ratchet) = turned.insert((header.key_from, ratchet));
                    is_there.then(|| ratchet.segment())
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
            let (kept, is_there) = self.turns.turn(kept, header.number);
            let kept = self.kept.insert(kept);
            if is_there
                && let keys = kept.segment()
                && opened.is_keyed(&keys)?
            {
                return Ok(Some(Found { keys, is_host: true }));
            }
        }
        Ok(None)
    }
}

/// What headers may ask of whoever reads them: anybody can make a file that claims a high number.
struct Turns {
    /// In all.
    left: u64,
    /// For one segment.
    at_most: u64,
}

impl Turns {
    /// The ratchet at this number, or where it stood if the way is too long; and whether it is there.
    fn turn(&mut self, mut ratchet: Ratchet, number: u64) -> (Ratchet, bool) {
        let Some(turns) = number.checked_sub(ratchet.number()) else { return (ratchet, false) };
        if turns > self.at_most.min(self.left) {
            return (ratchet, false);
        }
        self.left -= turns;
        while ratchet.number() < number {
            ratchet = ratchet.next();
        }
        (ratchet, true)
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::sample_log::{MemoryFiles, SampleLog, key};
    use crate::scan::open_segment;

    /// A header that somebody without the key made of a good one.
    fn made_up(files: &mut MemoryFiles, number: u64, key_from: u64) -> Opened {
        let mut header = files.segment(0)[..216].to_vec();
        header[32..40].copy_from_slice(&number.to_be_bytes());
        header[40..48].copy_from_slice(&key_from.to_be_bytes());
        let digest = Sha256::digest(&header[..184]);
        header[184..].copy_from_slice(&digest);
        *files.segment(number) = header;
        open_segment(files, number).expect("reads").expect("a good digest")
    }

    #[test]
    fn a_made_up_number_costs_few_turns_behind_a_good_segment_and_a_bounded_number_before() {
        let mut files = SampleLog::new(1, Mode::Sealed, key(1)).files;
        let good = open_segment(&files, 0).expect("reads").expect("good");
        let ring = KeyRing::from(key(1));
        for is_behind in [true, false] {
            let mut opener = Opener::new(&ring, &files).expect("reads");
            if is_behind {
                assert!(opener.find(&good).expect("good").is_some());
            }
            let before = opener.turns.left;
            for n in 0..20 {
                // Each begins the ratchet anew.
                let opened = made_up(&mut files, MAX_TURNS - 20 + n, n % 2);
                assert!(opener.find(&opened).expect("of nobody").is_none());
            }
            let spent = before - opener.turns.left;
            assert!(if is_behind { spent == 0 } else { spent <= 2 * MAX_TURNS }, "{spent}");
        }
    }

    #[test]
    fn keys_are_found_over_many_segments_and_behind_a_small_gap() {
        let mut log = SampleLog::new(1, Mode::Sealed, key(1));
        (0..2 * MAX_GAP).for_each(|_| log.rotate(None));
        let ring: KeyRing = [key(9), key(1)].into_iter().collect();
        let found = |numbers: &[u64]| {
            let mut opener = Opener::new(&ring, &log.files).expect("reads");
            let find = |&number: &u64| {
                let opened = open_segment(&log.files, number).expect("reads").expect("good");
                opener.find(&opened).expect("good").is_some()
            };
            numbers.iter().map(find).collect::<Vec<_>>()
        };
        assert!(found(&(0..=2 * MAX_GAP).collect::<Vec<_>>()).iter().all(|found| *found));
        // The first that is there may have any number, if those before were pruned.
        assert_eq!(found(&[2 * MAX_GAP]), [true]);
        assert_eq!(found(&[0, MAX_GAP]), [true, true]);
        assert_eq!(found(&[0, MAX_GAP + 1]), [true, false]);
    }
}
