//! The frames of wire version 1, byte by byte. `WIRE.md` beside the manifest is the document; the constants
//! and fields here follow its order.
//!
//! Every frame is parsed from a whole piece whose length was checked before, and printing what was parsed
//! gives the same bytes.

mod fields;
mod request;

use bytes::Bytes;
use graft_core::{FaultCode, HandleId, InterfaceId, Label, ReplyKind, TraceId};

pub use request::*;

use crate::{CloseReason, Limits};
use fields::{Fields, Ports, label_of, print_label};

/// Size of the length field in front of each frame; it does not count itself.
pub const LENGTH_SIZE: usize = 4;
/// Type of the hello frame.
pub const HELLO: u8 = 0;
/// Type of the bind frame.
pub const BIND: u8 = 1;
/// Type of the bound frame.
pub const BOUND: u8 = 2;
/// Type of the request frame.
pub const REQUEST: u8 = 3;
/// Type of the reply frame.
pub const REPLY: u8 = 4;
/// Type of the fault frame.
pub const FAULT: u8 = 5;
/// Type of the cancel frame.
pub const CANCEL: u8 = 6;
/// Type of the item frame.
pub const ITEM: u8 = 7;
/// Type of the end frame.
pub const END: u8 = 8;
/// Type of the credit frame.
pub const CREDIT: u8 = 9;
/// Type of the stop frame.
pub const STOP: u8 = 10;
/// Type of the release frame.
pub const RELEASE: u8 = 11;
/// Type of the renew frame.
pub const RENEW: u8 = 12;
/// Type of the health frame.
pub const HEALTH: u8 = 13;
/// Type of the healthy frame.
pub const HEALTHY: u8 = 14;
/// Type of the drain frame.
pub const DRAIN: u8 = 15;
/// Type of the goodbye frame.
pub const GOODBYE: u8 = 16;

/// What a hello begins with.
pub const MAGIC: [u8; 4] = *b"grft";
/// The wire version.
pub const VERSION: u16 = 1;
/// The longest first frame that is read at all: room for the hello of a later version.
pub const MAX_HELLO: u32 = 64;

/// Reply flag: the method's own error, and not its value.
pub const IS_ERROR: u8 = 1;
/// Reply flag: there is a label.
pub const REPLY_LABEL: u8 = 2;
/// Reply flag: there are ports.
pub const REPLY_PORTS: u8 = 4;

/// The longest credential in bytes.
pub const MAX_CREDENTIAL: usize = 4096;
/// The longest encoded label in bytes.
pub const MAX_LABEL: usize = 4096;
/// The most ports of one value.
pub const MAX_PORTS: usize = 255;
/// What an item costs beyond its bytes, so that empty ones are not free.
pub const ITEM_COST: usize = 64;

/// One frame.
#[derive(Clone, Debug)]
pub enum Frame {
    /// First frame of each side.
    Hello(Hello),
    /// Gives an interface the next number, for requests.
    Bind {
        /// The number: how many were bound before.
        index: u16,
        /// The contract that the caller was built from.
        interface: InterfaceId,
    },
    /// Whether a bound interface is hosted for everybody.
    Bound {
        /// Its number.
        index: u16,
        /// Whether it is.
        is_hosted: bool,
    },
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
    /// An item of a stream that the sender produces.
    Item {
        /// The stream.
        stream: u64,
        /// The item, encoded.
        body: Encoded,
    },
    /// No more items of a stream that the sender produces.
    End {
        /// The stream.
        stream: u64,
        /// 0, or the number of the [`FaultCode`] that ended it.
        code: u8,
    },
    /// The receiver may send this much more.
    Credit {
        /// The stream that the receiver produces; 0 is the connection.
        stream: u64,
        /// In bytes; see [`item_cost`].
        bytes: u32,
    },
    /// The sender wants no more items of a stream that the receiver produces.
    Stop {
        /// The stream.
        stream: u64,
    },
    /// The sender no longer holds an object of the receiver.
    Release {
        /// The object.
        handle: HandleId,
    },
    /// The sender still holds an object of the receiver.
    Renew {
        /// The object.
        handle: HandleId,
    },
    /// Asks whether the receiver takes calls.
    Health,
    /// Whether the sender takes calls; nothing else is said.
    Healthy {
        /// Whether it does.
        is_ok: bool,
    },
    /// The sender takes no more calls.
    Drain,
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
    pub max_calls: u32,
    /// The most streams that the sender reads at a time.
    pub max_streams: u32,
    /// Bytes of items that the sender takes of one stream before it gives more credit.
    pub stream_window: u32,
    /// The same of all streams together.
    pub window: u32,
    /// How long the sender keeps an object that nobody calls or renews, in milliseconds.
    pub lease: u32,
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

/// What stands for a port in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// A stream that the sender produces, by its number.
    Items(u64),
    /// An object that the sender hosts.
    Object(HandleId),
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
    /// The ports in it.
    pub ports: Vec<Port>,
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

/// What an item of `bytes` bytes takes of a window of `window` bytes: it, and [`ITEM_COST`] beside it; never
/// more than the window, so that every item fits once there is nothing else.
pub fn item_cost(bytes: usize, window: u32) -> u32 {
    u32::try_from(bytes.saturating_add(ITEM_COST)).unwrap_or(u32::MAX).min(window)
}

impl Frame {
    /// Parses one frame without its length field.
    ///
    /// # Errors
    /// The reason for which the connection has to be closed.
    pub fn parse(frame: Bytes, limits: &Limits) -> Result<Self, CloseReason> {
        if frame.first() == Some(&REQUEST) {
            return RequestFrame::parse(frame, limits).map(|request| Self::Request(*request));
        }
        let mut fields = Fields::new(frame);
        let frame = match fields.u8()? {
            HELLO => Self::Hello(Hello::parse(&mut fields)?),
            BIND => Self::Bind { index: fields.u16()?, interface: InterfaceId(fields.array()?) },
            BOUND => Self::Bound { index: fields.u16()?, is_hosted: fields.bool()? },
            REPLY => return ReplyFrame::parse(fields, limits).map(Self::Reply),
            FAULT => Self::Fault(FaultFrame {
                number: fields.u64()?,
                code: fields.u8()?,
                trace: TraceId(fields.array()?),
            }),
            CANCEL => Self::Cancel { number: fields.u64()? },
            ITEM => return Ok(Self::Item { stream: fields.u64()?, body: Encoded(fields.rest()) }),
            END => Self::End { stream: fields.u64()?, code: fields.u8()? },
            CREDIT => Self::Credit { stream: fields.u64()?, bytes: fields.u32()? },
            STOP => Self::Stop { stream: fields.u64()? },
            RELEASE => Self::Release { handle: HandleId(fields.u64()?) },
            RENEW => Self::Renew { handle: HandleId(fields.u64()?) },
            HEALTH => Self::Health,
            HEALTHY => Self::Healthy { is_ok: fields.bool()? },
            DRAIN => Self::Drain,
            GOODBYE => Self::Goodbye { reason: fields.u8()? },
            _ => return Err(CloseReason::UnexpectedFrame),
        };
        if fields.is_empty() { Ok(frame) } else { Err(CloseReason::Malformed) }
    }

    /// Appends the frame with its length field.
    ///
    /// # Errors
    /// [`FaultCode::LimitExceeded`] if a part or the whole is too long for its length field; `out` is then as
    /// it was.
    pub fn print(&self, out: &mut Vec<u8>) -> Result<(), FaultCode> {
        let start = begin(out);
        let printed = self.print_fields(out);
        if printed.is_ok() && end(start, out, 0) {
            return Ok(());
        }
        out.truncate(start);
        printed.and(Err(FaultCode::LimitExceeded))
    }

    fn print_fields(&self, out: &mut Vec<u8>) -> Result<(), FaultCode> {
        match self {
            Self::Hello(hello) => hello.print(out),
            Self::Bind { index, interface } => {
                out.push(BIND);
                out.extend_from_slice(&index.to_le_bytes());
                out.extend_from_slice(&interface.0);
            }
            Self::Bound { index, is_hosted } => {
                out.push(BOUND);
                out.extend_from_slice(&index.to_le_bytes());
                out.push(u8::from(*is_hosted));
            }
            Self::Request(frame) => frame.print(out)?,
            Self::Reply(frame) => {
                print_reply_head(frame.number, frame.kind, &frame.label, &frame.ports, out)?;
                out.extend_from_slice(&frame.body);
            }
            Self::Fault(fault) => {
                out.push(FAULT);
                out.extend_from_slice(&fault.number.to_le_bytes());
                out.push(fault.code);
                out.extend_from_slice(&fault.trace.0);
            }
            Self::Cancel { number } => numbered(CANCEL, *number, out),
            Self::Item { stream, body } => {
                numbered(ITEM, *stream, out);
                out.extend_from_slice(body);
            }
            Self::End { stream, code } => {
                numbered(END, *stream, out);
                out.push(*code);
            }
            Self::Credit { stream, bytes } => {
                numbered(CREDIT, *stream, out);
                out.extend_from_slice(&bytes.to_le_bytes());
            }
            Self::Stop { stream } => numbered(STOP, *stream, out),
            Self::Release { handle } => numbered(RELEASE, handle.0, out),
            Self::Renew { handle } => numbered(RENEW, handle.0, out),
            Self::Health => out.push(HEALTH),
            Self::Healthy { is_ok } => out.extend_from_slice(&[HEALTHY, u8::from(*is_ok)]),
            Self::Drain => out.push(DRAIN),
            Self::Goodbye { reason } => out.extend_from_slice(&[GOODBYE, *reason]),
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
        Ok(Self {
            max_frame: fields.u32()?,
            max_calls: fields.u32()?,
            max_streams: fields.u32()?,
            stream_window: fields.u32()?,
            window: fields.u32()?,
            lease: fields.u32()?,
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.push(HELLO);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let fields =
            [self.max_frame, self.max_calls, self.max_streams, self.stream_window, self.window, self.lease];
        out.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    }
}

impl ReplyFrame {
    fn parse(mut fields: Fields, limits: &Limits) -> Result<Self, CloseReason> {
        let number = fields.u64()?;
        let flags = fields.u8()?;
        if flags & !(IS_ERROR | REPLY_LABEL | REPLY_PORTS) != 0 {
            return Err(CloseReason::Malformed);
        }
        let kind = if flags & IS_ERROR == 0 { ReplyKind::Ok } else { ReplyKind::Err };
        let label = fields.label(flags & REPLY_LABEL != 0, &mut (limits.max_metadata() as usize))?;
        let ports = fields.ports(flags & REPLY_PORTS != 0)?;
        Ok(Self { number, kind, label, ports, body: Encoded(fields.rest()) })
    }
}

/// All of a reply's fields but its body.
pub(crate) fn print_reply_head(
    number: u64,
    kind: ReplyKind,
    label: &Label,
    ports: &[Port],
    out: &mut Vec<u8>,
) -> Result<(), FaultCode> {
    let label = label_of(label);
    numbered(REPLY, number, out);
    let error = if kind == ReplyKind::Err { IS_ERROR } else { 0 };
    let labelled = if label.is_some() { REPLY_LABEL } else { 0 };
    let ported = if ports.is_empty() { 0 } else { REPLY_PORTS };
    out.push(error | labelled | ported);
    if let Some(label) = label {
        print_label(label, out)?;
    }
    Ports(ports).print(out)
}

fn numbered(kind: u8, number: u64, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Leaves room for a length field; where it stands.
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_SIZE]);
    start
}

/// Fills in the length field at `start`, `more` bytes to come after `out`; whether it fits.
pub(crate) fn end(start: usize, out: &mut [u8], more: usize) -> bool {
    let length = out.len() - start - LENGTH_SIZE;
    let Some(length) = length.checked_add(more).and_then(|length| u32::try_from(length).ok()) else {
        return false;
    };
    out[start..start + LENGTH_SIZE].copy_from_slice(&length.to_le_bytes());
    true
}
