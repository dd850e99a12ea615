//! Sealed plans: what a run is for, said before anything untrusted is read.
//!
//! A plan is either the set of sinks that a task needs or, *bound*, the steps of the task with the source of
//! each argument that decides where a call goes or what it acts on. The sources are evaluated when a tool
//! returns; of the values only digests under the run's key stay.
//!
//! ```
//! use graft_core::{Call, CallId, LedgerKey, Metadata, Name, Role, RunId, Speaker, TaintLedger, ToolMetadata};
//! use graft_core::{Decision, Label};
//! use graft_security::dataflow::plan::{Plan, PlanSeal, Source};
//! use graft_security::dataflow::{DataFlowMode, DataFlowPolicy};
//! use std::collections::BTreeMap;
//!
//! // "Mail the minutes to Dora": the address is what the address book says of Dora, whatever else is read.
//! let plan = Plan::bound()
//!     .step("send_email", |step| {
//!         step.arg("recipients", Source::from("search_contacts").with("name", "Dora").path("$..email"))
//!     })
//!     .build()?;
//!
//! let ledger = TaintLedger::new(LedgerKey::danger_for_replay("example"));
//! ledger.record_trusted(Speaker::User, "Mail the minutes to Dora");
//! let seal = PlanSeal::default();
//! seal.seal(plan, &ledger)?;
//!
//! let search = ToolMetadata { effect: graft_core::Effect::ReadOnly, ..ToolMetadata::new(Name::from_static("search_contacts")) };
//! let meta = Metadata::new(RunId([1; 16]), CallId(0));
//! let args = BTreeMap::from([("name", "Dora")]);
//! let args: BTreeMap<_, String> = args.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
//! let contact = BTreeMap::from([("email", "dora@home.example".to_owned())]);
//! let run = seal.plan().expect("sealed");
//! run.called(&Call::new(&search, &meta, &args));
//! run.returned(CallId(0), &search.name, &contact);
//! ledger.record_output(CallId(0), &search, &contact, &Label::default());
//!
//! let mut send = ToolMetadata::new(Name::from_static("send_email"));
//! send.args.insert("recipients".into(), Role::Destination);
//! let policy = DataFlowPolicy::new(DataFlowMode::Enforce);
//! let decision = |to: &str| {
//!     let args = BTreeMap::from([("recipients", vec![to.to_owned()])]);
//!     policy.assess_planned(&ledger, Some(run), &Call::new(&send, &meta, &args)).verdict.decision
//! };
//! assert_eq!(decision("dora@home.example"), Decision::Allow);
//! assert_eq!(decision("eve@evil.example"), Decision::Block);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How a bound plan is read
//! It holds from the moment it is sealed, whether or not anything untrusted was read.
//! - A sink that no step names is refused. Of several steps for a tool one that fits is enough; steps may be
//!   repeated and left out.
//! - An argument that decides where a call goes or what it acts on, and that the step does not name, is refused;
//!   so is each argument of a sink of which no argument has a role.
//! - Every value in an argument must be given, and a candidate that is a list gives each of its members.
//! - A source that was not called, or whose call was refused, gives nothing. A value that is among the
//!   candidates where the pick does not decide is asked about, and so is every value once a source has had more
//!   candidates than are kept.
//! - What fits is of proved origin, and its effect is asked for: of the policy's rules only those on secrets
//!   can still stop the call, and the others are findings.
//!
//! # What it does not do
//! It binds what decides where a call goes, and not what is said in it, nor how often a step is taken.

mod check;
mod found;
mod kinds;
mod path;
mod run;
mod source;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use graft_core::Name;

pub use check::PlanVerdict;
pub use kinds::Kind;
#[cfg(feature = "files")]
pub(super) use path::Select;
pub use run::{PlanRun, PlanSeal, SealError};
pub(super) use source::Origin;
pub use source::{Literal, Pick, Returned, Source};

/// The most steps of a plan, arguments of a step, and values that a source writes out.
pub const MAX_PARTS: usize = 256;

/// What a run is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub(super) form: Form,
    pub(super) delegated: bool,
    pub(super) reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    Sinks(BTreeSet<Name>),
    Bound(Vec<Step>),
}

impl Plan {
    /// The plan that needs these sinks. Once untrusted text is in, others are refused; for these the user's
    /// words need not ask, and every other rule of the policy holds.
    ///
    /// ```
    /// use graft_security::dataflow::plan::Plan;
    /// let plan = Plan::sinks(["send_email", "create_event"])?;
    /// assert!(plan.names("send_email") && !plan.names("delete_email"));
    /// # Ok::<(), graft_security::dataflow::plan::PlanError>(())
    /// ```
    ///
    /// # Errors
    /// [`PlanError`] for what is no name of a tool, and for too many of them.
    pub fn sinks<S: AsRef<str>>(tools: impl IntoIterator<Item = S>) -> Result<Self, PlanError> {
        let mut sinks = BTreeSet::new();
        for (i, tool) in tools.into_iter().enumerate() {
            sinks.insert(tool_name(tool.as_ref(), || format!("sinks[{i}]"))?);
            bounded("sinks", sinks.len())?;
        }
        Ok(Self { form: Form::Sinks(sinks), delegated: false, reason: None })
    }

    /// Begins a bound plan, without steps so far: as it stands it lets no sink be called.
    pub fn bound() -> BoundPlan {
        BoundPlan { steps: Vec::new(), delegated: false }
    }

    /// Whether it says where arguments come from.
    pub fn is_bound(&self) -> bool {
        matches!(self.form, Form::Bound(_))
    }

    /// Whether the sink `tool` is in it.
    pub fn names(&self, tool: &str) -> bool {
        match &self.form {
            Form::Sinks(sinks) => sinks.iter().any(|sink| sink.as_str() == tool),
            Form::Bound(steps) => steps.iter().any(|step| step.tool == tool),
        }
    }

    /// Whether any source of it looks into the structure of what `tool` returns.
    pub fn looks_into(&self, tool: &str) -> bool {
        self.sources().any(|(_, _, source)| source.tool == tool && source.path.is_some())
    }

    /// Whether its user left the choice to somebody else's text.
    pub fn is_delegated(&self) -> bool {
        self.delegated
    }

    /// Its steps; none for a set of sinks.
    pub(super) fn steps(&self) -> &[Step] {
        match &self.form {
            Form::Sinks(_) => &[],
            Form::Bound(steps) => steps,
        }
    }

    /// Every source that is what a tool returned, with its step and argument.
    pub(super) fn sources(&self) -> impl Iterator<Item = (usize, &str, &Returned)> {
        self.steps().iter().enumerate().flat_map(|(at, step)| {
            step.args.iter().filter_map(move |(name, source)| match &source.0 {
                Origin::Returned(returned) => Some((at, name.as_str(), returned)),
                _ => None,
            })
        })
    }
}

/// A bound plan on its way.
#[derive(Clone, Debug)]
#[must_use]
pub struct BoundPlan {
    steps: Vec<Step>,
    delegated: bool,
}

impl BoundPlan {
    /// Adds a step: a call of `tool` whose arguments come from where `args` says.
    pub fn step(mut self, tool: impl Into<String>, args: impl FnOnce(Step) -> Step) -> Self {
        self.steps.push(args(Step { tool: tool.into(), args: BTreeMap::new() }));
        self
    }

    /// Marks that the user left the choice to somebody else's text, so that [`Source::any`] may stand for an
    /// argument that decides where a call goes or what it acts on.
    pub fn delegated(self) -> Self {
        Self { delegated: true, ..self }
    }

    /// The plan.
    ///
    /// # Errors
    /// The first thing that is wrong: what is no name of a tool, what is no path, what is too much.
    pub fn build(self) -> Result<Plan, PlanError> {
        bounded("steps", self.steps.len())?;
        for (i, step) in self.steps.iter().enumerate() {
            tool_name(&step.tool, || format!("steps[{i}].tool"))?;
            bounded(&format!("steps[{i}].args"), step.args.len())?;
            for (name, source) in &step.args {
                source.check(&|part| format!("steps[{i}].args.{}{part}", shown(name)))?;
            }
        }
        Ok(Plan { form: Form::Bound(self.steps), delegated: self.delegated, reason: None })
    }
}

/// A call that a bound plan lets be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub(super) tool: String,
    pub(super) args: BTreeMap<String, Source>,
}

impl Step {
    /// The value of the argument `name` comes from `source`. Said twice, the later one holds.
    #[must_use]
    pub fn arg(mut self, name: impl Into<String>, source: impl Into<Source>) -> Self {
        self.args.insert(name.into(), source.into());
        self
    }
}

impl Source {
    fn check(&self, at: &dyn Fn(&str) -> String) -> Result<(), PlanError> {
        let count = |literal: &Literal| {
            let mut count = 0;
            literal.each(&mut |_| count += 1);
            count
        };
        match &self.0 {
            Origin::Literal(literal) => bounded(&at(".literal"), count(literal)),
            Origin::Returned(returned) => {
                tool_name(&returned.tool, || at(".from"))?;
                if let Some(why) = returned.wrong {
                    return Err(PlanError::Path { at: at(".path"), why });
                }
                bounded(&at(".with"), returned.with.values().map(|literal| 1 + count(literal)).sum())
            }
            Origin::Prompt | Origin::OwnId | Origin::Any => Ok(()),
        }
    }
}

fn tool_name(name: &str, at: impl Fn() -> String) -> Result<Name, PlanError> {
    Name::new(name).map_err(|_| PlanError::Tool { at: at() })
}

fn bounded(at: &str, count: usize) -> Result<(), PlanError> {
    if count > MAX_PARTS { Err(PlanError::TooMuch { at: at.to_owned() }) } else { Ok(()) }
}

/// A name as a complaint shows it: on one line, and short.
fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}

/// What is wrong with a plan, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// What should be the name of a tool is none.
    #[error("`{at}` is not the name of a tool")]
    Tool {
        /// Where, as in `steps[0].tool`.
        at: String,
    },
    /// What should be a path into a result is none.
    #[error("`{at}` is not a path into a result: {why}")]
    Path {
        /// Where.
        at: String,
        /// What a path looks like.
        why: &'static str,
    },
    /// There is more of it than [`MAX_PARTS`].
    #[error("`{at}` has more than 256 parts; split the task")]
    TooMuch {
        /// Where.
        at: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_is_wrong_with_it_and_where() {
        let with = |source: Source| Plan::bound().step("a", |step| step.arg("to", source)).build();
        for (plan, complaint) in [
            (Plan::sinks(["two words"]), "`sinks[0]` is not the name of a tool"),
            (Plan::bound().step("", |step| step).build(), "`steps[0].tool` is not the name of a tool"),
            (with(Source::from("a b").into()), "`steps[0].args.to.from` is not the name of a tool"),
            (
                with(Source::from("a").path("x").into()),
                "`steps[0].args.to.path` is not a path into a result: a path begins with `$`",
            ),
            (
                with(Source::literal(vec![1; 257])),
                "`steps[0].args.to.literal` has more than 256 parts; split the task",
            ),
            (
                Plan::sinks((0..257).map(|n| format!("t{n}"))),
                "`sinks` has more than 256 parts; split the task",
            ),
        ] {
            assert_eq!(plan.expect_err(complaint).to_string(), complaint);
        }
    }
}
