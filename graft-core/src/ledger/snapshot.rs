//! A ledger at rest: sealed under the host's key, bound to its run, its policy and its epoch.
//!
//! `SNAPSHOT.md` beside the crate's manifest has the format byte by byte; the constants follow its order.
//! The salt is a MAC of everything that is sealed, as in RFC 5297 (synthetic initialisation vectors), and
//! the sealing key is derived from it: two different ledgers are never sealed under one key, even in one
//! epoch, and no randomness is drawn.

use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::hash::KeyedSet;
use super::{LedgerKey, MAX_INTENT_TEXT, State, TaintLedger, packed};
use crate::{CallId, RunId, WeakKey, check_key};

const MAGIC: &[u8; 8] = b"graftlgr";
const VERSION: u16 = 0;
/// Magic, version and epoch: what is known before the contents are.
const BOUND_LEN: usize = 18;
const SALT_LEN: usize = 16;
const HEADER_LEN: usize = BOUND_LEN + SALT_LEN;
const TAG_LEN: usize = 16;
/// Each sealing key is used once, so its nonce need not differ.
const NONCE: [u8; 12] = [0; 12];

// Each ends in a zero byte and none has another, so no label is the beginning of another.
const SALT: &[u8] = b"graft-core 0 snapshot salt\0";
const SEAL: &[u8] = b"graft-core 0 snapshot seal\0";

/// The host's key for snapshots. Wiped from memory when dropped; `Debug` shows nothing of it.
///
/// One key may serve all runs: the run goes into everything that is derived. It is not the ledger's key,
/// which is the run's own and lies sealed in its snapshots.
///
/// ```
/// use graft_core::{SnapshotKey, WeakKey};
/// assert_eq!(SnapshotKey::new([]).err(), Some(WeakKey::Empty));
/// assert_eq!(SnapshotKey::new([7; 32]).err(), Some(WeakKey::Repeats));
/// ```
#[derive(Clone)]
pub struct SnapshotKey(Zeroizing<Vec<u8>>);

impl SnapshotKey {
    /// Checks `bytes` (at least 32, random) and keeps a copy; wiping the original is the caller's part.
    ///
    /// # Errors
    /// [`WeakKey`] if the bytes are empty, short or not random.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, WeakKey> {
        check_key(bytes.as_ref())?;
        Ok(Self(Zeroizing::new(bytes.as_ref().to_vec())))
    }

    fn mac(&self, label: &[u8]) -> Hmac<Sha256> {
        let Ok(mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.chain_update(label)
    }

    fn cipher(&self, salt: &[u8]) -> ChaCha20Poly1305 {
        let key = Zeroizing::new(<[u8; 32]>::from(self.mac(SEAL).chain_update(salt).finalize().into_bytes()));
        ChaCha20Poly1305::new((&*key).into())
    }
}

impl std::fmt::Debug for SnapshotKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SnapshotKey(redacted)")
    }
}

/// What a snapshot is bound to: it opens for no other run and under no other policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotOf {
    /// The run.
    pub run: RunId,
    /// SHA-256 of the policy that judges it.
    pub policy: [u8; 32],
}

impl SnapshotOf {
    /// The associated data behind `header`.
    fn bind(&self, header: &[u8]) -> Vec<u8> {
        [header, &self.run.0, &self.policy].concat()
    }
}

/// A sealed ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its number among the snapshots of its run, from 1. Keep the newest where whoever holds the bytes
    /// cannot change it, before the bytes are kept: a run is resumed from nothing older.
    pub epoch: u64,
    /// What to keep, wherever it suits. `SNAPSHOT.md` has it byte by byte.
    pub bytes: Vec<u8>,
}

/// A ledger out of a snapshot.
#[derive(Debug)]
pub struct Restored {
    /// The ledger. Its limits, its key and the user's own identifiers are those that it had.
    pub ledger: TaintLedger,
    /// The number of the snapshot. The ledger's next has the number after it.
    pub epoch: u64,
    /// The number of the run's next call.
    pub next: CallId,
}

#[derive(Serialize)]
struct Contents<'a> {
    next: CallId,
    #[serde(with = "packed")]
    key: &'a [u8],
    limit: usize,
    cap: usize,
    #[serde(with = "packed::set")]
    own: &'a KeyedSet,
    state: &'a State,
}

/// The same, read back.
#[derive(Deserialize)]
struct Opened<'a> {
    next: CallId,
    #[serde(borrow)]
    key: &'a [u8],
    limit: usize,
    cap: usize,
    #[serde(with = "packed::set")]
    own: KeyedSet,
    state: State,
}

impl TaintLedger {
    /// Seals all that the ledger knows. `next` is the number of the run's next call, which is kept with it.
    ///
    /// Take it between calls: what a call that is still out will return is not in it. For each byte of
    /// prose it has 2 to 3 bytes in outputs and some 16 in what the user or the operator said; up to 8 more
    /// where every letter stands alone in a text that vouches.
    ///
    /// Without the key nothing can be learned from the bytes but their number and the epoch. With it there
    /// are hashes, their own key, and up to 41 letters and digits of what was sent last in each of up to
    /// 257 ways; hashes of short texts can be guessed, so **they are not confidentiality**.
    ///
    /// ```
    /// use graft_core::{CallId, Provenance, RunId, SnapshotKey, SnapshotOf, Speaker, TaintLedger};
    /// # let ledger = TaintLedger::new(graft_core::LedgerKey::danger_for_replay("doc"));
    /// ledger.record_trusted(Speaker::User, "write to bob@example.com");
    /// let key = SnapshotKey::new(b"9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5c")?; // the host's, random
    /// let of = SnapshotOf { run: RunId([7; 16]), policy: [1; 32] };
    /// let snapshot = ledger.snapshot(&key, &of, CallId(3));
    ///
    /// let restored = TaintLedger::restore(&snapshot.bytes, &key, &of, snapshot.epoch)?;
    /// assert_eq!((restored.epoch, restored.next), (1, CallId(3)));
    /// let known = restored.ledger.read().provenance("bob@example.com");
    /// assert!(matches!(known, Provenance::Trusted(_)));
    ///
    /// let other = SnapshotOf { policy: [2; 32], ..of };
    /// assert!(TaintLedger::restore(&snapshot.bytes, &key, &other, 1).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self, key: &SnapshotKey, of: &SnapshotOf, next: CallId) -> Snapshot {
        let seen = self.read();
        // Nothing is recorded while `seen` is held, so a higher number never has less in it.
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let ledger_key = self.key.to_bytes();
        let (own, state) = (&self.own, &*seen.state);
        let contents = Contents { next, key: &*ledger_key, limit: self.limit, cap: self.cap, own, state };
        Snapshot { epoch, bytes: seal(&contents, epoch, key, of) }
    }

    /// The ledger that `bytes` are a snapshot of, with the same answer to every question.
    ///
    /// # Errors
    /// [`SnapshotError`] if the bytes are not a snapshot that `key` sealed for `of`, whole and unchanged, or
    /// if its number is below `min_epoch`: the highest that the host has kept.
    pub fn restore(
        bytes: &[u8],
        key: &SnapshotKey,
        of: &SnapshotOf,
        min_epoch: u64,
    ) -> Result<Restored, SnapshotError> {
        let (epoch, plain) = open(bytes, key, of, min_epoch)?;
        let read = postcard::take_from_bytes(&plain);
        let Ok((Opened { next, key, limit, cap, own, state }, [])) = read else {
            return Err(SnapshotError::Contents);
        };
        let key = <&[u8; 32]>::try_from(key).ok().and_then(|key| LedgerKey::new(*key).ok());
        let key = key.filter(|_| state.is_sound()).ok_or(SnapshotError::Contents)?;
        let ledger = Self { key, limit, cap, own, state: RwLock::new(state), epoch: AtomicU64::new(epoch) };
        Ok(Restored { ledger, epoch, next })
    }
}

impl State {
    /// Whether what is counted in it can be counted on.
    fn is_sound(&self) -> bool {
        self.intent_text <= MAX_INTENT_TEXT && self.sealed.checked_add(self.indexed).is_some()
    }
}

fn seal(contents: &Contents<'_>, epoch: u64, key: &SnapshotKey, of: &SnapshotOf) -> Vec<u8> {
    // The size first: a buffer that grew would leave its contents behind in memory, in the clear.
    let size = postcard::serialize_with_flavor(contents, postcard::ser_flavors::Size::default());
    let end = HEADER_LEN + size.unwrap_or(0);
    let mut bytes = Vec::with_capacity(end + TAG_LEN);
    bytes.resize(end, 0);
    let Ok(_) = postcard::to_slice(contents, &mut bytes[HEADER_LEN..]) else {
        unreachable!("it has the size that was counted, and nothing in it refuses to be written")
    };
    close(bytes, epoch, key, of)
}

/// Seals in place what stands behind the room for the header.
fn close(mut bytes: Vec<u8>, epoch: u64, key: &SnapshotKey, of: &SnapshotOf) -> Vec<u8> {
    let (header, body) = bytes.split_at_mut(HEADER_LEN);
    header[..8].copy_from_slice(MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_be_bytes());
    header[10..BOUND_LEN].copy_from_slice(&epoch.to_be_bytes());
    let salt = key.mac(SALT).chain_update(of.bind(&header[..BOUND_LEN])).chain_update(&*body).finalize();
    header[BOUND_LEN..].copy_from_slice(&salt.into_bytes()[..SALT_LEN]);
    let cipher = key.cipher(&header[BOUND_LEN..]);
    let sealed = cipher.encrypt_inout_detached(&NONCE.into(), &of.bind(header), body.into());
    let Ok(tag) = sealed else { unreachable!("the cipher's own bound is 256 GiB") };
    bytes.extend_from_slice(&tag);
    bytes
}

/// The epoch and the contents in the clear.
fn open(
    bytes: &[u8],
    key: &SnapshotKey,
    of: &SnapshotOf,
    min_epoch: u64,
) -> Result<(u64, Zeroizing<Vec<u8>>), SnapshotError> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(SnapshotError::Unfamiliar)?;
    let (body, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(SnapshotError::Unfamiliar)?;
    let word = |range: std::ops::Range<usize>| {
        header[range].iter().fold(0, |word: u64, &byte| word << 8 | u64::from(byte))
    };
    if header[..8] != *MAGIC {
        return Err(SnapshotError::Unfamiliar);
    }
    if word(8..10) != u64::from(VERSION) {
        return Err(SnapshotError::Version(word(8..10) as u16));
    }
    let epoch = word(10..BOUND_LEN);
    if epoch < min_epoch {
        return Err(SnapshotError::Older { epoch, min_epoch });
    }
    let mut plain = Zeroizing::new(body.to_vec());
    let opened = key.cipher(&header[BOUND_LEN..]).decrypt_inout_detached(
        &NONCE.into(),
        &of.bind(header),
        plain.as_mut_slice().into(),
        tag.into(),
    );
    opened.map_err(|_| SnapshotError::Refused)?;
    Ok((epoch, plain))
}

/// Why a ledger was not restored. Holds nothing of the bytes but their clear numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Too short, or they begin otherwise.
    #[error("these bytes are not the snapshot of a ledger")]
    Unfamiliar,
    /// Of another version of the format.
    #[error("the snapshot is of version {0} of its format, which this build does not read")]
    Version(u16),
    /// A newer one was taken; whoever kept the bytes gave an old copy.
    #[error("the snapshot has number {epoch} and number {min_epoch} was taken: give the newest")]
    Older {
        /// The number that it claims to have.
        epoch: u64,
        /// The lowest that is accepted.
        min_epoch: u64,
    },
    /// Sealed under another key, for another run or another policy, or changed or cut since. They cannot
    /// be told apart.
    #[error("the snapshot was not sealed under this key for this run and policy, or it was changed")]
    Refused,
    /// Sealed under this key, and not by this code.
    #[error("the snapshot opens, and its contents are not those of a ledger")]
    Contents,
}

#[cfg(test)]
mod tests;
