//! The one writer of a log: opens, repairs, appends and closes, over any storage.

use std::io::{BufReader, SeekFrom};

use graft_core::{Event, Seq};
use sha2::{Digest, Sha256};

use super::{AuditError, AuditKey};
use crate::v0::format::{
    BOUND_LEN, CLOSING_LEN, FrameHeader, Kind, Leaf, LogId, MAX_PAYLOAD, OPENING_LEN, PAYLOAD_AT, SALT_LEN,
    TAG_LEN, array, payload_digest,
};
use crate::v0::frames::{FileHeader, has_frame};
use crate::v0::seal::{Batch, Keys};
use crate::v0::storage::Storage;
use crate::v0::walk::Walk;

/// What an acknowledged record has survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// It is on the disk: it survives a crash of the machine.
    #[default]
    Sync,
    /// It is with the operating system: it survives a crash of the process. After a crash of the machine, a
    /// disk that wrote later bytes before earlier ones leaves a log that is refused as damaged.
    Buffered,
}

/// What an opening set aside: bytes behind the last whole record that a crash left, or that somebody damaged.
///
/// They lie in a file next to the log that ends in `.torn-` and the offset; the log itself vouches for their
/// length and SHA-256 in its opening frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Where the tail began, in bytes from the start of the log.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub digest: [u8; 32],
}

/// The writer behind [`AuditLog`](crate::AuditLog).
pub(crate) struct Writer<S> {
    storage: S,
    keys: Keys,
    batch: Batch,
    durability: Durability,
    next: u64,
    last_leaf: Leaf,
    /// Set by the first failed write or sync and never reset: what a failed sync dropped stays dropped, and a
    /// second try would report success without it.
    stopped: bool,
    /// One whole frame, made once: appending allocates nothing.
    buffer: Vec<u8>,
}

impl<S: Storage> Writer<S> {
    /// Begins a log in empty storage.
    pub(crate) fn create(storage: S, key: &AuditKey, durability: Durability) -> Result<Self, AuditError> {
        Self::create_as(storage, key, durability, LogId(random()?), random()?)
    }

    fn create_as(
        mut storage: S,
        key: &AuditKey,
        durability: Durability,
        log: LogId,
        salt: [u8; SALT_LEN],
    ) -> Result<Self, AuditError> {
        let keys = Keys::new(key, log);
        let header = FileHeader { log, commitment: keys.commitment() };
        storage.append(&header.encode())?;
        // Without this a crash could keep the opening and lose the header, which nothing can repair.
        storage.sync()?;
        Self::begin(storage, keys, durability, (0, Leaf::of(&header.encode())), None, salt)
    }

    /// Verifies the log in `storage`, sets a torn tail aside, and goes on behind the last good frame.
    pub(crate) fn open(
        mut storage: S,
        key: &AuditKey,
        durability: Durability,
    ) -> Result<(Self, Option<Recovered>), AuditError> {
        storage.seek(SeekFrom::Start(0))?;
        let mut walk = Walk::start(BufReader::with_capacity(64 * 1024, &mut storage), Some(key))?;
        let torn = loop {
            match walk.step() {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(AuditError::Broken(found)) if found.what.may_be_torn() => break Some(found),
                Err(error) => return Err(error),
            }
        };
        let good = walk.progress();
        // The walk was started with a key.
        let keys = walk.keys().cloned().ok_or(AuditError::WrongKey)?;
        drop(walk);
        let recovered = match torn {
            None => None,
            Some(found) => {
                storage.seek(SeekFrom::Start(good.end + 1))?;
                // A frame behind the bad place was written later, so no crash in the last write did this.
                if has_frame(&mut storage)? {
                    return Err(found.into());
                }
                Some(set_aside(&mut storage, good.end)?)
            }
        };
        let end = (good.records, good.last_leaf);
        Ok((Self::begin(storage, keys, durability, end, recovered, random()?)?, recovered))
    }

    /// Writes the opening frame, with the salt of a key that nothing was sealed with before.
    fn begin(
        storage: S,
        keys: Keys,
        durability: Durability,
        (next, last_leaf): (u64, Leaf),
        recovered: Option<Recovered>,
        salt: [u8; SALT_LEN],
    ) -> Result<Self, AuditError> {
        let batch = keys.batch(&salt);
        let buffer = vec![0; PAYLOAD_AT + MAX_PAYLOAD];
        let mut writer = Self { storage, keys, batch, durability, next, last_leaf, stopped: false, buffer };
        let (bytes, digest) =
            recovered.map_or_else(|| (0, Sha256::digest([]).into()), |r| (r.bytes, r.digest));
        let payload = [&salt[..], &u64::to_be_bytes(bytes), &digest].concat();
        writer.append_maced(Kind::Opening, OPENING_LEN, &payload)?;
        writer.sync()?;
        Ok(writer)
    }

    /// Appends one record; with [`Durability::Sync`] it is on the disk when this returns.
    pub(crate) fn append(&mut self, event: &Event) -> Result<Seq, AuditError> {
        if self.stopped {
            return Err(AuditError::Stopped);
        }
        if !event.fields.is_empty() {
            return Err(AuditError::TooLarge);
        }
        let seq = self.next;
        let room = &mut self.buffer[PAYLOAD_AT..PAYLOAD_AT + MAX_PAYLOAD - TAG_LEN];
        let body = crate::body::encode(event, room).ok_or(AuditError::TooLarge)?;
        let header = FrameHeader::bound(Kind::Record, seq, self.last_leaf, (body + TAG_LEN) as u32);
        let (sealed, rest) = self.buffer[PAYLOAD_AT..].split_at_mut(body);
        let tag = self.batch.seal(&bound_part(&header), seq, sealed)?;
        rest[..TAG_LEN].copy_from_slice(&tag);
        self.write(header)?;
        self.next += 1;
        if self.durability == Durability::Sync {
            self.sync()?;
        }
        Ok(Seq(seq))
    }

    /// Returns once every acknowledged record is on the disk.
    pub(crate) fn flush(&mut self) -> Result<(), AuditError> {
        if self.stopped {
            return Err(AuditError::Stopped);
        }
        self.sync()
    }

    /// Ends the log for this opening, so that nothing before can be cut off unseen.
    pub(crate) fn close(mut self) -> Result<Leaf, AuditError> {
        if self.stopped {
            return Err(AuditError::Stopped);
        }
        self.append_maced(Kind::Closing, CLOSING_LEN, &[])?;
        self.sync()?;
        Ok(self.last_leaf)
    }

    pub(crate) fn last_leaf(&self) -> Leaf {
        self.last_leaf
    }

    /// Appends an opening or closing frame: `rest`, then a MAC over the frame's place and `rest`.
    fn append_maced(&mut self, kind: Kind, length: usize, rest: &[u8]) -> Result<(), AuditError> {
        let header = FrameHeader::bound(kind, self.next, self.last_leaf, length as u32);
        let mac = self.keys.frame_mac(&bound_part(&header), rest);
        let payload = &mut self.buffer[PAYLOAD_AT..PAYLOAD_AT + length];
        payload[..rest.len()].copy_from_slice(rest);
        payload[rest.len()..].copy_from_slice(&mac);
        self.write(header)
    }

    /// Completes the frame whose payload lies in the buffer and writes it in one piece.
    fn write(&mut self, mut header: FrameHeader) -> Result<(), AuditError> {
        let end = PAYLOAD_AT + header.length as usize;
        header.digest = payload_digest(header.kind, &self.buffer[PAYLOAD_AT..end]);
        let bytes = header.encode();
        let leaf = Leaf::of(&bytes);
        self.buffer[..bytes.len()].copy_from_slice(&bytes);
        self.buffer[bytes.len()..PAYLOAD_AT].copy_from_slice(leaf.check());
        self.storage.append(&self.buffer[..end]).inspect_err(|_| self.stopped = true)?;
        self.last_leaf = leaf;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), AuditError> {
        Ok(self.storage.sync().inspect_err(|_| self.stopped = true)?)
    }
}

/// The copy is on the disk before the log is cut, so a crash in between loses nothing. The cut itself needs no
/// sync of its own: until that of the opening frame, a crash leaves some mixture of the tail and that frame,
/// which is a torn tail again.
fn set_aside(storage: &mut impl Storage, offset: u64) -> Result<Recovered, AuditError> {
    storage.seek(SeekFrom::Start(offset))?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = storage.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        hash.update(&chunk[..read]);
        bytes += read as u64;
    }
    storage.quarantine(offset)?;
    storage.truncate(offset)?;
    Ok(Recovered { offset, bytes, digest: hash.finalize().into() })
}

fn bound_part(header: &FrameHeader) -> [u8; BOUND_LEN] {
    array(&header.encode())
}

fn random() -> Result<[u8; 16], AuditError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| AuditError::Randomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use graft_core::{Action, CallId, Decision, Ending, Name, RunId, Signal, Timestamp, TraceId};

    use super::*;
    use crate::v0::simulated::SimulatedDisk;

    /// The log of `tests/golden`, with ids and salts that are not random.
    fn golden() -> Vec<u8> {
        let key = AuditKey::new(Sha256::digest("graft-audit golden log")).expect("strong");
        let disk = SimulatedDisk::default();
        let log = LogId(std::array::from_fn(|i| 0x10 + i as u8));
        let mut writer =
            Writer::create_as(disk.clone(), &key, Durability::Sync, log, [0xa1; 16]).expect("creates");
        let name = Name::from_static;
        let least = Event::new(Timestamp(0), name("a"), Action::RunBegin, name("r"), Ending::Pending);
        let mut full = Event::new(
            Timestamp(1_700_000_000_123_456_789),
            name("agent:7"),
            Action::DataflowBlocked,
            name("Bank.send_money"),
            Ending::Denied,
        );
        full.run = Some(RunId([0x21; 16]));
        full.call = Some(CallId(300));
        full.trace = Some(TraceId([0x22; 16]));
        full.intent = Some(Seq(0));
        full.decision = Some(Decision::Block);
        full.signals = [Signal::UntrustedAuthority, Signal::LethalTrifecta].into();
        full.code = Some(name("dataflow_policy_blocked"));
        full.policy = Some([0x23; 32]);
        writer.append(&least).expect("appends");
        writer.append(&full).expect("appends");

        // As if a crash had left three bytes behind the second record.
        let torn = Recovered { offset: 0, bytes: 3, digest: Sha256::digest("abc").into() };
        let (keys, end) = (writer.keys.clone(), (writer.next, writer.last_leaf));
        let mut writer = Writer::begin(disk.clone(), keys, Durability::Sync, end, Some(torn), [0xa2; 16])
            .expect("begins again");
        full.ending = Ending::Ok;
        writer.append(&full).expect("appends");
        writer.close().expect("closes");
        disk.live()
    }

    /// `GRAFT_BLESS=1` writes the golden log of a new version.
    #[test]
    fn the_writer_makes_the_golden_log() {
        const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v0.bin");
        if std::env::var_os("GRAFT_BLESS").is_some() {
            std::fs::write(PATH, golden()).expect("writes");
        }
        let written = std::fs::read(PATH).expect("reads");
        assert!(golden() == written, "the format changed: it needs a new version");
    }
}
