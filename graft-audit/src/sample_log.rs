//! Logs in memory for tests, sealed as a writer would.

use std::collections::BTreeMap;
use std::io;

use graft_core::{Action, Ending, Event, FieldValue, Fields, Name, Timestamp};

use crate::format::{LogId, Mark, Mode, Salt, segment_name};
use crate::scan::Files;
use crate::seal::SegmentKeys;
use crate::seal::ratchet::Ratchet;
use crate::sealer::{Sealer, Tip};
use crate::{AuditKey, body, fields};

/// Files in memory.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct MemoryFiles(pub(crate) BTreeMap<String, Vec<u8>>);

impl Files for MemoryFiles {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let file = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        let rest = file.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

impl MemoryFiles {
    pub(crate) fn segment(&mut self, number: u64) -> &mut Vec<u8> {
        self.0.entry(segment_name(number)).or_default()
    }
}

pub(crate) fn key(n: u8) -> AuditKey {
    let key: [u8; 32] = std::array::from_fn(|i| (i * i) as u8 ^ n);
    AuditKey::new(key).expect("strong")
}

/// An event that says which it is.
pub(crate) fn event(n: u64) -> Event {
    let (actor, target) = (Name::from_static("agent:7"), Name::from_static("Bank.send_money"));
    Event::new(Timestamp(n), actor, Action::ToolExecuteStart, target, Ending::Pending)
}

/// What erases the parts of record `seq`.
pub(crate) fn erasure(seq: u64) -> Event {
    own(Action::LogErase, "seq", seq)
}

/// What the log says of itself when it removes all segments before record `first`.
pub(crate) fn prune(first: u64) -> Event {
    own(Action::LogPrune, "first", first)
}

fn own(action: Action, field: &'static str, number: u64) -> Event {
    let (actor, target) = (Name::from_static("graft-audit"), Name::from_static("log"));
    let mut event = Event::new(Timestamp(number), actor, action, target, Ending::Ok);
    event.fields = Fields::new([(Name::from_static(field), FieldValue::U64(number))]).expect("one field");
    event
}

/// A log that is being written.
pub(crate) struct SampleLog {
    pub(crate) files: MemoryFiles,
    pub(crate) log: LogId,
    mode: Mode,
    key: AuditKey,
    key_from: u64,
    ratchet: Option<Ratchet>,
    sealer: Option<Sealer>,
    number: u64,
    salts: u8,
}

impl SampleLog {
    pub(crate) fn new(id: u8, mode: Mode, key: AuditKey) -> Self {
        let log = LogId([id; 16]);
        let (files, tip) = (MemoryFiles::default(), Tip::genesis(log));
        let mut all = Self {
            files,
            log,
            mode,
            key,
            key_from: 0,
            ratchet: None,
            sealer: None,
            number: 0,
            salts: id.wrapping_mul(16),
        };
        all.start(tip);
        all
    }

    fn start(&mut self, tip: Tip) {
        let keys = match self.mode {
            Mode::Readable => SegmentKeys::readable(&self.key, self.log, self.number),
            Mode::Sealed => {
                let ratchet = match self.ratchet.take() {
                    Some(ratchet) => ratchet.next(),
                    None => Ratchet::root(&self.key, self.log, self.key_from),
                };
                self.ratchet.insert(ratchet).segment()
            }
        };
        let (sealer, header) = Sealer::start(keys, self.mode, self.key_from, tip);
        self.sealer = Some(sealer);
        self.files.segment(self.number).extend(header);
    }

    /// A batch of these events.
    pub(crate) fn batch(&mut self, events: &[Event], mark: Mark) {
        self.salts += 1;
        let salt = Salt([self.salts; 16]);
        let sealer = self.sealer.as_mut().expect("there is one");
        let mut out = Vec::new();
        let mut batch = sealer.begin(salt, &mut out);
        for event in events {
            let (mut one, mut two) = ([0; 1024], [0; 1024]);
            let length = body::encode(event, &mut one).expect("fits");
            let with =
                (!event.fields.is_empty()).then(|| fields::encode(&event.fields, &mut two).expect("fits"));
            batch.push(&one[..length], with.map(|length| &two[..length])).expect("taken");
        }
        batch.commit(mark);
        self.files.segment(self.number).extend(out);
    }

    /// Batches of one event each, from `from` on.
    pub(crate) fn singles(&mut self, events: std::ops::Range<u64>) {
        events.for_each(|n| self.batch(&[event(n)], Mark::None));
    }

    /// Goes on in another segment, under `key` if one is given.
    pub(crate) fn rotate(&mut self, key: Option<AuditKey>) {
        self.batch(&[], Mark::SegmentEnd);
        if let Some(key) = key {
            (self.key, self.key_from, self.ratchet) = (key, self.number + 1, None);
        }
        self.begin_next();
    }

    /// The segment behind a commit that ended one.
    pub(crate) fn begin_next(&mut self) {
        self.number += 1;
        let tip = self.sealer.take().expect("there is one").tip().clone();
        self.start(tip);
    }

    /// Writes the file `ratchet`, as a host with this key would.
    pub(crate) fn keep_ratchet(&mut self, host: &AuditKey) {
        let ratchet = self.ratchet.as_ref().expect("mode sealed");
        let file = ratchet.wrap(host, Salt([0xee; 16])).encode();
        self.files.0.insert("ratchet".to_owned(), file.to_vec());
    }

    pub(crate) fn tip(&self) -> &Tip {
        self.sealer.as_ref().expect("there is one").tip()
    }

    pub(crate) fn len(&mut self) -> usize {
        self.files.segment(self.number).len()
    }
}

/// Three segments of a few batches, closed: 12 records.
pub(crate) fn small(id: u8, mode: Mode) -> SampleLog {
    let mut log = SampleLog::new(id, mode, key(id));
    log.batch(&[event(0), event(1), event(2)], Mark::None);
    log.singles(3..5);
    log.rotate(None);
    log.batch(&[event(5), erasure(40), event(7)], Mark::None);
    log.batch(&[event(8)], Mark::Closed);
    log.rotate(None);
    log.batch(&[event(9), event(10)], Mark::None);
    log.batch(&[event(11)], Mark::None);
    log.batch(&[], Mark::Closed);
    log
}
