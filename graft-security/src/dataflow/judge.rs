//! One call against what its run has seen.

use std::collections::HashMap;
use std::ops::Range;

use graft_core::ledger::SPAN_AUTHORITY;
use graft_core::{
    Call, Carried, Decision, Effect, Evidence, Exfil, Label, Leaf, Path, Provenance, Role, Seen, Segment,
    Sensitivity, Signal, Source, TaintLedger, Trust, Verdict,
};

use super::links::links;
use super::policy::{DataFlowMode, DataFlowPolicy, OnDoubt, Response};

/// A verdict, and the label that the ledger gives the arguments.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// What is to happen.
    pub verdict: Verdict,
    /// What was found in the arguments, to be joined with what the host says of them.
    pub label: Label,
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
        let clean = Assessment { verdict: Verdict::ALLOW, label: Label::bottom() };
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

/// The most different links of one argument that are looked up; more are a doubt.
const MAX_LINKS: usize = 256;

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
    weight: Option<Weight>,
    evidence: Vec<Evidence>,
    /// Secret spans that the user typed too; they pass if the user also named every destination.
    typed: Vec<Evidence>,
    destinations_typed: Option<bool>,
    label: Label,
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
            leaves_process: tool.exfil != Exfil::None || tool.effect == Effect::ExternalStateful,
            has_args: false,
            weight: None,
            evidence: Vec::new(),
            typed: Vec::new(),
            destinations_typed: None,
            label: Label::bottom(),
        }
    }

    fn walk(&mut self) {
        let args = self.call.args;
        args.visit(&Path::ROOT, &mut |path, leaf| {
            let tool = self.call.tool;
            let arg = path.first().and_then(Segment::name);
            let is_arg_name =
                matches!(leaf, Leaf::Key(name) if path.depth() == 1 && tool.args.contains_key(name));
            if is_arg_name {
                return;
            }
            // What has no name could be any argument.
            let unnamed = if tool.args.is_empty() { Role::Content } else { Role::Destination };
            let role = arg.map_or(unnamed, |arg| tool.role(arg));
            // The name of an argument that no label knows is the model's own text.
            let role = if matches!(leaf, Leaf::Key(_)) && path.depth() == 1 { Role::Content } else { role };
            let is_value = !matches!(leaf, Leaf::Key(_));
            leaf.with_text(|text| {
                self.has_args = true;
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
        });
    }

    /// May a stranger have chosen this argument?
    fn integrity(&mut self, path: &Path<'_>, role: Role, text: &str, is_value: bool) {
        if role.is_authority() {
            self.authority(path, role, text, is_value);
            return;
        }
        let mut spans = Vec::new();
        self.seen.carried(Carried::Untrusted, text, true, |range, source| spans.push((range, source)));
        if !spans.is_empty() || is_value && is_short(text) && self.is_untrusted(text) {
            self.taint();
        }
        for (range, source) in spans {
            let weight = self.weight_of(Signal::UntrustedToSink);
            self.add(weight, Signal::UntrustedToSink, "carried-span", path, range, source);
        }
        if role == Role::Content && self.call.tool.exfil != Exfil::None {
            self.links(path, text);
        }
    }

    /// A link that only strangers named may not be passed on.
    fn links(&mut self, path: &Path<'_>, text: &str) {
        let on = self.policy.response(Signal::UntrustedToSink) != Response::Off;
        let mut known: HashMap<&str, Provenance> = HashMap::new();
        links(text, |range| {
            if known.len() > MAX_LINKS {
                return;
            }
            let provenance = known
                .entry(&text[range.clone()])
                .or_insert_with_key(|link| self.seen.provenance_by_host(link));
            let (weight, rule, source) = match provenance {
                Provenance::Untrusted(source) => (Weight::Stop, "strangers-link", source.clone()),
                Provenance::Overflow(source) => (Weight::Doubt, "ledger-full", source.clone()),
                Provenance::Trusted(_) | Provenance::Unknown => return,
            };
            self.add(on.then_some(weight), Signal::UntrustedToSink, rule, path, range, source);
        });
        if known.len() > MAX_LINKS {
            let (whole, source) = (0..text.len(), Source::Unknown);
            self.add(
                on.then_some(Weight::Doubt),
                Signal::UntrustedToSink,
                "too-many-links",
                path,
                whole,
                source,
            );
        }
    }

    fn authority(&mut self, path: &Path<'_>, role: Role, text: &str, is_value: bool) {
        let stop = self.weight_of(Signal::UntrustedAuthority);
        let doubt = stop.map(|weight| weight.min(Weight::Doubt));
        let whole = 0..text.len();
        let provenance = match role {
            Role::Destination => self.seen.provenance_by_host(text),
            _ => self.seen.provenance(text),
        };
        let (weight, rule, range, source) = match provenance {
            Provenance::Trusted(_) => return,
            Provenance::Untrusted(source) => (stop, "strangers-value", whole, source),
            // A key may be the tool's own name for a part of its argument, which nobody has to vouch for.
            _ if !is_value => return,
            Provenance::Overflow(source) => (doubt, "ledger-full", whole, source),
            Provenance::Unknown => match self.first_span(text) {
                Some((range, source)) => (stop, "strangers-span", range, source),
                // An id that nobody named can only be wrong; an address that nobody named can be anyone's.
                None if role == Role::Target => return,
                None => {
                    self.add(
                        doubt,
                        Signal::UntrustedAuthority,
                        "unknown-value",
                        path,
                        whole,
                        Source::Unknown,
                    );
                    return;
                }
            },
        };
        self.taint();
        self.add(weight, Signal::UntrustedAuthority, rule, path, range, source);
    }

    /// The first span of an authority's length that came from strangers alone.
    fn first_span(&self, text: &str) -> Option<(Range<usize>, Source)> {
        let mut first = None;
        self.seen.carried(Carried::Untrusted, text, false, |range, source| {
            first.get_or_insert((range, source));
        });
        first
    }

    /// Does this argument give away a secret?
    fn secrecy(&mut self, path: &Path<'_>, text: &str) {
        let mut spans: Vec<(Range<usize>, Source, &'static str)> = Vec::new();
        self.seen.carried(Carried::Secret, text, false, |range, source| {
            spans.push((range, source, "secret-span"))
        });
        self.seen.credentials(text, |range, source| spans.push((range, source, "credential-value")));
        if let (true, Some(source)) = (text.len() >= SPAN_AUTHORITY, self.seen.secret_overflow()) {
            self.label = self.label.clone().with_sensitivity(Sensitivity::Secret);
            let doubt = self.secret_weight().map(|weight| weight.min(Weight::Doubt));
            self.add(doubt, Signal::SecretToSink, "ledger-full", path, 0..text.len(), source);
        }
        for (range, source, rule) in spans {
            let said = self.seen.was_said(&text[range.clone()]);
            let evidence = self.evidence(Signal::SecretToSink, rule, path, range, source);
            if said { self.typed.push(evidence) } else { self.leak(evidence) }
        }
    }

    /// Notes whether the user typed this destination. True if it is an address that somebody trusted named,
    /// and nothing else: telling a receiver its own address gives nothing away. A URL is matched by host
    /// alone, so its path could hold anything.
    fn address(&mut self, text: &str) -> bool {
        let provenance = self.seen.provenance_by_host(text);
        let typed = provenance == Provenance::Trusted(Some(Source::Prompt));
        self.destinations_typed = Some(self.destinations_typed.unwrap_or(true) && typed);
        !text.contains(['/', '?', '#']) && matches!(provenance, Provenance::Trusted(_))
    }

    fn leak(&mut self, evidence: Evidence) {
        self.label = self.label.clone().with_sensitivity(Sensitivity::Secret);
        let weight = self.secret_weight();
        self.push(weight, evidence);
    }

    /// What giving away a secret weighs: nothing where the call reaches nobody outside.
    fn secret_weight(&self) -> Option<Weight> {
        self.weight_of(Signal::SecretToSink).filter(|_| self.leaves_process)
    }

    /// What concerns the run and not one argument.
    fn run_level(&mut self) {
        for mut evidence in std::mem::take(&mut self.typed) {
            if !self.leaves_process {
                continue; // the user's own words to the user's own tool
            }
            if self.destinations_typed == Some(true) {
                evidence.rule = "user-typed";
                self.push(Some(Weight::Finding), evidence);
            } else {
                self.leak(evidence);
            }
        }
        let label = self.call.label();
        if self.leaves_process && label.sensitivity() == Sensitivity::Secret {
            let weight = self.secret_weight();
            self.add(weight, Signal::SecretToSink, "host-label", &Path::ROOT, 0..0, Source::Unknown);
        }
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
        Assessment { verdict: Verdict { decision, signals, evidence: self.evidence }, label: self.label }
    }

    /// What `signal` weighs here; `None` when it is not looked for.
    fn weight_of(&self, signal: Signal) -> Option<Weight> {
        match self.policy.response(signal) {
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
        if weight.is_some() {
            self.push(weight, self.evidence(signal, rule, path, range, source));
        }
    }

    fn push(&mut self, weight: Option<Weight>, evidence: Evidence) {
        if weight.is_some() {
            self.weight = self.weight.max(weight);
            // Past the bound the weight still counts, and the signal is in the list already or joins it.
            let is_new = !self.evidence.iter().any(|other| other.signal == evidence.signal);
            if is_new || self.evidence.len() < MAX_EVIDENCE {
                self.evidence.push(evidence);
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
        Evidence { signal, rule, arg, range, source, views: Vec::new() }
    }

    fn taint(&mut self) {
        self.label = self.label.clone().with_trust(Trust::Untrusted);
    }

    fn is_untrusted(&self, text: &str) -> bool {
        matches!(self.seen.provenance(text), Provenance::Untrusted(_) | Provenance::Overflow(_))
    }
}

/// Long text is followed by its spans; only a short one is worth a look-up as a whole.
fn is_short(text: &str) -> bool {
    text.len() <= 256
}
