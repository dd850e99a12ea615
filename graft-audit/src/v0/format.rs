//! The bytes of the format, in the order in which they stand in a file; `FORMAT.md` draws them.

use sha2::{Digest, Sha256};

/// The first bytes of every log.
pub(crate) const MAGIC: [u8; 8] = *b"graftlog";
/// The version that this code reads and writes.
pub(crate) const VERSION: u16 = 0;
/// Magic, version, log id, key commitment, digest.
pub(crate) const FILE_HEADER_LEN: usize = 8 + 2 + 16 + 32 + 32;

/// Kind, sequence, previous leaf, length: what the seal binds.
pub(crate) const BOUND_LEN: usize = 1 + 8 + 32 + 4;
/// The bound part and the digest of the payload: what the leaf is made of.
pub(crate) const FRAME_HEADER_LEN: usize = BOUND_LEN + 32;
/// The first bytes of the leaf, repeated behind the header.
pub(crate) const CHECK_LEN: usize = 8;
/// Header and check: where the payload begins.
pub(crate) const PAYLOAD_AT: usize = FRAME_HEADER_LEN + CHECK_LEN;

/// The most bytes of a payload, so that a reader's memory is bounded.
pub(crate) const MAX_PAYLOAD: usize = 64 * 1024;
/// Salt, length of the quarantined tail, its digest, MAC.
pub(crate) const OPENING_LEN: usize = SALT_LEN + 8 + 32 + MAC_LEN;
/// MAC.
pub(crate) const CLOSING_LEN: usize = MAC_LEN;

pub(crate) const SALT_LEN: usize = 16;
pub(crate) const MAC_LEN: usize = 32;
pub(crate) const TAG_LEN: usize = 16;

pub(crate) use crate::format::{Leaf, LogId};

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Opening,
    Record,
    Closing,
}

impl Kind {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Opening => b'O',
            Self::Record => b'R',
            Self::Closing => b'C',
        }
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'O' => Some(Self::Opening),
            b'R' => Some(Self::Record),
            b'C' => Some(Self::Closing),
            _ => None,
        }
    }
}

/// The header of a frame as it is stored, all integers big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// A byte and not a [`Kind`]: a later version's kinds still parse, so that they can be named.
    pub(crate) kind: u8,
    pub(crate) seq: u64,
    pub(crate) previous: Leaf,
    pub(crate) length: u32,
    pub(crate) digest: [u8; 32],
}

impl FrameHeader {
    /// A header without its digest, which can only be made once the payload is sealed under the bound part.
    pub(crate) fn bound(kind: Kind, seq: u64, previous: Leaf, length: u32) -> Self {
        Self { kind: kind.byte(), seq, previous, length, digest: [0; 32] }
    }

    pub(crate) fn encode(&self) -> [u8; FRAME_HEADER_LEN] {
        let mut bytes = [0; FRAME_HEADER_LEN];
        bytes[0] = self.kind;
        bytes[1..9].copy_from_slice(&self.seq.to_be_bytes());
        bytes[9..41].copy_from_slice(&self.previous.0);
        bytes[41..45].copy_from_slice(&self.length.to_be_bytes());
        bytes[45..].copy_from_slice(&self.digest);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; FRAME_HEADER_LEN]) -> Self {
        Self {
            kind: bytes[0],
            seq: u64::from_be_bytes(array(&bytes[1..9])),
            previous: Leaf(array(&bytes[9..41])),
            length: u32::from_be_bytes(array(&bytes[41..45])),
            digest: array(&bytes[45..]),
        }
    }
}

/// SHA-256 over the kind and the payload: without the kind in it, a record whose payload happens to be as
/// long as a closing frame's could be renamed into one.
pub(crate) fn payload_digest(kind: u8, payload: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update([kind]).chain_update(payload).finalize().into()
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
    fn a_header_prints_what_it_parsed() {
        let bytes: [u8; FRAME_HEADER_LEN] = std::array::from_fn(|i| i as u8);
        assert_eq!(FrameHeader::decode(&bytes).encode(), bytes);
    }

    #[test]
    fn kinds_and_bytes_are_one_to_one() {
        let known: Vec<_> = (0..=255).filter_map(|byte| Some((byte, Kind::from_byte(byte)?))).collect();
        assert_eq!(known.len(), 3);
        assert!(known.iter().all(|(byte, kind)| kind.byte() == *byte));
    }
}
