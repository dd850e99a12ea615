//! The header of a record. Its leaf covers it; the parts hang on by their digests.

use super::{CHECK_LEN, Fields, Leaf, MAX_BODY, Printer, TAG_LEN};
use crate::What;

pub(crate) const MAX_PARTS: usize = 4;
/// How many kinds of part there are, and so parts of a record in this version.
const KINDS: usize = 2;
const FIXED: usize = 44;
const PART: usize = 40;
pub(crate) const MAX_RECORD_HEADER: usize = record_header_len(MAX_PARTS);
/// A body has a byte at least, which says of what form it is.
const PART_LENGTHS: std::ops::RangeInclusive<usize> = 1 + TAG_LEN..=MAX_BODY + TAG_LEN;

/// The header of a record with this many parts, check included.
pub(crate) const fn record_header_len(parts: usize) -> usize {
    FIXED + PART * parts + CHECK_LEN
}

/// What a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PartKind {
    /// The event. Every record has it, first.
    Event,
    /// The fields of the host.
    Fields,
}

/// What a header says of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartHeader {
    pub(crate) kind: PartKind,
    /// In bytes, tag included.
    pub(crate) length: u32,
    pub(crate) digest: [u8; 32],
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) seq: u64,
    pub(crate) previous: Leaf,
    parts: [PartHeader; KINDS],
    count: usize,
}

impl RecordHeader {
    pub(crate) const KIND: u8 = b'R';

    /// `None` unless there are 1 or 2 parts.
    pub(crate) fn new(seq: u64, previous: Leaf, parts: &[PartHeader]) -> Option<Self> {
        let mut all = [PartHeader { kind: PartKind::Event, length: 0, digest: [0; 32] }; KINDS];
        all.get_mut(..parts.len())?.copy_from_slice(parts);
        (!parts.is_empty()).then_some(Self { seq, previous, parts: all, count: parts.len() })
    }

    pub(crate) fn parts(&self) -> &[PartHeader] {
        &self.parts[..self.count]
    }

    /// How many bytes it takes, check included.
    pub(crate) fn len(&self) -> usize {
        record_header_len(self.count)
    }

    /// How many bytes its parts take.
    pub(crate) fn parts_len(&self) -> usize {
        self.parts().iter().map(|part| part.length as usize).sum()
    }

    /// Prints it to `bytes`, which are as long as it, and returns the leaf.
    pub(crate) fn encode(&self, bytes: &mut [u8]) -> Leaf {
        let mut printer = Printer::new(bytes);
        printer.put(&[Self::KIND, self.count as u8, 0, 0]).put(&self.seq.to_be_bytes()).put(&self.previous.0);
        for part in self.parts() {
            printer.put(&[part.kind.byte(), 0, 0, 0]).put(&part.length.to_be_bytes()).put(&part.digest);
        }
        let end = printer.1;
        let leaf = Leaf::of(&bytes[..end]);
        bytes[end..].copy_from_slice(leaf.check());
        leaf
    }

    /// How many bytes the header takes that begins so; `None` if none does.
    pub(crate) fn len_of(first: [u8; 2]) -> Option<usize> {
        let parts = usize::from(first[1]);
        (first[0] == Self::KIND && (1..=MAX_PARTS).contains(&parts)).then_some(record_header_len(parts))
    }

    /// Reads a header of the length that [`len_of`](Self::len_of) gave.
    ///
    /// # Errors
    /// [`What`] is wrong with it; a length is believed only behind a good check.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, Leaf), What> {
        let (header, check) = bytes.split_at(bytes.len() - CHECK_LEN);
        let leaf = Leaf::of(header);
        if leaf.check() != check {
            return Err(What::DamagedHeader);
        }
        if header[2..4] != [0; 2] {
            return Err(What::Reserved);
        }
        let mut fields = Fields(&header[4..]);
        let (seq, previous) = (fields.u64(), Leaf(fields.take()));
        let mut parts = [PartHeader { kind: PartKind::Event, length: 0, digest: [0; 32] }; KINDS];
        let count = usize::from(header[1]);
        for at in 0..count {
            let [kind, key, reserved @ ..] = fields.take::<4>();
            if key != 0 || reserved != [0; 2] {
                return Err(What::Reserved);
            }
            let kind = PartKind::from_byte(kind).ok_or(What::UnknownPart { found: kind })?;
            let length = fields.u32();
            if !PART_LENGTHS.contains(&(length as usize)) {
                return Err(What::BadLength { found: length });
            }
            let follows = if at == 0 { kind == PartKind::Event } else { kind > parts[at - 1].kind };
            if !follows {
                return Err(What::Impossible);
            }
            // Each kind at most once, so there are no more parts than kinds.
            *parts.get_mut(at).ok_or(What::Impossible)? = PartHeader { kind, length, digest: fields.take() };
        }
        Ok((Self { seq, previous, parts, count }, leaf))
    }
}

impl PartKind {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Event => 1,
            Self::Fields => 2,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Event),
            2 => Some(Self::Fields),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> RecordHeader {
        let part = |kind, length| PartHeader { kind, length, digest: [kind as u8; 32] };
        let parts = [part(PartKind::Event, 17), part(PartKind::Fields, 65_552)];
        RecordHeader::new(6, Leaf([1; 32]), &parts).expect("two parts")
    }

    fn encode(header: &RecordHeader) -> Vec<u8> {
        let mut bytes = vec![0; header.len()];
        header.encode(&mut bytes);
        bytes
    }

    /// With a check that is right for what was changed.
    fn decode_with(at: usize, byte: u8) -> Result<(RecordHeader, Leaf), What> {
        let mut bytes = encode(&header());
        bytes[at] = byte;
        let end = bytes.len() - CHECK_LEN;
        let leaf = Leaf::of(&bytes[..end]);
        bytes[end..].copy_from_slice(leaf.check());
        RecordHeader::decode(&bytes)
    }

    #[test]
    fn a_header_prints_what_it_parsed_and_any_other_byte_is_refused() {
        let bytes = encode(&header());
        assert_eq!(RecordHeader::len_of([bytes[0], bytes[1]]), Some(bytes.len()));
        assert_eq!(RecordHeader::decode(&bytes), Ok((header(), Leaf::of(&bytes[..bytes.len() - 8]))));
        assert_eq!((header().len(), header().parts_len()), (132, 17 + 65_552));
        for at in 2..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(RecordHeader::decode(&other), Err(What::DamagedHeader), "{at}");
        }
    }

    #[test]
    fn only_one_to_four_parts_make_a_header() {
        let lengths = [0, 1, 2, 3, 4, 5, 255].map(|parts| RecordHeader::len_of([b'R', parts]));
        assert_eq!(lengths, [None, Some(92), Some(132), Some(172), Some(212), None, None]);
        assert_eq!(RecordHeader::len_of([b'C', 1]), None);
        assert_eq!(RecordHeader::new(0, Leaf([0; 32]), &[]), None);
        assert_eq!(RecordHeader::new(0, Leaf([0; 32]), &[header().parts[0]; 5]), None);
    }

    #[test]
    fn what_a_header_does_not_say_in_this_version_is_named() {
        assert_eq!([2, 3, 45, 46, 47, 85].map(|at| decode_with(at, 1)), [Err(What::Reserved); 6]);
        assert_eq!(decode_with(84, 3), Err(What::UnknownPart { found: 3 }));
        assert_eq!(decode_with(44, 2), Err(What::Impossible), "the event is first");
        assert_eq!(decode_with(84, 1), Err(What::Impossible), "each at most once");
        assert_eq!(decode_with(51, 16), Err(What::BadLength { found: 16 }));
        assert_eq!(decode_with(91, 17), Err(What::BadLength { found: 65_553 }));
        assert_eq!(decode_with(48, 255), Err(What::BadLength { found: 0xff00_0011 }));
    }
}
