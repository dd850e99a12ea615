//! The keys of an index: everything in it is sealed, and what is searched for is searched for under a keyed hash.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Aead, Cipher, SegmentKeys, finish, keyed};
use crate::format::{Salt, TAG_LEN, array};

const SEAL: &[u8] = b"graft-audit 1 index\0";
const TAGS: &[u8] = b"graft-audit 1 index tags\0";

/// The keys of one index of one segment.
pub(crate) struct IndexKey {
    cipher: Cipher,
    tags: Hmac<Sha256>,
}

impl SegmentKeys {
    /// The keys of an index of this segment. The salt is fresh each time one is written, so that no two of
    /// them seal under one key.
    pub(crate) fn index(&self, salt: Salt) -> IndexKey {
        let derive = |label| finish(self.here(&self.segment, label).chain_update(salt.0));
        IndexKey { cipher: Cipher::new(&derive(SEAL)), tags: keyed(&*derive(TAGS)) }
    }
}

impl IndexKey {
    /// Encrypts all of `block` but its last 16 bytes, in place, and writes the tag there. A number seals one block.
    pub(crate) fn seal(&self, number: u64, data: &[u8], block: &mut [u8]) {
        if let Some((body, tag)) = block.split_last_chunk_mut::<TAG_LEN>() {
            *tag = self.cipher.seal(nonce(number), data, body);
        }
    }

    /// Decrypts `block` in place and returns it without the tag; `None` if this key did not seal it as this number.
    pub(crate) fn open<'b>(&self, number: u64, data: &[u8], block: &'b mut [u8]) -> Option<&'b [u8]> {
        let (body, tag) = block.split_last_chunk_mut::<TAG_LEN>()?;
        self.cipher.open(nonce(number), data, body, *tag).then_some(body)
    }

    /// What stands in the index for `field` having the value.
    pub(crate) fn tag(&self, field: u8, value: &[&[u8]]) -> u64 {
        let mac =
            value.iter().fold(self.tags.clone().chain_update([field]), |mac, part| mac.chain_update(part));
        u64::from_be_bytes(array(&mac.finalize().into_bytes()))
    }
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}
