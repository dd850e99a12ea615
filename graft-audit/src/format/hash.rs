//! SHA-256 of messages that lie in memory whole, which is all that the format hashes for each record.
//!
//! The blocks go to the compression function of `sha2` as they lie; its own `Sha256` copies them and wipes its state,
//! which costs a fifth more for messages as short as these, and nothing here is secret.

use sha2::block_api::compress256;

/// FIPS 180-4, 5.3.3.
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// `SHA-256(message)`.
pub(crate) fn sha256(message: &[u8]) -> [u8; 32] {
    finish(START, message, message.len())
}

/// `SHA-256(prefix || message)`.
pub(crate) fn sha256_after(prefix: u8, message: &[u8]) -> [u8; 32] {
    let length = 1 + message.len();
    let mut block = [0; 64];
    block[0] = prefix;
    let Some((first, rest)) = message.split_at_checked(63) else {
        block[1..length].copy_from_slice(message);
        return finish(START, &block[..length], length);
    };
    block[1..].copy_from_slice(first);
    let mut state = START;
    compress256(&mut state, &[block]);
    finish(state, rest, length)
}

/// Hashes the rest of a message of `length` bytes, and the padding behind it (FIPS 180-4, 5.1.1).
fn finish(mut state: [u32; 8], rest: &[u8], length: usize) -> [u8; 32] {
    let (blocks, rest) = rest.as_chunks();
    if !blocks.is_empty() {
        compress256(&mut state, blocks);
    }
    let mut last = [[0; 64]; 2];
    last[0][..rest.len()].copy_from_slice(rest);
    last[0][rest.len()] = 0x80;
    // The length in bits takes 8 bytes; where the block has no room for them behind the mark, another has.
    let used = if rest.len() < 56 { &mut last[..1] } else { &mut last[..] };
    if let Some(end) = used.last_mut() {
        end[56..].copy_from_slice(&(length as u64 * 8).to_be_bytes());
    }
    compress256(&mut state, used);
    let mut digest = [0; 32];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    digest
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn every_length_hashes_as_the_library_does() {
        let message: Vec<_> = (0..400).map(|n| (n * 7) as u8).collect();
        for length in 0..message.len() {
            let message = &message[..length];
            assert_eq!(sha256(message)[..], Sha256::digest(message)[..], "{length}");
            let prefixed = [&[9], message].concat();
            assert_eq!(sha256_after(9, message)[..], Sha256::digest(prefixed)[..], "{length}");
        }
    }
}
