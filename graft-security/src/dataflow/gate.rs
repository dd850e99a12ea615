//! The policy as an interceptor: in front of a channel, on the side of whoever owns the run.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graft_core::{
    Action, Call, Clock, Decision, Done, Ending, Event, Fault, FaultCode, Interceptor, Label, Name, Outcome,
    Recorder, Reply, Signal, Source, TaintLedger, Verdict,
};

use super::grants::{Grants, PendingApproval, Question, question};
use super::judge::Assessment;
use super::plan::PlanSeal;
use super::policy::{DataFlowMode, DataFlowPolicy};

/// Judges each call of one run before it happens and records what comes back.
///
/// A stopped call ends in the fault `dataflow_policy_blocked` or `dataflow_needs_approval`, the same over
/// every channel. What the host approved or granted ([`Grants`]) lets a call pass that would stop, and leaves a
/// record for each use. Each flagged, declassified or stopped call writes one record; if that record cannot
/// be written the call is refused.
pub struct DataFlowGate {
    policy: Arc<DataFlowPolicy>,
    digest: [u8; 32],
    ledger: Arc<TaintLedger>,
    plan: Arc<PlanSeal>,
    recorder: Arc<dyn Recorder>,
    clock: Arc<dyn Clock>,
    actor: Name,
    counts: Arc<SignalCounts>,
    costs: Option<Arc<Mutex<Vec<Duration>>>>,
    grants: Option<Arc<Grants>>,
    on_ask: Option<Arc<OnAsk>>,
}

/// Takes a question that waits for a person: what may be stored of it, and the text for the person's eyes.
///
/// It is called while the stopped call returns, so it hands both on and does not wait for an answer.
pub type OnAsk = dyn Fn(PendingApproval, Question) + Send + Sync;

/// The most judgements whose cost is kept.
const MAX_COSTS: usize = 1 << 20;

impl DataFlowGate {
    /// A gate for the run that owns `ledger`. `actor` is on whose behalf calls are made.
    pub fn new(
        policy: Arc<DataFlowPolicy>,
        ledger: Arc<TaintLedger>,
        recorder: Arc<dyn Recorder>,
        clock: Arc<dyn Clock>,
        actor: Name,
    ) -> Self {
        let digest = policy.digest();
        Self {
            policy,
            digest,
            ledger,
            plan: Arc::default(),
            recorder,
            clock,
            actor,
            counts: Arc::default(),
            costs: None,
            grants: None,
            on_ask: None,
        }
    }

    /// The same, heeding what the host approves and grants in this run.
    #[must_use]
    pub fn with_grants(self, grants: Arc<Grants>) -> Self {
        Self { grants: Some(grants), ..self }
    }

    /// The same, handing each question to `on_ask`. Without grants there are none.
    #[must_use]
    pub fn with_on_ask(self, on_ask: Arc<OnAsk>) -> Self {
        Self { on_ask: Some(on_ask), ..self }
    }

    /// The same, judging by the plan that is sealed in `plan`, as soon as one is.
    #[must_use]
    pub fn with_plan(self, plan: Arc<PlanSeal>) -> Self {
        Self { plan, ..self }
    }

    /// The same, counting into `counts`, which several gates may share.
    #[must_use]
    pub fn with_counts(self, counts: Arc<SignalCounts>) -> Self {
        Self { counts, ..self }
    }

    /// The same, keeping what each judgement of a sink costs, up to a million of them.
    #[must_use]
    pub fn with_costs(self, costs: Arc<Mutex<Vec<Duration>>>) -> Self {
        Self { costs: Some(costs), ..self }
    }

    fn assess(&self, call: &Call<'_>) -> Assessment {
        let Some(costs) = self.costs.as_ref().filter(|_| call.tool.is_sink()) else {
            return self.policy.assess_planned(&self.ledger, self.plan.plan(), call);
        };
        let start = self.clock.monotonic();
        let assessment = self.policy.assess_planned(&self.ledger, self.plan.plan(), call);
        let took = self.clock.monotonic().saturating_sub(start);
        let mut costs = costs.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if costs.len() < MAX_COSTS {
            costs.push(took);
        }
        assessment
    }

    /// What the host approved or granted for a call that the policy would not let pass, recorded by then.
    fn released(&self, assessment: &Assessment, call: &Call<'_>) -> Result<Option<Assessment>, Fault> {
        match &self.grants {
            Some(grants) => grants
                .release(assessment, call)
                .map_err(|_| Fault::new(FaultCode::RecordUnavailable, call.trace())),
            None => Ok(None),
        }
    }

    fn ask(&self, call: &Call<'_>, verdict: &Verdict) {
        let Some(grants) = &self.grants else { return };
        let pending = grants.ask(call, verdict);
        if let Some(on_ask) = &self.on_ask {
            on_ask(pending, question(verdict, call));
        }
    }

    fn record(
        &self,
        call: &Call<'_>,
        verdict: &Verdict,
        action: Action,
        ending: Ending,
    ) -> Result<(), Fault> {
        let mut event = Event::at(&*self.clock, self.actor.clone(), action, call.tool.name.clone(), ending);
        event.run = Some(call.meta.run);
        event.call = Some(call.meta.call);
        event.trace = Some(call.trace());
        event.intent = call.state.intent;
        event.decision = Some(verdict.decision);
        event.signals = verdict.signals;
        event.policy = Some(self.digest);
        let trace = call.trace();
        self.recorder.record(&event).map(drop).map_err(|_| Fault::new(FaultCode::RecordUnavailable, trace))
    }
}

impl DataFlowGate {
    /// Judges a call, or one item of it.
    fn judge(&self, call: &mut Call<'_>) -> Result<(), Fault> {
        let mut assessment = self.assess(call);
        let released = self.released(&assessment, call)?;
        let is_released = released.is_some();
        assessment = released.unwrap_or(assessment);
        let verdict = assessment.verdict;
        // In shadow a finding must not make the channel refuse what it would have carried.
        let found = match self.policy.mode() {
            DataFlowMode::Enforce => assessment.label,
            _ => Label::bottom().with_trust(assessment.label.trust()),
        };
        call.raise(&found);
        self.counts.count(&verdict);
        let trace = call.trace();
        let result = match verdict.decision {
            Decision::Allow => Ok(()),
            Decision::Declassify if is_released => Ok(()), // each use has its own record by now
            Decision::Flag => self.record(call, &verdict, Action::DataflowFlagged, Ending::Ok),
            Decision::Declassify => self.record(call, &verdict, Action::DataflowDeclassified, Ending::Ok),
            Decision::Ask | Decision::Block => {
                let code = match verdict.decision {
                    Decision::Ask => FaultCode::DataflowNeedsApproval,
                    _ => FaultCode::DataflowPolicyBlocked,
                };
                self.record(call, &verdict, Action::DataflowBlocked, Ending::Denied)
                    .inspect(|()| {
                        if code == FaultCode::DataflowNeedsApproval {
                            self.ask(call, &verdict)
                        }
                    })
                    .and(Err(Fault::new(code, trace).with_verdict(call.meta.call, verdict.clone())))
            }
        };
        call.state.verdict = Some(verdict);
        if result.is_ok() {
            self.ledger.record_sent(call);
        }
        result
    }

    fn record_output(&self, done: &Done<'_>, reply: &mut Reply<'_>) {
        if let Outcome::Value(output) | Outcome::DomainError(output) = reply.outcome {
            let tool = match done.state.resource {
                Some(label) => done.tool.labelled(label),
                None => Cow::Borrowed(done.tool),
            };
            let label = self.ledger.record_output(done.meta.call, &tool, output, done.state.label());
            reply.raise(&label);
        }
    }
}

impl Interceptor for DataFlowGate {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Fault> {
        let result = self.judge(call);
        if !call.tool.resources.is_empty() {
            call.state.resource = Some(call.tool.resource_label(call.args));
        }
        if let (Ok(()), Some(plan)) = (&result, self.plan.plan()) {
            plan.called(call);
        }
        result
    }

    fn after(&self, done: &Done<'_>, reply: &mut Reply<'_>) -> Result<(), Fault> {
        self.record_output(done, reply);
        match (self.plan.plan(), &reply.outcome) {
            (None, _) => {}
            (Some(plan), Outcome::Value(output)) => plan.returned(done.meta.call, &done.tool.name, *output),
            (Some(plan), _) => plan.failed(done.meta.call),
        }
        Ok(())
    }

    /// As a call with nothing but the item. No plan says what may stand in a stream, so under a bound plan none
    /// leaves.
    fn before_item(&self, call: &mut Call<'_>) -> Result<(), Fault> {
        let result = self.judge(call);
        if let Some(named) = call.tool.named_resource(call.args) {
            let label = call.state.resource.map_or(named, |label| label.strictest(named));
            call.state.resource = Some(label);
        }
        result
    }

    /// Records it. What a plan takes from results it does not take from single items.
    fn after_item(&self, done: &Done<'_>, reply: &mut Reply<'_>) -> Result<(), Fault> {
        self.record_output(done, reply);
        Ok(())
    }
}

/// Where the value behind a signal came from, in kinds that stay few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// The user's prompt.
    Prompt,
    /// The operator's text.
    Operator,
    /// The result of a call.
    Output,
    /// Nowhere, or the run as a whole.
    Unknown,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Prompt, Self::Operator, Self::Output, Self::Unknown];

    fn of(source: &Source) -> Self {
        match source {
            Source::Prompt => Self::Prompt,
            Source::Operator => Self::Operator,
            Source::Call(..) => Self::Output,
            Source::Unknown => Self::Unknown,
        }
    }
}

/// How often each signal tripped, by the kind of source.
#[derive(Debug, Default)]
pub struct SignalCounts([[AtomicU64; SourceKind::ALL.len()]; Signal::ALL.len()]);

impl SignalCounts {
    /// How often `signal` tripped over a source of `kind`.
    pub fn of(&self, signal: Signal, kind: SourceKind) -> u64 {
        self.0[signal as usize][kind as usize].load(Ordering::Relaxed)
    }

    fn count(&self, verdict: &Verdict) {
        for evidence in &verdict.evidence {
            let kind = SourceKind::of(&evidence.source);
            self.0[evidence.signal as usize][kind as usize].fetch_add(1, Ordering::Relaxed);
        }
    }
}
