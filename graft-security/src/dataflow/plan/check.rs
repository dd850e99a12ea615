//! Does a call fit the plan of its run?

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use graft_core::{
    Call, Evidence, Exfil, Leaf, Path, Provenance, Role, Seen, Segment, Signal, Source as Witness,
};

use super::found::{Gives, Picked, plain};
use super::run::{PlanRun, State};
use super::source::{Origin, Source};
use super::tree::text_of;
use super::{Form, Step};

/// What a plan says of a call of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanVerdict {
    /// A bound step fits: the values have the origin that the plan wants, and the effect is asked for.
    Fits {
        /// The arguments of which each value is, as a whole, one that the plan names or a source gave.
        given: BTreeSet<String>,
    },
    /// The sink is in the set: its effect is asked for, and no more is said.
    Named,
    /// It may fit; a person is to say.
    Asked {
        /// As where it fits.
        given: BTreeSet<String>,
        /// What speaks against it.
        evidence: Vec<Evidence>,
    },
    /// It does not fit.
    Refused(Vec<Evidence>),
}

/// The most pieces of evidence against one step.
const MAX_EVIDENCE: usize = 16;

impl PlanRun {
    /// What the plan says of `call`, which is one of a sink. `strict` adds what
    /// [`DataFlowPolicy::strict_plan`](crate::dataflow::DataFlowPolicy::strict_plan) says of steps.
    pub fn check(&self, seen: &Seen<'_>, call: &Call<'_>, strict: bool) -> PlanVerdict {
        let tool = call.tool.name.as_str();
        let not_in_plan = || {
            let arg = Path::ROOT.to_string();
            let (signal, rule) = (Signal::UnrequestedEffect, "not-in-plan");
            PlanVerdict::Refused(vec![Evidence {
                signal,
                rule,
                arg,
                range: 0..0,
                source: Witness::Unknown,
                views: Vec::new(),
                stops: true,
            }])
        };
        let steps = match &self.plan.form {
            Form::Sinks(_) if self.plan.names(tool) => return PlanVerdict::Named,
            Form::Sinks(_) => return not_in_plan(),
            Form::Bound(steps) => steps,
        };
        let state = self.lock();
        let mut nearest: Option<Check<'_>> = None;
        for (at, step) in steps.iter().enumerate().filter(|(_, step)| step.tool == tool) {
            let mut check = Check {
                run: self,
                state: &state,
                seen,
                call,
                at,
                step,
                strict,
                against: Against::default(),
                given: BTreeSet::new(),
            };
            check.walk();
            if check.against.evidence.is_empty() {
                return PlanVerdict::Fits { given: check.given };
            }
            if nearest.as_ref().is_none_or(|other| check.against.distance() < other.against.distance()) {
                nearest = Some(check);
            }
        }
        match nearest {
            None => not_in_plan(),
            Some(Check { against, .. }) if against.is_refused => PlanVerdict::Refused(against.evidence),
            Some(Check { against, given, .. }) => PlanVerdict::Asked { given, evidence: against.evidence },
        }
    }
}

/// What speaks against a step.
#[derive(Default)]
struct Against {
    is_refused: bool,
    evidence: Vec<Evidence>,
}

impl Against {
    /// How far the call is from the step: asking is nearer than refusing.
    fn distance(&self) -> (bool, usize) {
        (self.is_refused, self.evidence.len())
    }
}

/// A call beside one step.
struct Check<'a> {
    run: &'a PlanRun,
    state: &'a State,
    seen: &'a Seen<'a>,
    call: &'a Call<'a>,
    at: usize,
    step: &'a Step,
    strict: bool,
    against: Against,
    given: BTreeSet<String>,
}

impl<'a> Check<'a> {
    fn walk(&mut self) {
        let (args, tool) = (self.call.args, self.call.tool);
        let mut given: BTreeMap<&str, Given<'a>> = BTreeMap::new();
        let mut present: BTreeMap<&str, bool> = BTreeMap::new(); // and whether each value is given as a whole
        args.visit(&Path::ROOT, &mut |path, leaf| {
            let name = path.first().and_then(Segment::name);
            let text = match leaf {
                Leaf::Key(_) if path.depth() == 1 => return, // the name of an argument
                Leaf::Key(key) => Some(key.to_owned()),
                leaf => text_of(leaf),
            };
            let Some(text) = text else { return };
            // Where nothing is said of arguments, each of them may decide.
            let decides = tool.args.is_empty() || name.is_none_or(|name| tool.role(name).is_authority());
            let source = name.and_then(|name| self.step.args.get_key_value(name));
            let Some((name, source)) = source else {
                if decides {
                    self.refuse("not-in-step", path, 0..text.len(), self.named_by(&text));
                }
                return;
            };
            let given = given.entry(name).or_insert_with(|| self.given(name, source));
            let role = tool.role(name);
            *present.entry(name).or_insert(true) &= self.value(path, role, decides, &text, given);
        });
        let whole = present.iter().filter(|(_, is_whole)| **is_whole);
        self.given = whole.map(|(name, _)| (*name).to_owned()).collect();
        if !self.strict {
            return;
        }
        for (name, source) in &self.step.args {
            if source.0 != Origin::Any && !present.contains_key(name.as_str()) {
                self.refuse("argument-missing", &Path::ROOT.field(name), 0..0, Witness::Unknown);
            }
        }
    }

    fn given(&self, name: &str, source: &'a Source) -> Given<'a> {
        match &source.0 {
            Origin::Any => Given::Any,
            Origin::Prompt => Given::Prompt,
            Origin::OwnId => Given::OwnId,
            Origin::Literal(literal) => {
                let mut all = BTreeSet::new();
                literal.each(&mut |text| all.extend(plain(&self.run.key, text)));
                Given::Literal(all)
            }
            Origin::Returned(returned) => match self.state.found(self.at, name) {
                None => Given::NotCalled,
                Some(found) => Given::Returned(found.picked(returned, &self.run.key), found.source.clone()),
            },
        }
    }

    /// Weighs one value of an argument. True if it is, as a whole, what the plan names or a source gave.
    fn value(&mut self, path: &Path<'_>, role: Role, decides: bool, text: &str, given: &Given<'_>) -> bool {
        let whole = 0..text.len();
        let is_exact = matches!(given, Given::Literal(_) | Given::Returned(..));
        let (gives, rule, source) = match given {
            Given::Any if decides && !self.run.plan.delegated => (Gives::Perhaps, "any-authority", None),
            Given::Any => (Gives::Yes, "", None),
            Given::NotCalled => (Gives::No, "source-not-called", None),
            Given::Prompt => (yes_if(self.is_said(role, text)), "not-from-source", None),
            Given::OwnId => (yes_if(self.seen.is_own(text)), "not-from-source", None),
            Given::Literal(all) => {
                let is_among = plain(&self.run.key, text).is_some_and(|digest| all.contains(&digest));
                (yes_if(is_among), "not-from-source", None)
            }
            Given::Returned(picked, source) => match picked.gives(text) {
                Gives::No => (Gives::No, "not-from-source", None),
                gives => (gives, "undecided", source.clone()),
            },
        };
        match gives {
            Gives::No => self.refuse(rule, path, whole, self.named_by(text)),
            Gives::Among | Gives::Perhaps => {
                let source = source.unwrap_or_else(|| self.named_by(text));
                self.object(rule, path, whole, source);
            }
            Gives::Yes | Gives::InText if self.strict && self.is_strangers_payee(role, text, given) => {
                self.object("free-text-payee", path, whole, self.named_by(text));
            }
            Gives::Yes | Gives::InText => {}
        }
        is_exact && matches!(gives, Gives::Yes | Gives::Among)
    }

    /// Whether the user said it: web addresses are compared by host where that is what they stand for.
    fn is_said(&self, role: Role, text: &str) -> bool {
        let by_host = role == Role::Destination || text.contains("://");
        self.seen.user_said(text, by_host)
    }

    /// Whether a payee has no better witness than free text.
    fn is_strangers_payee(&self, role: Role, text: &str, given: &Given<'_>) -> bool {
        let is_payee = self.call.tool.exfil == Exfil::Payment && role == Role::Destination;
        is_payee
            && matches!(given, Given::Returned(..) | Given::Any)
            && !matches!(self.seen.provenance(text), Provenance::Trusted(_))
    }

    fn named_by(&self, text: &str) -> Witness {
        match self.seen.provenance_by_host(text) {
            Provenance::Trusted(source) => source.unwrap_or(Witness::Unknown),
            Provenance::Untrusted(source) | Provenance::Overflow(source) => source,
            Provenance::Unknown => Witness::Unknown,
        }
    }

    fn refuse(&mut self, rule: &'static str, path: &Path<'_>, range: Range<usize>, source: Witness) {
        self.against.is_refused = true;
        self.object(rule, path, range, source);
    }

    fn object(&mut self, rule: &'static str, path: &Path<'_>, range: Range<usize>, source: Witness) {
        if self.against.evidence.len() < MAX_EVIDENCE {
            let arg = path.without_keys(|name| {
                self.call.tool.args.contains_key(name) || self.step.args.contains_key(name)
            });
            let signal = Signal::UntrustedAuthority;
            self.against.evidence.push(Evidence {
                signal,
                rule,
                arg,
                range,
                source,
                views: Vec::new(),
                stops: true,
            });
        }
    }
}

fn yes_if(is_given: bool) -> Gives {
    if is_given { Gives::Yes } else { Gives::No }
}

/// What a source comes to for one call.
enum Given<'a> {
    Any,
    Prompt,
    OwnId,
    Literal(BTreeSet<u64>),
    NotCalled,
    Returned(Picked<'a>, Option<Witness>),
}
