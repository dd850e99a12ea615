//! Cuts a log into frames and checks their structure: check, order, chain and digest. No key is needed.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::{AuditError, Break, Place, What};
use crate::v0::format::{
    BOUND_LEN, CHECK_LEN, CLOSING_LEN, FILE_HEADER_LEN, FRAME_HEADER_LEN, FrameHeader, Kind, Leaf, LogId,
    MAGIC, MAX_PAYLOAD, OPENING_LEN, PAYLOAD_AT, TAG_LEN, VERSION, array, payload_digest,
};

/// The header of a file.
#[derive(Clone, Copy)]
pub(crate) struct FileHeader {
    pub(crate) log: LogId,
    pub(crate) commitment: [u8; 32],
}

impl FileHeader {
    pub(crate) fn encode(&self) -> [u8; FILE_HEADER_LEN] {
        let mut bytes = [0; FILE_HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_be_bytes());
        bytes[10..26].copy_from_slice(&self.log.0);
        bytes[26..58].copy_from_slice(&self.commitment);
        let digest = Sha256::digest(&bytes[..58]);
        bytes[58..].copy_from_slice(&digest);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; FILE_HEADER_LEN]) -> Result<Self, What> {
        if bytes[..8] != MAGIC {
            return Err(What::NotALog);
        }
        let found = u16::from_be_bytes(array(&bytes[8..10]));
        if found != VERSION {
            return Err(What::UnknownVersion { found });
        }
        if bytes[58..] != Sha256::digest(&bytes[..58])[..] {
            return Err(What::DamagedHeader);
        }
        Ok(Self { log: LogId(array(&bytes[10..26])), commitment: array(&bytes[26..58]) })
    }

    /// Reads the header. A file that does not begin with a good one is no log to go on with.
    pub(crate) fn read(reader: &mut impl Read) -> Result<Self, AuditError> {
        let mut bytes = [0; FILE_HEADER_LEN];
        let read = read_full(reader, &mut bytes)?;
        let header = if read < FILE_HEADER_LEN {
            let starts_like_a_log = MAGIC.starts_with(&bytes[..read.min(MAGIC.len())]);
            Err(if starts_like_a_log { What::ShortFileHeader { found: read as u64 } } else { What::NotALog })
        } else {
            Self::decode(&bytes)
        };
        header.map_err(|what| Break { segment: 0, place: Place::FileHeader, seq: 0, offset: 0, what }.into())
    }
}

/// A frame whose structure is good.
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) seq: u64,
    pub(crate) bound: [u8; BOUND_LEN],
    pub(crate) leaf: Leaf,
    pub(crate) offset: u64,
}

/// The frames of a log, one at a time; memory is one payload, however long the log.
pub(crate) struct Frames<R> {
    reader: R,
    /// The end of the last good frame.
    pub(crate) offset: u64,
    /// The leaf of the last good frame.
    pub(crate) last_leaf: Leaf,
    /// The good records so far: the next one's number.
    pub(crate) records: u64,
    payload: Vec<u8>,
}

impl<R: Read> Frames<R> {
    /// Takes a reader that stands behind the file header.
    pub(crate) fn new(reader: R, header: &FileHeader) -> Self {
        Self {
            reader,
            offset: FILE_HEADER_LEN as u64,
            last_leaf: Leaf::of(&header.encode()),
            records: 0,
            payload: Vec::new(),
        }
    }

    /// The next frame and its payload; `None` at the end of the log.
    pub(crate) fn next(&mut self) -> Result<Option<(Frame, &mut [u8])>, AuditError> {
        let mut head = [0; PAYLOAD_AT];
        let found = read_full(&mut self.reader, &mut head)?;
        if found == 0 {
            return Ok(None);
        }
        if found < PAYLOAD_AT {
            let what = What::TornTail { found: found as u64, expected: PAYLOAD_AT as u64 };
            return Err(self.broken(Kind::from_byte(head[0]), what));
        }
        let (bytes, check) = head.split_at(FRAME_HEADER_LEN);
        let header = FrameHeader::decode(&array(bytes));
        let leaf = Leaf::of(bytes);
        let kind = self
            .judge(&header, leaf.check() == check)
            .map_err(|what| self.broken(Kind::from_byte(header.kind), what))?;

        let length = header.length as usize;
        self.payload.resize(length, 0);
        let found = read_full(&mut self.reader, &mut self.payload)?;
        if found < length {
            let what =
                What::TornTail { found: (PAYLOAD_AT + found) as u64, expected: (PAYLOAD_AT + length) as u64 };
            return Err(self.broken(Some(kind), what));
        }
        if payload_digest(header.kind, &self.payload) != header.digest {
            return Err(self.broken(Some(kind), What::DamagedBody));
        }

        let frame = Frame { kind, seq: header.seq, bound: array(bytes), leaf, offset: self.offset };
        self.offset += (PAYLOAD_AT + length) as u64;
        self.last_leaf = leaf;
        self.records += u64::from(kind == Kind::Record);
        Ok(Some((frame, &mut self.payload)))
    }

    /// What the header alone says. Its length is bounded here, before anything of that length is made.
    fn judge(&self, header: &FrameHeader, matches_check: bool) -> Result<Kind, What> {
        if !matches_check {
            return Err(What::DamagedHeader);
        }
        let Some(kind) = Kind::from_byte(header.kind) else {
            return Err(What::UnknownKind { found: header.kind });
        };
        if !is_length_of(kind, header.length) {
            return Err(What::BadLength { found: header.length });
        }
        if header.seq != self.records {
            return Err(What::OutOfOrder { found: header.seq, expected: self.records });
        }
        if header.previous != self.last_leaf {
            return Err(What::WrongPrevious { found: header.previous, expected: self.last_leaf });
        }
        Ok(kind)
    }

    fn broken(&self, kind: Option<Kind>, what: What) -> AuditError {
        let place = place(kind, self.records);
        Break { segment: 0, place, seq: self.records, offset: self.offset, what }.into()
    }
}

/// The name of a frame of this kind that comes after `records` records.
pub(crate) fn place(kind: Option<Kind>, records: u64) -> Place {
    match kind {
        Some(Kind::Opening) => Place::Opening,
        Some(Kind::Record) => Place::Record(records),
        Some(Kind::Closing) => Place::Closing,
        None => Place::Frame(records),
    }
}

/// Whether a whole frame header stands anywhere in what is left of `reader`.
///
/// The check behind a header is 64 bits of a hash over it, so neither a torn write nor chance makes one.
pub(crate) fn has_frame(mut reader: impl Read) -> io::Result<bool> {
    const STEP: usize = 64 * 1024;
    let mut window = vec![0; PAYLOAD_AT - 1 + STEP];
    let mut kept = 0;
    loop {
        let end = kept + read_full(&mut reader, &mut window[kept..])?;
        if window[..end].windows(PAYLOAD_AT).any(is_frame_header) {
            return Ok(true);
        }
        if end < window.len() {
            return Ok(false);
        }
        // A header may lie across the seam.
        kept = PAYLOAD_AT - 1;
        window.copy_within(end - kept..end, 0);
    }
}

fn is_frame_header(bytes: &[u8]) -> bool {
    let (header, check) = bytes.split_at(FRAME_HEADER_LEN);
    let parsed = FrameHeader::decode(&array(header));
    Kind::from_byte(parsed.kind).is_some_and(|kind| is_length_of(kind, parsed.length))
        && Leaf::of(header).check() == &check[..CHECK_LEN]
}

fn is_length_of(kind: Kind, length: u32) -> bool {
    let length = length as usize;
    match kind {
        Kind::Opening => length == OPENING_LEN,
        Kind::Record => (TAG_LEN..=MAX_PAYLOAD).contains(&length),
        Kind::Closing => length == CLOSING_LEN,
    }
}

/// Reads until `buffer` is full or the input ends, and returns how much there was.
pub(crate) fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FileHeader {
        FileHeader { log: LogId([3; 16]), commitment: [4; 32] }
    }

    #[test]
    fn a_frame_is_found_at_every_distance_from_the_seam_of_the_window() {
        let sealed = FrameHeader::bound(Kind::Record, 9, Leaf([1; 32]), 40).encode();
        let frame = [&sealed[..], Leaf::of(&sealed).check()].concat();
        for before in [0, 1, 65_450, 65_500, 65_535, 65_536, 65_537, 65_600, 65_619, 65_620, 131_071, 200_000]
        {
            let mut tail = vec![b'R'; before];
            assert!(!has_frame(&tail[..]).expect("reads"));
            tail.extend(&frame);
            assert!(has_frame(&tail[..]).expect("reads"), "{before}");
            tail.pop();
            assert!(!has_frame(&tail[..]).expect("reads"), "{before}");
        }
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_anything_is_allocated() {
        let mut head = FrameHeader::bound(Kind::Record, 0, Leaf::of(&header().encode()), u32::MAX);
        for length in [u32::MAX, MAX_PAYLOAD as u32 + 1, TAG_LEN as u32 - 1] {
            head.length = length;
            let bytes = [&head.encode()[..], Leaf::of(&head.encode()).check()].concat();
            let mut frames = Frames::new(&bytes[..], &header());
            let error = frames.next().err().expect("refused");
            assert!(
                matches!(error, AuditError::Broken(Break { what: What::BadLength { found }, .. }) if found == length)
            );
            assert_eq!(frames.payload.capacity(), 0);
        }
    }

    #[test]
    fn a_kind_of_a_later_version_is_named() {
        let mut head = FrameHeader::bound(Kind::Record, 0, Leaf::of(&header().encode()), 20);
        head.kind = b'X';
        let bytes = [&head.encode()[..], Leaf::of(&head.encode()).check()].concat();
        let error = Frames::new(&bytes[..], &header()).next().err().expect("refused");
        assert_eq!(
            error.to_string(),
            "the frame where record 0 is next at byte 90 of segment 0 is of kind 88, which version 0 does not have; \
             use the graft that wrote it"
        );
    }

    #[test]
    fn a_file_header_prints_what_it_parsed() {
        let bytes = header().encode();
        assert_eq!(FileHeader::decode(&bytes).map(|again| again.encode()), Ok(bytes));
    }
}
