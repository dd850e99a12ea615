//! A host and its log on a simulated disk, and what the host was told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use graft_core::{Action, CallId, Ending, Event, FieldValue, Fields, ManualClock, Name, Seq};

use super::naive;
use crate::disk::{Fault, Random, SimulatedDisk};
use crate::format::{BATCH_HEADER_LEN, BatchHeader, RecordHeader, array};
use crate::format::{LogId, segment_name};
use crate::log::{AuditLog, Durability, LogOptions};
use crate::tree::{TIER_WIDTH, tier_len};
use crate::{Anchor, AuditError, AuditKey, AuditSigner, MemoryAnchor, Verifier};

/// What a host does with its log in one life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// A few durable records.
    Short,
    /// Records of every durability, then a close.
    Plain,
    /// So many that segments end by size and by time, and on request.
    Rotating,
    /// Other keys on the way.
    Rekeying,
    /// Checkpoints, records that are erased, and segments that are removed.
    Retaining,
    /// Any of it, by the world's seed.
    Random,
}

impl Script {
    pub(super) const ALL: [Self; 5] =
        [Self::Short, Self::Plain, Self::Rotating, Self::Rekeying, Self::Retaining];
}

#[derive(Clone, Copy)]
enum Step {
    Append(Durability),
    Flush,
    Rotate,
    RotateKey,
    Wait,
    Checkpoint,
    /// One of the last records that are on the disk: so many before the end.
    Erase(usize),
    Prune,
    Close,
}

pub(super) struct World {
    pub(super) disk: SimulatedDisk,
    pub(super) random: Random,
    sealed: bool,
    clock: Arc<ManualClock>,
    /// Every key that the log may be under: the last ones first.
    pub(super) keys: Vec<AuditKey>,
    created: bool,
    /// The calls that were handed to the log, in order.
    attempted: Vec<u64>,
    /// How many of them were acknowledged as durable.
    acknowledged: usize,
    /// Those that were erased, and how many from the front were to be removed at most.
    erased: Vec<u64>,
    removable: usize,
    /// The sequence of each call, where the host was told.
    places: HashMap<u64, Seq>,
    anchor: Arc<MemoryAnchor>,
    id: Option<LogId>,
}

pub(super) fn key(n: u64) -> AuditKey {
    let bytes: [u8; 32] = std::array::from_fn(|i| ((i * i) as u64 * 7 + n * 31 + i as u64) as u8);
    AuditKey::new(bytes).expect("strong")
}

fn host_key() -> AuditKey {
    key(99)
}

pub(super) fn event(n: u64) -> Event {
    let me = Name::new(format!("agent:{}", "x".repeat(n as usize % 90))).expect("a name");
    let mut event =
        Event::at(&ManualClock::default(), me.clone(), Action::ToolExecuteStart, me, Ending::Pending);
    event.time.0 = n;
    event.call = Some(CallId(n));
    if n % 5 == 1 {
        event.fields = Fields::new([(Name::from_static("n"), FieldValue::U64(n))]).expect("one");
    }
    event
}

impl World {
    fn new(disk: SimulatedDisk, sealed: bool, seed: u64) -> Self {
        Self {
            disk,
            random: Random(seed),
            sealed,
            clock: Arc::default(),
            keys: vec![key(0)],
            created: false,
            attempted: Vec::new(),
            acknowledged: 0,
            erased: Vec::new(),
            removable: 0,
            places: HashMap::new(),
            anchor: Arc::default(),
            id: None,
        }
    }

    /// One life on an empty disk, with a fault on the way.
    pub(super) fn run(
        disk: SimulatedDisk,
        script: Script,
        sealed: bool,
        fault: Option<(u64, Fault)>,
    ) -> Self {
        if let Some((at, fault)) = fault {
            disk.fail(at, fault);
        }
        Self::new(disk, sealed, 0).live(script)
    }

    pub(super) fn random(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut disk = SimulatedDisk::new(random.next());
        if random.below(3) == 0 {
            disk = disk.with_short_calls();
        }
        Self::new(disk, random.below(2) == 0, random.next())
    }

    fn options(&self) -> LogOptions {
        let mut options = LogOptions::new()
            .clock(self.clock.clone())
            .segment_bytes(6000)
            .segment_time(Duration::from_secs(60))
            .signer(AuditSigner::new("example.com/log".parse().expect("a name"), &seed()).expect("strong"))
            .anchor(self.anchor.clone())
            .checkpoint_records(9);
        options.rules.threads = false;
        options.rules.room = 4096;
        options
    }

    /// Opens the log with whichever of the keys fits.
    pub(super) fn open(&self) -> Result<AuditLog, AuditError> {
        self.open_as(self.options())
    }

    /// The same, to go on without the disk.
    pub(super) fn open_holding(&self, bytes: usize) -> Result<AuditLog, AuditError> {
        let mut options = self.options().danger_go_on_without_disk(bytes);
        options.rules.retry = Duration::ZERO;
        self.open_as(options)
    }

    fn open_as(&self, options: LogOptions) -> Result<AuditLog, AuditError> {
        let disk = Arc::new(self.disk.clone());
        if self.sealed {
            return options.open_on(disk, &host_key());
        }
        let mut result = Err(AuditError::WrongKey);
        for key in &self.keys {
            result = options.open_on(disk.clone(), key);
            if !matches!(result, Err(AuditError::WrongKey)) {
                break;
            }
        }
        result
    }

    /// Opens or creates, and does what the script says until something fails.
    pub(super) fn live(mut self, script: Script) -> Self {
        let opened = match self.created {
            true => self.open(),
            false => {
                let disk = Arc::new(self.disk.clone());
                let host = self.sealed.then(host_key);
                match self.options().create_on(disk, &self.keys[0], host.as_ref()) {
                    Err(AuditError::Exists) => self.open(),
                    created => created,
                }
            }
        };
        let Ok(mut log) = opened else { return self };
        // What an open log holds is there to stay.
        (self.created, self.id, self.acknowledged) = (true, Some(log.id()), self.attempted.len());
        for step in self.steps(script) {
            self.clock.advance(Duration::from_millis(10));
            match self.step(log, step) {
                Some(still) => log = still,
                None => return self,
            }
        }
        // As when a process is killed: what was not written is gone.
        self.disk.fail(0, Fault::PowerOff);
        drop(log);
        self.disk.heal();
        self
    }

    fn steps(&mut self, script: Script) -> Vec<Step> {
        use Durability::{Buffered, Fsync, Memory};
        match script {
            Script::Short => vec![Step::Append(Fsync); 4],
            Script::Plain => {
                let mut steps =
                    [Fsync, Memory, Buffered, Memory, Fsync, Fsync, Memory].map(Step::Append).to_vec();
                steps.extend([Step::Flush, Step::Append(Fsync), Step::Append(Memory), Step::Close]);
                steps
            }
            Script::Rotating => (0..40)
                .map(|n| match n {
                    7 | 8 => Step::Rotate,
                    20 => Step::Wait,
                    _ => Step::Append(if n % 3 == 0 { Memory } else { Fsync }),
                })
                .collect(),
            Script::Rekeying => (0..20)
                .map(|n| match n % 6 {
                    3 => Step::RotateKey,
                    5 => Step::Append(Memory),
                    _ => Step::Append(Fsync),
                })
                .chain([Step::Close])
                .collect(),
            Script::Retaining => (0..30)
                .map(|n| match n {
                    6 => Step::Checkpoint,
                    9 => Step::Erase(3),
                    12 | 25 => Step::Rotate,
                    14 => Step::Erase(7),
                    20 | 28 => Step::Prune,
                    _ => Step::Append(if n % 4 == 0 { Memory } else { Fsync }),
                })
                .collect(),
            Script::Random => (0..1 + self.random.below(40))
                .map(|_| match self.random.below(24) {
                    0 => Step::Rotate,
                    1 => Step::RotateKey,
                    2 => Step::Flush,
                    3 => Step::Wait,
                    15 => Step::Checkpoint,
                    16 => Step::Erase(self.random.below(20)),
                    17 => Step::Prune,
                    4 if self.random.below(4) == 0 => Step::Close,
                    5..9 => Step::Append(Memory),
                    9..12 => Step::Append(Buffered),
                    _ => Step::Append(Fsync),
                })
                .collect(),
        }
    }

    /// `None` once the log failed or is closed.
    fn step(&mut self, log: AuditLog, step: Step) -> Option<AuditLog> {
        let done = match step {
            Step::Append(durability) => {
                let n = self.attempted.len() as u64;
                self.attempted.push(n);
                let result = log.append_with(&event(n), durability);
                if let Ok(seq) = result {
                    self.places.insert(n, seq);
                }
                if let (Ok(seq), Durability::Fsync) = (&result, durability) {
                    assert!(log.durable() > *seq);
                    self.acknowledged = self.attempted.len();
                }
                result.map(drop)
            }
            Step::Flush => log.flush().inspect(|()| self.acknowledged = self.attempted.len()),
            Step::Wait => {
                self.clock.advance(Duration::from_secs(70));
                Ok(())
            }
            Step::Rotate => log.rotate().inspect(|()| self.acknowledged = self.attempted.len()),
            Step::RotateKey => {
                self.keys.insert(0, key(self.keys.len() as u64));
                log.rotate_key(&self.keys[0]).inspect(|()| self.acknowledged = self.attempted.len())
            }
            Step::Checkpoint => log.checkpoint().map(|head| {
                self.acknowledged = self.attempted.len();
                let kept = self.anchor.load(log.id()).expect("loads").expect("is kept").head;
                assert_eq!((kept.size, kept.root), (head.size, head.root));
            }),
            Step::Erase(back) => {
                let n = (self.attempted.len() as u64).saturating_sub(1 + back as u64);
                match self.places.get(&n).map(|seq| log.erase(*seq)) {
                    Some(Ok(())) => {
                        self.erased.push(n);
                        Ok(())
                    }
                    // It was removed before.
                    None | Some(Err(AuditError::NoRecord)) => Ok(()),
                    Some(error) => error,
                }
            }
            Step::Prune => {
                let n = (self.attempted.len() as u64).saturating_sub(8);
                self.removable = self.removable.max(n as usize);
                match self.places.get(&n) {
                    Some(before) => log.prune(*before).map(|pruned| assert!(pruned.first <= *before)),
                    None => Ok(()),
                }
            }
            Step::Close => {
                if log.close().is_ok() {
                    self.acknowledged = self.attempted.len();
                }
                return None;
            }
        };
        if done.is_err() {
            // What cannot be removed or overwritten is tried again later; what cannot be written ends the log.
            if !matches!(step, Step::Prune | Step::Erase(_)) {
                assert!(log.append(&event(0)).is_err() && log.flush().is_err());
            }
            return None;
        }
        Some(log)
    }

    fn on(&self, disk: SimulatedDisk) -> Self {
        let mut random = Random(self.random.0);
        random.next();
        // Another anchor: what becomes of this copy must not move that of the original.
        let anchor = MemoryAnchor::new();
        if let Some(kept) = self.id.and_then(|id| self.anchor.load(id).expect("loads")) {
            anchor.advance(None, &kept).expect("is empty");
        }
        Self {
            disk,
            random,
            sealed: self.sealed,
            clock: self.clock.clone(),
            keys: self.keys.clone(),
            created: self.created,
            attempted: self.attempted.clone(),
            acknowledged: self.acknowledged,
            erased: self.erased.clone(),
            removable: self.removable,
            places: self.places.clone(),
            anchor: Arc::new(anchor),
            id: self.id,
        }
    }

    /// The world after the power failed: what is recovered is where its next life begins.
    pub(super) fn after_crash(&self, seed: u64) -> Self {
        self.on(self.disk.after_crash(seed)).settled()
    }

    /// The world after the process was killed and, since nothing else happened, all got to the disk.
    pub(super) fn restarted(&self) -> Self {
        self.on(self.disk.copy()).settled()
    }

    /// The same world on the same machine after the process was killed: what was not synced still is not.
    pub(super) fn killed(&self) -> Self {
        self.disk.heal();
        let acknowledged = self.acknowledged;
        Self { acknowledged, ..self.on(self.disk.clone()).settled() }
    }

    /// Opens a copy, and holds what is in it against what the host was told.
    fn settled(mut self) -> Self {
        let copy = self.on(self.disk.copy());
        match copy.open() {
            Ok(log) => self.id = Some(log.id()),
            Err(AuditError::Missing) if !self.created => return self,
            Err(error) => unreachable!("a crash is not recovered: {error:?}"),
        }
        self.created = true;
        let there = naive::calls(&copy.disk, &copy.keys);
        // The number of a call is its place among all of them.
        let known =
            there.iter().enumerate().find_map(|(at, call)| Some(call.as_ref()?.checked_sub(at as u64)));
        let removed = known.flatten().map_or(0, |removed| removed as usize);
        assert!(removed <= self.removable, "{removed} are removed, {} were to be", self.removable);
        let end = removed + there.len();
        assert!(end >= self.acknowledged, "acknowledged records are gone: {end} of {}", self.acknowledged);
        assert!(end <= self.attempted.len());
        for (at, call) in there.iter().enumerate() {
            let n = (removed + at) as u64;
            assert!(call.is_none_or(|call| call == n), "{n} is not where it was: {call:?}");
            assert!(!self.erased.contains(&n) || call.is_none(), "{n} was erased");
        }
        self.attempted.truncate(end);
        self.acknowledged = end;
        self.places.retain(|n, _| (*n as usize) < end);
        // Everything that was set aside is vouched for, each copy once, as long as its segment is there.
        let mut said: Vec<_> =
            naive::recovered(&copy.disk, &copy.keys).iter().map(|tail| tail.bytes).collect();
        let segments = copy.disk.list_all("");
        let is_there = |name: &&String| {
            segments.iter().any(|segment| name.starts_with(&segment[..10.min(segment.len())]))
        };
        let names = copy.disk.list_all("torn");
        let mut kept: Vec<_> = names
            .iter()
            .filter(is_there)
            .map(|name| copy.disk.read_all(&format!("torn/{name}")).len() as u64)
            .collect();
        said.sort_unstable();
        kept.sort_unstable();
        assert_eq!(said, kept);
        self
    }

    /// The first tier has the roots of the leaves that are there, and the second those of the first.
    fn check_tree(&self, all: &[naive::Stored], size: u64) {
        let first = (size - all.len() as u64) as usize;
        for tier in 1..3 {
            let count = tier_len(tier, size) as usize;
            if count == 0 {
                break;
            }
            let bytes = self.disk.read_all(&format!("tree/{tier}"));
            let below = TIER_WIDTH.pow(tier.into());
            for at in first.div_ceil(below)..count {
                let leaves: Vec<_> =
                    all[at * below - first..][..below].iter().map(|stored| stored.leaf).collect();
                assert_eq!(bytes[32 * at..][..32], naive::root(&leaves).0);
            }
        }
    }

    /// At the end of a history: the log opens and is whole, and no key and nonce met twice.
    pub(super) fn check(self, nonces: &mut NonceWatch) {
        nonces.watch(&self.disk);
        let world = self.restarted();
        let log = world.open().expect("opens");
        let before = log.head();
        assert_eq!(
            log.append(&event(7777)).expect("appends"),
            Seq(before.size + 1),
            "behind that it was opened"
        );
        let head = log.close().expect("closes");
        let all = naive::read(&world.disk, &world.keys);
        if world.disk.list_all("").contains(&segment_name(0)) {
            assert_eq!(head.size, all.len() as u64);
            assert_eq!(head.root, naive::root(&all.iter().map(|stored| stored.leaf).collect::<Vec<_>>()));
        }
        let kept = world.anchor.load(world.id.expect("was opened")).expect("loads").expect("is kept");
        assert!(kept.head.size < head.size && kept.head.size + 2 >= head.size, "the checkpoint of the close");
        world.check_tree(&all, head.size);
        let verifier = Verifier::new().keys(world.keys.iter().cloned().collect());
        let report = verifier.verify_files(&world.disk).expect("reads").ensure_intact().expect("intact");
        assert_eq!((report.records(), report.last_leaf), (all.len() as u64, head.last_leaf));
        nonces.watch(&world.disk);
    }
}

fn seed() -> [u8; 32] {
    std::array::from_fn(|i| (i * i * 3 + 7 * i) as u8)
}

/// Sees every write that any disk was asked for, and remembers what was sealed under which key and nonce.
#[derive(Default)]
pub(super) struct NonceWatch(HashMap<([u8; 16], u64, u8), Vec<u8>>);

impl NonceWatch {
    pub(super) fn watch(&mut self, disk: &SimulatedDisk) {
        for (name, _, bytes) in disk.written() {
            let is_batch = bytes.len() > BATCH_HEADER_LEN && name.ends_with(".seg");
            let Some(Ok(header)) = is_batch.then(|| BatchHeader::decode(&array(&bytes))) else { continue };
            let mut rest = &bytes[BATCH_HEADER_LEN..];
            while let Some(length) = RecordHeader::len_of([rest[0], rest[1]]) {
                let (record, _) = RecordHeader::decode(&rest[..length]).expect("a record");
                rest = &rest[length..];
                for part in record.parts() {
                    let (sealed, behind) = rest.split_at(part.length as usize);
                    rest = behind;
                    let nonce = (header.salt.0, record.seq, part.kind.byte());
                    let before = self.0.entry(nonce).or_insert_with(|| sealed.to_vec());
                    assert_eq!(before, sealed, "two bodies under one key and nonce");
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
