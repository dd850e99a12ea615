//! Everything that is made with a key: commitments, MACs and seals, for one segment at a time.

#[cfg(feature = "ring")]
mod fast;
mod index;
#[cfg(any(not(feature = "ring"), test))]
mod portable;
pub(crate) mod ratchet;

pub(crate) use index::IndexKey;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::AuditKey;
use crate::format::{LogId, PartKind, Salt, TAG_LEN};

#[cfg(feature = "ring")]
use fast::Cipher;
#[cfg(not(feature = "ring"))]
use portable::Cipher;

// Each ends in a zero byte and none has another, so no label is the beginning of another.
const SEGMENT: &[u8] = b"graft-audit 1 segment\0";
const MAC: &[u8] = b"graft-audit 1 mac\0";
const BATCH: &[u8] = b"graft-audit 1 batch\0";
const COMMITMENT: &[u8] = b"graft-audit 1 commitment\0";
const HEADER: &[u8] = b"graft-audit 1 header\0";
const COMMIT: &[u8] = b"graft-audit 1 commit\0";

type Key = Zeroizing<[u8; 32]>;

/// ChaCha20-Poly1305 (RFC 8439) under one key. The backends make the same bytes.
trait Aead: Sized {
    fn new(key: &[u8; 32]) -> Self;

    /// Encrypts `body` in place and returns the tag. `body` is a part's at most, so no backend's bound is met.
    fn seal(&self, nonce: [u8; 12], data: &[u8], body: &mut [u8]) -> [u8; TAG_LEN];

    /// Decrypts `body` in place if it is whole; what is in it otherwise is not to be used.
    fn open(&self, nonce: [u8; 12], data: &[u8], body: &mut [u8], tag: [u8; TAG_LEN]) -> bool;
}

/// The keys of one segment. Wiped from memory when dropped.
pub(crate) struct SegmentKeys {
    log: LogId,
    number: u64,
    segment: Hmac<Sha256>,
    mac: Hmac<Sha256>,
}

impl SegmentKeys {
    /// In mode *readable*: every segment's keys come from the one key.
    pub(crate) fn readable(key: &AuditKey, log: LogId, number: u64) -> Self {
        Self::derive(key.expose_secret(), log, number)
    }

    fn derive(parent: &[u8], log: LogId, number: u64) -> Self {
        let place = |key: &[u8], label: &[u8]| {
            let mac = keyed(key).chain_update(label).chain_update(log.0);
            finish(mac.chain_update(number.to_be_bytes()))
        };
        let segment = place(parent, SEGMENT);
        let mac = place(&*segment, MAC);
        Self { log, number, segment: keyed(&*segment), mac: keyed(&*mac) }
    }

    pub(crate) fn log(&self) -> LogId {
        self.log
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Tells a wrong key from damage before anything is opened with it.
    pub(crate) fn commitment(&self) -> [u8; 32] {
        self.here(&self.segment, COMMITMENT).finalize().into_bytes().into()
    }

    pub(crate) fn is_committed(&self, commitment: &[u8; 32]) -> bool {
        self.here(&self.segment, COMMITMENT).verify_slice(commitment).is_ok()
    }

    /// The MAC of the segment's header over what stands before it.
    pub(crate) fn header_mac(&self, header: &[u8]) -> [u8; 32] {
        self.mac.clone().chain_update(HEADER).chain_update(header).finalize().into_bytes().into()
    }

    pub(crate) fn is_header_mac(&self, header: &[u8], mac: &[u8; 32]) -> bool {
        self.mac.clone().chain_update(HEADER).chain_update(header).verify_slice(mac).is_ok()
    }

    /// The MAC of a commit over what stands before it.
    pub(crate) fn commit_mac(&self, commit: &[u8]) -> [u8; 32] {
        self.here(&self.mac, COMMIT).chain_update(commit).finalize().into_bytes().into()
    }

    pub(crate) fn is_commit_mac(&self, commit: &[u8], mac: &[u8; 32]) -> bool {
        self.here(&self.mac, COMMIT).chain_update(commit).verify_slice(mac).is_ok()
    }

    /// The key of one batch. The salt is fresh each time, so neither a torn tail nor an old copy nor a cloned
    /// machine ever seals a second body under the same key and nonce.
    pub(crate) fn batch(&self, salt: Salt) -> BatchKey {
        let key = finish(self.here(&self.segment, BATCH).chain_update(salt.0));
        BatchKey { cipher: Cipher::new(&key), log: self.log, number: self.number }
    }

    fn here(&self, key: &Hmac<Sha256>, label: &[u8]) -> Hmac<Sha256> {
        key.clone().chain_update(label).chain_update(self.log.0).chain_update(self.number.to_be_bytes())
    }
}

/// Seals and opens the parts of one batch.
pub(crate) struct BatchKey {
    cipher: Cipher,
    log: LogId,
    number: u64,
}

impl BatchKey {
    /// Encrypts the body that `part` begins with, in place, and writes the tag to its last bytes.
    pub(crate) fn seal(&self, seq: u64, kind: PartKind, part: &mut [u8]) {
        let data = self.data(seq, kind, part.len());
        if let Some((body, tag)) = part.split_last_chunk_mut() {
            *tag = self.cipher.seal(nonce(seq, kind), &data, body);
        }
    }

    /// Decrypts `part` in place and returns the body; `None` if this key did not seal it here.
    pub(crate) fn open<'p>(&self, seq: u64, kind: PartKind, part: &'p mut [u8]) -> Option<&'p [u8]> {
        let data = self.data(seq, kind, part.len());
        let (body, tag) = part.split_last_chunk_mut()?;
        self.cipher.open(nonce(seq, kind), &data, body, *tag).then_some(body)
    }

    /// The place of a part, which its seal covers.
    fn data(&self, seq: u64, kind: PartKind, length: usize) -> [u8; 40] {
        let mut data = [0; 40];
        data[..16].copy_from_slice(&self.log.0);
        data[16..24].copy_from_slice(&self.number.to_be_bytes());
        data[24..32].copy_from_slice(&seq.to_be_bytes());
        data[35] = kind.byte();
        data[36..].copy_from_slice(&(length as u32).to_be_bytes());
        data
    }
}

fn nonce(seq: u64, kind: PartKind) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[3] = kind.byte();
    nonce[4..].copy_from_slice(&seq.to_be_bytes());
    nonce
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let Ok(mac) = Hmac::new_from_slice(key) else { unreachable!("HMAC takes keys of any length") };
    mac
}

fn finish(mac: Hmac<Sha256>) -> Key {
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "ring")]
    use proptest::prelude::*;

    use super::*;

    /// RFC 8439, 2.8.2.
    fn rfc_8439<C: Aead>() {
        let key = std::array::from_fn(|i| 0x80 + i as u8);
        let nonce = [7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
        let data = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the \
            future, sunscreen would be it.";
        let mut body = *text;
        let tag = C::new(&key).seal(nonce, &data, &mut body);
        assert_eq!(body[..8], [0xd3, 0x1a, 0x8d, 0x34, 0x64, 0x8e, 0x60, 0xdb]);
        assert_eq!(
            tag,
            [0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a, 0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91]
        );
        let mut damaged = body;
        damaged[113] ^= 1;
        assert!(!C::new(&key).open(nonce, &data, &mut damaged, tag));
        assert!(C::new(&key).open(nonce, &data, &mut body, tag));
        assert_eq!(body, *text);
    }

    #[test]
    fn every_backend_seals_the_example_of_the_rfc() {
        rfc_8439::<portable::Cipher>();
        #[cfg(feature = "ring")]
        rfc_8439::<fast::Cipher>();
    }

    #[cfg(feature = "ring")]
    proptest! {
        #[test]
        fn the_backends_make_the_same_bytes_and_open_each_others(
            key: [u8; 32], nonce: [u8; 12], data: [u8; 40], body in proptest::collection::vec(any::<u8>(), 0..5000),
        ) {
            let (portable, fast) = (portable::Cipher::new(&key), fast::Cipher::new(&key));
            let (mut one, mut other) = (body.clone(), body.clone());
            let tag = portable.seal(nonce, &data, &mut one);
            prop_assert_eq!(tag, fast.seal(nonce, &data, &mut other));
            prop_assert_eq!(&one, &other);
            prop_assert!(fast.open(nonce, &data, &mut one, tag) && portable.open(nonce, &data, &mut other, tag));
            prop_assert!(one == body && other == body);
        }
    }

    fn keys(log: u8, number: u64) -> SegmentKeys {
        let key: [u8; 32] = std::array::from_fn(|i| (i * i) as u8);
        SegmentKeys::readable(&AuditKey::new(key).expect("strong"), LogId([log; 16]), number)
    }

    #[test]
    fn a_seal_opens_only_in_its_log_segment_batch_record_and_part() {
        let mut part = [7; 40];
        keys(1, 2).batch(Salt([3; 16])).seal(4, PartKind::Event, &mut part);
        let open = |log, number, salt, seq, kind| {
            let mut copy = part;
            keys(log, number).batch(Salt([salt; 16])).open(seq, kind, &mut copy).map(<[u8]>::to_vec)
        };
        assert_eq!(open(1, 2, 3, 4, PartKind::Event), Some(vec![7; 24]));
        let elsewhere = [
            open(0, 2, 3, 4, PartKind::Event),
            open(1, 0, 3, 4, PartKind::Event),
            open(1, 2, 0, 4, PartKind::Event),
            open(1, 2, 3, 0, PartKind::Event),
            open(1, 2, 3, 4, PartKind::Fields),
        ];
        assert_eq!(elsewhere, [const { None }; 5]);
        assert_eq!(keys(1, 2).batch(Salt([3; 16])).open(4, PartKind::Event, &mut [0; 15]), None);
    }

    #[test]
    fn macs_of_different_purposes_logs_and_segments_differ() {
        let one = keys(1, 2);
        assert!(one.is_committed(&one.commitment()));
        assert!(one.is_header_mac(b"header", &one.header_mac(b"header")));
        assert!(one.is_commit_mac(b"commit", &one.commit_mac(b"commit")));
        assert!(!one.is_commit_mac(b"header", &one.header_mac(b"header")));
        assert!(!one.is_commit_mac(b"other", &one.commit_mac(b"commit")));
        assert!(!one.is_header_mac(b"other", &one.header_mac(b"header")));
        for other in [keys(0, 2), keys(1, 3)] {
            assert!(!other.is_committed(&one.commitment()));
            assert!(!other.is_header_mac(b"header", &one.header_mac(b"header")));
            assert!(!other.is_commit_mac(b"commit", &one.commit_mac(b"commit")));
        }
    }
}
