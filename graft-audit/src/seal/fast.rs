//! The fast backend: ring's assembler.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::Aead;
use crate::format::TAG_LEN;

/// ring does not wipe a key when it is dropped, as the portable backend does.
pub(super) struct Cipher(LessSafeKey);

impl Aead for Cipher {
    fn new(key: &[u8; 32]) -> Self {
        let Ok(key) = UnboundKey::new(&CHACHA20_POLY1305, key) else {
            unreachable!("the key is as long as the cipher's")
        };
        Self(LessSafeKey::new(key))
    }

    fn seal(&self, nonce: [u8; 12], data: &[u8], body: &mut [u8]) -> [u8; TAG_LEN] {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let Ok(tag) = self.0.seal_in_place_separate_tag(nonce, Aad::from(data), body) else {
            unreachable!("a part is below the cipher's 256 GiB")
        };
        crate::format::array(tag.as_ref())
    }

    fn open(&self, nonce: [u8; 12], data: &[u8], body: &mut [u8], tag: [u8; TAG_LEN]) -> bool {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place_separate_tag(nonce, Aad::from(data), tag.into(), body, 0..).is_ok()
    }
}
