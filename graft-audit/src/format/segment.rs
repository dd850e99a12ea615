//! The header of a segment, and the name of its file.

use sha2::{Digest, Sha256};

use super::{CommitDigest, Fields, Leaf, LogId, Printer, VERSION, array};
use crate::What;
use crate::tree::{Frontier, TreeHash};

const MAGIC: [u8; 8] = *b"graftlog";
/// SHA-256, HMAC-SHA256, ChaCha20-Poly1305.
const SUITE: u8 = 1;
/// What says how long the header is: everything up to and including the sequence of the first record.
pub(crate) const SEGMENT_PREFIX: usize = 56;
const FRONTIER_AT: usize = 120;
/// Key commitment, MAC, digest.
const BEHIND_FRONTIER: usize = 3 * 32;

/// How the keys of segments come from the key of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Whoever has the key reads all of the log, and could have written all of it.
    #[default]
    Readable,
    /// The host keeps the key of the last segment alone; what was sealed before opens with the master key, which
    /// the host does not keep.
    Sealed,
}

/// The first bytes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log: LogId,
    pub(crate) mode: Mode,
    /// The number of the segment, from 0.
    pub(crate) number: u64,
    /// The number of the first segment under the same key.
    pub(crate) key_from: u64,
    /// The tree over all records before the segment: its size is the sequence of the first record in it.
    pub(crate) tree: Frontier,
    pub(crate) previous_leaf: Leaf,
    pub(crate) previous_commit: CommitDigest,
}

/// A header as it was read. Its digest holds; whether its key is ours is not known yet.
pub(crate) struct ReadHeader<'a> {
    pub(crate) header: SegmentHeader,
    pub(crate) commitment: [u8; 32],
    /// What the MAC covers.
    pub(crate) maced: &'a [u8],
    pub(crate) mac: [u8; 32],
}

impl SegmentHeader {
    /// How many bytes it takes.
    pub(crate) fn len(&self) -> usize {
        FRONTIER_AT + 32 * self.tree.hashes().len() + BEHIND_FRONTIER
    }

    /// Prints it; `mac` is asked for the MAC over what stands before it.
    pub(crate) fn encode(&self, commitment: &[u8; 32], mac: impl FnOnce(&[u8]) -> [u8; 32]) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        let mut printer = Printer::new(&mut bytes);
        printer
            .put(&MAGIC)
            .put(&VERSION.to_be_bytes())
            .put(&[SUITE, self.mode.byte()])
            .put(&[0; 4])
            .put(&self.log.0)
            .put(&self.number.to_be_bytes())
            .put(&self.key_from.to_be_bytes())
            .put(&self.tree.size().to_be_bytes())
            .put(&self.previous_leaf.0)
            .put(&self.previous_commit.0);
        for hash in self.tree.hashes() {
            printer.put(&hash.0);
        }
        printer.put(commitment);
        let at = printer.1;
        let mac = mac(&bytes[..at]);
        bytes[at..at + 32].copy_from_slice(&mac);
        let digest = Sha256::digest(&bytes[..at + 32]);
        bytes[at + 32..].copy_from_slice(&digest);
        bytes
    }

    /// How long the header is that begins with `prefix`. A size that damage made up gives a length too: the
    /// digest is then wrong.
    ///
    /// # Errors
    /// [`What::NotALog`] or [`What::UnknownVersion`].
    pub(crate) fn len_of(prefix: &[u8; SEGMENT_PREFIX]) -> Result<usize, What> {
        if prefix[..8] != MAGIC {
            return Err(What::NotALog);
        }
        let found = u16::from_be_bytes(array(&prefix[8..]));
        if found != VERSION {
            return Err(What::UnknownVersion { found });
        }
        let first = u64::from_be_bytes(array(&prefix[48..]));
        Ok(FRONTIER_AT + 32 * first.count_ones() as usize + BEHIND_FRONTIER)
    }

    /// Reads a header of the length that [`len_of`](Self::len_of) gave.
    ///
    /// # Errors
    /// [`What`] is wrong with it, keys aside.
    pub(crate) fn decode(bytes: &[u8]) -> Result<ReadHeader<'_>, What> {
        let (digested, digest) = bytes.split_at(bytes.len() - 32);
        if Sha256::digest(digested)[..] != *digest {
            return Err(What::DamagedHeader);
        }
        let (maced, mac) = digested.split_at(digested.len() - 32);
        if maced[10] != SUITE {
            return Err(What::UnknownSuite { found: maced[10] });
        }
        let mode = Mode::from_byte(maced[11]).ok_or(What::UnknownMode { found: maced[11] })?;
        if maced[12..16] != [0; 4] {
            return Err(What::Reserved);
        }
        let mut fields = Fields(&maced[16..]);
        let (log, number, key_from) = (LogId(fields.take()), fields.u64(), fields.u64());
        let (first, previous_leaf) = (fields.u64(), Leaf(fields.take()));
        let previous_commit = CommitDigest(fields.take());
        let hashes: Vec<_> = (0..first.count_ones()).map(|_| TreeHash(fields.take())).collect();
        let tree = Frontier::restore(first, &hashes).map_err(|_| What::Impossible)?;
        let header = Self { log, mode, number, key_from, tree, previous_leaf, previous_commit };
        let begins_log = header.tree.size() == 0 && previous_commit == CommitDigest::NONE;
        if key_from > number
            || (header.tree.size() == 0 && previous_leaf != Leaf::genesis(log))
            || (number == 0 && !begins_log)
        {
            return Err(What::Impossible);
        }
        Ok(ReadHeader { header, commitment: fields.take(), maced, mac: array(mac) })
    }
}

impl Mode {
    const fn byte(self) -> u8 {
        match self {
            Self::Readable => 0,
            Self::Sealed => 1,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Readable),
            1 => Some(Self::Sealed),
            _ => None,
        }
    }
}

/// The file name of a segment.
///
/// ```
/// assert_eq!(graft_audit::segment_name(7), "0000000007.seg");
/// assert_eq!(graft_audit::segment_number("0000000007.seg"), Some(7));
/// ```
pub fn segment_name(number: u64) -> String {
    format!("{number:010}.seg")
}

/// The number of the segment with this file name; `None` for any other name.
pub fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".seg")?.parse().ok()?;
    // A sign, or fewer or more zeros than we print, is another name.
    (segment_name(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn header(records: u64) -> SegmentHeader {
        let mut tree = Frontier::new();
        (0..records).for_each(|n| tree.push(Leaf([n as u8; 32])));
        let log = LogId([7; 16]);
        let previous_leaf = if records == 0 { Leaf::genesis(log) } else { Leaf([8; 32]) };
        let previous_commit = CommitDigest([9; 32]);
        SegmentHeader {
            log,
            mode: Mode::Sealed,
            number: 5,
            key_from: 3,
            tree,
            previous_leaf,
            previous_commit,
        }
    }

    fn encode(header: &SegmentHeader) -> Vec<u8> {
        header.encode(&[10; 32], |maced| Sha256::digest(maced).into())
    }

    #[test]
    fn a_header_prints_what_it_parsed() {
        for records in [0, 1, 2, 3, 7, 8, 255] {
            let bytes = encode(&header(records));
            assert_eq!(bytes.len(), 216 + 32 * records.count_ones() as usize);
            assert_eq!(SegmentHeader::len_of(&array(&bytes)), Ok(bytes.len()));
            let read = SegmentHeader::decode(&bytes).expect("good");
            assert_eq!((read.header, read.commitment), (header(records), [10; 32]));
            assert_eq!(read.mac[..], Sha256::digest(read.maced)[..]);
        }
    }

    #[test]
    fn what_a_header_does_not_say_in_this_version_is_named() {
        let bytes = encode(&header(3));
        let with = |at: usize, byte: u8| {
            let mut other = bytes.clone();
            other[at] = byte;
            let end = other.len() - 32;
            let digest = Sha256::digest(&other[..end]);
            other[end..].copy_from_slice(&digest);
            SegmentHeader::len_of(&array(&other)).and_then(|_| SegmentHeader::decode(&other).map(|_| ()))
        };
        assert_eq!(with(0, b'G'), Err(What::NotALog));
        assert_eq!(with(9, 2), Err(What::UnknownVersion { found: 2 }));
        assert_eq!(with(10, 2), Err(What::UnknownSuite { found: 2 }));
        assert_eq!(with(11, 2), Err(What::UnknownMode { found: 2 }));
        assert_eq!([12, 13, 14, 15].map(|at| with(at, 1)), [Err(What::Reserved); 4]);
        assert_eq!(with(47, 6), Err(What::Impossible), "under the key of a later segment");
        let mut damaged = bytes.clone();
        damaged[100] ^= 1;
        assert_eq!(SegmentHeader::decode(&damaged).err(), Some(What::DamagedHeader));
        let mut other_log = header(0);
        other_log.log = LogId([6; 16]);
        assert_eq!(SegmentHeader::decode(&encode(&other_log)).err(), Some(What::Impossible));
    }

    #[test]
    fn names_and_numbers_of_segments_are_one_to_one() {
        for number in [0, 1, 9_999_999_999, 10_000_000_000, u64::MAX] {
            assert_eq!(segment_number(&segment_name(number)), Some(number));
        }
        for name in ["0.seg", "+000000007.seg", "00000000007.seg", "0000000007.seg.tmp", "lock", ".seg"] {
            assert_eq!(segment_number(name), None, "{name}");
        }
    }
}
