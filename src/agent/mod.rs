//! The agent's end: a channel, the policy in front of it, and one ledger for each run.

mod records;
mod run;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use graft_core::{
    Action, CallRecorder, Caller, Channel, Clock, Credential, DeadlineCheck, DigestKey, Interceptor,
    LedgerKey, Name, Recorder, Restored, RunId, SnapshotKey, SnapshotOf, Speaker, TaintLedger,
};
#[cfg(feature = "files")]
use graft_security::dataflow::files::TraceWriter;
use graft_security::dataflow::plan::PlanSeal;
use graft_security::dataflow::{
    DataFlowGate, DataFlowMode, DataFlowPolicy, GrantKey, Grants, OnAsk, PendingApproval, Question,
    SignalCounts,
};

pub use run::{Run, RunError};

use crate::observe::{Observe, Observer};
use crate::{Config, SystemClock};

/// Builds an [`Agent`].
pub struct AgentBuilder {
    channel: Arc<dyn Channel>,
    policy: DataFlowPolicy,
    recorder: Option<Arc<dyn Recorder>>,
    clock: Arc<dyn Clock>,
    actor: Name,
    own_ids: Vec<String>,
    timeout: Option<Duration>,
    credential: Option<Credential>,
    ledger_limit: usize,
    ledger_cap: usize,
    interceptors: Vec<Arc<dyn Interceptor>>,
    observers: Vec<Arc<dyn Interceptor>>,
    measure: bool,
    grant_key: Option<GrantKey>,
    config: Option<Config>,
    digest_key: Option<DigestKey>,
    approval_time: Option<Duration>,
    on_ask: Option<Arc<OnAsk>>,
    #[cfg(feature = "files")]
    traces: Option<Arc<TraceWriter>>,
}

impl AgentBuilder {
    /// Judges each call by `policy`, or by the default profile in a mode. Absent means off.
    #[must_use]
    pub fn data_flow_policy(self, policy: impl Into<DataFlowPolicy>) -> Self {
        Self { policy: policy.into(), ..self }
    }

    /// Records calls, verdicts, runs and receipts. Absent means that nothing is recorded.
    #[must_use]
    pub fn recorder(self, recorder: Arc<dyn Recorder>) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// Whom records name as acting; `agent` unless set.
    #[must_use]
    pub fn actor(self, actor: Name) -> Self {
        Self { actor, ..self }
    }

    /// The user's own identifiers, which are trusted as values and mark records as the user's.
    #[must_use]
    pub fn own_ids<S: Into<String>>(self, ids: impl IntoIterator<Item = S>) -> Self {
        Self { own_ids: ids.into_iter().map(Into::into).collect(), ..self }
    }

    /// Bounds each call; unbounded unless set.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Sends `credential` with each call; none unless set.
    #[must_use]
    pub fn credential(self, credential: Credential) -> Self {
        Self { credential: Some(credential), ..self }
    }

    /// Bounds the recorded text of a run that is indexed with its sources, in bytes;
    /// [`graft_core::ledger::DEFAULT_LIMIT`] unless set.
    #[must_use]
    pub fn ledger_limit(self, bytes: usize) -> Self {
        Self { ledger_limit: bytes, ..self }
    }

    /// Bounds the recorded text of a run of which fingerprints are kept, in bytes;
    /// [`graft_core::ledger::DEFAULT_CAP`] unless set. Past it, what nobody vouches for is a doubt.
    #[must_use]
    pub fn ledger_cap(self, bytes: usize) -> Self {
        Self { ledger_cap: bytes, ..self }
    }

    /// The same on another clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Has calls watched from outside all the rest, so that those are seen which something stops.
    #[must_use]
    pub fn observe<O: Observer>(mut self, observe: &Observe<O>) -> Self {
        self.observers.push(observe.calls());
        self
    }

    /// Adds an interceptor of the host's own, between the records and the policy.
    #[must_use]
    pub fn interceptor(mut self, interceptor: Arc<dyn Interceptor>) -> Self {
        self.interceptors.push(interceptor);
        self
    }

    /// Writes each run, **with its arguments and results**, in the format that `graft replay` reads, so that a
    /// policy can be tried on it later. The line is written at the run's end.
    #[cfg(feature = "files")]
    #[must_use]
    pub fn danger_trace_writer(self, traces: Arc<TraceWriter>) -> Self {
        Self { traces: Some(traces), ..self }
    }

    /// Hands each question about a call to `on_ask`: what may be stored of it, and the text for the eyes of the
    /// person who decides, which may not. It is called while the stopped call returns; the answer goes to
    /// [`Run::grants`] whenever it comes, and then the same call is made again.
    #[must_use]
    pub fn on_ask(self, on_ask: impl Fn(PendingApproval, Question) + Send + Sync + 'static) -> Self {
        Self { on_ask: Some(Arc::new(on_ask)), ..self }
    }

    /// Bounds how long a question may be answered and its answer used; an hour unless set.
    #[must_use]
    pub fn approval_time(self, time: Duration) -> Self {
        Self { approval_time: Some(time), ..self }
    }

    /// Seals questions with `key`; with one that is new for each run unless set.
    #[must_use]
    pub fn grant_key(self, key: GrantKey) -> Self {
        Self { grant_key: Some(key), ..self }
    }

    /// Has records of configurations hold their [`digest`](Config::digest) under `key`; without a key they hold none.
    #[must_use]
    pub fn digest_key(self, key: DigestKey) -> Self {
        Self { digest_key: Some(key), ..self }
    }

    pub(crate) fn of_config(self, config: &Config) -> Self {
        Self { config: Some(config.clone()), ..self }
    }

    /// Keeps what each judgement cost, for [`Agent::judgements`]. Reads the clock twice for each call.
    #[must_use]
    pub fn measure_judgements(self) -> Self {
        Self { measure: true, ..self }
    }

    /// The agent.
    pub fn build(self) -> Agent {
        let costs = self.measure.then(Arc::default);
        let (policy, counts, is_in_force) = (Arc::new(self.policy.clone()), Arc::default(), Arc::default());
        Agent { policy, counts, costs, is_in_force, set: Arc::new(self) }
    }
}

/// Makes calls on behalf of a user, run by run, under one policy. Cheap to clone.
#[derive(Clone)]
pub struct Agent {
    set: Arc<AgentBuilder>,
    policy: Arc<DataFlowPolicy>,
    counts: Arc<SignalCounts>,
    costs: Option<Arc<Mutex<Vec<Duration>>>>,
    /// Whether the records say by which configuration and policy runs are judged.
    is_in_force: Arc<Mutex<bool>>,
}

impl Agent {
    /// Begins to build an agent whose calls go through `channel`.
    pub fn over(channel: Arc<dyn Channel>) -> AgentBuilder {
        AgentBuilder {
            channel,
            policy: DataFlowPolicy::new(DataFlowMode::Off),
            recorder: None,
            clock: Arc::new(SystemClock::new()),
            actor: Name::from_static("agent"),
            own_ids: Vec::new(),
            timeout: None,
            credential: None,
            ledger_limit: graft_core::ledger::DEFAULT_LIMIT,
            ledger_cap: graft_core::ledger::DEFAULT_CAP,
            interceptors: Vec::new(),
            observers: Vec::new(),
            measure: false,
            grant_key: None,
            config: None,
            digest_key: None,
            approval_time: None,
            on_ask: None,
            #[cfg(feature = "files")]
            traces: None,
        }
    }

    /// One line that says what guards this agent and what does not, to be shown at its start.
    pub fn summary(&self) -> String {
        let mode = match self.policy.mode() {
            DataFlowMode::Off => "off: no call is judged",
            DataFlowMode::Shadow => "shadow: flows are recorded and nothing is stopped",
            DataFlowMode::Enforce => "enforce",
        };
        let records = if self.set.recorder.is_some() { "on" } else { "off: nothing is recorded" };
        format!("data flow {mode}; records {records}")
    }

    /// How often each signal tripped so far.
    pub fn signal_counts(&self) -> &SignalCounts {
        &self.counts
    }

    /// What each judgement cost so far; empty unless [`AgentBuilder::measure_judgements`] was asked for.
    pub fn judgements(&self) -> Vec<Duration> {
        let costs =
            self.costs.as_ref().map(|costs| costs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        costs.map(|costs| costs.clone()).unwrap_or_default()
    }

    /// Begins a run for what the user asked: a ledger of its own, under a key of its own. With a recorder the first
    /// run records before it that the policy came into force, and the configuration.
    ///
    /// # Errors
    /// [`RunError`] if the operating system gives no randomness or the beginning cannot be recorded.
    pub fn begin_run(&self, prompt: &str) -> Result<Run, RunError> {
        self.come_into_force()?;
        let id = random::<16>()?;
        let set = &self.set;
        let ledger = TaintLedger::new(LedgerKey::new(random()?).map_err(|_| RunError::Randomness)?)
            .with_limit(set.ledger_limit)
            .with_cap(set.ledger_cap)
            .with_own_ids(&set.own_ids);
        ledger.record_trusted(Speaker::User, prompt);
        let ledger = Arc::new(ledger);
        #[cfg(feature = "files")]
        let trace = self.set.traces.as_ref().map(|traces| traces.begin(RunId(id), prompt));
        #[cfg(feature = "files")]
        let outermost = trace.clone().map(|trace| trace as Arc<dyn Interceptor>);
        #[cfg(not(feature = "files"))]
        let outermost = None;
        let grants = self.grants(RunId(id))?;
        let plan = Arc::new(PlanSeal::default());
        let caller = self.caller(outermost, &ledger, &plan, &grants);
        let run = Run {
            agent: self.clone(),
            ledger,
            plan,
            grants,
            caller,
            ended: false,
            #[cfg(feature = "files")]
            trace,
        };
        run.record_start(Action::RunBegin)?;
        Ok(run)
    }

    /// Goes on with `run` from its newest snapshot, under the same policy. `min_epoch` is the highest
    /// [`Snapshot::epoch`](graft_core::Snapshot::epoch) of the run that was kept; an older snapshot, and one
    /// that was sealed under another policy, is refused.
    ///
    /// The ledger's limits and the user's own identifiers are those of the snapshot. A run that goes on
    /// writes no trace, since what came before is not there.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use graft::dataflow::DataFlowMode;
    /// # use graft::{Agent, Gateway, SnapshotKey};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let channel = Gateway::new().local();
    /// let agent = Agent::over(channel).data_flow_policy(DataFlowMode::Enforce).build();
    /// let key = SnapshotKey::new(b"9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5c")?; // random, kept by the host
    /// let run = agent.begin_run("pay the rent")?;
    /// let (id, snapshot) = (run.id(), run.snapshot(&key));
    /// drop(run); // the process ends; `id` and `snapshot.epoch` are kept, and the bytes anywhere
    ///
    /// let run = agent.resume_run(id, &snapshot.bytes, &key, snapshot.epoch)?;
    /// assert_eq!(run.id(), id);
    /// assert!(agent.resume_run(id, &snapshot.bytes, &key, snapshot.epoch + 1).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RunError::Snapshot`] if the snapshot is refused, [`RunError::Record`] if it cannot be recorded that
    /// the run goes on.
    pub fn resume_run(
        &self,
        run: RunId,
        snapshot: &[u8],
        key: &SnapshotKey,
        min_epoch: u64,
    ) -> Result<Run, RunError> {
        let of = SnapshotOf { run, policy: self.policy.digest() };
        let restored = TaintLedger::restore(snapshot, key, &of, min_epoch).map_err(RunError::Snapshot)?;
        let Restored { ledger, next, .. } = restored;
        self.come_into_force()?;
        let (ledger, plan, grants) = (Arc::new(ledger), Arc::new(PlanSeal::default()), self.grants(run)?);
        let run = Run {
            agent: self.clone(),
            caller: self.caller(None, &ledger, &plan, &grants).with_next_call(next),
            ledger,
            plan,
            grants,
            ended: false,
            #[cfg(feature = "files")]
            trace: None,
        };
        run.record_start(Action::RunResume)?;
        Ok(run)
    }

    fn grants(&self, run: RunId) -> Result<Arc<Grants>, RunError> {
        let set = &self.set;
        let key = match &set.grant_key {
            Some(key) => key.clone(),
            None => GrantKey::new(random()?).map_err(|_| RunError::Randomness)?,
        };
        let (clock, actor) = (set.clock.clone(), set.actor.clone());
        let grants = Grants::new(key, run, &self.policy, self.recorder(), clock, actor);
        Ok(Arc::new(match set.approval_time {
            Some(time) => grants.with_approval_time(time),
            None => grants,
        }))
    }

    fn caller(
        &self,
        outermost: Option<Arc<dyn Interceptor>>,
        ledger: &Arc<TaintLedger>,
        plan: &Arc<PlanSeal>,
        grants: &Arc<Grants>,
    ) -> Caller {
        let set = &self.set;
        let interceptors: Vec<_> =
            outermost.into_iter().chain(self.interceptors(ledger, plan, grants)).collect();
        let caller =
            Caller::new(set.channel.clone(), set.clock.clone(), grants.run()).with_interceptors(interceptors);
        let caller = match set.timeout {
            Some(timeout) => caller.with_timeout(timeout),
            None => caller,
        };
        match &set.credential {
            Some(credential) => caller.with_credential(credential.clone()),
            None => caller,
        }
    }

    fn interceptors(
        &self,
        ledger: &Arc<TaintLedger>,
        plan: &Arc<PlanSeal>,
        grants: &Arc<Grants>,
    ) -> Vec<Arc<dyn Interceptor>> {
        let set = &self.set;
        let mut all = set.observers.clone();
        if let Some(recorder) = &set.recorder {
            all.push(Arc::new(CallRecorder::new(recorder.clone(), set.clock.clone(), set.actor.clone())));
        }
        all.push(Arc::new(DeadlineCheck(set.clock.clone())));
        all.extend(set.interceptors.iter().cloned());
        if self.policy.mode() != DataFlowMode::Off {
            let gate = DataFlowGate::new(
                self.policy.clone(),
                ledger.clone(),
                self.recorder(),
                set.clock.clone(),
                set.actor.clone(),
            );
            let gate =
                gate.with_plan(plan.clone()).with_counts(self.counts.clone()).with_grants(grants.clone());
            let gate = match &set.on_ask {
                Some(on_ask) => gate.with_on_ask(on_ask.clone()),
                None => gate,
            };
            all.push(Arc::new(match &self.costs {
                Some(costs) => gate.with_costs(costs.clone()),
                None => gate,
            }));
        }
        all
    }
}

/// Bytes from the operating system.
fn random<const N: usize>() -> Result<[u8; N], RunError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| RunError::Randomness)?;
    Ok(bytes)
}
