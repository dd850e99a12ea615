//! The agent's end: a channel, the policy in front of it, and one ledger for each run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use graft_core::{
    Action, CallRecorder, Caller, Channel, Clock, DeadlineCheck, Ending, Event, Fault, Interceptor,
    LedgerKey, Name, Receipt, RecordError, Recorder, Restored, RunId, Seq, Snapshot, SnapshotError,
    SnapshotKey, SnapshotOf, Speaker, TaintLedger,
};
#[cfg(feature = "files")]
use graft_security::dataflow::files::{TraceError, TraceRun, TraceWriter};
use graft_security::dataflow::plan::{Plan, PlanSeal, SealError};
use graft_security::dataflow::{
    DataFlowGate, DataFlowMode, DataFlowPolicy, GrantKey, Grants, OnAsk, PendingApproval, Question,
    SignalCounts,
};

use crate::SystemClock;

/// Builds an [`Agent`].
pub struct AgentBuilder {
    channel: Arc<dyn Channel>,
    policy: DataFlowPolicy,
    recorder: Option<Arc<dyn Recorder>>,
    clock: Arc<dyn Clock>,
    actor: Name,
    own_ids: Vec<String>,
    timeout: Option<Duration>,
    ledger_limit: usize,
    ledger_cap: usize,
    interceptors: Vec<Arc<dyn Interceptor>>,
    measure: bool,
    grant_key: Option<GrantKey>,
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

    /// Keeps what each judgement cost, for [`Agent::judgements`]. Reads the clock twice for each call.
    #[must_use]
    pub fn measure_judgements(self) -> Self {
        Self { measure: true, ..self }
    }

    /// The agent.
    pub fn build(self) -> Agent {
        let costs = self.measure.then(Arc::default);
        Agent { policy: Arc::new(self.policy.clone()), counts: Arc::default(), costs, set: Arc::new(self) }
    }
}

/// Makes calls on behalf of a user, run by run, under one policy. Cheap to clone.
#[derive(Clone)]
pub struct Agent {
    set: Arc<AgentBuilder>,
    policy: Arc<DataFlowPolicy>,
    counts: Arc<SignalCounts>,
    costs: Option<Arc<Mutex<Vec<Duration>>>>,
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
            ledger_limit: graft_core::ledger::DEFAULT_LIMIT,
            ledger_cap: graft_core::ledger::DEFAULT_CAP,
            interceptors: Vec::new(),
            measure: false,
            grant_key: None,
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

    /// Begins a run for what the user asked: a ledger of its own, under a key of its own.
    ///
    /// # Errors
    /// [`RunError`] if the operating system gives no randomness or the beginning cannot be recorded.
    pub fn begin_run(&self, prompt: &str) -> Result<Run, RunError> {
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
    /// [`Snapshot::epoch`] of the run that was kept; an older snapshot, and one that was sealed under another
    /// policy, is refused.
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

    fn recorder(&self) -> Arc<dyn Recorder> {
        self.set.recorder.clone().unwrap_or_else(|| Arc::new(NoRecorder))
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
        match set.timeout {
            Some(timeout) => caller.with_timeout(timeout),
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
        let mut all: Vec<Arc<dyn Interceptor>> = Vec::new();
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

/// One run: what the user asked, what came back, and the calls in between.
///
/// Ends when dropped; [`Run::end`] says so if the end could not be recorded.
pub struct Run {
    agent: Agent,
    ledger: Arc<TaintLedger>,
    grants: Arc<Grants>,
    plan: Arc<PlanSeal>,
    caller: Caller,
    ended: bool,
    #[cfg(feature = "files")]
    trace: Option<Arc<TraceRun>>,
}

impl Run {
    /// What generated clients are made of. All of a run share its ledger and its numbering.
    pub fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// The run's id; records name it.
    pub fn id(&self) -> RunId {
        self.caller.run()
    }

    /// What the run has seen, to record what came in by other ways than calls.
    pub fn ledger(&self) -> &TaintLedger {
        &self.ledger
    }

    /// What the host approves and grants in this run. Host code alone has it; nothing that a call carries or
    /// returns can reach it.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use graft::dataflow::{DataFlowMode, DataFlowPolicy, OnDoubt};
    /// use graft::{Agent, Gateway, Name, interface};
    /// /// Letters.
    /// pub struct Post;
    /// #[interface]
    /// impl Post {
    ///     /// What strangers wrote.
    ///     #[interface(effect = "read-only", trust = "untrusted", origin = "channel-inbound")]
    ///     pub fn letters(&self) -> Vec<String> {
    ///         vec!["Kites fly.".to_owned()]
    ///     }
    ///     /// Sends a letter.
    ///     #[interface(effect = "external-stateful", exfil = "message", args(to = "destination"), intent("write"))]
    ///     pub fn send(&self, to: &str) {}
    /// }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # futures::executor::block_on(async {
    /// let shown = Arc::new(Mutex::new(String::new()));
    /// let screen = shown.clone();
    /// let agent = Agent::over(Gateway::new().host(Arc::new(Post)).local())
    ///     .data_flow_policy(DataFlowPolicy::new(DataFlowMode::Enforce).on_doubt(OnDoubt::Ask))
    ///     .on_ask(move |_, question| *screen.lock().unwrap() = question.expose().to_owned())
    ///     .build();
    /// let run = agent.begin_run("write to my sister")?;
    /// let post = PostClient::new(run.caller());
    /// post.letters().await?;
    ///
    /// // Nobody named this address, so a person is asked.
    /// let stopped = post.send("zoe@elsewhere.example").await.unwrap_err();
    /// assert!(shown.lock().unwrap().contains("zoe@elsewhere.example"));
    /// let pending = stopped.fault().and_then(|fault| run.pending(fault)).expect("a question waits");
    /// run.grants().approve(&pending, &Name::from_static("ann"))?;
    ///
    /// assert!(post.send("zoe@elsewhere.example").await.is_ok());
    /// assert!(post.send("zoe@elsewhere.example").await.is_err(), "an approval is used once");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// The question that waits about the call which ended in `fault`, if it ended in one.
    pub fn pending(&self, fault: &Fault) -> Option<PendingApproval> {
        // The trace of a call is its run.
        let is_ours = fault.trace().0 == self.id().0;
        fault.call().filter(|_| is_ours).and_then(|call| self.grants.pending_call(call))
    }

    /// Seals what the run is for, before it reads anything untrusted. From then on its calls, by whichever caller,
    /// are judged by the plan too, if the policy is not off. What was called before gives the plan nothing.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use graft::{Agent, Gateway, interface};
    /// use graft::dataflow::DataFlowMode;
    /// use graft::dataflow::plan::{Plan, Source};
    /// # pub struct Post;
    /// # #[interface]
    /// # impl Post {
    /// #     /// Whom a name stands for.
    /// #     #[interface(effect = "read-only", trust = "untrusted")]
    /// #     pub fn find(&self, name: &str) -> String { format!("{name}@home.example") }
    /// #     /// Sends a letter.
    /// #     #[interface(effect = "external-stateful", exfil = "message", args(to = "destination"))]
    /// #     pub fn send(&self, to: &str, text: &str) -> u64 { (to.len() + text.len()) as u64 }
    /// # }
    /// # futures::executor::block_on(async {
    /// # let gateway = Gateway::new().host(Arc::new(Post));
    /// let agent = Agent::over(gateway.local()).data_flow_policy(DataFlowMode::Enforce).build();
    /// let run = agent.begin_run("Say hello to ann")?;
    /// let to = Source::from("Post.find").with("name", "ann");
    /// run.seal(Plan::bound().step("Post.send", |step| step.arg("to", to)).build()?)?;
    ///
    /// let post = PostClient::new(run.caller());
    /// post.find("ann").await?;
    /// assert!(post.send("ann@home.example", "hello").await.is_ok());
    /// assert!(post.send("eve@evil.example", "hello").await.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`RunError::Plan`] if untrusted text came in before, or the run has a plan already.
    pub fn seal(&self, plan: Plan) -> Result<(), RunError> {
        self.plan.seal(plan, &self.ledger).map_err(RunError::Plan)?;
        #[cfg(feature = "files")]
        if let (Some(trace), Some(sealed)) = (&self.trace, self.plan.plan()) {
            trace.sealed(sealed.plan());
        }
        Ok(())
    }

    /// Seals what the run has seen, for [`Agent::resume_run`] under the same policy. Take it between calls,
    /// and after each one that must not be forgotten: what was seen later is not in it.
    ///
    /// Keep [`Snapshot::epoch`] first, out of reach of whoever keeps the bytes, and then the bytes. What the
    /// bytes hold, and for whom they do, is said at [`TaintLedger::snapshot`].
    ///
    /// The snapshot of a run with a sealed plan cannot be resumed: what the plan's sources gave is not in it.
    pub fn snapshot(&self, key: &SnapshotKey) -> Snapshot {
        let mut of = SnapshotOf { run: self.id(), policy: self.agent.policy.digest() };
        if self.plan.plan().is_some() {
            of.policy = of.policy.map(|byte| !byte); // the digest of no policy that anyone has
        }
        self.ledger.snapshot(key, &of, self.caller.next_call())
    }

    /// Records that a value left through one of the doors of [`graft_core::Labeled`].
    ///
    /// # Errors
    /// If it could not be recorded; then do not use the value.
    pub fn record_receipt(&self, receipt: &Receipt) -> Result<(), RunError> {
        self.record(Action::LabelReleased, |event| {
            event.target = receipt.peer().unwrap_or(receipt.purpose()).clone();
            event.code = Some(Name::from_static(receipt.door().as_str()));
        })
    }

    /// Ends the run: records its end. Callers that were cloned from it still call; drop them first.
    ///
    /// # Errors
    /// If the end could not be recorded.
    pub fn end(mut self) -> Result<(), RunError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), RunError> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let recorded = self.record(Action::RunEnd, |_| {});
        #[cfg(feature = "files")]
        if let Some(trace) = &self.trace {
            return trace.finish().map_err(RunError::Trace).and(recorded);
        }
        recorded
    }

    fn record_start(&self, action: Action) -> Result<(), RunError> {
        let policy = &self.agent.policy;
        self.record(action, |event| {
            event.code = Some(match policy.mode() {
                DataFlowMode::Off => Name::from_static("dataflow:off"),
                DataFlowMode::Shadow => Name::from_static("dataflow:shadow"),
                DataFlowMode::Enforce => Name::from_static("dataflow:enforce"),
            });
            event.policy = Some(policy.digest());
        })
    }

    fn record(&self, action: Action, fill: impl FnOnce(&mut Event)) -> Result<(), RunError> {
        let Some(recorder) = &self.agent.set.recorder else { return Ok(()) };
        let set = &self.agent.set;
        let mut event =
            Event::new(set.clock.now(), set.actor.clone(), action, Name::from_static("run"), Ending::Ok);
        event.run = Some(self.id());
        fill(&mut event);
        recorder.record(&event)?;
        Ok(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.finish(); // whoever wants to know calls `end`
    }
}

/// A run could not begin, go on, end or record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// The operating system gives no randomness, so the ledger would have no key of its own.
    Randomness,
    /// The recorder did not keep a record.
    Record(RecordError),
    /// The run's plan was not sealed.
    Plan(SealError),
    /// The snapshot was refused.
    Snapshot(SnapshotError),
    /// The run's trace was not written.
    #[cfg(feature = "files")]
    Trace(TraceError),
}

impl From<RecordError> for RunError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Randomness => f.write_str("the operating system gives no randomness"),
            Self::Record(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::Snapshot(error) => error.fmt(f),
            #[cfg(feature = "files")]
            Self::Trace(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RunError {}

/// Bytes from the operating system.
fn random<const N: usize>() -> Result<[u8; N], RunError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| RunError::Randomness)?;
    Ok(bytes)
}

/// For agents that were built without a recorder.
struct NoRecorder;

impl Recorder for NoRecorder {
    fn record(&self, _: &Event) -> Result<Seq, RecordError> {
        Ok(Seq(0))
    }
}
