//! One run of an agent.

use std::sync::Arc;

use graft_core::{
    Action, Caller, Ending, Event, Fault, Name, Receipt, RecordError, RunId, Snapshot, SnapshotError,
    SnapshotKey, SnapshotOf, TaintLedger,
};
#[cfg(feature = "files")]
use graft_security::dataflow::files::{TraceError, TraceRun};
use graft_security::dataflow::plan::{Plan, PlanSeal, SealError};
use graft_security::dataflow::{Grants, PendingApproval};

use super::Agent;

/// One run: what the user asked, what came back, and the calls in between.
///
/// Ends when dropped; [`Run::end`] says so if the end could not be recorded.
pub struct Run {
    pub(super) agent: Agent,
    pub(super) ledger: Arc<TaintLedger>,
    pub(super) grants: Arc<Grants>,
    pub(super) plan: Arc<PlanSeal>,
    pub(super) caller: Caller,
    pub(super) ended: bool,
    #[cfg(feature = "files")]
    pub(super) trace: Option<Arc<TraceRun>>,
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

    pub(super) fn record_start(&self, action: Action) -> Result<(), RunError> {
        let agent = &self.agent;
        self.record(action, |event| {
            event.code = Some(agent.mode());
            event.policy = Some(agent.policy.digest());
        })
    }

    fn record(&self, action: Action, fill: impl FnOnce(&mut Event)) -> Result<(), RunError> {
        let Some(recorder) = &self.agent.set.recorder else { return Ok(()) };
        let set = &self.agent.set;
        let mut event =
            Event::at(&*set.clock, set.actor.clone(), action, Name::from_static("run"), Ending::Ok);
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
