//! The two ways in which the format hashes.

use sha2::{Digest, Sha256};

/// `SHA-256(message)`.
pub(crate) fn sha256(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// `SHA-256(prefix || message)`: the prefix tells apart what is hashed (RFC 9162, 2.1.1).
pub(crate) fn sha256_after(prefix: u8, message: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update([prefix]).chain_update(message).finalize().into()
}
