//! The file `ratchet`: the key of the last segment, sealed for the host.

use sha2::{Digest, Sha256};

use super::{Fields, LogId, Printer, Salt, TAG_LEN, VERSION, array};
use crate::What;

const MAGIC: [u8; 8] = *b"graftkey";
/// What the seal covers as data.
const HEAD: usize = 52;
const SEALED: usize = 32 + TAG_LEN;
pub(crate) const RATCHET_LEN: usize = HEAD + SEALED + 16;

/// The file as it is stored: its key is still sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RatchetFile {
    pub(crate) log: LogId,
    /// The segment whose ratchet key it holds.
    pub(crate) number: u64,
    pub(crate) salt: Salt,
    /// The key and its tag.
    pub(crate) sealed: [u8; SEALED],
}

impl RatchetFile {
    /// What the seal covers besides the key.
    pub(crate) fn head(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        Printer::new(&mut bytes)
            .put(&MAGIC)
            .put(&VERSION.to_be_bytes())
            .put(&[0; 2])
            .put(&self.log.0)
            .put(&self.number.to_be_bytes())
            .put(&self.salt.0);
        bytes
    }

    pub(crate) fn encode(&self) -> [u8; RATCHET_LEN] {
        let mut bytes = [0; RATCHET_LEN];
        Printer::new(&mut bytes).put(&self.head()).put(&self.sealed);
        let digest = Sha256::digest(&bytes[..HEAD + SEALED]);
        bytes[HEAD + SEALED..].copy_from_slice(&digest[..16]);
        bytes
    }

    /// # Errors
    /// [`What`] is wrong with the file, keys aside.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, What> {
        if !bytes.starts_with(&MAGIC) {
            return Err(What::NotALog);
        }
        if let Some(found) = bytes.get(8..10).map(|found| u16::from_be_bytes(array(found)))
            && found != VERSION
        {
            return Err(What::UnknownVersion { found });
        }
        let bytes: &[u8; RATCHET_LEN] = bytes.try_into().map_err(|_| What::DamagedHeader)?;
        if Sha256::digest(&bytes[..HEAD + SEALED])[..16] != bytes[HEAD + SEALED..] {
            return Err(What::DamagedHeader);
        }
        if bytes[10..12] != [0; 2] {
            return Err(What::Reserved);
        }
        let mut fields = Fields(&bytes[12..]);
        let (log, number, salt) = (LogId(fields.take()), fields.u64(), Salt(fields.take()));
        Ok(Self { log, number, salt, sealed: fields.take() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_prints_what_it_parsed_and_any_other_byte_or_length_is_refused() {
        let file = RatchetFile { log: LogId([1; 16]), number: 2, salt: Salt([3; 16]), sealed: [4; SEALED] };
        let bytes = file.encode();
        assert_eq!(bytes.len(), 116);
        assert_eq!(RatchetFile::decode(&bytes), Ok(file));
        for at in 0..bytes.len() {
            let mut other = bytes;
            other[at] ^= 1;
            assert!(RatchetFile::decode(&other).is_err(), "{at}");
            assert!(RatchetFile::decode(&bytes[..at]).is_err(), "{at}");
        }
        assert!(RatchetFile::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}
