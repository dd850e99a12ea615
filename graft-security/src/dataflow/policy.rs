//! The policy's settings.

use std::collections::BTreeSet;

use graft_core::{Name, Sensitivity, Signal};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Whether the policy looks, and whether it acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataFlowMode {
    /// It does not look.
    #[default]
    Off,
    /// It looks and records, and changes nothing.
    Shadow,
    /// It stops calls.
    Enforce,
}

impl DataFlowMode {
    /// The word that files and flags carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Enforce => "enforce",
        }
    }
}

/// What a signal leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Response {
    /// It is not looked for.
    Off,
    /// It is listed with the verdict. It stops only a call of a sink none of whose arguments has a role.
    Find,
    /// It stops the call.
    Stop,
}

/// What happens with a call that is only doubtful: nothing says that its value is a stranger's, and
/// nothing vouches for it either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDoubt {
    /// It is stopped.
    #[default]
    Block,
    /// A person is asked.
    Ask,
}

/// The rules by which calls are judged. Pure and immutable; share it between runs.
///
/// Only *sinks* are judged: tools that change something or whose request itself leaves the machine.
///
/// | signal | by default | trips when |
/// | --- | --- | --- |
/// | `untrusted-to-sink` | find | an argument carries a span of untrusted text; a link that only strangers named stops the call |
/// | `secret-to-sink` | stop | a call that reaches outside carries secret text, or a value of a credential field |
/// | `untrusted-authority` | stop | a destination, target, credential or command was named by strangers only; doubt if by nobody |
/// | `unrequested-effect` | stop | after untrusted text, no word of the prompt asks for what the tool does |
/// | `lethal-trifecta` | find | untrusted text and data of a sensitive tier are in the run |
/// | `derived-taint` | off | any sink after untrusted text |
///
/// ```
/// use graft_core::{Name, Signal};
/// use graft_security::dataflow::{DataFlowMode, DataFlowPolicy, Response};
/// let policy = DataFlowPolicy::new(DataFlowMode::Enforce)
///     .declassify_sinks([Name::from_static("Mail.report_abuse")])
///     .respond(Signal::DerivedTaint, Response::Stop)
///     .guard_trifecta(false);
/// assert_eq!(policy.response(Signal::LethalTrifecta), Response::Off);
/// ```
#[doc(alias = "createDataFlowPolicy")]
#[doc(alias = "dataFlowPolicy")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFlowPolicy {
    mode: DataFlowMode,
    responses: [Response; Signal::ALL.len()],
    on_doubt: OnDoubt,
    declassify_sinks: BTreeSet<Name>,
    sensitive_tiers: BTreeSet<Sensitivity>,
}

impl DataFlowPolicy {
    /// The default profile in `mode`.
    pub fn new(mode: DataFlowMode) -> Self {
        use Response::{Find, Off, Stop};
        Self {
            mode,
            responses: [Find, Stop, Stop, Stop, Find, Off],
            on_doubt: OnDoubt::default(),
            declassify_sinks: BTreeSet::new(),
            sensitive_tiers: BTreeSet::from([Sensitivity::Secret]),
        }
    }

    /// The classic profile: `untrusted-to-sink` and `lethal-trifecta` stop, nothing else is looked for.
    pub fn classic(mode: DataFlowMode) -> Self {
        use Response::{Off, Stop};
        Self { responses: [Stop, Off, Off, Off, Stop, Off], ..Self::new(mode) }
    }

    /// The same rules in another mode.
    #[must_use]
    pub fn with_mode(self, mode: DataFlowMode) -> Self {
        Self { mode, ..self }
    }

    /// What `signal` leads to.
    #[must_use]
    pub fn respond(mut self, signal: Signal, response: Response) -> Self {
        self.responses[signal as usize] = response;
        self
    }

    /// Switches `lethal-trifecta` to its default response or off.
    #[doc(alias = "guardTrifecta")]
    #[must_use]
    pub fn guard_trifecta(self, guard: bool) -> Self {
        let default = Self::new(self.mode).response(Signal::LethalTrifecta);
        self.respond(Signal::LethalTrifecta, if guard { default } else { Response::Off })
    }

    /// What happens with doubtful calls.
    #[must_use]
    pub fn on_doubt(self, on_doubt: OnDoubt) -> Self {
        Self { on_doubt, ..self }
    }

    /// Sinks, by tool name, that go through whatever trips; each use is recorded.
    #[doc(alias = "declassifySinks")]
    #[must_use]
    pub fn declassify_sinks(self, sinks: impl IntoIterator<Item = Name>) -> Self {
        Self { declassify_sinks: sinks.into_iter().collect(), ..self }
    }

    /// The tiers that arm the private leg of the trifecta; `secret` unless set.
    #[doc(alias = "sensitiveTiers")]
    #[must_use]
    pub fn sensitive_tiers(self, tiers: impl IntoIterator<Item = Sensitivity>) -> Self {
        Self { sensitive_tiers: tiers.into_iter().collect(), ..self }
    }

    /// The mode.
    pub fn mode(&self) -> DataFlowMode {
        self.mode
    }

    /// What `signal` leads to.
    pub fn response(&self, signal: Signal) -> Response {
        self.responses[signal as usize]
    }

    /// SHA-256 over every setting in one canonical form, for records. The same on every platform.
    pub fn digest(&self) -> [u8; 32] {
        let mut text = format!("graft data-flow policy 0\nmode={}\n", self.mode.as_str());
        for signal in Signal::ALL {
            text.push_str(&format!("{}={:?}\n", signal.as_str(), self.response(signal)));
        }
        text.push_str(&format!("on_doubt={:?}\n", self.on_doubt));
        for sink in &self.declassify_sinks {
            text.push_str(&format!("declassify={sink}\n"));
        }
        for tier in &self.sensitive_tiers {
            text.push_str(&format!("sensitive={}\n", tier.as_str()));
        }
        Sha256::digest(text.as_bytes()).into()
    }

    pub(super) fn doubt(&self) -> OnDoubt {
        self.on_doubt
    }

    pub(super) fn declassifies(&self, sink: &Name) -> bool {
        self.declassify_sinks.contains(sink)
    }

    pub(super) fn tiers(&self) -> impl Iterator<Item = Sensitivity> + '_ {
        self.sensitive_tiers.iter().copied()
    }
}

impl From<DataFlowMode> for DataFlowPolicy {
    fn from(mode: DataFlowMode) -> Self {
        Self::new(mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_part_of_the_digest() {
        let base = DataFlowPolicy::new(DataFlowMode::Enforce);
        let others = [
            DataFlowPolicy::new(DataFlowMode::Shadow),
            DataFlowPolicy::classic(DataFlowMode::Enforce),
            base.clone().on_doubt(OnDoubt::Ask),
            base.clone().declassify_sinks([Name::from_static("a")]),
            base.clone().sensitive_tiers([Sensitivity::Internal]),
            base.clone().guard_trifecta(false),
        ];
        let mut digests: Vec<_> = others.iter().chain([&base]).map(DataFlowPolicy::digest).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), others.len() + 1);
        assert_eq!(base.digest(), base.clone().guard_trifecta(true).digest());
    }
}
