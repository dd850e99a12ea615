//! One call against what its run has seen.

mod integrity;
mod secrecy;

use std::ops::Range;

use graft_core::{
    Call, Carry, Decision, Evidence, Label, Leaf, Path, Role, Seen, Segment, Sensitivity, Signal, Source,
    TaintLedger, Trust, Verdict,
};

use super::policy::{DataFlowMode, DataFlowPolicy, OnDoubt, Response};

/// A verdict, and the label that the ledger gives the arguments.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// What is to happen.
    pub verdict: Verdict,
    /// What was found in the arguments, to be joined with what the host says of them.
    pub label: Label,
    /// The verdict's evidence does not speak of all that was found, so that no grant can be held against it.
    pub(super) cut: bool,
    /// The arguments hold secret text of which the verdict does not speak.
    pub(super) hidden_secret: bool,
}

impl DataFlowPolicy {
    /// Judges `call` against what `ledger` has seen. Pure: nothing is recorded and nothing changes.
    pub fn evaluate(&self, ledger: &TaintLedger, call: &Call<'_>) -> Verdict {
        self.assess(ledger, call).verdict
    }

    /// As [`DataFlowPolicy::evaluate`], with the label of the arguments. Only sinks get a verdict; secret
    /// text is found in the arguments of every call, since a channel may have to refuse it.
    pub fn assess(&self, ledger: &TaintLedger, call: &Call<'_>) -> Assessment {
        let is_labelled =
            |judge: &Judge<'_>| judge.leaves_process && call.label().sensitivity() == Sensitivity::Secret;
        let clean =
            Assessment { verdict: Verdict::ALLOW, label: Label::bottom(), cut: false, hidden_secret: false };
        if self.mode() == DataFlowMode::Off {
            return clean;
        }
        let seen = ledger.read();
        let mut judge = Judge::new(self, call, &seen);
        if !judge.strangers && !judge.secrets && !is_labelled(&judge) {
            return clean;
        }
        judge.walk();
        judge.run_level();
        judge.conclude()
    }
}

/// The most pieces of evidence of one verdict, one for each signal beside.
const MAX_EVIDENCE: usize = 64;

/// How much a piece of evidence weighs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Finding,
    Doubt,
    Stop,
}

struct Judge<'a> {
    policy: &'a DataFlowPolicy,
    call: &'a Call<'a>,
    seen: &'a Seen<'a>,
    /// Whether the arguments are searched for what strangers wrote: the call is a sink of a run that read some.
    strangers: bool,
    /// Whether they are searched for secrets: the run holds some.
    secrets: bool,
    /// Whether they reach somebody outside.
    leaves_process: bool,
    /// Whether any argument was seen.
    has_args: bool,
    /// What the arguments carry, by leaf, and the leaf that is looked at.
    carries: Vec<Carry>,
    leaf: usize,
    weight: Option<Weight>,
    evidence: Vec<Evidence>,
    /// Secret spans that the user typed too; they pass if the user also named every destination.
    typed: Vec<Evidence>,
    destinations_typed: Option<bool>,
    label: Label,
    /// Something was found that is not in the list.
    cut: bool,
    /// Secret text was found that no evidence speaks of, since nobody looks for it here.
    hidden_secret: bool,
}

impl<'a> Judge<'a> {
    fn new(policy: &'a DataFlowPolicy, call: &'a Call<'a>, seen: &'a Seen<'a>) -> Self {
        let tool = call.tool;
        Self {
            policy,
            call,
            seen,
            strangers: tool.is_sink() && (seen.untrusted() || call.label().trust() == Trust::Untrusted),
            secrets: seen.secrets(),
            leaves_process: tool.leaves_process(),
            has_args: false,
            carries: Vec::new(),
            leaf: 0,
            weight: None,
            evidence: Vec::new(),
            typed: Vec::new(),
            destinations_typed: None,
            label: Label::bottom(),
            cut: false,
            hidden_secret: false,
        }
    }

    /// Searches the arguments for what was recorded, then looks at each of them.
    fn walk(&mut self) {
        let (call, seen) = (self.call, self.seen);
        let mut scan = seen.scan();
        each_leaf(call, &mut |_, arg, role, leaf| scan.add(arg, role, leaf));
        scan.finish(&call.tool.name, &mut |carry| self.carries.push(carry));
        self.carries.sort_by_key(|carry| carry.leaf);
        // What lies in the leaf behind is in no evidence of its own.
        self.cut = self.carries.iter().any(|carry| carry.goes_on);
        let mut number = 0;
        each_leaf(call, &mut |path, _, role, leaf| {
            let is_value = !matches!(leaf, Leaf::Key(_));
            leaf.with_text(|text| {
                self.has_args = true;
                self.leaf = number;
                if self.strangers {
                    self.integrity(path, role, text, is_value);
                }
                if self.secrets {
                    let is_address = role == Role::Destination && is_value && self.address(text);
                    if !is_address {
                        self.secrecy(path, text);
                    }
                }
            });
            number += 1;
        });
    }

    /// What the leaf that is looked at carries.
    fn carried(&self) -> impl Iterator<Item = &Carry> {
        let from = self.carries.partition_point(|carry| carry.leaf < self.leaf);
        self.carries[from..].iter().take_while(|carry| carry.leaf == self.leaf)
    }

    /// What concerns the run and not one argument.
    fn run_level(&mut self) {
        self.secrecy_of_run();
        let label = self.call.label();
        if !self.strangers {
            return;
        }
        if label.trust() == Trust::Untrusted {
            let weight = self.weight_of(Signal::UntrustedToSink);
            self.add(weight, Signal::UntrustedToSink, "host-label", &Path::ROOT, 0..0, Source::Unknown);
        }
        let call = |judge: &mut Self, signal, rule| {
            let weight = judge.weight_of(signal);
            judge.add(weight, signal, rule, &Path::ROOT, 0..0, Source::Unknown);
        };
        if !self.seen.asked_for(&self.call.tool.intent) {
            call(self, Signal::UnrequestedEffect, "not-asked-for");
        }
        if self.policy.tiers().any(|tier| self.seen.tier(tier)) {
            call(self, Signal::LethalTrifecta, "untrusted-and-private");
        }
        call(self, Signal::DerivedTaint, "after-untrusted");
    }

    fn conclude(mut self) -> Assessment {
        let mut signals: Vec<Signal> = self.evidence.iter().map(|evidence| evidence.signal).collect();
        signals.sort_unstable();
        signals.dedup();
        let strict = match self.weight {
            None | Some(Weight::Finding) => Decision::Allow,
            Some(Weight::Doubt) if self.policy.doubt() == OnDoubt::Ask => Decision::Ask,
            Some(Weight::Doubt | Weight::Stop) => Decision::Block,
        };
        let decision = match strict {
            Decision::Allow => Decision::Allow,
            _ if self.policy.declassifies(&self.call.tool.name) => Decision::Declassify,
            _ if self.policy.mode() == DataFlowMode::Shadow => Decision::Flag,
            strict => strict,
        };
        if decision == Decision::Declassify {
            // The host said that this sink may have it, so the channel may carry it there too.
            let trust = self.label.trust();
            self.label = Label::bottom().with_trust(trust);
        }
        Assessment {
            verdict: Verdict { decision, signals, evidence: self.evidence },
            label: self.label,
            cut: self.cut,
            hidden_secret: self.hidden_secret,
        }
    }

    /// What `signal` weighs here; `None` when it is not looked for.
    fn weight_of(&self, signal: Signal) -> Option<Weight> {
        self.weigh(self.policy.response_at(&self.call.tool.name, signal))
    }

    fn weigh(&self, response: Response) -> Option<Weight> {
        match response {
            Response::Off => None,
            Response::Find if !self.has_args || !self.call.tool.args.is_empty() => Some(Weight::Finding),
            Response::Find | Response::Stop => Some(Weight::Stop),
        }
    }

    fn add(
        &mut self,
        weight: Option<Weight>,
        signal: Signal,
        rule: &'static str,
        path: &Path<'_>,
        range: Range<usize>,
        source: Source,
    ) {
        if self.ruled(signal, rule, weight).is_some() {
            self.push(weight, self.evidence(signal, rule, path, range, source));
        } else {
            self.hidden_secret |= signal == Signal::SecretToSink;
        }
    }

    /// What a rule weighs once the policy's word on it is heard, if there is one.
    fn ruled(&self, signal: Signal, rule: &str, weight: Option<Weight>) -> Option<Weight> {
        if signal == Signal::SecretToSink && !self.leaves_process {
            return None; // it reaches nobody, whatever the policy says of those that do
        }
        match self.policy.set_for(&self.call.tool.name, signal, rule) {
            Some(response) => self.weigh(response),
            None => weight,
        }
    }

    fn push(&mut self, weight: Option<Weight>, mut evidence: Evidence) {
        let weight = self.ruled(evidence.signal, evidence.rule, weight);
        self.hidden_secret |= weight.is_none() && evidence.signal == Signal::SecretToSink;
        if weight.is_some() {
            evidence.stops = weight > Some(Weight::Finding);
            self.weight = self.weight.max(weight);
            // Past the bound the weight still counts, and the signal is in the list already or joins it.
            let is_new = !self.evidence.iter().any(|other| other.signal == evidence.signal);
            if is_new || self.evidence.len() < MAX_EVIDENCE {
                self.evidence.push(evidence);
            } else {
                self.cut = true;
            }
        }
    }

    fn evidence(
        &self,
        signal: Signal,
        rule: &'static str,
        path: &Path<'_>,
        range: Range<usize>,
        source: Source,
    ) -> Evidence {
        let arg = path.without_keys(|name| self.call.tool.args.contains_key(name));
        Evidence { signal, rule, arg, range, source, views: Vec::new(), stops: false }
    }

    fn taint(&mut self) {
        self.label = self.label.clone().with_trust(Trust::Untrusted);
    }
}

/// Calls `visit` with each leaf of the arguments, the name of its argument and its role.
fn each_leaf(call: &Call<'_>, visit: &mut dyn FnMut(&Path<'_>, &str, Role, Leaf<'_>)) {
    let tool = call.tool;
    // What has no name could be any argument.
    let unnamed = if tool.args.is_empty() { Role::Content } else { Role::Destination };
    call.args.visit(&Path::ROOT, &mut |path, leaf| {
        let arg = path.first().and_then(Segment::name);
        let role = match leaf {
            Leaf::Key(name) if path.depth() == 1 && tool.args.contains_key(name) => return,
            // The name of an argument that no label knows is the model's own text.
            Leaf::Key(_) if path.depth() == 1 => Role::Content,
            _ => arg.map_or(unnamed, |arg| tool.role(arg)),
        };
        visit(path, arg.unwrap_or_default(), role, leaf);
    });
}
