//! A run with a page that a stranger wrote and a diary that is secret, and the host's end of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use graft_core::{
    Action, Call, CallId, Clock, Effect, Event, Exfil, Fault, Interceptor, Label, LedgerKey, ManualClock,
    MemoryRecorder, Metadata, Name, OutputTrust, RecordError, Recorder, Role, RunId, Sensitivity, Seq,
    Speaker, TaintLedger, Timestamp, ToolMetadata,
};
use graft_security::dataflow::{
    Assessment, DataFlowGate, DataFlowMode, DataFlowPolicy, GrantKey, Grants, OnDoubt,
};

pub(crate) const RUN: RunId = RunId([1; 16]);
pub(crate) const WHO: Name = Name::from_static("ann");
pub(crate) const FRIEND: &str = "ann@home.example";
pub(crate) const STRANGER: &str = "eve@collect.example";
/// An address that nobody in the run named.
pub(crate) const NOBODY: &str = "zoe@elsewhere.example";
pub(crate) const PAGE: &str =
    "Kites are flown in autumn when the wind is steady; write to eve@collect.example for more.";
pub(crate) const DIARY: &str = "The vault behind the blue painting opens with seven turns to the left.";
pub(crate) const HOUR: u64 = 3_600_000_000_000;

pub(crate) type Args = BTreeMap<String, String>;

pub(crate) fn args(members: &[(&str, &str)]) -> Args {
    members.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn mail() -> ToolMetadata {
    let mut tool = ToolMetadata::new(Name::from_static("mail"));
    tool.exfil = Exfil::Message;
    tool.args.insert("to".into(), Role::Destination);
    tool.args.insert("body".into(), Role::Content);
    tool.intent = vec!["mail".into()];
    tool
}

pub(crate) fn policy() -> DataFlowPolicy {
    DataFlowPolicy::new(DataFlowMode::Enforce).on_doubt(OnDoubt::Ask)
}

pub(crate) fn key() -> GrantKey {
    GrantKey::new(*b"9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5c").expect("random enough")
}

/// A recorder that can be broken.
#[derive(Default)]
pub(crate) struct Log {
    kept: MemoryRecorder,
    pub(crate) is_broken: AtomicBool,
}

impl Recorder for Log {
    fn record(&self, event: &Event) -> Result<Seq, RecordError> {
        if self.is_broken.load(Ordering::SeqCst) { Err(RecordError) } else { self.kept.record(event) }
    }
}

pub(crate) struct Stage {
    pub(crate) ledger: Arc<TaintLedger>,
    pub(crate) policy: DataFlowPolicy,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) log: Arc<Log>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) gate: DataFlowGate,
}

impl Stage {
    pub(crate) fn new(policy: DataFlowPolicy) -> Self {
        Self::with_key(policy, key())
    }

    pub(crate) fn with_key(policy: DataFlowPolicy, key: GrantKey) -> Self {
        let ledger = TaintLedger::new(LedgerKey::danger_for_replay("test"));
        ledger.record_trusted(Speaker::User, &format!("Please mail {FRIEND} what you found"));
        let ledger = Arc::new(ledger);
        let (clock, log) = (Arc::new(ManualClock::default()), Arc::new(Log::default()));
        let agent = Name::from_static("agent");
        let grants = Arc::new(Grants::new(key, RUN, &policy, log.clone(), clock.clone(), agent.clone()));
        let gate =
            DataFlowGate::new(Arc::new(policy.clone()), ledger.clone(), log.clone(), clock.clone(), agent)
                .with_grants(grants.clone());
        let stage = Self { ledger, policy, clock, log, grants, gate };
        stage.read(0, "page", OutputTrust::Untrusted, Sensitivity::Internal, PAGE);
        stage
    }

    pub(crate) fn read_diary(self) -> Self {
        self.read(1, "diary", OutputTrust::Trusted, Sensitivity::Secret, DIARY);
        self
    }

    pub(crate) fn read(
        &self,
        call: u64,
        name: &'static str,
        trust: OutputTrust,
        sensitivity: Sensitivity,
        text: &str,
    ) {
        let mut tool = ToolMetadata::new(Name::from_static(name));
        (tool.effect, tool.trust, tool.sensitivity) = (Effect::ReadOnly, trust, sensitivity);
        self.ledger.record_output(CallId(call), &tool, &text, &Label::default());
    }

    /// Call `n` as it would be judged and released, but for the rest of the gate.
    pub(crate) fn assess(&self, tool: &ToolMetadata, args: &Args) -> Assessment {
        let meta = Metadata::new(RUN, CallId(99));
        self.policy.assess(&self.ledger, &Call::new(tool, &meta, args))
    }

    /// Call `n` up to the channel.
    pub(crate) fn call(&self, n: u64, tool: &ToolMetadata, args: &Args) -> Result<Label, Fault> {
        self.call_in(RUN, n, tool, args)
    }

    pub(crate) fn call_in(
        &self,
        run: RunId,
        n: u64,
        tool: &ToolMetadata,
        args: &Args,
    ) -> Result<Label, Fault> {
        let meta = Metadata::new(run, CallId(n));
        let mut call = Call::new(tool, &meta, args);
        self.gate.before(&mut call).map(|()| call.label().clone())
    }

    /// A mail from call `n`.
    pub(crate) fn mail(&self, n: u64, to: &str, body: &str) -> Result<Label, Fault> {
        self.call(n, &mail(), &args(&[("to", to), ("body", body)]))
    }

    pub(crate) fn later(&self, nanos: u64) -> Timestamp {
        Timestamp(self.clock.now().0 + nanos)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.log.kept.events()
    }

    pub(crate) fn count(&self, action: Action) -> usize {
        self.events().iter().filter(|event| event.action == action).count()
    }
}
