//! What a guard says of a call: plain data, without any byte of the call's values.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{CallId, Name};

/// What a data-flow guard noticed. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// A span of untrusted text is carried into a sink.
    UntrustedToSink,
    /// Secret text is carried into a sink outside the process.
    SecretToSink,
    /// A destination, target, credential or command whose value nobody named who may vouch for it.
    UntrustedAuthority,
    /// The user asked for nothing that this call does.
    UnrequestedEffect,
    /// Untrusted content, private data and a way out meet in one run.
    LethalTrifecta,
    /// Strict: any sink after untrusted content.
    DerivedTaint,
}

impl Signal {
    /// Every signal, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::UntrustedToSink,
        Self::SecretToSink,
        Self::UntrustedAuthority,
        Self::UnrequestedEffect,
        Self::LethalTrifecta,
        Self::DerivedTaint,
    ];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UntrustedToSink => "untrusted-to-sink",
            Self::SecretToSink => "secret-to-sink",
            Self::UntrustedAuthority => "untrusted-authority",
            Self::UnrequestedEffect => "unrequested-effect",
            Self::LethalTrifecta => "lethal-trifecta",
            Self::DerivedTaint => "derived-taint",
        }
    }
}

/// A set of signals, one bit for each: small enough to copy into every record.
///
/// ```
/// use graft_core::{Signal, Signals};
/// let mut signals = Signals::from([Signal::DerivedTaint, Signal::SecretToSink, Signal::DerivedTaint]);
/// assert!(signals.contains(Signal::SecretToSink) && !signals.contains(Signal::UntrustedToSink));
/// signals.insert(Signal::UntrustedToSink);
/// let in_order = [Signal::UntrustedToSink, Signal::SecretToSink, Signal::DerivedTaint];
/// assert!(signals.iter().eq(in_order) && signals.len() == 3);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Signals(u8);

const _: () = assert!(Signal::ALL.len() <= u8::BITS as usize, "each has a bit");

impl Signals {
    /// The set without any.
    pub const NONE: Self = Self(0);

    /// Adds one.
    pub const fn insert(&mut self, signal: Signal) {
        self.0 |= Self::bit(signal);
    }

    /// Whether `signal` is in it.
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & Self::bit(signal) != 0
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many are in it.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Those in it, in the order of [`Signal::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        Signal::ALL.into_iter().filter(move |&signal| self.contains(signal))
    }

    const fn bit(signal: Signal) -> u8 {
        1 << signal as u8
    }
}

impl FromIterator<Signal> for Signals {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        let mut all = Self::NONE;
        signals.into_iter().for_each(|signal| all.insert(signal));
        all
    }
}

impl<const N: usize> From<[Signal; N]> for Signals {
    fn from(signals: [Signal; N]) -> Self {
        signals.into_iter().collect()
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What is to happen with the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It goes through. Signals may be listed as findings.
    Allow,
    /// It goes through, and would have been stopped in `enforce`.
    Flag,
    /// It goes through because the host said so: it declassified the sink, granted the value, or a person
    /// approved the call. The signals that were overridden are listed.
    Declassify,
    /// A person is to decide.
    Ask,
    /// It does not happen.
    Block,
}

impl Decision {
    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Flag => "flag",
            Self::Declassify => "declassify",
            Self::Ask => "ask",
            Self::Block => "block",
        }
    }
}

/// Where a value was seen: one of its places in the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// What the user typed.
    Prompt,
    /// What the operator said.
    Operator,
    /// The result of a call of this run, and the tool that gave it.
    Call(CallId, Name),
    /// Nowhere in this run.
    Unknown,
}

/// One reason for a verdict: which argument, where its value came from, which rule. No bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The signal it speaks for.
    pub signal: Signal,
    /// The rule within the signal, a stable word.
    pub rule: &'static str,
    /// The argument's path as RFC 9535 normalises it; `$` for the call as a whole.
    pub arg: String,
    /// Byte offsets within the leaf as given, half-open; the whole leaf where no narrower span is known.
    pub range: Range<usize>,
    /// Where the value came from.
    pub source: Source,
    /// The decoders that were undone, outermost first.
    pub views: Vec<&'static str>,
    /// Whether it stops the call by itself, or makes it doubtful; else it is a finding.
    pub stops: bool,
}

/// A guard's answer for one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is to happen.
    pub decision: Decision,
    /// What was noticed.
    pub signals: Signals,
    /// Why.
    pub evidence: Vec<Evidence>,
}

impl Verdict {
    /// Nothing to say against the call.
    pub const ALLOW: Self = Self { decision: Decision::Allow, signals: Signals::NONE, evidence: Vec::new() };

    /// Whether the call may happen now.
    pub fn lets_through(&self) -> bool {
        matches!(self.decision, Decision::Allow | Decision::Flag | Decision::Declassify)
    }
}
