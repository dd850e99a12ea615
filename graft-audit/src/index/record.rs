//! Records as a search comes upon them: one out of a batch that is walked over, or one that an index names.

use graft_core::{Event, Seq};
use sha2::{Digest, Sha256};

use super::Location;
use crate::format::{BATCH_HEADER_LEN, BatchHeader, MAX_RECORD_HEADER, PartKind, RecordHeader};
use crate::scan::{Files, Part, Record, read_full};
use crate::seal::{BatchKey, SegmentKeys};
use crate::{AuditError, Break, Place, StoredEvent, What, body, fields};

/// What most records take; one that is longer is read twice.
const GUESS: usize = 1024;

/// The event of a record; `None` if it was erased.
pub(super) fn event(record: Record<'_>) -> Result<Option<Event>, What> {
    let mut event = None;
    record.open(|kind, part| match part {
        Part::Body(body) => take(&mut event, kind, body),
        Part::Closed | Part::Erased => Ok(()),
    })?;
    Ok(event)
}

fn take(event: &mut Option<Event>, kind: PartKind, body: &[u8]) -> Result<(), What> {
    match kind {
        PartKind::Event => *event = Some(body::decode(body)?),
        PartKind::Fields => {
            let fields = fields::decode(body)?;
            event.iter_mut().for_each(|event| event.fields = fields.clone());
        }
    }
    Ok(())
}

/// Reads single records of one segment where an index says they are.
pub(super) struct Fetch<'a> {
    files: &'a dyn Files,
    name: String,
    keys: &'a SegmentKeys,
    /// The batch that was read from last, and its key: the next hit often lies in it too.
    batch: Option<(u32, BatchKey)>,
}

impl<'a> Fetch<'a> {
    pub(super) fn new(files: &'a dyn Files, keys: &'a SegmentKeys) -> Self {
        Self { files, name: crate::segment_name(keys.number()), keys, batch: None }
    }

    /// The record with this sequence, if what is there is it; `None` if its event was erased.
    ///
    /// # Errors
    /// [`AuditError::Broken`] if anything of it is not as it was written, [`AuditError::Io`].
    pub(super) fn read(&mut self, seq: u64, location: Location) -> Result<Option<StoredEvent>, AuditError> {
        let broken = |what| Break {
            segment: self.keys.number(),
            place: Place::Record(seq),
            seq,
            offset: location.record.into(),
            what,
        };
        let mut bytes = vec![0; GUESS];
        let at = location.record.into();
        let found = read_full(self.files, &self.name, at, &mut bytes)?;
        let (header, leaf) = header(&bytes[..found]).map_err(broken)?;
        if header.seq != seq {
            return Err(broken(What::OutOfOrder { found: header.seq, expected: seq }).into());
        }
        let (start, end) = (header.len(), header.len() + header.parts_len());
        if end > found {
            bytes.resize(end, 0);
            let found = read_full(self.files, &self.name, at, &mut bytes)?;
            if found < end {
                return Err(broken(What::TornTail { found: found as u64, expected: end as u64 }).into());
            }
        }
        let key = match self.batch.take() {
            Some((at, key)) if at == location.batch => key,
            _ => self.batch_key(location.batch)?.map_err(broken)?,
        };
        let mut rest = &mut bytes[start..end];
        let mut event = None;
        for part in header.parts() {
            let (bytes, behind) = rest.split_at_mut(part.length as usize);
            rest = behind;
            if Sha256::digest(&*bytes)[..] == part.digest {
                let body = key.open(seq, part.kind, bytes).ok_or_else(|| broken(What::Forged))?;
                take(&mut event, part.kind, body).map_err(broken)?;
            } else if bytes.iter().any(|&byte| byte != 0) {
                return Err(broken(What::DamagedBody).into());
            }
        }
        self.batch = Some((location.batch, key));
        Ok(event.map(|event| StoredEvent { seq: Seq(seq), leaf, event }))
    }

    fn batch_key(&self, at: u32) -> std::io::Result<Result<BatchKey, What>> {
        let mut bytes = [0; BATCH_HEADER_LEN];
        read_full(self.files, &self.name, at.into(), &mut bytes)?;
        Ok(BatchHeader::decode(&bytes).map(|header| self.keys.batch(header.salt)))
    }
}

fn header(bytes: &[u8]) -> Result<(RecordHeader, crate::Leaf), What> {
    let torn = What::TornTail { found: bytes.len() as u64, expected: MAX_RECORD_HEADER as u64 };
    let [kind, parts, ..] = *bytes else { return Err(torn) };
    let length = RecordHeader::len_of([kind, parts]).ok_or(What::DamagedHeader)?;
    RecordHeader::decode(bytes.get(..length).ok_or(torn)?)
}
