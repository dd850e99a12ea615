//! The bytes of the format; `FORMAT.md` draws them, in the order of the modules here.
//!
//! Every `decode` takes bytes of the right length and refuses what it did not print: checks first, so that
//! damage is never taken for something else, then what this version does not know.

mod batch;
mod commit;
mod hash;
mod ratchet;
mod record;
mod segment;

use std::fmt;

use sha2::{Digest, Sha256};

pub(crate) use batch::{BATCH_HEADER_LEN, BatchHeader};
pub(crate) use commit::{COMMIT_LEN, COMMIT_MACED, Commit, Mark, ReadCommit};
pub(crate) use hash::{sha256, sha256_after};
pub(crate) use ratchet::{RATCHET_LEN, RatchetFile};
pub use record::PartKind;
pub(crate) use record::{MAX_RECORD_HEADER, PartHeader, RecordHeader, record_header_len};
pub use segment::{Mode, segment_name, segment_number};
pub(crate) use segment::{ReadHeader, SEGMENT_PREFIX, SegmentHeader};

/// The version that this code reads and writes.
pub(crate) const VERSION: u16 = 1;
/// The first bytes of a frame's digest, repeated in it: a frame can be recognised anywhere in a file.
pub(crate) const CHECK_LEN: usize = 8;
pub(crate) const TAG_LEN: usize = 16;
/// The most bytes of a body, so that a reader's memory is bounded.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// The most bytes of a batch, commit included: what a reader holds at a time.
pub(crate) const MAX_BATCH: usize = 4 * 1024 * 1024;

macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

hex_bytes! {
    /// SHA-256 over a zero byte and the header of a record: the link of the chain and the leaf of the Merkle
    /// tree (RFC 9162, 2.1) at once.
    ///
    /// It is no secret: it says nothing of what the record holds.
    Leaf, 32
}
hex_bytes! {
    /// 16 random bytes that name a log.
    LogId, 16
}
hex_bytes! {
    /// 16 random bytes that make the key of a batch its own. No secret.
    Salt, 16
}
hex_bytes! {
    /// SHA-256 over a commit: what the next commit follows.
    CommitDigest, 32
}

impl Leaf {
    /// The leaf of the header of a record, without its check.
    pub(crate) fn of(header: &[u8]) -> Self {
        Self(sha256_after(0, header))
    }

    /// Its first bytes, which stand behind the header.
    pub(crate) fn check(&self) -> &[u8] {
        &self.0[..CHECK_LEN]
    }

    /// What the first record of a log follows.
    pub(crate) fn genesis(log: LogId) -> Self {
        Self(Sha256::new().chain_update(b"graft-audit 1 genesis\0").chain_update(log.0).finalize().into())
    }
}

impl CommitDigest {
    /// What the first commit of a log follows.
    pub(crate) const NONE: Self = Self([0; 32]);
}

/// Prints fields one behind the other.
struct Printer<'a>(&'a mut [u8], usize);

impl<'a> Printer<'a> {
    fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes, 0)
    }

    fn put(&mut self, field: &[u8]) -> &mut Self {
        self.0[self.1..self.1 + field.len()].copy_from_slice(field);
        self.1 += field.len();
        self
    }
}

/// Takes fields one behind the other from bytes that are known to be long enough.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_at(N);
        self.0 = rest;
        array(field)
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }
}

/// The first `N` bytes of a slice that has them.
pub(crate) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_the_documented_hash() {
        // printf '\0abc' | sha256sum
        assert!(Leaf::of(b"abc").to_string().starts_with("609f6e36d2405585"), "{}", Leaf::of(b"abc"));
    }
}
