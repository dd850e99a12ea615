//! Reading and writing the parts that several frames have.

use std::cell::RefCell;

use bytes::{Buf, Bytes};
use graft_core::{FaultCode, HandleId, Headers, Label};

use super::{MAX_LABEL, MAX_PORTS, Port};
use crate::CloseReason;

/// Size of the length field in front of a part.
const PART_LENGTH: usize = 2;

/// What is left of a frame.
pub(super) struct Fields(Bytes);

impl Fields {
    pub(super) fn new(frame: Bytes) -> Self {
        Self(frame)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that was not read.
    pub(super) fn rest(self) -> Bytes {
        self.0
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<Bytes, CloseReason> {
        if len > self.0.len() { Err(CloseReason::Malformed) } else { Ok(self.0.split_to(len)) }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], CloseReason> {
        let array = *self.0.first_chunk::<N>().ok_or(CloseReason::Malformed)?;
        self.0.advance(N);
        Ok(array)
    }

    pub(super) fn bool(&mut self) -> Result<bool, CloseReason> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CloseReason::Malformed),
        }
    }

    pub(super) fn u8(&mut self) -> Result<u8, CloseReason> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, CloseReason> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, CloseReason> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, CloseReason> {
        self.array().map(u64::from_le_bytes)
    }

    /// A part of at most `longest` bytes with its length in front; both come out of `room`.
    pub(super) fn part(&mut self, longest: usize, room: &mut usize) -> Result<Bytes, CloseReason> {
        let len = usize::from(self.u16()?);
        let left = room.checked_sub(PART_LENGTH + len).filter(|_| len <= longest);
        *room = left.ok_or(CloseReason::MetadataTooLarge)?;
        self.bytes(len)
    }

    /// A label that is not the default one, if it is there.
    pub(super) fn label(&mut self, is_there: bool, room: &mut usize) -> Result<Label, CloseReason> {
        if !is_there {
            return Ok(Label::default());
        }
        parse_label(&self.part(MAX_LABEL, room)?)
    }

    pub(super) fn ports(&mut self, are_there: bool) -> Result<Vec<Port>, CloseReason> {
        if !are_there {
            return Ok(Vec::new());
        }
        let count = self.u8()?;
        if count == 0 {
            return Err(CloseReason::Malformed);
        }
        let port = |_| match (self.u8()?, self.u64()?) {
            (0, stream) => Ok(Port::Items(stream)),
            (1, handle) => Ok(Port::Object(HandleId(handle))),
            _ => Err(CloseReason::Malformed),
        };
        (0..count).map(port).collect()
    }

    /// Headers, each once, in lower case.
    pub(super) fn headers(&mut self, are_there: bool, room: &mut usize) -> Result<Headers, CloseReason> {
        let mut headers = Headers::default();
        if !are_there {
            return Ok(headers);
        }
        let mut block = Self(self.part(usize::from(u16::MAX), room)?);
        let mut count = 0;
        while !block.is_empty() {
            let name_len = usize::from(block.u8()?);
            let name = block.bytes(name_len)?;
            let value_len = usize::from(block.u16()?);
            let value = block.bytes(value_len)?;
            let text = |bytes| std::str::from_utf8(bytes).map_err(|_| CloseReason::Malformed);
            let (name, value) = (text(&name)?, text(&value)?);
            headers.set(name, value).map_err(|_| CloseReason::Malformed)?;
            count += 1;
            // A name in capitals or a second one would print as other bytes.
            if name.bytes().any(|byte| byte.is_ascii_uppercase()) || headers.iter().count() != count {
                return Err(CloseReason::Malformed);
            }
        }
        if count == 0 { Err(CloseReason::Malformed) } else { Ok(headers) }
    }
}

/// Ports with their count in front; nothing if there are none.
pub(super) struct Ports<'a>(pub(super) &'a [Port]);

impl Ports<'_> {
    pub(super) fn print(&self, out: &mut Vec<u8>) -> Result<(), FaultCode> {
        if self.0.is_empty() {
            return Ok(());
        }
        if self.0.len() > MAX_PORTS {
            return Err(FaultCode::LimitExceeded);
        }
        out.push(self.0.len() as u8);
        for port in self.0 {
            let (kind, id) = match port {
                Port::Items(stream) => (0, *stream),
                Port::Object(handle) => (1, handle.0),
            };
            out.push(kind);
            out.extend_from_slice(&id.to_le_bytes());
        }
        Ok(())
    }
}

/// The label, unless it is the default one, which does not travel.
pub(super) fn label_of(label: &Label) -> Option<&Label> {
    (!is_default(label)).then_some(label)
}

fn is_default(label: &Label) -> bool {
    *label == Label::default()
}

/// Appends `label` with its length in front.
pub(super) fn print_label(label: &Label, out: &mut Vec<u8>) -> Result<(), FaultCode> {
    let start = out.len();
    out.extend_from_slice(&[0; PART_LENGTH]);
    if !KNOWN.with_borrow(|known| known.print(label, out)) {
        *out = postcard::to_extend(label, std::mem::take(out)).map_err(|_| FaultCode::Internal)?;
        KNOWN.with_borrow_mut(|known| known.add(label, &out[start + PART_LENGTH..]));
    }
    end_part(start, out, MAX_LABEL)
}

thread_local! {
    static KNOWN: RefCell<Known> = const { RefCell::new(Known { labels: Vec::new(), next: 0 }) };
}

/// The last labels with their encodings. A service says few different ones, each many times.
struct Known {
    labels: Vec<(Label, Vec<u8>)>,
    next: usize,
}

impl Known {
    const MOST: usize = 8;
    const LONGEST: usize = 256;

    fn print(&self, label: &Label, out: &mut Vec<u8>) -> bool {
        let known = self.labels.iter().find(|(known, _)| known == label);
        known.map(|(_, bytes)| out.extend_from_slice(bytes)).is_some()
    }

    fn parse(&self, bytes: &[u8]) -> Option<Label> {
        self.labels.iter().find(|(_, known)| known == bytes).map(|(label, _)| label.clone())
    }

    fn add(&mut self, label: &Label, bytes: &[u8]) {
        if bytes.len() > Self::LONGEST {
            return;
        }
        if self.labels.len() < Self::MOST {
            self.labels.push((label.clone(), bytes.to_vec()));
        } else {
            self.labels[self.next] = (label.clone(), bytes.to_vec());
            self.next = (self.next + 1) % Self::MOST;
        }
    }
}

/// Appends headers with their length in front.
pub(super) fn print_headers(headers: &Headers, out: &mut Vec<u8>) -> Result<(), FaultCode> {
    let start = out.len();
    out.extend_from_slice(&[0; PART_LENGTH]);
    for (name, value) in headers.iter() {
        out.push(u8::try_from(name.len()).map_err(|_| FaultCode::LimitExceeded)?);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&(value.len() as u16).to_le_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    end_part(start, out, usize::from(u16::MAX))
}

fn end_part(start: usize, out: &mut [u8], longest: usize) -> Result<(), FaultCode> {
    let len = out.len() - start - PART_LENGTH;
    if len > longest {
        return Err(FaultCode::LimitExceeded);
    }
    out[start..start + PART_LENGTH].copy_from_slice(&(len as u16).to_le_bytes());
    Ok(())
}

/// One label has one encoding: origins in order, each once, at most the bound; the default one has none.
pub(super) fn parse_label(bytes: &[u8]) -> Result<Label, CloseReason> {
    if let Some(label) = KNOWN.with_borrow(|known| known.parse(bytes)) {
        return Ok(label);
    }
    let (label, rest) = postcard::take_from_bytes::<Label>(bytes).map_err(|_| CloseReason::Malformed)?;
    let again = postcard::to_stdvec(&label).map_err(|_| CloseReason::Malformed)?;
    if rest.is_empty() && again == bytes && !is_default(&label) {
        KNOWN.with_borrow_mut(|known| known.add(&label, bytes));
        Ok(label)
    } else {
        Err(CloseReason::Malformed)
    }
}
