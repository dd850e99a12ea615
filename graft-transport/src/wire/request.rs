//! The request frame.

use std::time::Duration;

use bytes::Bytes;
use graft_core::{
    CallId, Credential, FaultCode, HandleId, Label, Metadata, MethodId, Request, RunId, SpanId, TraceContext,
    TraceId,
};

use super::fields::{Fields, Ports, label_of, print_headers, print_label};
use super::{Encoded, MAX_CREDENTIAL, Port, REQUEST};
use crate::{CloseReason, Limits};

/// Request flag: there is a parent call.
pub const HAS_PARENT: u16 = 1;
/// Request flag: there is a deadline.
pub const HAS_DEADLINE: u16 = 2;
/// Request flag: there is a trace context.
pub const HAS_TRACE: u16 = 4;
/// Request flag: there is a credential.
pub const HAS_CREDENTIAL: u16 = 8;
/// Request flag: the label is another than the default one.
pub const HAS_LABEL: u16 = 16;
/// Request flag: there are headers.
pub const HAS_HEADERS: u16 = 32;
/// Request flag: the call is made on an object.
pub const HAS_HANDLE: u16 = 64;
/// Request flag: there are ports.
pub const HAS_PORTS: u16 = 128;
/// Request flag: the call may be made again.
pub const IS_IDEMPOTENT: u16 = 256;
const FLAGS: u16 = 511;

/// A call as it travels.
#[derive(Clone, Debug)]
pub struct RequestFrame {
    /// Number of the call on its connection.
    pub number: u64,
    /// The number under which its interface was bound.
    pub interface: u16,
    /// The method.
    pub method: MethodId,
    /// The object that it is called on.
    pub handle: Option<HandleId>,
    /// Whether it may be made again.
    pub is_idempotent: bool,
    /// Run, call, parent, trace, credential and headers. Its deadline is empty, since two machines share no clock.
    pub meta: Metadata,
    /// How long the caller still waits, in whole microseconds.
    pub remaining: Option<Duration>,
    /// What the caller says of the arguments.
    pub label: Label,
    /// The ports in the arguments.
    pub ports: Vec<Port>,
    /// The encoded arguments.
    pub body: Encoded,
}

/// All of a request that a session is given to print, but its number and its interface.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The call.
    pub request: &'a Request<'a>,
    /// How long its caller still waits.
    pub remaining: Option<Duration>,
}

impl RequestFrame {
    /// Parses a whole request frame without its length field.
    pub(crate) fn parse(frame: Bytes, limits: &Limits) -> Result<Box<Self>, CloseReason> {
        let mut fields = Fields::new(frame);
        fields.u8()?;
        let number = fields.u64()?;
        let flags = fields.u16()?;
        if flags & !FLAGS != 0 {
            return Err(CloseReason::Malformed);
        }
        let has = |flag| flags & flag != 0;
        let interface = fields.u16()?;
        let method = MethodId(fields.array()?);
        let mut meta = Metadata::new(RunId(fields.array()?), CallId(fields.u64()?));
        if has(HAS_PARENT) {
            meta.parent = Some(CallId(fields.u64()?));
        }
        let remaining = if has(HAS_DEADLINE) { Some(Duration::from_micros(fields.u64()?)) } else { None };
        if has(HAS_TRACE) {
            let (trace, span) = (TraceId(fields.array()?), SpanId(fields.array()?));
            meta.trace = TraceContext { trace, span, flags: fields.u8()? };
            if meta.trace == TraceContext::default() {
                return Err(CloseReason::Malformed);
            }
        }
        let mut room = limits.max_metadata() as usize;
        if has(HAS_CREDENTIAL) {
            meta.credential = Some(Credential::new(&fields.part(MAX_CREDENTIAL, &mut room)?[..]));
        }
        let label = fields.label(has(HAS_LABEL), &mut room)?;
        meta.headers = fields.headers(has(HAS_HEADERS), &mut room)?;
        let handle = if has(HAS_HANDLE) { Some(HandleId(fields.u64()?)) } else { None };
        let ports = fields.ports(has(HAS_PORTS))?;
        let is_idempotent = has(IS_IDEMPOTENT);
        let body = Encoded(fields.rest());
        Ok(Box::new(Self {
            number,
            interface,
            method,
            handle,
            is_idempotent,
            meta,
            remaining,
            label,
            ports,
            body,
        }))
    }

    pub(super) fn print(&self, out: &mut Vec<u8>) -> Result<(), FaultCode> {
        let request = Request {
            handle: self.handle,
            is_idempotent: self.is_idempotent,
            ..Request::new(graft_core::InterfaceId([0; 32]), self.method, &self.meta, &self.label)
        };
        let head = RequestHead { request: &request, remaining: self.remaining };
        head.print(self.number, self.interface, &self.ports, out)?;
        out.extend_from_slice(&self.body);
        Ok(())
    }
}

impl RequestHead<'_> {
    /// All of a request's fields but its body; how many bytes of them count against
    /// [`Limits::max_metadata`].
    pub(crate) fn print(
        &self,
        number: u64,
        interface: u16,
        ports: &[Port],
        out: &mut Vec<u8>,
    ) -> Result<usize, FaultCode> {
        let Request { method, handle, is_idempotent, meta, label, .. } = *self.request;
        let label = label_of(label);
        let trace = (meta.trace != TraceContext::default()).then_some(&meta.trace);
        let flag = |is_there, flag| if is_there { flag } else { 0 };
        let flags = flag(meta.parent.is_some(), HAS_PARENT)
            | flag(self.remaining.is_some(), HAS_DEADLINE)
            | flag(trace.is_some(), HAS_TRACE)
            | flag(meta.credential.is_some(), HAS_CREDENTIAL)
            | flag(label.is_some(), HAS_LABEL)
            | flag(!meta.headers.is_empty(), HAS_HEADERS)
            | flag(handle.is_some(), HAS_HANDLE)
            | flag(!ports.is_empty(), HAS_PORTS)
            | flag(is_idempotent, IS_IDEMPOTENT);
        out.push(REQUEST);
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&interface.to_le_bytes());
        out.extend_from_slice(&method.0);
        out.extend_from_slice(&meta.run.0);
        out.extend_from_slice(&meta.call.0.to_le_bytes());
        if let Some(parent) = meta.parent {
            out.extend_from_slice(&parent.0.to_le_bytes());
        }
        if let Some(remaining) = self.remaining {
            out.extend_from_slice(&micros(remaining).to_le_bytes());
        }
        if let Some(trace) = trace {
            out.extend_from_slice(&trace.trace.0);
            out.extend_from_slice(&trace.span.0);
            out.push(trace.flags);
        }
        let bounded_from = out.len();
        if let Some(credential) = &meta.credential {
            let credential = credential.expose();
            if credential.len() > MAX_CREDENTIAL {
                return Err(FaultCode::LimitExceeded);
            }
            out.extend_from_slice(&(credential.len() as u16).to_le_bytes());
            out.extend_from_slice(credential);
        }
        if let Some(label) = label {
            print_label(label, out)?;
        }
        if !meta.headers.is_empty() {
            print_headers(&meta.headers, out)?;
        }
        let bounded = out.len() - bounded_from;
        if let Some(handle) = handle {
            out.extend_from_slice(&handle.0.to_le_bytes());
        }
        Ports(ports).print(out)?;
        Ok(bounded)
    }
}

/// Whole microseconds, rounded up, so that time that is left never reads as none.
fn micros(left: Duration) -> u64 {
    u64::try_from(left.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_is_left_never_reads_as_none() {
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_micros(7)), 7);
        assert_eq!(micros(Duration::MAX), u64::MAX);
    }
}
