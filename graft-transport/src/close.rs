//! Why a connection ended.

use std::fmt;

use graft_core::FaultCode;

macro_rules! close_reasons {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $text:literal;)*) => {
        /// Why a connection ended. The numbers travel in the goodbye frame.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum CloseReason {
            $($(#[$doc])* $variant,)*
        }

        impl CloseReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for logs and golden files.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The number on the wire.
            pub const fn number(self) -> u8 {
                match self { $(Self::$variant => $number,)* }
            }

            /// The reason with this number; [`CloseReason::Unknown`] if this version does not know it.
            pub const fn from_number(number: u8) -> Self {
                match number { $($number => Self::$variant,)* _ => Self::Unknown }
            }

            const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

close_reasons! {
    /// Finished: the channel was dropped or the server shut down.
    Done = 0, "done", "the connection was finished";
    /// The first frame is not a graft hello.
    NotGraft = 1, "not-graft", "the peer does not speak this protocol; check the address";
    /// The hello names another wire version.
    VersionMismatch = 2, "version-mismatch", "the peer speaks another wire version; bring both ends to one";
    /// A length field is over [`Limits::max_frame`](crate::Limits::max_frame).
    FrameTooLarge = 3, "frame-too-large", "a frame is over the limit";
    /// A frame has not the fields of its type.
    Malformed = 4, "malformed", "a frame does not have the form that its type has";
    /// A frame of an unknown type, or one that this side never receives at this point.
    UnexpectedFrame = 5, "unexpected-frame", "a frame came that does not belong there";
    /// An answer to a request that was never made or is already answered.
    UnknownCall = 6, "unknown-call", "an answer or a cancel names a call that does not exist";
    /// A request whose number is not above all earlier ones.
    CallNumberReused = 7, "call-number-reused", "a call number was used twice";
    /// Credential and label are over their limits.
    MetadataTooLarge = 8, "metadata-too-large", "the metadata of a call is over the limit";
    /// No hello within the handshake time.
    HandshakeTimeout = 9, "handshake-timeout", "the peer did not say hello in time";
    /// A frame began and did not end in time, or the peer stopped reading.
    FrameTimeout = 10, "frame-timeout", "a frame did not get across in time";
    /// Nothing was in flight and nothing arrived for the idle time.
    IdleTimeout = 11, "idle-timeout", "the connection was idle for too long";
    /// The server holds as many connections as it may.
    TooManyConnections = 12, "too-many-connections", "the server holds as many connections as it may";
    /// A request names an interface that was not bound.
    UnboundInterface = 13, "unbound-interface", "a call names an interface that was not bound";
    /// A stream number that is not above all earlier ones.
    StreamNumberReused = 14, "stream-number-reused", "a stream number was used twice";
    /// An item, end, credit or stop of a stream that never was.
    UnknownStream = 15, "unknown-stream", "a frame names a stream that does not exist";
    /// More items than there was credit for, or more credit than there is window.
    CreditExceeded = 16, "credit-exceeded", "the peer went beyond its credit";
    /// More questions, late cancels or late stops than [`Limits::max_cancel_rate`](crate::Limits::max_cancel_rate).
    RateExceeded = 17, "rate-exceeded", "the peer sent too many questions or late cancels in a second";
    /// Something waited for the peer, and it said nothing for twice the keepalive time.
    PeerSilent = 18, "peer-silent", "the peer said nothing for too long";
    /// The connection broke without a goodbye. Never travels.
    Disconnected = 254, "disconnected", "the peer is gone";
    /// A number that this version does not know.
    Unknown = 255, "unknown", "the peer gave a reason that this version does not know";
}

impl CloseReason {
    /// Whether the side at fault broke the protocol, as opposed to being slow, busy, finished or gone.
    pub const fn is_violation(self) -> bool {
        matches!(
            self,
            Self::NotGraft
                | Self::FrameTooLarge
                | Self::Malformed
                | Self::UnexpectedFrame
                | Self::UnknownCall
                | Self::CallNumberReused
                | Self::MetadataTooLarge
                | Self::UnboundInterface
                | Self::StreamNumberReused
                | Self::UnknownStream
                | Self::CreditExceeded
                | Self::RateExceeded
        )
    }
}

/// Which end said that the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// This one.
    Us,
    /// The other one, in its goodbye.
    Peer,
}

/// The end of a connection: who ended it and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Who ended it.
    pub by: ClosedBy,
    /// Why.
    pub reason: CloseReason,
}

impl Closed {
    /// This side ended it.
    pub const fn by_us(reason: CloseReason) -> Self {
        Self { by: ClosedBy::Us, reason }
    }

    /// The peer said goodbye.
    pub const fn by_peer(reason: CloseReason) -> Self {
        Self { by: ClosedBy::Peer, reason }
    }

    /// The fault in which a call ends that was waiting on this connection.
    pub const fn fault_code(self) -> FaultCode {
        match (self.by, self.reason) {
            (_, CloseReason::VersionMismatch) => FaultCode::VersionMismatch,
            (ClosedBy::Us, reason) if reason.is_violation() => FaultCode::ProtocolViolation,
            _ => FaultCode::Unavailable,
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            ClosedBy::Us => "closed here",
            ClosedBy::Peer => "closed by the peer",
        };
        write!(f, "{by}: {} [{}]", self.reason.text(), self.reason.as_str())
    }
}

impl std::error::Error for Closed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_and_numbers_are_one_to_one() {
        for reason in CloseReason::ALL {
            assert_eq!(CloseReason::from_number(reason.number()), *reason);
        }
        assert_eq!(CloseReason::from_number(99), CloseReason::Unknown);
    }
}
