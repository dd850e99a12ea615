//! Walks a log frame by frame, with the key if there is one: seals, MACs, and which frame may follow which.

use std::io::Read;

use graft_core::{Event, Seq};

use super::{AuditError, AuditKey, Break, What};
use crate::v0::format::{Kind, Leaf, LogId, MAC_LEN, OPENING_LEN, SALT_LEN, array};
use crate::v0::frames::{FileHeader, Frame, Frames, place};
use crate::v0::seal::{Batch, Keys};

/// Where a log stands after the frames that were walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) log: LogId,
    pub(crate) records: u64,
    pub(crate) openings: u64,
    pub(crate) quarantined: u64,
    pub(crate) last_leaf: Leaf,
    /// The end of the last good frame, in bytes from the start of the file.
    pub(crate) end: u64,
    /// Whether the last good frame is a closing one.
    pub(crate) closed: bool,
}

/// One good frame.
pub(crate) struct Step {
    pub(crate) seq: Seq,
    pub(crate) leaf: Leaf,
    /// What a record says; `None` for openings and closes, and without a key.
    pub(crate) event: Option<Event>,
}

/// A walk over one log.
pub(crate) struct Walk<R> {
    frames: Frames<R>,
    keys: Option<Keys>,
    /// The key of the records behind the last opening; `None` without keys.
    batch: Option<Batch>,
    /// Whether a record may come next.
    is_open: bool,
    progress: Progress,
}

impl<R: Read> Walk<R> {
    /// Reads the file header; a wrong key ends the walk here.
    pub(crate) fn start(mut reader: R, key: Option<&AuditKey>) -> Result<Self, AuditError> {
        let header = FileHeader::read(&mut reader)?;
        let keys = key.map(|key| Keys::new(key, header.log));
        if keys.as_ref().is_some_and(|keys| !keys.is_committed(&header.commitment)) {
            return Err(AuditError::WrongKey);
        }
        let frames = Frames::new(reader, &header);
        let progress = Progress {
            log: header.log,
            records: 0,
            openings: 0,
            quarantined: 0,
            last_leaf: frames.last_leaf,
            end: frames.offset,
            closed: false,
        };
        Ok(Self { frames, keys, batch: None, is_open: false, progress })
    }

    /// The state behind the last good frame.
    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    pub(crate) fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// The next frame; `None` at the end. After an error, [`Walk::progress`] still tells of the good part.
    pub(crate) fn step(&mut self) -> Result<Option<Step>, AuditError> {
        let Some((frame, payload)) = self.frames.next()? else { return Ok(None) };
        let opened = match frame.kind {
            Kind::Opening => open_opening(self.keys.as_ref(), &frame, payload).map(|batch| {
                self.batch = batch;
                self.progress.openings += 1;
                let torn = u64::from_be_bytes(array(&payload[SALT_LEN..]));
                self.progress.quarantined = self.progress.quarantined.saturating_add(torn);
                None
            }),
            _ if !self.is_open => Err(What::Misplaced),
            Kind::Record => open_record(self.batch.as_ref(), &frame, payload),
            Kind::Closing => check_mac(self.keys.as_ref(), &frame, payload).map(|()| None),
        };
        let event = opened.map_err(|what| {
            let records = self.progress.records;
            Break {
                segment: 0,
                place: place(Some(frame.kind), records),
                seq: records,
                offset: frame.offset,
                what,
            }
        })?;
        self.is_open = frame.kind != Kind::Closing;
        self.progress = Progress {
            records: self.frames.records,
            last_leaf: frame.leaf,
            end: self.frames.offset,
            closed: frame.kind == Kind::Closing,
            ..self.progress
        };
        Ok(Some(Step { seq: Seq(frame.seq), leaf: frame.leaf, event }))
    }
}

fn open_opening(keys: Option<&Keys>, frame: &Frame, payload: &[u8]) -> Result<Option<Batch>, What> {
    debug_assert_eq!(payload.len(), OPENING_LEN, "bounded with the header");
    check_mac(keys, frame, payload)?;
    Ok(keys.map(|keys| keys.batch(&array(payload))))
}

fn open_record(batch: Option<&Batch>, frame: &Frame, payload: &mut [u8]) -> Result<Option<Event>, What> {
    let Some(batch) = batch else { return Ok(None) };
    let body = batch.open(&frame.bound, frame.seq, payload).ok_or(What::Forged)?;
    crate::body::decode(body).map(Some)
}

/// The payload of an opening or a closing frame ends in a MAC over all that stands before it.
fn check_mac(keys: Option<&Keys>, frame: &Frame, payload: &[u8]) -> Result<(), What> {
    let Some(keys) = keys else { return Ok(()) };
    let Some((rest, mac)) = payload.split_last_chunk::<MAC_LEN>() else {
        return Err(What::Forged);
    };
    if keys.is_frame_mac(&frame.bound, rest, mac) { Ok(()) } else { Err(What::Forged) }
}
