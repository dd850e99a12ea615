//! The frames of wire version 0, byte by byte. `WIRE.md` beside the manifest is the document; the
//! constants and fields here follow its order.
//!
//! Every frame is parsed from a whole piece whose length was checked before, and printing what was parsed
//! gives the same bytes.

use std::time::Duration;

use bytes::Bytes;
use graft_core::{
    CallId, Credential, FaultCode, InterfaceId, Label, Metadata, MethodId, ReplyKind, Request, RunId, SpanId,
    TraceContext, TraceId,
};

use crate::{CloseReason, Limits};

/// Size of the length field in front of each frame; it does not count itself.
pub const LENGTH_SIZE: usize = 4;
/// Type of the hello frame.
pub const HELLO: u8 = 0;
/// Type of the request frame.
pub const REQUEST: u8 = 1;
/// Type of the reply frame.
pub const REPLY: u8 = 2;
/// Type of the fault frame.
pub const FAULT: u8 = 3;
/// Type of the cancel frame.
pub const CANCEL: u8 = 4;
/// Type of the goodbye frame.
pub const GOODBYE: u8 = 5;

/// What a hello begins with.
pub const MAGIC: [u8; 4] = *b"grft";
/// The wire version.
pub const VERSION: u16 = 0;
/// The longest first frame that is read at all: room for the hello of a later version.
pub const MAX_HELLO: u32 = 64;

/// Request flag: there is a parent call.
pub const HAS_PARENT: u8 = 1;
/// Request flag: there is a deadline.
pub const HAS_DEADLINE: u8 = 2;
/// Request flag: there is a credential.
pub const HAS_CREDENTIAL: u8 = 4;
/// The longest credential in bytes.
pub const MAX_CREDENTIAL: usize = 4096;
/// The longest encoded label in bytes.
pub const MAX_LABEL: usize = 4096;

/// Where a call number stands in the frames that have one, from the start of the length field.
const NUMBER: std::ops::Range<usize> = 5..13;
/// Bytes of a reply frame before its body.
const REPLY_HEAD: usize = 16;

/// One frame.
#[derive(Clone, Debug)]
pub enum Frame {
    /// First frame of each side.
    Hello(Hello),
    /// A call.
    Request(RequestFrame),
    /// The answer that carries a value or the method's own error.
    Reply(ReplyFrame),
    /// The answer that carries neither.
    Fault(FaultFrame),
    /// The caller no longer waits. The call is still answered, once.
    Cancel {
        /// The call.
        number: u64,
    },
    /// Last frame of a side.
    Goodbye {
        /// Number of a [`CloseReason`].
        reason: u8,
    },
}

/// The first frame of each side: what it is ready to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The longest frame in bytes that the sender reads.
    pub max_frame: u32,
    /// The most unanswered calls that the sender takes.
    pub max_in_flight: u32,
}

/// Encoded values. `Debug` shows how many bytes they are and not which.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Encoded(pub Bytes);

impl std::ops::Deref for Encoded {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.0
    }
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// A call as it travels.
#[derive(Clone, Debug)]
pub struct RequestFrame {
    /// Number of the call on its connection.
    pub number: u64,
    /// The contract that the caller was built from.
    pub interface: InterfaceId,
    /// The method.
    pub method: MethodId,
    /// Run, call, parent, trace and credential. Its deadline is empty, since two machines share no clock.
    pub meta: Metadata,
    /// How long the caller still waits, in whole microseconds.
    pub remaining: Option<Duration>,
    /// What the caller says of the arguments.
    pub label: Label,
    /// The encoded arguments.
    pub body: Encoded,
}

/// An answer with a value or the method's own error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyFrame {
    /// The call.
    pub number: u64,
    /// Which of the two.
    pub kind: ReplyKind,
    /// What the receiver says of it.
    pub label: Label,
    /// It, encoded.
    pub body: Encoded,
}

/// An answer without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultFrame {
    /// The call.
    pub number: u64,
    /// Number of a [`FaultCode`].
    pub code: u8,
    /// The trace id under which the receiver logged it.
    pub trace: TraceId,
}

impl FaultFrame {
    /// The code; one that this version does not know reads as [`FaultCode::Internal`].
    pub fn fault_code(&self) -> FaultCode {
        FaultCode::from_number(self.code).unwrap_or(FaultCode::Internal)
    }
}

impl Frame {
    /// Parses one frame without its length field.
    ///
    /// # Errors
    /// The reason for which the connection has to be closed.
    pub fn parse(frame: Bytes, limits: &Limits) -> Result<Self, CloseReason> {
        let mut fields = Fields(frame);
        let kind = fields.u8()?;
        let frame = match kind {
            HELLO => Self::Hello(Hello::parse(&mut fields)?),
            REQUEST => return RequestFrame::parse(fields, limits).map(Self::Request),
            REPLY => return ReplyFrame::parse(fields, limits).map(Self::Reply),
            FAULT => Self::Fault(FaultFrame {
                number: fields.u64()?,
                code: fields.u8()?,
                trace: TraceId(fields.array()?),
            }),
            CANCEL => Self::Cancel { number: fields.u64()? },
            GOODBYE => Self::Goodbye { reason: fields.u8()? },
            _ => return Err(CloseReason::UnexpectedFrame),
        };
        if fields.0.is_empty() { Ok(frame) } else { Err(CloseReason::Malformed) }
    }

    /// Appends the frame with its length field.
    ///
    /// # Errors
    /// [`FaultCode::LimitExceeded`] if credential, label or the whole is too long for its length field;
    /// `out` is then as it was.
    pub fn print(&self, out: &mut Vec<u8>) -> Result<(), FaultCode> {
        match self {
            Self::Hello(hello) => hello.print(out),
            Self::Request(frame) => return frame.print(out),
            Self::Reply(frame) => return frame.print(out),
            Self::Fault(fault) => fault.print(out),
            Self::Cancel { number } => print_cancel(*number, out),
            Self::Goodbye { reason } => print_goodbye(*reason, out),
        }
        Ok(())
    }
}

impl Hello {
    fn parse(fields: &mut Fields) -> Result<Self, CloseReason> {
        if fields.array::<4>().map_err(|_| CloseReason::NotGraft)? != MAGIC {
            return Err(CloseReason::NotGraft);
        }
        if fields.u16()? != VERSION {
            return Err(CloseReason::VersionMismatch);
        }
        Ok(Self { max_frame: fields.u32()?, max_in_flight: fields.u32()? })
    }

    pub(crate) fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&15_u32.to_le_bytes());
        out.push(HELLO);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.max_frame.to_le_bytes());
        out.extend_from_slice(&self.max_in_flight.to_le_bytes());
    }
}

impl FaultFrame {
    pub(crate) fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&26_u32.to_le_bytes());
        out.push(FAULT);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.push(self.code);
        out.extend_from_slice(&self.trace.0);
    }
}

impl RequestFrame {
    fn parse(mut fields: Fields, limits: &Limits) -> Result<Self, CloseReason> {
        let number = fields.u64()?;
        let interface = InterfaceId(fields.array()?);
        let method = MethodId(fields.array()?);
        let run = RunId(fields.array()?);
        let call = CallId(fields.u64()?);
        let flags = fields.u8()?;
        let parent = fields.optional(flags & HAS_PARENT != 0)?.map(CallId);
        let remaining = fields.optional(flags & HAS_DEADLINE != 0)?.map(Duration::from_micros);
        let trace = TraceContext {
            trace: TraceId(fields.array()?),
            span: SpanId(fields.array()?),
            flags: fields.u8()?,
        };
        let (credential_len, label_len) = (usize::from(fields.u16()?), usize::from(fields.u16()?));
        if flags & !(HAS_PARENT | HAS_DEADLINE | HAS_CREDENTIAL) != 0
            || (flags & HAS_CREDENTIAL == 0 && credential_len != 0)
        {
            return Err(CloseReason::Malformed);
        }
        if credential_len > MAX_CREDENTIAL
            || label_len > MAX_LABEL
            || credential_len + label_len > limits.max_metadata() as usize
        {
            return Err(CloseReason::MetadataTooLarge);
        }
        let credential = fields.bytes(credential_len)?;
        let label = parse_label(&fields.bytes(label_len)?)?;
        let mut meta = Metadata::new(run, call);
        meta.parent = parent;
        meta.trace = trace;
        meta.credential = (flags & HAS_CREDENTIAL != 0).then(|| Credential::new(&credential[..]));
        Ok(Self { number, interface, method, meta, remaining, label, body: Encoded(fields.0) })
    }

    fn print(&self, out: &mut Vec<u8>) -> Result<(), FaultCode> {
        let request = Request::new(self.interface, self.method, &self.meta, &self.label);
        let mut draft = RequestDraft::new(&request, self.remaining)?;
        draft.body().extend_from_slice(&self.body);
        out.extend_from_slice(&draft.finish()?.numbered(self.number));
        Ok(())
    }
}

impl ReplyFrame {
    fn parse(mut fields: Fields, limits: &Limits) -> Result<Self, CloseReason> {
        let number = fields.u64()?;
        let kind = match fields.u8()? {
            0 => ReplyKind::Ok,
            1 => ReplyKind::Err,
            _ => return Err(CloseReason::Malformed),
        };
        let label_len = usize::from(fields.u16()?);
        if label_len > MAX_LABEL.min(limits.max_metadata() as usize) {
            return Err(CloseReason::MetadataTooLarge);
        }
        let body_len = fields.0.len().checked_sub(label_len).ok_or(CloseReason::Malformed)?;
        let body = fields.bytes(body_len)?;
        Ok(Self { number, kind, label: parse_label(&fields.0)?, body: Encoded(body) })
    }

    fn print(&self, out: &mut Vec<u8>) -> Result<(), FaultCode> {
        let mut draft = ReplyDraft::new();
        draft.body().extend_from_slice(&self.body);
        out.extend_from_slice(&draft.finish(self.kind, &self.label)?.numbered(self.number));
        Ok(())
    }
}

/// A request frame under construction: the head is there, the encoded arguments are appended in place.
pub struct RequestDraft(Vec<u8>);

impl RequestDraft {
    /// The head of `request`, whose caller still waits for `remaining`.
    ///
    /// # Errors
    /// [`FaultCode::LimitExceeded`] if credential or label is over its bound.
    pub fn new(request: &Request<'_>, remaining: Option<Duration>) -> Result<Self, FaultCode> {
        let meta = request.meta;
        let credential = meta.credential.as_ref().map_or(&[][..], Credential::expose);
        if credential.len() > MAX_CREDENTIAL {
            return Err(FaultCode::LimitExceeded);
        }
        let mut flags = 0;
        flags |= if meta.parent.is_some() { HAS_PARENT } else { 0 };
        flags |= if remaining.is_some() { HAS_DEADLINE } else { 0 };
        flags |= if meta.credential.is_some() { HAS_CREDENTIAL } else { 0 };

        let mut out = Vec::with_capacity(256 + credential.len());
        out.extend_from_slice(&[0; LENGTH_SIZE]);
        out.push(REQUEST);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&request.interface.0);
        out.extend_from_slice(&request.method.0);
        out.extend_from_slice(&meta.run.0);
        out.extend_from_slice(&meta.call.0.to_le_bytes());
        out.push(flags);
        out.extend_from_slice(&meta.parent.map_or(0, |parent| parent.0).to_le_bytes());
        out.extend_from_slice(&remaining.map_or(0, micros).to_le_bytes());
        out.extend_from_slice(&meta.trace.trace.0);
        out.extend_from_slice(&meta.trace.span.0);
        out.push(meta.trace.flags);
        out.extend_from_slice(&(credential.len() as u16).to_le_bytes());
        let label_len_at = out.len();
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(credential);
        let label_len = print_label(request.label, &mut out)?;
        out[label_len_at..label_len_at + 2].copy_from_slice(&label_len.to_le_bytes());
        Ok(Self(out))
    }

    /// Where the encoded arguments are appended.
    pub fn body(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// The frame, whole but for the number that its connection gives it.
    ///
    /// # Errors
    /// [`FaultCode::LimitExceeded`] if it is too long for the length field.
    pub fn finish(self) -> Result<Unnumbered, FaultCode> {
        Unnumbered::new(self.0)
    }
}

/// A reply frame under construction: the encoded reply is appended in place, the label comes after it,
/// since it is known only then.
pub struct ReplyDraft(Vec<u8>);

impl Default for ReplyDraft {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplyDraft {
    /// An empty reply.
    pub fn new() -> Self {
        let mut out = Vec::with_capacity(128);
        out.resize(REPLY_HEAD, 0);
        out[LENGTH_SIZE] = REPLY;
        Self(out)
    }

    /// Where the encoded reply is appended. What stands there already has to stay.
    pub fn body(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// The frame, whole but for the number of the call that it answers.
    ///
    /// # Errors
    /// [`FaultCode::LimitExceeded`] if it is too long for the length field, [`FaultCode::Internal`] if
    /// the head was cut off.
    pub fn finish(self, kind: ReplyKind, label: &Label) -> Result<Unnumbered, FaultCode> {
        let mut out = self.0;
        if out.len() < REPLY_HEAD || out[LENGTH_SIZE] != REPLY {
            return Err(FaultCode::Internal);
        }
        let label_len = print_label(label, &mut out)?;
        out[NUMBER.end] = match kind {
            ReplyKind::Ok => 0,
            ReplyKind::Err => 1,
        };
        out[NUMBER.end + 1..REPLY_HEAD].copy_from_slice(&label_len.to_le_bytes());
        Unnumbered::new(out)
    }
}

/// A whole request or reply frame but for its call number.
///
/// Encoding is done when it exists, so what is left for the connection is to number it and queue it.
pub struct Unnumbered(Vec<u8>);

impl Unnumbered {
    fn new(mut out: Vec<u8>) -> Result<Self, FaultCode> {
        let length = u32::try_from(out.len() - LENGTH_SIZE).map_err(|_| FaultCode::LimitExceeded)?;
        out[..LENGTH_SIZE].copy_from_slice(&length.to_le_bytes());
        Ok(Self(out))
    }

    /// What its length field says.
    pub fn length(&self) -> usize {
        self.0.len() - LENGTH_SIZE
    }

    pub(crate) fn numbered(mut self, number: u64) -> Vec<u8> {
        self.0[NUMBER].copy_from_slice(&number.to_le_bytes());
        self.0
    }
}

pub(crate) fn print_cancel(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&9_u32.to_le_bytes());
    out.push(CANCEL);
    out.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn print_goodbye(reason: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&2_u32.to_le_bytes());
    out.extend_from_slice(&[GOODBYE, reason]);
}

/// Whole microseconds, rounded up, so that time that is left never reads as none.
fn micros(left: Duration) -> u64 {
    u64::try_from(left.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}

/// The encoding of [`Label::default`], which nearly every call carries.
const DEFAULT_LABEL: [u8; 4] = [1, 0, 1, 0];

fn print_label(label: &Label, out: &mut Vec<u8>) -> Result<u16, FaultCode> {
    let start = out.len();
    *out = postcard::to_extend(label, std::mem::take(out)).map_err(|_| FaultCode::Internal)?;
    let length = out.len() - start;
    if length > MAX_LABEL {
        return Err(FaultCode::LimitExceeded);
    }
    Ok(length as u16)
}

/// One label has one encoding: origins in order, each once, at most the bound.
fn parse_label(bytes: &[u8]) -> Result<Label, CloseReason> {
    if bytes == DEFAULT_LABEL {
        return Ok(Label::default());
    }
    let (label, rest) = postcard::take_from_bytes::<Label>(bytes).map_err(|_| CloseReason::Malformed)?;
    let again = postcard::to_stdvec(&label).map_err(|_| CloseReason::Malformed)?;
    if rest.is_empty() && again == bytes { Ok(label) } else { Err(CloseReason::Malformed) }
}

/// What is left of a frame.
struct Fields(Bytes);

impl Fields {
    fn bytes(&mut self, len: usize) -> Result<Bytes, CloseReason> {
        if len > self.0.len() { Err(CloseReason::Malformed) } else { Ok(self.0.split_to(len)) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CloseReason> {
        let array = *self.0.first_chunk::<N>().ok_or(CloseReason::Malformed)?;
        bytes::Buf::advance(&mut self.0, N);
        Ok(array)
    }

    /// A field that is zero when its flag is not set.
    fn optional(&mut self, present: bool) -> Result<Option<u64>, CloseReason> {
        match (present, self.u64()?) {
            (true, value) => Ok(Some(value)),
            (false, 0) => Ok(None),
            (false, _) => Err(CloseReason::Malformed),
        }
    }

    fn u8(&mut self) -> Result<u8, CloseReason> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, CloseReason> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, CloseReason> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, CloseReason> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortcut_for_the_default_label_is_its_encoding() {
        let mut out = Vec::new();
        assert_eq!(print_label(&Label::default(), &mut out), Ok(4));
        assert_eq!(out, DEFAULT_LABEL);
    }

    #[test]
    fn time_that_is_left_never_reads_as_none() {
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_micros(7)), 7);
        assert_eq!(micros(Duration::MAX), u64::MAX);
    }
}
