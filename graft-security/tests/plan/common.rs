//! A small world for plans: tools, results of any shape, and runs under a plan.

use std::cell::Cell;

use graft_core::{
    Call, CallId, Effect, Exfil, Label, Leaf, Leaves, LedgerKey, Metadata, Name, OutputTrust, Path, Role,
    RunId, Sensitivity, Speaker, TaintLedger, ToolMetadata, Visit,
};
use graft_security::dataflow::plan::{BoundPlan, Plan, PlanRun};
use graft_security::dataflow::{DataFlowMode, DataFlowPolicy, OnDoubt, Verdict};

/// A value of any shape.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Nothing,
    Text(String),
    Number(f64),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Leaves for Value {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        match self {
            Self::Nothing => visit(path, Leaf::Empty),
            Self::Text(text) => visit(path, Leaf::Str(text)),
            Self::Number(number) => visit(path, Leaf::Float(*number)),
            Self::List(all) => all.visit(path, visit),
            Self::Object(members) => {
                for (key, value) in members {
                    let path = path.key(key);
                    visit(&path, Leaf::Key(key));
                    value.visit(&path, visit);
                }
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl<V: Into<Value>, const N: usize> From<[V; N]> for Value {
    fn from(all: [V; N]) -> Self {
        Self::List(all.into_iter().map(Into::into).collect())
    }
}

/// An object of these members.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(crate) fn arg(name: &str, value: impl Into<Value>) -> Value {
    object([(name, value.into())])
}

/// Sends to `to`, acts on `id`, says `text`; `when` controls it.
pub(crate) fn send() -> ToolMetadata {
    let mut tool = ToolMetadata::new(Name::from_static("send"));
    tool.exfil = Exfil::Message;
    for (name, role) in
        [("to", Role::Destination), ("id", Role::Target), ("text", Role::Content), ("when", Role::Control)]
    {
        tool.args.insert(name.into(), role);
    }
    tool
}

/// Reads what strangers wrote.
pub(crate) fn find() -> ToolMetadata {
    let tool = ToolMetadata::new(Name::from_static("find"));
    ToolMetadata { effect: Effect::ReadOnly, trust: OutputTrust::Untrusted, ..tool }
}

/// Reads a page; its request leaves the machine.
pub(crate) fn visit() -> ToolMetadata {
    let mut tool = ToolMetadata { exfil: Exfil::Url, ..find() };
    tool.name = Name::from_static("visit");
    tool.args.insert("url".into(), Role::Destination);
    tool
}

/// Reads what nobody else may know.
pub(crate) fn diary() -> ToolMetadata {
    let tool = ToolMetadata { sensitivity: Sensitivity::Secret, ..find() };
    ToolMetadata { name: Name::from_static("diary"), ..tool }
}

pub(crate) fn policy() -> DataFlowPolicy {
    DataFlowPolicy::new(DataFlowMode::Enforce).on_doubt(OnDoubt::Ask)
}

pub(crate) struct Run {
    pub(crate) ledger: TaintLedger,
    pub(crate) plan: PlanRun,
    pub(crate) policy: DataFlowPolicy,
    next: Cell<u64>,
}

/// A run under a plan. The user said: "Mail 2,200.00 reasons to ann@home.example, see www.shop.example for 'blue tea'".
pub(crate) fn run(plan: Plan) -> Run {
    let ledger = TaintLedger::new(LedgerKey::danger_for_replay("test")).with_own_ids(["me@home.example"]);
    ledger.record_trusted(
        Speaker::User,
        "Mail 2,200.00 reasons to ann@home.example, see www.shop.example for 'blue tea'",
    );
    let plan = PlanRun::new(plan, ledger.key().clone());
    Run { ledger, plan, policy: policy(), next: Cell::new(0) }
}

pub(crate) fn under(plan: BoundPlan) -> Run {
    run(plan.build().expect("a good plan"))
}

impl Run {
    fn with_call<T>(&self, tool: &ToolMetadata, args: &Value, f: impl FnOnce(&Call<'_>) -> T) -> T {
        let meta = Metadata::new(RunId([1; 16]), CallId(self.next.get()));
        self.next.set(self.next.get() + 1);
        f(&Call::new(tool, &meta, args))
    }

    /// `tool` is called, let through, and returns `output`.
    pub(crate) fn returns(&self, tool: &ToolMetadata, args: Value, output: impl Into<Value>) -> &Self {
        let output = output.into();
        self.with_call(tool, &args, |call| {
            self.plan.called(call);
            self.ledger.record_output(call.meta.call, tool, &output, &Label::default());
            self.plan.returned(call.meta.call, &tool.name, &output);
        });
        self
    }

    /// [`find`] is called without arguments and returns `output`.
    pub(crate) fn finds(&self, output: impl Into<Value>) -> &Self {
        self.returns(&find(), Value::Nothing, output)
    }

    pub(crate) fn judge(&self, tool: &ToolMetadata, args: &Value) -> Verdict {
        self.with_call(tool, args, |call| {
            self.policy.assess_planned(&self.ledger, Some(&self.plan), call).verdict
        })
    }

    /// The decision on a call of [`send`], with the first rule where it is not `allow`.
    pub(crate) fn says(&self, args: Value) -> String {
        self.says_of(&send(), args)
    }

    pub(crate) fn says_of(&self, tool: &ToolMetadata, args: Value) -> String {
        let verdict = self.judge(tool, &args);
        match verdict.evidence.first() {
            Some(evidence) if !verdict.lets_through() => {
                format!("{} {}", verdict.decision.as_str(), evidence.rule)
            }
            _ => verdict.decision.as_str().to_owned(),
        }
    }

    /// The decision on a call of [`send`] to `to`.
    pub(crate) fn to(&self, to: impl Into<Value>) -> String {
        self.says(arg("to", to))
    }
}
