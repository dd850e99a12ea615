//! The backend in plain Rust: builds everywhere, without a C compiler.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

use super::Aead;
use crate::format::TAG_LEN;

pub(super) struct Cipher(ChaCha20Poly1305);

impl Aead for Cipher {
    fn new(key: &[u8; 32]) -> Self {
        Self(ChaCha20Poly1305::new(key.into()))
    }

    fn seal(&self, nonce: [u8; 12], data: &[u8], body: &mut [u8]) -> [u8; TAG_LEN] {
        let Ok(tag) = self.0.encrypt_inout_detached(&nonce.into(), data, body.into()) else {
            unreachable!("a part is below the cipher's 256 GiB")
        };
        tag.into()
    }

    fn open(&self, nonce: [u8; 12], data: &[u8], body: &mut [u8], tag: [u8; TAG_LEN]) -> bool {
        self.0.decrypt_inout_detached(&nonce.into(), data, body.into(), &tag.into()).is_ok()
    }
}
