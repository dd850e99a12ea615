//! The header of a batch: what was written at once.

use sha2::{Digest, Sha256};

use super::{CHECK_LEN, Fields, Printer, Salt};
use crate::What;

pub(crate) const BATCH_HEADER_LEN: usize = 32 + CHECK_LEN;

/// The first bytes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// The sequence of its first record.
    pub(crate) first: u64,
    pub(crate) salt: Salt,
}

impl BatchHeader {
    pub(crate) const KIND: u8 = b'B';

    pub(crate) fn encode(&self) -> [u8; BATCH_HEADER_LEN] {
        let mut bytes = [0; BATCH_HEADER_LEN];
        Printer::new(&mut bytes)
            .put(&[Self::KIND])
            .put(&[0; 7])
            .put(&self.first.to_be_bytes())
            .put(&self.salt.0);
        let check = check(&bytes);
        bytes[32..].copy_from_slice(&check);
        bytes
    }

    /// # Errors
    /// [`What::DamagedHeader`] if these bytes are no batch header, [`What::Reserved`] if they are one of a later
    /// version.
    pub(crate) fn decode(bytes: &[u8; BATCH_HEADER_LEN]) -> Result<Self, What> {
        if bytes[0] != Self::KIND || check(bytes) != bytes[32..] {
            return Err(What::DamagedHeader);
        }
        if bytes[1..8] != [0; 7] {
            return Err(What::Reserved);
        }
        let mut fields = Fields(&bytes[8..]);
        Ok(Self { first: fields.u64(), salt: Salt(fields.take()) })
    }
}

fn check(bytes: &[u8; BATCH_HEADER_LEN]) -> [u8; CHECK_LEN] {
    let digest = Sha256::new().chain_update([2]).chain_update(&bytes[..32]).finalize();
    super::array(&digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_prints_what_it_parsed_and_any_other_byte_is_refused() {
        let header = BatchHeader { first: 0x0102_0304_0506_0708, salt: Salt([9; 16]) };
        let bytes = header.encode();
        assert_eq!(BatchHeader::decode(&bytes), Ok(header));
        for at in 0..bytes.len() {
            let mut other = bytes;
            other[at] ^= 1;
            assert_eq!(BatchHeader::decode(&other), Err(What::DamagedHeader), "{at}");
        }
        let mut later = bytes;
        later[7] = 1;
        let check = check(&later);
        later[32..].copy_from_slice(&check);
        assert_eq!(BatchHeader::decode(&later), Err(What::Reserved));
    }
}
