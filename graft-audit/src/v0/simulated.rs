//! A disk in memory that crashes: whatever was not synced is lost, torn or turned to zeros.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard};

use graft_core::{Action, CallId, Ending, Event, Name, Timestamp};

use super::{AuditError, AuditKey, read};
use crate::v0::format::{FILE_HEADER_LEN, FrameHeader, Kind, PAYLOAD_AT, array};
use crate::v0::storage::Storage;
use crate::v0::writer::{Durability, Writer};

/// Writes that were not synced reach the disk in pieces of this size, in any order.
const SECTOR: usize = 64;

#[derive(Clone, Default)]
struct Platter {
    /// What a crash leaves for sure.
    durable: Vec<u8>,
    /// What a reader sees.
    live: Vec<u8>,
    quarantined: Vec<Vec<u8>>,
    /// The operations that still succeed; `None` for all.
    budget: Option<u32>,
    operations: u32,
    /// Every frame that was ever handed to the disk, also those that a crash then lost.
    written: Vec<Vec<u8>>,
}

/// Clones share the platter, as handles of one file do.
#[derive(Clone, Default)]
pub(crate) struct SimulatedDisk {
    platter: Arc<Mutex<Platter>>,
    position: u64,
}

impl SimulatedDisk {
    fn holding(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.platter().durable = bytes.clone();
        disk.platter().live = bytes;
        disk
    }

    /// What a reader sees.
    pub(crate) fn live(&self) -> Vec<u8> {
        self.platter().live.clone()
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().expect("no test panics while it holds the platter")
    }

    /// The disk after the power failed: of each sector that differs from what is safe, any outcome.
    fn after_crash(&self, random: &mut Random) -> Self {
        let platter = self.platter();
        let (old, new) = (&platter.durable, &platter.live);
        let shortest = old.len().min(new.len());
        let longest = old.len().max(new.len());
        let mut bytes = new.clone();
        bytes.extend(old.get(new.len()..).unwrap_or_default());
        for start in (0..longest).step_by(SECTOR) {
            let sector = start..(start + SECTOR).min(longest);
            // Only what was written is on its way; a sync never rewrites what is safe.
            let unsafe_from = sector.clone().find(|&at| old.get(at) != new.get(at));
            let Some(from) = unsafe_from else { continue };
            match random.below(5) {
                0 => bytes[from..sector.end].fill(0),
                1 => bytes[from..sector.end].iter_mut().for_each(|byte| *byte = random.below(256) as u8),
                2 => (from..sector.end.min(old.len())).for_each(|at| bytes[at] = old[at]),
                _ => {}
            }
        }
        bytes.truncate(shortest + random.below(longest - shortest + 1));
        Self::holding(bytes)
    }

    fn operate(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let mut platter = self.platter();
        platter.operations += 1;
        match &mut platter.budget {
            Some(0) => Err(io::Error::other("the power is off")),
            Some(left) => {
                *left -= 1;
                Ok(platter)
            }
            None => Ok(platter),
        }
    }
}

impl Storage for SimulatedDisk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        // A write that fails may have reached the disk all the same.
        let done = self.operate().map(drop);
        let mut platter = self.platter();
        platter.written.push(bytes.to_vec());
        platter.live.extend(bytes);
        done
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut platter = self.operate()?;
        platter.durable = platter.live.clone();
        Ok(())
    }

    fn quarantine(&mut self, offset: u64) -> io::Result<()> {
        let mut platter = self.operate()?;
        let tail = platter.live[offset as usize..].to_vec();
        platter.quarantined.push(tail);
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.operate()?.live.truncate(length as usize);
        Ok(())
    }
}

impl Read for SimulatedDisk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let platter = self.platter();
        let rest = platter.live.get(self.position as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        drop(platter);
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for SimulatedDisk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(position) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        self.position = position;
        Ok(position)
    }
}

/// SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// Sees every frame that any disk was handed, and remembers what was sealed under which key and number.
#[derive(Default)]
struct NonceWatch(HashMap<([u8; 16], u64), Vec<u8>>);

impl NonceWatch {
    fn watch(&mut self, disk: &SimulatedDisk) {
        let mut salt = None;
        for frame in disk.platter().written.iter().filter(|bytes| bytes.len() > FILE_HEADER_LEN) {
            let (header, payload) = (FrameHeader::decode(&array(frame)), &frame[PAYLOAD_AT..]);
            match Kind::from_byte(header.kind) {
                Some(Kind::Opening) => salt = Some(array(payload)),
                Some(Kind::Record) => {
                    let nonce = (salt.expect("an opening comes first"), header.seq);
                    let before = self.0.entry(nonce).or_insert_with(|| payload.to_vec());
                    assert_eq!(before, payload, "two records under one key and nonce");
                }
                _ => {}
            }
        }
    }
}

fn key() -> AuditKey {
    AuditKey::new(std::array::from_fn::<u8, 32, _>(|i| (i * i + 3) as u8)).expect("strong")
}

fn event(n: u64) -> Event {
    let me = Name::new(format!("agent:{}", "x".repeat(n as usize % 90))).expect("a name");
    let mut event = Event::new(Timestamp(n), me.clone(), Action::ToolExecuteStart, me, Ending::Pending);
    event.call = Some(CallId(n));
    event
}

fn stored(disk: &SimulatedDisk) -> Vec<u64> {
    let mut disk = disk.clone();
    disk.position = 0;
    read(disk, &key()).map(|stored| stored.expect("verifies").event.time.0).collect()
}

/// What the writer's caller was told.
#[derive(Default)]
struct Told {
    attempted: Vec<u64>,
    acknowledged: usize,
}

/// Opens or creates, appends five records, closes; stops at the first error, as after a power cut.
fn work(disk: &SimulatedDisk, durability: Durability, before: &[u64], first: u64) -> Told {
    let mut told = Told { attempted: before.to_vec(), acknowledged: before.len() };
    let writer = match before.is_empty() && disk.platter().live.is_empty() {
        true => Writer::create(disk.clone(), &key(), durability),
        false => Writer::open(disk.clone(), &key(), durability).map(|(writer, _)| writer),
    };
    let Ok(mut writer) = writer else { return told };
    for n in first..first + 5 {
        told.attempted.push(n);
        let Ok(seq) = writer.append(&event(n)) else {
            assert!(matches!(writer.append(&event(n)), Err(AuditError::Stopped)));
            return told;
        };
        assert_eq!(seq.0 as usize, told.attempted.len() - 1);
        told.acknowledged = told.attempted.len();
    }
    _ = writer.close();
    told
}

#[test]
fn after_a_crash_at_any_operation_every_acknowledged_record_is_there_and_what_is_there_is_a_prefix() {
    let mut nonces = NonceWatch::default();
    let mut images = 0;
    let operations = |disk: &SimulatedDisk| disk.platter().operations;
    let whole = SimulatedDisk::default();
    work(&whole, Durability::Sync, &[], 0);

    for crash in 0..=operations(&whole) {
        for seed in 0..24 {
            let mut random = Random(u64::from(crash) << 32 | seed);
            let disk = SimulatedDisk::default();
            disk.platter().budget = Some(crash);
            let told = work(&disk, Durability::Sync, &[], 0);
            nonces.watch(&disk);
            let image = disk.after_crash(&mut random);
            let never_created = told.attempted.is_empty();

            // The second life crashes as well, at each operation of its recovery and beyond.
            for again in 0..8 {
                let second = SimulatedDisk::holding(image.platter().durable.clone());
                if never_created && Writer::open(second.clone(), &key(), Durability::Sync).is_err() {
                    continue;
                }
                let second = SimulatedDisk::holding(image.platter().durable.clone());
                second.platter().budget = Some(again);
                images += 1;
                let kept = recovered(&image, &told);
                let told = work(&second, Durability::Sync, &kept, 100);
                nonces.watch(&second);
                recovered(&second.after_crash(&mut random), &told);
            }
        }
    }
    assert!(images > 2000, "{images}");
    assert!(nonces.0.len() > 1000, "{}", nonces.0.len());
}

/// Opens a copy of `image` and returns what is in it, which has to fit what the caller was told.
fn recovered(image: &SimulatedDisk, told: &Told) -> Vec<u64> {
    let copy = SimulatedDisk::holding(image.platter().durable.clone());
    let length = copy.platter().live.len() as u64;
    let (_, set_aside) =
        Writer::open(copy.clone(), &key(), Durability::Sync).expect("a crash can be recovered");
    let there = stored(&copy);
    assert!(there.len() >= told.acknowledged, "an acknowledged record is gone");
    assert!(told.attempted.starts_with(&there), "{there:?} is no prefix of {:?}", told.attempted);
    let tails: u64 = copy.platter().quarantined.iter().map(|tail| tail.len() as u64).sum();
    assert_eq!(set_aside.map_or(0, |tail| tail.bytes), tails);
    assert!(set_aside.is_none_or(|tail| tail.offset + tail.bytes == length));
    there
}

#[test]
fn buffered_records_survive_the_process_and_flushed_ones_the_machine() {
    let disk = SimulatedDisk::default();
    let mut writer = Writer::create(disk.clone(), &key(), Durability::Buffered).expect("creates");
    writer.append(&event(0)).expect("appends");
    writer.flush().expect("flushes");
    writer.append(&event(1)).expect("appends");
    drop(writer);
    assert_eq!(stored(&disk), [0, 1]);
    let durable = SimulatedDisk::holding(disk.platter().durable.clone());
    assert_eq!(stored(&durable), [0]);
}

#[test]
fn after_a_failed_write_or_sync_nothing_is_acknowledged_until_the_log_is_opened_again() {
    for healthy in [4, 5] {
        let disk = SimulatedDisk::default();
        disk.platter().budget = Some(healthy);
        let mut writer =
            Writer::create(disk.clone(), &key(), Durability::Sync).expect("takes four operations");
        assert!(matches!(writer.append(&event(0)), Err(AuditError::Io(_))));
        // The disk is well again, and the writer still does not trust it.
        disk.platter().budget = None;
        assert!(matches!(writer.append(&event(1)), Err(AuditError::Stopped)));
        assert!(matches!(writer.flush(), Err(AuditError::Stopped)));
        assert!(matches!(writer.close(), Err(AuditError::Stopped)));
        let (mut writer, _) = Writer::open(disk.clone(), &key(), Durability::Sync).expect("opens");
        writer.append(&event(2)).expect("appends");
        assert_eq!(stored(&disk).last(), Some(&2));
    }
}

#[test]
fn two_copies_of_one_log_never_seal_under_the_same_key_and_number() {
    let disk = SimulatedDisk::default();
    work(&disk, Durability::Sync, &[], 0);
    let mut nonces = NonceWatch::default();
    nonces.watch(&disk);
    let before = nonces.0.len();
    for first in [10, 20] {
        let clone = SimulatedDisk::holding(disk.live());
        work(&clone, Durability::Sync, &[0, 1, 2, 3, 4], first);
        nonces.watch(&clone);
    }
    assert_eq!(nonces.0.len(), before + 10);
}

#[test]
fn a_second_opening_vouches_for_the_tail_that_it_set_aside() {
    let disk = SimulatedDisk::default();
    let mut writer = Writer::create(disk.clone(), &key(), Durability::Sync).expect("creates");
    writer.append(&event(0)).expect("appends");
    disk.platter().live.extend([0; 1000]);
    let (writer, recovered) = Writer::open(disk.clone(), &key(), Durability::Sync).expect("opens");
    writer.close().expect("closes");
    let recovered = recovered.expect("a tail");
    assert_eq!(recovered.bytes, 1000);
    assert_eq!(recovered.digest, <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest([0; 1000])));
    let bytes = disk.live();
    let report = crate::v0::verify(&bytes[..], &key()).expect("verifies").ensure_intact().expect("intact");
    assert_eq!((report.quarantined, report.openings, report.records), (1000, 2, 1));
    let opening = recovered.offset as usize + PAYLOAD_AT;
    assert_eq!(bytes[opening + 16..opening + 24], 1000_u64.to_be_bytes());
    assert_eq!(bytes[opening + 24..opening + 56], recovered.digest);
}

/// The ends of the frames of a log, the file header's first.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = vec![FILE_HEADER_LEN];
    while ends[ends.len() - 1] < bytes.len() {
        let start = ends[ends.len() - 1];
        let length = FrameHeader::decode(&array(&bytes[start..])).length as usize;
        ends.push(start + PAYLOAD_AT + length);
    }
    ends
}

#[test]
fn damage_before_a_whole_frame_is_refused_and_damage_to_the_last_one_is_set_aside() {
    let disk = SimulatedDisk::default();
    work(&disk, Durability::Sync, &[], 0);
    let bytes = disk.live();
    let ends = ends(&bytes);
    let last = ends[ends.len() - 2];
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        let disk = SimulatedDisk::holding(damaged.clone());
        match Writer::open(disk.clone(), &key(), Durability::Sync) {
            Ok((_, recovered)) => {
                let recovered = recovered.expect("a flipped byte is reported");
                assert_eq!((at >= last, recovered.offset), (true, last as u64));
                assert_eq!(disk.platter().quarantined, [&damaged[last..]]);
            }
            Err(AuditError::Broken(found)) => {
                let start = ends.iter().rev().find(|&&end| end <= at).map_or(0, |&end| end);
                assert_eq!((at < last, found.offset), (true, start as u64));
                assert_eq!(disk.platter().live, damaged, "a refused log is left as it is");
            }
            Err(other) => unreachable!("{other}"),
        }
    }
}

#[test]
fn a_log_cut_anywhere_behind_its_header_is_opened_again_and_loses_only_the_cut_frame() {
    let disk = SimulatedDisk::default();
    work(&disk, Durability::Sync, &[], 0);
    let bytes = disk.live();
    let ends = ends(&bytes);
    for cut in FILE_HEADER_LEN..bytes.len() {
        let disk = SimulatedDisk::holding(bytes[..cut].to_vec());
        let (writer, recovered) = Writer::open(disk.clone(), &key(), Durability::Sync).expect("opens");
        writer.close().expect("closes");
        let kept = ends.iter().rev().find(|&&end| end <= cut).copied().expect("at least the header");
        assert_eq!(recovered.map(|tail| tail.bytes), (kept < cut).then_some((cut - kept) as u64));
        assert!([0, 1, 2, 3, 4].starts_with(&stored(&disk)));
    }
}
