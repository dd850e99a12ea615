//! What crosses the call boundary when a call does not return its value.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CallId, Labeled, TraceId, Verdict};

/// Whose move it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The caller asked for something it may not have or that does not exist.
    Caller,
    /// The other side broke the protocol or failed.
    Peer,
    /// The path between them.
    Network,
    /// This side.
    Host,
}

macro_rules! fault_codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $code:literal, $blame:ident, $text:literal;)*) => {
        /// The stable code of a [`Fault`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum FaultCode {
            $($(#[$doc])* $variant,)*
        }

        impl FaultCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word that records and other languages see.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The number on the wire.
            pub const fn number(self) -> u8 {
                match self { $(Self::$variant => $number,)* }
            }

            /// The code with this number, if this version knows it.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// Whose move it is.
            pub const fn blame(self) -> Blame {
                match self { $(Self::$variant => Blame::$blame,)* }
            }

            /// What happened and what to do next.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

fault_codes! {
    /// The data-flow policy stopped the call.
    DataflowPolicyBlocked = 1, "dataflow_policy_blocked", Caller,
        "the data-flow policy stopped the call; the verdict says which argument and why";
    /// The data-flow policy wants a person to decide and nobody is there to ask.
    DataflowNeedsApproval = 2, "dataflow_needs_approval", Caller,
        "the data-flow policy wants a person to approve this call";
    /// A label is above what the channel carries.
    ClearanceExceeded = 3, "clearance_exceeded", Caller,
        "a secret value may not cross this channel; declassify it, or raise the channel by its named builder call";
    /// The deadline passed.
    DeadlineExceeded = 4, "deadline_exceeded", Caller, "the deadline passed before the call returned";
    /// The call was cancelled.
    Cancelled = 5, "cancelled", Caller, "the call was cancelled";
    /// The peer is gone or was never there.
    Unavailable = 6, "unavailable", Network, "the peer is gone; connect again";
    /// The receiver does not host this interface or method.
    NotFound = 7, "not_found", Caller, "the receiver does not host this method; check that it serves the interface";
    /// Caller and receiver were built from different contracts.
    ContractMismatch = 8, "contract_mismatch", Caller,
        "caller and receiver were built from different contracts of this interface; build both from one";
    /// The arguments do not decode as the described types.
    InvalidArgument = 9, "invalid_argument", Caller, "the arguments do not match the method's described types";
    /// The reply does not decode as the described types.
    InvalidReply = 10, "invalid_reply", Peer, "the reply does not match the method's described types";
    /// A size or count is over its limit.
    LimitExceeded = 11, "limit_exceeded", Caller, "the call is over a limit of the channel";
    /// The peer broke the wire protocol; the connection is closed.
    ProtocolViolation = 12, "protocol_violation", Peer, "the peer broke the wire protocol; the connection was closed";
    /// The peer speaks another protocol version.
    VersionMismatch = 13, "version_mismatch", Peer, "the peer speaks another version of the wire protocol";
    /// A record could not be written, so the call did not happen.
    RecordUnavailable = 14, "record_unavailable", Host,
        "the audit record could not be written, so the call was refused; look at the log's disk";
    /// The caller did not prove who it is.
    Unauthenticated = 15, "unauthenticated", Caller, "the receiver wants a credential";
    /// The caller lacks a scope, or the handle is another session's.
    Forbidden = 16, "forbidden", Caller,
        "the credential lacks a scope that the method needs, or the handle belongs to another session";
    /// Our own bug or a panic in user code.
    Internal = 17, "internal", Peer, "the receiver failed; its log has the trace id";
    /// The object behind a handle is gone.
    HandleGone = 18, "handle_gone", Caller,
        "the object behind the handle is gone: it was dropped or its lease ran out; ask for a new one";
}

impl FaultCode {
    /// Whether somebody decided that the call may not happen, rather than it going wrong.
    pub const fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::DataflowPolicyBlocked
                | Self::DataflowNeedsApproval
                | Self::ClearanceExceeded
                | Self::Unauthenticated
                | Self::Forbidden
        )
    }
}

/// Why a call gave no value. Small, typed, and without any byte of arguments, paths or secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault(Box<Parts>); // boxed, so that the result of a call that went well is small

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    code: FaultCode,
    trace: TraceId,
    verdict: Option<(CallId, Verdict)>,
}

impl Fault {
    /// A fault of the call with this trace id.
    pub fn new(code: FaultCode, trace: TraceId) -> Self {
        Self(Box::new(Parts { code, trace, verdict: None }))
    }

    /// The same with the guard's verdict on a call, which stays in this process.
    #[must_use]
    pub fn with_verdict(mut self, call: CallId, verdict: Verdict) -> Self {
        self.0.verdict = Some((call, verdict));
        self
    }

    /// The stable code.
    pub fn code(&self) -> FaultCode {
        self.0.code
    }

    /// The trace id by which both sides' logs name this call.
    pub fn trace(&self) -> TraceId {
        self.0.trace
    }

    /// The verdict, if a guard of this process stopped the call.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.0.verdict.as_ref().map(|(_, verdict)| verdict)
    }

    /// The number of the call within its run, if a guard of this process stopped it.
    pub fn call(&self) -> Option<CallId> {
        self.0.verdict.as_ref().map(|(call, _)| *call)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, trace {}]", self.code().text(), self.code().as_str(), self.trace())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { code, trace, verdict } = &*self.0;
        let mut fault = f.debug_struct("Fault");
        fault.field("code", code).field("trace", trace).field("verdict", verdict).finish()
    }
}

impl std::error::Error for Fault {}

/// What a typed call returns instead of its value.
pub enum CallError<E> {
    /// The method's own error. It came from the other side, so it is labelled like a value.
    Domain(Labeled<E>),
    /// The call itself failed.
    Fault(Fault),
}

impl<E> CallError<E> {
    /// The fault, unless it is the method's own error.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Domain(_) => None,
            Self::Fault(fault) => Some(fault),
        }
    }
}

impl<E> From<Fault> for CallError<E> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl<E> fmt::Debug for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(error) => write!(f, "Domain({error:?})"),
            Self::Fault(fault) => write!(f, "Fault({fault:?})"),
        }
    }
}

impl<E> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(_) => f.write_str("the method returned its own error"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl<E> std::error::Error for CallError<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_numbers_are_one_to_one() {
        for (i, code) in FaultCode::ALL.iter().enumerate() {
            assert_eq!(FaultCode::from_number(code.number()), Some(*code));
            assert_eq!(usize::from(code.number()), i + 1);
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        }
        assert_eq!(FaultCode::from_number(0), None);
        assert_eq!(FaultCode::from_number(255), None);
    }
}
