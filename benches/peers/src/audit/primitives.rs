//! What the cryptography of a record takes at least: its leaf, the digest of its part, a node of the tree, and
//! the seal of its body; apart, and one after the other.

use std::hint::black_box;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use sha2::{Digest, Sha256};

use super::{BODY, Folder};
use crate::harness::{Bench, Case, Failure, Round};

/// Bytes that are hashed for the leaf of a record with one part, for the digest of that part, and for a node.
const LEAF: usize = 85;
const PART: usize = BODY + 16;
const NODE: usize = 65;
/// Bytes that a seal covers but does not hold.
const DATA: [u8; 40] = [7; 40];

/// The names of the floors.
pub const PORTABLE: &str = "primitives, RustCrypto";
pub const FAST: &str = "primitives, ring's seal";

pub fn run(bench: &mut Bench, _: &Folder) -> Result<(), Failure> {
    let mut cases = floors()?;
    let (leaf, part, node) = ([1; LEAF], [2; PART], [3; NODE]);
    let (mut portable, mut fast) = (Portable::new()?, Fast::new()?);
    cases.extend([
        hash("SHA-256 of 85 bytes, RustCrypto", leaf, rust_crypto),
        hash("SHA-256 of 216 bytes, RustCrypto", part, rust_crypto),
        hash("SHA-256 of 65 bytes, a node, RustCrypto", node, rust_crypto),
        hash("SHA-256 of 85 bytes, ring", leaf, by_ring),
        hash("SHA-256 of 216 bytes, ring", part, by_ring),
        hash("SHA-256 of 65 bytes, a node, ring", node, by_ring),
        Case::new("a seal of 200 bytes, RustCrypto", move |round| round.together(|| portable.seal())),
        Case::new("a seal of 200 bytes, ring", move |round| round.together(|| fast.seal())),
    ]);
    bench.compare("the primitives of a record, time for each", cases)
}

/// The primitives of a record one after the other, with either seal: what graft can at most do.
pub fn floors<'a>() -> Result<Vec<Case<'a>>, Failure> {
    let (mut portable, mut fast) = (Portable::new()?, Fast::new()?);
    Ok(vec![
        Case::new(FAST, move |round| in_turn(round, || fast.seal())),
        Case::new(PORTABLE, move |round| in_turn(round, || portable.seal())),
    ])
}

fn in_turn(round: &mut Round, mut seal: impl FnMut() -> Result<(), Failure>) -> Result<(), Failure> {
    let (leaf, part, node) = ([1; LEAF], [2; PART], [3; NODE]);
    round.together(|| {
        seal()?;
        black_box(rust_crypto(black_box(&part)));
        black_box(rust_crypto(black_box(&leaf)));
        black_box(rust_crypto(black_box(&node)));
        Ok(())
    })
}

fn hash<'a, const N: usize>(name: &str, bytes: [u8; N], hash: fn(&[u8]) -> [u8; 32]) -> Case<'a> {
    Case::new(name, move |round| round.together(|| Ok(hash(black_box(&bytes))))).bytes(N)
}

fn rust_crypto(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn by_ring(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    digest
}

/// Seals the same buffer over and over, with a nonce that counts.
struct Portable(ChaCha20Poly1305, [u8; BODY], u64);

impl Portable {
    fn new() -> Result<Self, Failure> {
        Ok(Self(ChaCha20Poly1305::new(&Key::from([5; 32])), [4; BODY], 0))
    }

    fn seal(&mut self) -> Result<(), Failure> {
        self.2 += 1;
        let nonce = Nonce::from(nonce(self.2));
        let tag = self.0.encrypt_inout_detached(&nonce, &DATA, self.1.as_mut_slice().into());
        black_box(tag.map_err(|_| "RustCrypto does not seal")?);
        Ok(())
    }
}

struct Fast(Sealer, [u8; BODY], u64);

impl Fast {
    fn new() -> Result<Self, Failure> {
        Ok(Self(Sealer::new()?, [4; BODY], 0))
    }

    fn seal(&mut self) -> Result<(), Failure> {
        self.2 += 1;
        black_box(self.0.seal(self.2, &mut self.1)?);
        Ok(())
    }
}

/// Seals with ring, here and in what most would write around SQLite.
pub struct Sealer(LessSafeKey);

impl Sealer {
    pub fn new() -> Result<Self, Failure> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &[5; 32]).map_err(|_| "ring takes no key")?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals in place; the tag comes back.
    pub fn seal(&self, number: u64, body: &mut [u8]) -> Result<[u8; 16], Failure> {
        let nonce = ring::aead::Nonce::assume_unique_for_key(nonce(number));
        let sealed = self.0.seal_in_place_separate_tag(nonce, Aad::from(DATA), body);
        let mut tag = [0; 16];
        tag.copy_from_slice(sealed.map_err(|_| "ring does not seal")?.as_ref());
        Ok(tag)
    }
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}
