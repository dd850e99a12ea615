//! One call against what its run has seen.

mod integrity;
mod marks;
mod secrecy;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use graft_core::{
    Call, Carry, Decision, Evidence, Label, Leaf, Path, Role, Seen, Segment, Sensitivity, Signal, Source,
    TaintLedger, Trust, Verdict,
};

use marks::Marks;
use secrecy::SecretPart;

use super::plan::{PlanRun, PlanVerdict};
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
        self.assess_planned(ledger, None, call)
    }

    /// As [`DataFlowPolicy::assess`], in a run that may have a sealed plan. What fits a bound plan is stopped by
    /// rules on secrets only; what does not is stopped whatever the signals' responses are.
    pub fn assess_planned(
        &self,
        ledger: &TaintLedger,
        plan: Option<&PlanRun>,
        call: &Call<'_>,
    ) -> Assessment {
        let is_labelled =
            |judge: &Judge<'_>| judge.leaves_process && call.label().sensitivity() == Sensitivity::Secret;
        let clean =
            Assessment { verdict: Verdict::ALLOW, label: Label::bottom(), cut: false, hidden_secret: false };
        if self.mode() == DataFlowMode::Off {
            return clean;
        }
        let seen = ledger.read();
        let mut judge = Judge::new(self, call, &seen, plan.filter(|_| call.tool.is_sink()));
        let objections = judge.ask_plan();
        let is_searched = judge.strangers || judge.questions || judge.secrets;
        if objections.is_empty() && !is_searched && !is_labelled(&judge) {
            return clean;
        }
        objections.into_iter().for_each(|(weight, evidence)| judge.object(weight, evidence));
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
    /// It is listed.
    Finding,
    /// It stops the call, or a person decides: labels show who could have chosen a value, and not what the user
    /// wants.
    Doubt,
    /// It stops the call.
    Stop,
}

struct Judge<'a> {
    policy: &'a DataFlowPolicy,
    call: &'a Call<'a>,
    seen: &'a Seen<'a>,
    /// Whether the arguments are searched for what strangers wrote: the call is a sink of a run that read some.
    strangers: bool,
    /// Whether they are searched for what strangers asked for: the call is none that is judged, in such a run.
    questions: bool,
    /// Whether they are searched for secrets: the run holds some.
    secrets: bool,
    /// Whether they reach somebody outside.
    leaves_process: bool,
    /// Whether any argument was seen.
    has_args: bool,
    /// Not all of the arguments could be decoded.
    incomplete: bool,
    /// What the arguments carry, by leaf, and the leaf that is looked at.
    carries: Vec<Carry>,
    leaf: usize,
    /// The run's plan, if the call is one of a sink.
    plan: Option<&'a PlanRun>,
    /// Whether the plan says that the effect is wanted.
    wanted: bool,
    /// The arguments of which each value is, as a whole, one that the plan names or a source of it gave.
    given: BTreeSet<String>,
    weight: Option<Weight>,
    evidence: Vec<Evidence>,
    /// Where values came from that decide nothing: it is shown if the call does not go through.
    context: Vec<Evidence>,
    /// Links in content that only strangers named and that were fetched; what they weigh depends on where it goes.
    fetched_links: Vec<Evidence>,
    /// Secret parts of the arguments; what they weigh depends on where the call goes.
    secret_parts: Vec<SecretPart>,
    /// Whether each destination is the user's own or one that the user typed; `None` without a destination.
    destinations_users: Option<bool>,
    label: Label,
    /// Something was found that is not in the list.
    cut: bool,
    /// Secret text was found that no evidence speaks of, since nobody looks for it here.
    hidden_secret: bool,
}

impl<'a> Judge<'a> {
    fn new(
        policy: &'a DataFlowPolicy,
        call: &'a Call<'a>,
        seen: &'a Seen<'a>,
        plan: Option<&'a PlanRun>,
    ) -> Self {
        let tool = call.tool;
        Self {
            policy,
            call,
            seen,
            strangers: tool.is_sink() && (seen.untrusted() || call.label().trust() == Trust::Untrusted),
            questions: !tool.is_sink() && seen.untrusted(),
            secrets: seen.secrets(),
            leaves_process: tool.leaves_process(),
            has_args: false,
            incomplete: false,
            carries: Vec::new(),
            leaf: 0,
            plan,
            wanted: false,
            given: BTreeSet::new(),
            weight: None,
            evidence: Vec::new(),
            context: Vec::new(),
            fetched_links: Vec::new(),
            secret_parts: Vec::new(),
            destinations_users: None,
            label: Label::bottom(),
            cut: false,
            hidden_secret: false,
        }
    }

    /// What the plan has against the call. A set of sinks says nothing until a stranger may have had a say.
    fn ask_plan(&mut self) -> Vec<(Weight, Evidence)> {
        let Some(plan) = self.plan.filter(|plan| plan.plan().is_bound() || self.strangers) else {
            return Vec::new();
        };
        let verdict = plan.check(self.seen, self.call, self.policy.is_strict_plan());
        self.wanted = !matches!(verdict, PlanVerdict::Refused(_));
        let (weight, evidence) = match verdict {
            PlanVerdict::Named => return Vec::new(),
            PlanVerdict::Fits { given } => {
                self.given = given;
                return Vec::new();
            }
            PlanVerdict::Asked { given, evidence } => {
                self.given = given;
                (Weight::Doubt, evidence)
            }
            PlanVerdict::Refused(evidence) => (Weight::Stop, evidence),
        };
        evidence.into_iter().map(|evidence| (weight, evidence)).collect()
    }

    /// The bound plan, which takes the place of every rule that is not on secrets.
    fn bound(&self) -> Option<&'a PlanRun> {
        self.plan.filter(|plan| plan.plan().is_bound())
    }

    /// Searches the arguments for what was recorded, then looks at each of them.
    fn walk(&mut self) {
        let call = self.call;
        let may_be_said = if self.strangers || self.secrets { self.search() } else { Marks::default() };
        let mut number = 0;
        each_leaf(call, &mut |path, _, role, leaf| {
            let is_value = !matches!(leaf, Leaf::Key(_));
            leaf.with_text(|text| {
                self.has_args = true;
                self.leaf = number;
                if self.strangers {
                    self.integrity(path, role, text, is_value);
                }
                if self.questions && is_value {
                    self.question(text);
                }
                if self.secrets && !may_be_said.has(number) {
                    self.secrecy(path, text);
                }
            });
            number += 1;
        });
    }

    /// Finds what each leaf carries. What may stand there as a whole is not searched, nor joined to what stands
    /// beside it; those leaves are marked.
    fn search(&mut self) -> Marks {
        let mut may_be_said = Marks::default();
        let mut scan = self.seen.scan().with_ciphers(self.policy.is_looking_for_ciphers());
        let (mut room, mut number) = (self.policy.most_scanned(), 0);
        each_leaf(self.call, &mut |_, arg, role, leaf| {
            let is_value = !matches!(leaf, Leaf::Key(_));
            let is_address = role == Role::Destination
                && is_value
                && leaf.with_text(|text| self.address(text)) == Some(true);
            // The plan says that this address or id goes there, and nothing else is in the value.
            let is_given = matches!(role, Role::Destination | Role::Target) && self.given.contains(arg);
            if is_address || is_given {
                may_be_said.set(number);
            }
            match room.checked_sub(leaf.text_len()) {
                Some(left) if !(is_address || is_given) => {
                    scan.add(arg, role, leaf);
                    room = left;
                }
                Some(_) => scan.pass_over(arg, role, leaf),
                None => {
                    self.incomplete = true;
                    room = 0;
                    scan.pass_over(arg, role, leaf);
                }
            }
            number += 1;
        });
        let mut counts = BTreeMap::new();
        self.incomplete |= !scan.finish(&self.call.tool.name, &mut |carry| {
            // What lies in another leaf is in no evidence of this one.
            self.cut |= carry.goes_on;
            let count: &mut usize =
                counts.entry((carry.leaf, carry.what, carry.was_said, carry.is_wide)).or_default();
            *count += 1;
            if *count <= MAX_EVIDENCE {
                self.carries.push(carry);
            } else {
                self.cut = true;
            }
        });
        self.carries.sort_by_key(|carry| (carry.leaf, carry.range.start, carry.range.end, carry.what));
        self.carries.dedup();
        may_be_said
    }

    /// What the leaf that is looked at carries.
    fn carried(&self) -> impl Iterator<Item = &Carry> {
        let from = self.carries.partition_point(|carry| carry.leaf < self.leaf);
        self.carries[from..].iter().take_while(|carry| carry.leaf == self.leaf)
    }

    /// What concerns the run and not one argument.
    fn run_level(&mut self) {
        if self.incomplete {
            if self.secrets {
                self.unseen_secrets("not-decoded");
            }
            if self.strangers {
                self.taint();
                let weight = self.weight_of(Signal::UntrustedToSink);
                self.add(weight, Signal::UntrustedToSink, "not-decoded", &Path::ROOT, 0..0, Source::Unknown);
            }
        }
        self.secrecy_of_run();
        self.fetched_links();
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
        if !self.wanted && !self.seen.asked_for(&self.call.tool.intent) {
            let weight = self.weight_of(Signal::UnrequestedEffect);
            let source = self.seen.newest_untrusted().unwrap_or(Source::Unknown);
            self.add(weight, Signal::UnrequestedEffect, "not-asked-for", &Path::ROOT, 0..0, source);
        }
        if self.policy.tiers().any(|tier| self.seen.tier(tier)) {
            call(self, Signal::LethalTrifecta, "untrusted-and-private");
        }
        call(self, Signal::DerivedTaint, "after-untrusted");
    }

    fn conclude(mut self) -> Assessment {
        if self.evidence.is_empty() {
            let (label, cut, hidden_secret) = (self.label, self.cut, self.hidden_secret);
            return Assessment { verdict: Verdict::ALLOW, label, cut, hidden_secret };
        }
        if self.weight > Some(Weight::Finding) {
            let room = MAX_EVIDENCE.saturating_sub(self.evidence.len());
            self.evidence.extend(self.context.drain(..).take(room));
        }
        let signals = self.evidence.iter().map(|evidence| evidence.signal).collect();
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
            Response::Find | Response::Stop => Some(Weight::Doubt),
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
        let is_decided = self.bound().is_some() && signal != Signal::SecretToSink;
        match self.policy.set_for(&self.call.tool.name, signal, rule) {
            _ if is_decided => weight.map(|_| Weight::Finding), // by the plan
            Some(Response::Stop) => Some(Weight::Stop),         // the host left nothing to a person
            Some(response) => self.weigh(response),
            None => weight,
        }
    }

    fn push(&mut self, weight: Option<Weight>, evidence: Evidence) {
        match self.ruled(evidence.signal, evidence.rule, weight) {
            Some(weight) => self.object(weight, evidence),
            None => self.hidden_secret |= evidence.signal == Signal::SecretToSink,
        }
    }

    /// Takes evidence of this weight, whatever the policy says of its rule.
    fn object(&mut self, weight: Weight, mut evidence: Evidence) {
        evidence.stops = weight > Weight::Finding;
        self.weight = self.weight.max(Some(weight));
        // Past the bound the weight still counts, and the signal is in the list already or joins it.
        let is_new = !self.evidence.iter().any(|other| other.signal == evidence.signal);
        if is_new || self.evidence.len() < MAX_EVIDENCE {
            self.evidence.push(evidence);
        } else {
            self.cut = true;
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

    /// The evidence of a recorded text.
    fn carry(&self, signal: Signal, rule: &'static str, path: &Path<'_>, carry: Carry) -> Evidence {
        let views = carry.views.iter().map(|view| view.as_str()).collect();
        Evidence { views, ..self.evidence(signal, rule, path, carry.range, carry.source) }
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
