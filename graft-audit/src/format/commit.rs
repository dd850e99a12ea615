//! The commit that closes a batch, and with that makes it count.

use sha2::{Digest, Sha256};

use super::{CHECK_LEN, CommitDigest, Fields, Leaf, Printer, Salt};
use crate::What;
use crate::tree::TreeHash;

pub(crate) const COMMIT_LEN: usize = 168;
/// What the MAC covers.
pub(crate) const COMMIT_MACED: usize = 128;
const DIGESTED: usize = 160;

/// What a commit says of what comes behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nothing: more may follow.
    #[default]
    None,
    /// The log was closed.
    Closed,
    /// The segment ends here, and another follows.
    SegmentEnd,
}

/// The last bytes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) mark: Mark,
    /// How many records are in the batch.
    pub(crate) count: u32,
    /// How many records are in the log, this batch included.
    pub(crate) size: u64,
    pub(crate) salt: Salt,
    pub(crate) last_leaf: Leaf,
    pub(crate) root: TreeHash,
    pub(crate) previous: CommitDigest,
}

/// A commit as it was read. Its check holds; whether its MAC does is not known yet.
#[derive(Clone, Copy)]
pub(crate) struct ReadCommit {
    pub(crate) commit: Commit,
    pub(crate) mac: [u8; 32],
    pub(crate) digest: CommitDigest,
}

impl Commit {
    pub(crate) const KIND: u8 = b'C';

    /// Prints it; `mac` is asked for the MAC over what stands before it.
    pub(crate) fn encode(&self, mac: impl FnOnce(&[u8]) -> [u8; 32]) -> ([u8; COMMIT_LEN], CommitDigest) {
        let mut bytes = [0; COMMIT_LEN];
        Printer::new(&mut bytes)
            .put(&[Self::KIND, self.mark.byte(), 0, 0])
            .put(&self.count.to_be_bytes())
            .put(&self.size.to_be_bytes())
            .put(&self.salt.0)
            .put(&self.last_leaf.0)
            .put(&self.root.0)
            .put(&self.previous.0);
        let mac = mac(&bytes[..COMMIT_MACED]);
        bytes[COMMIT_MACED..DIGESTED].copy_from_slice(&mac);
        let digest = digest(&bytes);
        bytes[DIGESTED..].copy_from_slice(&digest.0[..CHECK_LEN]);
        (bytes, digest)
    }

    /// # Errors
    /// [`What::DamagedHeader`] if these bytes are no commit, or what this version does not know in one.
    pub(crate) fn decode(bytes: &[u8; COMMIT_LEN]) -> Result<ReadCommit, What> {
        let digest = digest(bytes);
        if bytes[0] != Self::KIND || digest.0[..CHECK_LEN] != bytes[DIGESTED..] {
            return Err(What::DamagedHeader);
        }
        if bytes[2..4] != [0; 2] {
            return Err(What::Reserved);
        }
        let mark = Mark::from_byte(bytes[1]).ok_or(What::UnknownMark { found: bytes[1] })?;
        let mut fields = Fields(&bytes[4..]);
        let commit = Self {
            mark,
            count: fields.u32(),
            size: fields.u64(),
            salt: Salt(fields.take()),
            last_leaf: Leaf(fields.take()),
            root: TreeHash(fields.take()),
            previous: CommitDigest(fields.take()),
        };
        if u64::from(commit.count) > commit.size || (commit.count == 0 && mark == Mark::None) {
            return Err(What::Impossible);
        }
        Ok(ReadCommit { commit, mac: fields.take(), digest })
    }
}

impl Mark {
    const fn byte(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Closed => 1,
            Self::SegmentEnd => 2,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::None),
            1 => Some(Self::Closed),
            2 => Some(Self::SegmentEnd),
            _ => None,
        }
    }
}

fn digest(bytes: &[u8; COMMIT_LEN]) -> CommitDigest {
    CommitDigest(Sha256::new().chain_update([3]).chain_update(&bytes[..DIGESTED]).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit() -> Commit {
        Commit {
            mark: Mark::Closed,
            count: 2,
            size: 0x0102_0304_0506_0708,
            salt: Salt([1; 16]),
            last_leaf: Leaf([2; 32]),
            root: TreeHash([3; 32]),
            previous: CommitDigest([4; 32]),
        }
    }

    #[test]
    fn a_commit_prints_what_it_parsed_and_any_other_byte_is_refused() {
        let (bytes, digest) = commit().encode(|maced| Sha256::digest(maced).into());
        let read = Commit::decode(&bytes).expect("good");
        assert_eq!((read.commit, read.digest), (commit(), digest));
        assert_eq!(read.mac[..], Sha256::digest(&bytes[..COMMIT_MACED])[..]);
        for at in 0..bytes.len() {
            let mut other = bytes;
            other[at] ^= 1;
            assert_eq!(Commit::decode(&other).err(), Some(What::DamagedHeader), "{at}");
        }
    }

    #[test]
    fn what_a_commit_does_not_say_in_this_version_is_named() {
        let with = |at: usize, byte: u8| {
            let (mut bytes, _) = commit().encode(|_| [5; 32]);
            bytes[at] = byte;
            let digest = digest(&bytes);
            bytes[DIGESTED..].copy_from_slice(&digest.0[..CHECK_LEN]);
            Commit::decode(&bytes).map(|read| read.commit.mark)
        };
        assert_eq!([with(2, 1), with(3, 1)], [Err(What::Reserved); 2]);
        assert_eq!(with(1, 3), Err(What::UnknownMark { found: 3 }));
        assert_eq!(with(1, 2), Ok(Mark::SegmentEnd));
        let empty = Commit { count: 0, mark: Mark::None, ..commit() };
        let too_many = Commit { count: 3, size: 2, ..commit() };
        for impossible in [empty, too_many] {
            let (bytes, _) = impossible.encode(|_| [5; 32]);
            assert_eq!(Commit::decode(&bytes).err(), Some(What::Impossible));
        }
    }
}
