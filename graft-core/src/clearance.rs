//! What a channel, a provider or a collector may be given.

use crate::{Label, Sensitivity};

/// The most sensitive class that a channel carries. In-process any; every other `internal` unless
/// the host raised it by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clearance(Sensitivity);

impl Clearance {
    /// Everything: the value stays in the process.
    pub const IN_PROCESS: Self = Self(Sensitivity::Secret);
    /// What a channel that leaves the process carries by default.
    pub const CHANNEL: Self = Self(Sensitivity::Internal);

    /// A channel that the host raised to `secret`. Named for what it does; hosts reach it through the
    /// audited builder call of the channel.
    pub const DANGER_SECRET: Self = Self(Sensitivity::Secret);

    /// Whether something with `label` may pass.
    pub fn admits(self, label: &Label) -> bool {
        label.sensitivity() <= self.0
    }

    /// The class itself.
    pub fn sensitivity(self) -> Sensitivity {
        self.0
    }
}

/// The classes that a provider or an exporter can be opted in to. There is no secret among them.
///
/// ```compile_fail
/// let never = graft_core::Acceptable::Secret;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acceptable {
    /// Public only.
    Public,
    /// Public and internal.
    Internal,
}

/// What a model provider, telemetry collector or any other party outside may be sent.
///
/// An unfamiliar one gets `public`. [`ProviderClearance::accepts_sensitivity`] is the one opt-in.
///
/// ```
/// use graft_core::{Acceptable, ProviderClearance, Sensitivity, Tagged};
/// let rows = || [
///     Tagged::message("hello").with_sensitivity(Sensitivity::Public),
///     Tagged::message("our margin"),
///     Tagged::message("the password").with_sensitivity(Sensitivity::Secret),
/// ];
/// let stranger = ProviderClearance::unfamiliar();
/// assert_eq!(stranger.payload(rows()).admitted, ["hello"]);
/// let known = stranger.accepts_sensitivity([Acceptable::Internal]);
/// let payload = known.payload(rows());
/// assert_eq!(payload.admitted, ["hello", "our margin"]);
/// assert_eq!(payload.withheld, 1);
/// ```
///
/// ```compile_fail
/// use graft_core::{ProviderClearance, Sensitivity};
/// ProviderClearance::unfamiliar().accepts_sensitivity([Sensitivity::Secret]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderClearance(Acceptable);

impl Default for ProviderClearance {
    fn default() -> Self {
        Self::unfamiliar()
    }
}

impl ProviderClearance {
    /// Public only.
    pub const fn unfamiliar() -> Self {
        Self(Acceptable::Public)
    }

    /// Opts this provider in to the given classes.
    #[doc(alias = "acceptsSensitivity")]
    #[must_use]
    pub fn accepts_sensitivity(self, classes: impl IntoIterator<Item = Acceptable>) -> Self {
        Self(classes.into_iter().fold(self.0, Ord::max))
    }

    /// Whether `sensitivity` may be sent. Never true of `secret`.
    pub fn admits(self, sensitivity: Sensitivity) -> bool {
        match self.0 {
            Acceptable::Public => sensitivity == Sensitivity::Public,
            Acceptable::Internal => sensitivity <= Sensitivity::Internal,
        }
    }

    /// Filters `rows` before any payload is built from them.
    pub fn payload<T>(self, rows: impl IntoIterator<Item = Tagged<T>>) -> Payload<T> {
        let mut payload = Payload { admitted: Vec::new(), withheld: 0 };
        for row in rows {
            if self.admits(row.sensitivity) {
                payload.admitted.push(row.value);
            } else {
                payload.withheld += 1;
            }
        }
        payload
    }
}

/// What is left of rows after the clearance: the admitted values, and how many were withheld.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload<T> {
    /// The values that may be sent, in order.
    pub admitted: Vec<T>,
    /// How many were filtered out.
    pub withheld: usize,
}

/// What kind of row a [`Tagged`] value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// A message of the conversation.
    Message,
    /// A row of long-lived memory.
    MemoryRow,
    /// What a tool returned.
    ToolResult,
    /// An attribute of a trace or metric.
    TraceAttribute,
}

/// A row on its way to a party outside, with its [`Sensitivity`]: `internal` unless it says otherwise.
///
/// The value comes out only through [`ProviderClearance::payload`].
pub struct Tagged<T> {
    kind: RowKind,
    sensitivity: Sensitivity,
    value: T,
}

impl<T> Tagged<T> {
    /// A message.
    pub fn message(value: T) -> Self {
        Self::new(RowKind::Message, value)
    }

    /// A row of memory.
    pub fn memory_row(value: T) -> Self {
        Self::new(RowKind::MemoryRow, value)
    }

    /// A tool's result.
    pub fn tool_result(value: T) -> Self {
        Self::new(RowKind::ToolResult, value)
    }

    /// A trace attribute.
    pub fn trace_attribute(value: T) -> Self {
        Self::new(RowKind::TraceAttribute, value)
    }

    fn new(kind: RowKind, value: T) -> Self {
        Self { kind, sensitivity: Sensitivity::default(), value }
    }

    /// The same, tagged.
    #[must_use]
    pub fn with_sensitivity(self, sensitivity: Sensitivity) -> Self {
        Self { sensitivity, ..self }
    }

    /// What kind of row it is.
    pub fn kind(&self) -> RowKind {
        self.kind
    }

    /// Its class.
    pub fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }
}

impl<T> std::fmt::Debug for Tagged<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tagged({:?}, {})", self.kind, self.sensitivity.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_clearance_of_a_provider_admits_secret() {
        let widest =
            ProviderClearance::unfamiliar().accepts_sensitivity([Acceptable::Internal, Acceptable::Public]);
        assert!(!widest.admits(Sensitivity::Secret));
        assert!(widest.admits(Sensitivity::Internal));
        assert!(!ProviderClearance::default().admits(Sensitivity::Internal));
    }

    #[test]
    fn untagged_rows_of_every_kind_are_internal() {
        for row in
            [Tagged::message(0), Tagged::memory_row(0), Tagged::tool_result(0), Tagged::trace_attribute(0)]
        {
            assert_eq!(row.sensitivity(), Sensitivity::Internal, "{row:?}");
        }
    }

    #[test]
    fn a_channel_refuses_secret_until_it_is_raised() {
        let secret = Label::default().with_sensitivity(Sensitivity::Secret);
        assert!(!Clearance::CHANNEL.admits(&secret));
        assert!(Clearance::CHANNEL.admits(&Label::default()));
        assert!(Clearance::IN_PROCESS.admits(&secret));
        assert!(Clearance::DANGER_SECRET.admits(&secret));
    }
}
