//! Everything that is made with the key: commitment, batch keys, seals and MACs.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{AuditError, AuditKey};
use crate::v0::format::{BOUND_LEN, LogId, MAC_LEN, SALT_LEN, TAG_LEN};

// Each ends in a zero byte and none has another, so no label is the beginning of another.
const COMMITMENT: &[u8] = b"graft-audit 0 commitment\0";
const BATCH: &[u8] = b"graft-audit 0 batch\0";
const FRAME: &[u8] = b"graft-audit 0 frame\0";

/// The key as it is used for one log.
#[derive(Clone)]
pub(crate) struct Keys {
    key: AuditKey,
    log: LogId,
}

impl Keys {
    pub(crate) fn new(key: &AuditKey, log: LogId) -> Self {
        Self { key: key.clone(), log }
    }

    /// Tells a wrong key from damage before anything is opened with it.
    pub(crate) fn commitment(&self) -> [u8; MAC_LEN] {
        self.mac(COMMITMENT).finalize().into_bytes().into()
    }

    pub(crate) fn is_committed(&self, commitment: &[u8; MAC_LEN]) -> bool {
        self.mac(COMMITMENT).verify_slice(commitment).is_ok()
    }

    /// The key of the records behind one opening. The salt is fresh each time a log is opened, so a torn
    /// tail, an old copy or a cloned machine never seals a second record under the same key and number.
    pub(crate) fn batch(&self, salt: &[u8; SALT_LEN]) -> Batch {
        let key =
            Zeroizing::new(<[u8; 32]>::from(self.mac(BATCH).chain_update(salt).finalize().into_bytes()));
        Batch { cipher: ChaCha20Poly1305::new((&*key).into()), log: self.log }
    }

    /// The MAC of an opening or closing frame over its bound part and what stands before the MAC.
    pub(crate) fn frame_mac(&self, bound: &[u8; BOUND_LEN], rest: &[u8]) -> [u8; MAC_LEN] {
        self.mac(FRAME).chain_update(bound).chain_update(rest).finalize().into_bytes().into()
    }

    pub(crate) fn is_frame_mac(&self, bound: &[u8; BOUND_LEN], rest: &[u8], mac: &[u8]) -> bool {
        self.mac(FRAME).chain_update(bound).chain_update(rest).verify_slice(mac).is_ok()
    }

    fn mac(&self, label: &[u8]) -> Hmac<Sha256> {
        let Ok(mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.key.expose_secret()) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.chain_update(label).chain_update(self.log.0)
    }
}

/// Seals and opens the records behind one opening.
pub(crate) struct Batch {
    cipher: ChaCha20Poly1305,
    log: LogId,
}

impl Batch {
    /// Encrypts `body` in place and returns the tag that goes behind it.
    pub(crate) fn seal(
        &self,
        bound: &[u8; BOUND_LEN],
        seq: u64,
        body: &mut [u8],
    ) -> Result<[u8; TAG_LEN], AuditError> {
        let sealed = self.cipher.encrypt_inout_detached(&nonce(seq).into(), &self.bind(bound), body.into());
        // The cipher's own bound is 256 GiB.
        Ok(sealed.map_err(|_| AuditError::TooLarge)?.into())
    }

    /// Decrypts `payload` in place; `None` if this key did not seal it here.
    pub(crate) fn open<'p>(
        &self,
        bound: &[u8; BOUND_LEN],
        seq: u64,
        payload: &'p mut [u8],
    ) -> Option<&'p [u8]> {
        let (body, tag) = payload.split_last_chunk_mut::<TAG_LEN>()?;
        let tag = (&*tag).into();
        self.cipher
            .decrypt_inout_detached(&nonce(seq).into(), &self.bind(bound), (&mut *body).into(), tag)
            .ok()?;
        Some(body)
    }

    /// The associated data: the log, and all of the header that is known before sealing.
    fn bind(&self, bound: &[u8; BOUND_LEN]) -> [u8; 16 + BOUND_LEN] {
        let mut data = [0; 16 + BOUND_LEN];
        data[..16].copy_from_slice(&self.log.0);
        data[16..].copy_from_slice(bound);
        data
    }
}

fn nonce(seq: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&seq.to_be_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(log: u8) -> Keys {
        let key: [u8; 32] = std::array::from_fn(|i| (i * i) as u8);
        Keys::new(&AuditKey::new(key).expect("strong"), LogId([log; 16]))
    }

    #[test]
    fn a_seal_opens_only_with_its_log_salt_place_and_number() {
        let bound = [7; BOUND_LEN];
        let mut sealed = *b"body............";
        let tag = keys(1).batch(&[2; 16]).seal(&bound, 3, &mut sealed).expect("seals");
        let payload = [&sealed[..], &tag].concat();
        let open = |log, salt, bound, seq| {
            keys(log)
                .batch(&[salt; 16])
                .open(&[bound; BOUND_LEN], seq, &mut payload.clone())
                .map(<[u8]>::to_vec)
        };
        assert_eq!(open(1, 2, 7, 3).expect("opens"), b"body............");
        assert_eq!(
            [open(0, 2, 7, 3), open(1, 0, 7, 3), open(1, 2, 0, 3), open(1, 2, 7, 0)],
            [const { None }; 4]
        );
        assert_eq!(keys(1).batch(&[2; 16]).open(&bound, 3, &mut [0; 15]), None);
    }

    #[test]
    fn macs_of_different_purposes_and_logs_differ() {
        let one = keys(1);
        assert!(one.is_committed(&one.commitment()));
        assert!(!one.is_committed(&keys(2).commitment()));
        let mac = one.frame_mac(&[0; BOUND_LEN], b"salt");
        assert!(one.is_frame_mac(&[0; BOUND_LEN], b"salt", &mac));
        assert!(!one.is_frame_mac(&[0; BOUND_LEN], b"sal", &mac));
        assert!(!one.is_frame_mac(&[1; BOUND_LEN], b"salt", &mac));
        assert!(!one.is_committed(&mac));
    }
}
