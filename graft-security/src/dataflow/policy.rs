//! The policy's settings.

use std::collections::{BTreeMap, BTreeSet};

use graft_core::{Name, Sensitivity, Signal};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::overrides::{Overrides, Rule};

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

/// What happens with a call that its labels speak against. They say who could have chosen its values, and not what
/// the user wants, so that a person who is shown the values and where they came from may know better.
/// Calls that give away a credential, or what the host labelled as secret, are stopped in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDoubt {
    /// It is stopped.
    #[default]
    Block,
    /// A person is asked.
    Ask,
}

/// The most bytes of arguments that are searched unless the host says otherwise.
const DEFAULT_SCAN_LIMIT: usize = 16 << 20;

/// The rules by which calls are judged. Pure and immutable; share it between runs.
///
/// Only *sinks* are judged: tools that change something or whose request itself leaves the machine.
///
/// | signal | by default | trips when |
/// | --- | --- | --- |
/// | `untrusted-to-sink` | find | an argument carries a span of untrusted text; a link that only strangers named stops the call |
/// | `secret-to-sink` | stop | a call that reaches outside carries secret text, or a value of a credential field |
/// | `untrusted-authority` | stop | a destination, target, credential or command was named by strangers and by nobody who vouches, or a destination, credential or command by nobody |
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
///
/// A response can be set for a signal, for one of its rules, and at one sink for either. The narrowest that is
/// set holds: a rule at the sink, a signal at the sink, the rule, the signal.
#[doc(alias = "createDataFlowPolicy")]
#[doc(alias = "dataFlowPolicy")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFlowPolicy {
    mode: DataFlowMode,
    responses: [Response; Signal::ALL.len()],
    rules: Overrides,
    sinks: BTreeMap<Name, Overrides>,
    on_doubt: OnDoubt,
    follow_links: bool,
    send_on_request: bool,
    look_for_ciphers: bool,
    scan_limit: usize,
    declassify_sinks: BTreeSet<Name>,
    sensitive_tiers: BTreeSet<Sensitivity>,
    strict_plan: bool,
}

impl DataFlowPolicy {
    /// The default profile in `mode`.
    pub fn new(mode: DataFlowMode) -> Self {
        use Response::{Find, Off, Stop};
        Self {
            mode,
            responses: [Find, Stop, Stop, Stop, Find, Off],
            rules: Overrides::default(),
            sinks: BTreeMap::new(),
            on_doubt: OnDoubt::default(),
            follow_links: true,
            send_on_request: false,
            look_for_ciphers: false,
            scan_limit: DEFAULT_SCAN_LIMIT,
            declassify_sinks: BTreeSet::new(),
            sensitive_tiers: BTreeSet::from([Sensitivity::Secret]),
            strict_plan: false,
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

    /// What `rule` leads to, whatever its signal does and whatever the rule weighs by itself: `stop` stops where
    /// the rule alone would be a doubt, `find` lets pass where it would stop.
    ///
    /// ```
    /// use graft_core::{Name, Signal};
    /// use graft_security::dataflow::{DataFlowMode, DataFlowPolicy, Response, Rule};
    /// const LINK: Rule = Rule::from_static("strangers-link");
    /// let chat = Name::from_static("Chat.post");
    /// let policy = DataFlowPolicy::new(DataFlowMode::Enforce)
    ///     .respond_to_rule(LINK, Response::Find)
    ///     .respond_at(chat.clone(), Signal::UntrustedToSink, Response::Stop);
    /// let mail = Name::from_static("Mail.send");
    /// assert_eq!(policy.response_to_rule(&mail, Signal::UntrustedToSink, LINK), Some(Response::Find));
    /// // The signal at one sink is narrower than a rule for every sink.
    /// assert_eq!(policy.response_to_rule(&chat, Signal::UntrustedToSink, LINK), None);
    /// assert_eq!(policy.response_at(&chat, Signal::UntrustedToSink), Response::Stop);
    /// ```
    #[must_use]
    pub fn respond_to_rule(mut self, rule: Rule, response: Response) -> Self {
        self.rules.rules.insert(rule, response);
        self
    }

    /// What `signal` leads to in calls of `sink`.
    #[must_use]
    pub fn respond_at(mut self, sink: Name, signal: Signal, response: Response) -> Self {
        self.sinks.entry(sink).or_default().signals.insert(signal, response);
        self
    }

    /// What `rule` leads to in calls of `sink`.
    #[must_use]
    pub fn respond_to_rule_at(mut self, sink: Name, rule: Rule, response: Response) -> Self {
        self.sinks.entry(sink).or_default().rules.insert(rule, response);
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

    /// Whether a tool that only reads may fetch a link that strangers wrote, if the call asks for all of it as it is
    /// and the text was not itself fetched; and whether a link that was fetched may go on to whom the user named. On
    /// unless set.
    ///
    /// Whoever wrote the link learns that it was fetched. With several links to choose from, the choice can tell a
    /// few bits more. Switch it off where a fetch alone can do harm, as inside a network that trusts its own.
    #[must_use]
    pub fn follow_links(self, follow: bool) -> Self {
        Self { follow_links: follow, ..self }
    }

    /// Whether secret text, other than a credential, may go to whom the user named by a call that the user asked for.
    /// Off unless set: the user may not have thought of all that is secret, and whoever writes to the agent can have
    /// it add more.
    #[must_use]
    pub fn send_on_request(self, send: bool) -> Self {
        Self { send_on_request: send, ..self }
    }

    /// Whether text under rot13 or backwards is looked for too, which costs about half as much again. Off unless
    /// set.
    #[must_use]
    pub fn look_for_ciphers(self, look: bool) -> Self {
        Self { look_for_ciphers: look, ..self }
    }

    /// The most bytes of a call's arguments that are searched for what was recorded: a longer call counts as
    /// carrying what was not looked at. 16 MiB unless set.
    #[must_use]
    pub fn scan_limit(self, bytes: usize) -> Self {
        Self { scan_limit: bytes, ..self }
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

    /// Reads bound [plans](super::plan) strictly. An argument that a step binds must be there; a payee that only
    /// free text names is asked about; and content may pass on a link that only strangers named only if the plan
    /// let the run visit it.
    #[must_use]
    pub fn strict_plan(self, strict: bool) -> Self {
        Self { strict_plan: strict, ..self }
    }

    /// The mode.
    pub fn mode(&self) -> DataFlowMode {
        self.mode
    }

    /// What `signal` leads to.
    pub fn response(&self, signal: Signal) -> Response {
        self.responses[signal as usize]
    }

    /// What `signal` leads to in calls of `sink`, where nothing is set for the rule.
    pub fn response_at(&self, sink: &Name, signal: Signal) -> Response {
        let here = self.sinks.get(sink).and_then(|here| here.signals.get(&signal).copied());
        here.unwrap_or_else(|| self.response(signal))
    }

    /// What is set for `rule` of `signal` in calls of `sink`; `None` where the signal's own response and the
    /// rule's own weight hold.
    pub fn response_to_rule(&self, sink: &Name, signal: Signal, rule: Rule) -> Option<Response> {
        self.set_for(sink, signal, rule.as_str())
    }

    pub(super) fn set_for(&self, sink: &Name, signal: Signal, rule: &str) -> Option<Response> {
        let find = |set: &Overrides| {
            set.rules.iter().find(|(known, _)| known.as_str() == rule).map(|(_, response)| *response)
        };
        match self.sinks.get(sink) {
            Some(here) if here.signals.contains_key(&signal) => find(here),
            Some(here) => find(here).or_else(|| find(&self.rules)),
            None => find(&self.rules),
        }
    }

    /// SHA-256 over every setting in one canonical form, for records. The same on every platform.
    pub fn digest(&self) -> [u8; 32] {
        let mut text = format!("graft data-flow policy 0\nmode={}\n", self.mode.as_str());
        for signal in Signal::ALL {
            text.push_str(&format!("{}={:?}\n", signal.as_str(), self.response(signal)));
        }
        self.rules.print("", &mut text);
        for (sink, here) in &self.sinks {
            here.print(&format!("at {sink} "), &mut text); // a name has no space
        }
        text.push_str(&format!("on_doubt={:?}\n", self.on_doubt));
        text.push_str(&format!(
            "follow_links={}\nsend_on_request={}\nlook_for_ciphers={}\nscan_limit={}\n",
            self.follow_links, self.send_on_request, self.look_for_ciphers, self.scan_limit
        ));
        for sink in &self.declassify_sinks {
            text.push_str(&format!("declassify={sink}\n"));
        }
        for tier in &self.sensitive_tiers {
            text.push_str(&format!("sensitive={}\n", tier.as_str()));
        }
        if self.strict_plan {
            text.push_str("strict_plan\n");
        }
        Sha256::digest(text.as_bytes()).into()
    }

    pub(super) fn is_strict_plan(&self) -> bool {
        self.strict_plan
    }

    pub(super) fn doubt(&self) -> OnDoubt {
        self.on_doubt
    }

    pub(super) fn is_following_links(&self) -> bool {
        self.follow_links
    }

    pub(super) fn is_looking_for_ciphers(&self) -> bool {
        self.look_for_ciphers
    }

    pub(super) fn most_scanned(&self) -> usize {
        self.scan_limit
    }

    pub(super) fn sends_on_request(&self) -> bool {
        self.send_on_request
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

    const SINK: Name = Name::from_static("a");
    const RULE: Rule = Rule::from_static("ledger-full");

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
            base.clone().respond_to_rule(RULE, Response::Off),
            base.clone().respond_to_rule(RULE, Response::Stop),
            base.clone().respond_at(SINK, Signal::DerivedTaint, Response::Find),
            base.clone().respond_to_rule_at(SINK, RULE, Response::Off),
            base.clone().follow_links(false),
            base.clone().send_on_request(true),
            base.clone().look_for_ciphers(true),
            base.clone().scan_limit(1),
            base.clone().strict_plan(true),
        ];
        let mut digests: Vec<_> = others.iter().chain([&base]).map(DataFlowPolicy::digest).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), others.len() + 1);
        assert_eq!(base.digest(), base.clone().guard_trifecta(true).digest());
    }
}
