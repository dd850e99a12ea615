//! Mode *sealed*: a key that goes on from segment to segment and cannot be turned back.

use hmac::Mac;
use zeroize::Zeroizing;

use super::{Aead, Cipher, Key, SegmentKeys, finish, keyed};
use crate::AuditKey;
use crate::format::{LogId, RatchetFile, Salt};

const ROOT: &[u8] = b"graft-audit 1 ratchet root\0";
const STEP: &[u8] = b"graft-audit 1 ratchet\0";
const WRAP: &[u8] = b"graft-audit 1 wrap\0";

/// The ratchet key of one segment. Wiped from memory when dropped.
pub(crate) struct Ratchet {
    log: LogId,
    number: u64,
    key: Key,
}

impl Ratchet {
    /// The ratchet of the first segment under this master key.
    pub(crate) fn root(master: &AuditKey, log: LogId, key_from: u64) -> Self {
        Self::at(master.expose_secret(), ROOT, log, key_from)
    }

    fn at(parent: &[u8], label: &[u8], log: LogId, number: u64) -> Self {
        let mac = keyed(parent).chain_update(label).chain_update(log.0).chain_update(number.to_be_bytes());
        Self { log, number, key: finish(mac) }
    }

    /// That of the segment behind this one; from it this one cannot be told.
    pub(crate) fn next(&self) -> Self {
        Self::at(&*self.key, STEP, self.log, self.number + 1)
    }

    pub(crate) fn log(&self) -> LogId {
        self.log
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The keys of this segment.
    pub(crate) fn segment(&self) -> SegmentKeys {
        SegmentKeys::derive(&*self.key, self.log, self.number)
    }

    /// Seals it for the host, under a salt that must be fresh.
    pub(crate) fn wrap(&self, host: &AuditKey, salt: Salt) -> RatchetFile {
        let mut file = RatchetFile { log: self.log, number: self.number, salt, sealed: [0; 48] };
        let head = file.head();
        if let Some((body, tag)) = file.sealed.split_last_chunk_mut() {
            body.copy_from_slice(&*self.key);
            // The salt makes this key one of its own, so that its nonce is used once.
            *tag = wrapping(host, self.log, salt).seal([0; 12], &head, body);
        }
        file
    }

    /// Opens what [`wrap`](Self::wrap) sealed; `None` if this key did not.
    pub(crate) fn unwrap(host: &AuditKey, file: &RatchetFile) -> Option<Self> {
        let mut sealed = Zeroizing::new(file.sealed);
        let (body, tag) = sealed.split_last_chunk_mut()?;
        if !wrapping(host, file.log, file.salt).open([0; 12], &file.head(), body, *tag) {
            return None;
        }
        let mut key = Key::default();
        key.copy_from_slice(body);
        Some(Self { log: file.log, number: file.number, key })
    }
}

fn wrapping(host: &AuditKey, log: LogId, salt: Salt) -> Cipher {
    let mac = keyed(host.expose_secret()).chain_update(WRAP).chain_update(log.0).chain_update(salt.0);
    Cipher::new(&finish(mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> AuditKey {
        let key: [u8; 32] = std::array::from_fn(|i| (i * i) as u8 ^ n);
        AuditKey::new(key).expect("strong")
    }

    #[test]
    fn the_host_goes_on_from_what_it_kept_as_the_master_key_would() {
        let log = LogId([1; 16]);
        let third = Ratchet::root(&key(0), log, 2).next();
        let file = third.wrap(&key(1), Salt([5; 16]));
        let kept = Ratchet::unwrap(&key(1), &file).expect("its own");
        assert_eq!(kept.number(), 3);
        assert_eq!(kept.segment().commitment(), third.segment().commitment());
        assert_eq!(kept.next().segment().commitment(), third.next().segment().commitment());
        let all = [third.segment(), third.next().segment(), Ratchet::root(&key(0), log, 2).segment()];
        let [a, b, c] = all.map(|keys| keys.commitment());
        assert!(a != b && b != c && a != c);
    }

    #[test]
    fn a_ratchet_file_opens_with_its_own_key_and_as_it_was_alone() {
        let file = Ratchet::root(&key(0), LogId([1; 16]), 0).wrap(&key(1), Salt([5; 16]));
        assert!(Ratchet::unwrap(&key(0), &file).is_none());
        let others = [
            RatchetFile { log: LogId([2; 16]), ..file },
            RatchetFile { number: 1, ..file },
            RatchetFile { salt: Salt([6; 16]), ..file },
        ];
        assert!(others.iter().all(|other| Ratchet::unwrap(&key(1), other).is_none()));
    }
}
