//! What one run's host has approved and granted, and what of it is used up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use graft_core::{
    Action, Call, CallId, Clock, Decision, Ending, Event, Evidence, Label, Labeled, Name, RecordError,
    Recorder, RunId, Signal, Timestamp, Trust, Verdict,
};

use super::digest::{CallDigest, GrantKey};
use super::pending::{ApprovalError, PendingApproval};
use super::terms::{Claims, Grant, GrantError, GrantId, Kind, MAX_USES, Terms};
use crate::dataflow::explain::Reason;
use crate::dataflow::judge::Assessment;
use crate::dataflow::policy::DataFlowPolicy;

/// The most questions, answers and grants that a run holds, of each.
pub const MAX_HELD: usize = 1024;

/// How long a question may be answered and its answer used, unless the host says otherwise.
const APPROVAL_TIME: Duration = Duration::from_secs(60 * 60);

/// Approvals and grants of one run. Only the host has it; `Send + Sync`, and parallel calls never share a use.
///
/// It is in memory: what was approved or granted and not used before a restart is gone. A [`PendingApproval`] can
/// outlive the process; forget it once it is answered, since a new process does not know that it was.
///
/// ```
/// # use std::sync::Arc;
/// use graft_core::{Call, CallId, Decision, Label, LedgerKey, ManualClock, MemoryRecorder, Metadata, Name, Role, RunId};
/// use graft_core::{Speaker, TaintLedger, ToolMetadata};
/// use graft_security::dataflow::{DataFlowMode, DataFlowPolicy, GrantKey, Grants, OnDoubt, question};
/// # let random = *b"9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5c";
/// let mut mail = ToolMetadata::new(Name::from_static("mail"));
/// mail.args.insert("to".into(), Role::Destination);
/// mail.intent.push("mail".into());
/// let ledger = TaintLedger::new(LedgerKey::danger_for_replay("example"));
/// ledger.record_trusted(Speaker::User, "mail the news to my sister");
/// let page = ToolMetadata::new(Name::from_static("page"));
/// ledger.record_output(CallId(0), &page, &"kites fly", &Label::default());
///
/// let policy = DataFlowPolicy::new(DataFlowMode::Enforce).on_doubt(OnDoubt::Ask);
/// let (run, log) = (RunId([1; 16]), Arc::new(MemoryRecorder::default()));
/// let (clock, agent) = (Arc::new(ManualClock::default()), Name::from_static("agent"));
/// let grants = Grants::new(GrantKey::new(random)?, run, &policy, log.clone(), clock, agent);
///
/// let args = std::collections::BTreeMap::from([("to", "zoe@elsewhere.example".to_owned())]);
/// let meta = Metadata::new(run, CallId(1));
/// let call = Call::new(&mail, &meta, &args);
/// let asked = policy.assess(&ledger, &call);
/// assert_eq!(asked.verdict.decision, Decision::Ask);
/// let pending = grants.ask(&call, &asked.verdict);
/// let shown = question(&asked.verdict, &call); // for a person's eyes
/// assert!(shown.expose().contains("zoe@elsewhere.example"));
///
/// grants.approve(&pending, &Name::from_static("ann"))?;
/// let passed = grants.release(&asked, &call)?.expect("it was approved");
/// assert!(passed.verdict.lets_through());
/// assert!(grants.release(&asked, &call)?.is_none(), "once");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Grants {
    key: GrantKey,
    run: RunId,
    policy: [u8; 32],
    recorder: Arc<dyn Recorder>,
    clock: Arc<dyn Clock>,
    actor: Name,
    time: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The latest time that was seen: a clock that is set back gives nothing more time.
    latest: Timestamp,
    pending: BTreeMap<CallId, PendingApproval>,
    /// Questions that were answered, until they expire.
    answered: BTreeMap<CallId, Timestamp>,
    /// Calls that may happen once.
    approved: BTreeMap<CallDigest, Approved>,
    grants: Vec<Grant>,
    made: u64,
}

/// An answer: which call was asked about, for what reasons, and until when it counts.
struct Approved {
    asked: CallId,
    expires: Timestamp,
    reasons: BTreeSet<Told>,
}

/// A reason that the person was told: signal, rule, argument and the bytes of it.
type Told = (Signal, String, String, (usize, usize));

impl Approved {
    /// Whether nothing stops the call now that the person was not told of.
    fn covers(&self, verdict: &Verdict) -> bool {
        let mut stops = verdict.evidence.iter().filter(|evidence| evidence.stops);
        stops.all(|Evidence { signal, rule, arg, range, .. }| {
            self.reasons.contains(&(*signal, (*rule).to_owned(), arg.clone(), (range.start, range.end)))
        })
    }
}

/// What a call took, to be recorded or given back.
enum Taken {
    Approval(CallDigest, Approved),
    Grants { used: Vec<Grant>, secrets: bool },
}

impl Grants {
    /// None yet, for `run` under `policy`. `actor` is on whose behalf calls are made.
    pub fn new(
        key: GrantKey,
        run: RunId,
        policy: &DataFlowPolicy,
        recorder: Arc<dyn Recorder>,
        clock: Arc<dyn Clock>,
        actor: Name,
    ) -> Self {
        let (policy, state) = (policy.digest(), Mutex::default());
        Self { key, run, policy, recorder, clock, actor, time: APPROVAL_TIME, state }
    }

    /// The same, a question expiring after `time`; an hour unless set.
    #[must_use]
    pub fn with_approval_time(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// The run that they are of.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Notes that a person is to be asked about `call`, which the policy answered with `verdict`.
    pub fn ask(&self, call: &Call<'_>, verdict: &Verdict) -> PendingApproval {
        let (mut state, now) = self.state();
        let time = u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX);
        let pending = PendingApproval::new(
            &self.key,
            self.run,
            call.meta.call,
            call.tool.name.clone(),
            self.key.call(call),
            verdict.evidence.iter().map(Reason::from).collect(),
            Timestamp(now.0.saturating_add(time)),
        );
        // Past the bound only whoever asked holds the question.
        if state.pending.len() < MAX_HELD {
            state.pending.insert(call.meta.call, pending.clone());
        }
        pending
    }

    /// The questions that wait for an answer.
    pub fn pending(&self) -> Vec<PendingApproval> {
        self.state().0.pending.values().cloned().collect()
    }

    /// The question about one call.
    pub fn pending_call(&self, call: CallId) -> Option<PendingApproval> {
        self.state().0.pending.get(&call).cloned()
    }

    /// Lets exactly the call of `pending` happen once, as long as nothing stops it that is not among the reasons of
    /// `pending`. `who` decided; the record names them.
    ///
    /// Every other open question about the same call is answered with it.
    ///
    /// # Errors
    /// [`ApprovalError`]; then nothing is approved.
    pub fn approve(&self, pending: &PendingApproval, who: &Name) -> Result<(), ApprovalError> {
        self.answer(pending, who, Ending::Ok)?;
        let (mut state, _) = self.state();
        let told = pending.reasons().iter().filter(|reason| reason.stops);
        let reasons = told
            .map(|reason| (reason.signal, reason.rule.to_string(), reason.arg.clone(), reason.range))
            .collect();
        let approved = Approved { asked: pending.call(), expires: pending.expires(), reasons };
        state.approved.insert(pending.digest(), approved);
        Ok(())
    }

    /// Says no: the question is answered, and a later identical call is asked about again.
    ///
    /// # Errors
    /// [`ApprovalError`]; the call does not happen either way.
    pub fn deny(&self, pending: &PendingApproval, who: &Name) -> Result<(), ApprovalError> {
        self.answer(pending, who, Ending::Denied)
    }

    fn answer(&self, pending: &PendingApproval, who: &Name, ending: Ending) -> Result<(), ApprovalError> {
        if pending.run() != self.run {
            return Err(ApprovalError::OtherRun);
        }
        let (mut state, now) = self.state();
        if now >= pending.expires() {
            return Err(ApprovalError::Expired);
        }
        if !pending.is_sealed_by(&self.key) {
            return Err(ApprovalError::NotOurs);
        }
        if state.answered.contains_key(&pending.call()) {
            return Err(ApprovalError::Answered);
        }
        if state.answered.len() >= MAX_HELD {
            return Err(ApprovalError::Full);
        }
        state.answered.insert(pending.call(), pending.expires());
        drop(state); // a recorder may take its time
        let mut event =
            Event::at(&*self.clock, who.clone(), Action::ApprovalAnswered, pending.tool().clone(), ending);
        event.run = Some(self.run);
        event.call = Some(pending.call());
        event.decision = Some(Decision::Ask);
        event.policy = Some(self.policy);
        let recorded = self.recorder.record(&event);
        let (mut state, _) = self.state();
        if let Err(error) = recorded {
            state.answered.remove(&pending.call());
            return Err(error.into());
        }
        let same: Vec<CallId> = state
            .pending
            .values()
            .filter(|other| other.digest() == pending.digest())
            .map(PendingApproval::call)
            .collect();
        for call in same {
            if let Some(other) = state.pending.remove(&call) {
                state.answered.insert(call, other.expires());
            }
        }
        Ok(())
    }

    /// Grants that a secret leaves toward one destination: the way out of `secret-to-sink`. `who` decided.
    ///
    /// The label of `terms` is the join of what went into them: the value, the destination, and whatever made the
    /// host decide. See the module on robust declassification.
    ///
    /// # Errors
    /// [`GrantError::Untrusted`] if that label is untrusted, and others; then nothing is granted.
    pub fn declassify(&self, terms: Labeled<Terms<'_>>, who: &Name) -> Result<GrantId, GrantError> {
        self.grant(Kind::Declassify, terms, who)
    }

    /// Grants that a value which nobody trusted named is used toward one destination: the way out of
    /// `untrusted-to-sink` and `untrusted-authority`. `who` looked at it and stands for it.
    ///
    /// The value itself came from outside, so it goes through [`Labeled::endorse`] first.
    ///
    /// # Errors
    /// [`GrantError::Untrusted`] if the label of `terms` is untrusted, and others; then nothing is granted.
    pub fn endorse(&self, terms: Labeled<Terms<'_>>, who: &Name) -> Result<GrantId, GrantError> {
        self.grant(Kind::Endorse, terms, who)
    }

    fn grant(&self, kind: Kind, terms: Labeled<Terms<'_>>, who: &Name) -> Result<GrantId, GrantError> {
        if terms.label().trust() == Trust::Untrusted {
            return Err(GrantError::Untrusted);
        }
        // The terms leave no further than this: digests are kept, and the record below is their receipt.
        let (terms, _receipt) = terms.release(Name::from_static("grant"));
        if !(1..=MAX_USES).contains(&terms.uses) {
            return Err(GrantError::Uses);
        }
        if terms.value.is_empty() {
            return Err(GrantError::Empty);
        }
        let mut grant = Grant::new(&self.key, self.run, kind, terms.clone());
        let (mut state, now) = self.state();
        if now >= grant.expires {
            return Err(GrantError::Expired);
        }
        if state.grants.len() >= MAX_HELD {
            return Err(GrantError::Full);
        }
        grant.id = GrantId(state.made);
        state.made += 1;
        drop(state);
        let mut event =
            Event::at(&*self.clock, who.clone(), Action::GrantMade, terms.tool.name.clone(), Ending::Ok);
        event.run = Some(self.run);
        event.code = kind.code(grant.id);
        event.policy = Some(self.policy);
        self.recorder.record(&event)?;
        let id = grant.id;
        self.state().0.grants.push(grant);
        Ok(id)
    }

    /// Takes what lets `call` pass, which the policy answered with `assessment`: an approval of exactly this call,
    /// or grants for every reason that stops it. `None` if there is none, and nothing is used then.
    ///
    /// Each use is recorded. The assessment that comes back lets the call through, and its label is lowered by
    /// what was released.
    ///
    /// # Errors
    /// If a use could not be recorded: nothing is used, and the call must not happen.
    pub fn release(
        &self,
        assessment: &Assessment,
        call: &Call<'_>,
    ) -> Result<Option<Assessment>, RecordError> {
        let Some(taken) = self.take(assessment, call) else { return Ok(None) };
        if let Err(error) = self.record_use(&taken, &assessment.verdict, call) {
            self.give_back(taken);
            return Err(error);
        }
        let mut released = assessment.clone();
        released.verdict.decision = Decision::Declassify;
        let secrets = !matches!(taken, Taken::Grants { secrets: false, .. });
        if secrets && !assessment.hidden_secret {
            released.label = Label::bottom().with_trust(assessment.label.trust());
        }
        Ok(Some(released))
    }

    fn take(&self, assessment: &Assessment, call: &Call<'_>) -> Option<Taken> {
        let verdict = &assessment.verdict;
        if !matches!(verdict.decision, Decision::Flag | Decision::Ask | Decision::Block) {
            return None; // it passes by itself
        }
        let (mut state, _) = self.state();
        if verdict.decision == Decision::Ask && !state.approved.is_empty() {
            let digest = self.key.call(call);
            if state.approved.get(&digest).is_some_and(|approved| approved.covers(verdict))
                && let Some(approved) = state.approved.remove(&digest)
            {
                return Some(Taken::Approval(digest, approved));
            }
        }
        if assessment.cut || state.grants.is_empty() {
            return None;
        }
        drop(state); // the arguments may be long
        let claims = Claims::of(&self.key, call, &verdict.evidence);
        let (mut state, _) = self.state();
        let (used, secrets) = claims.held_against(&state.grants)?;
        for &at in &used {
            state.grants[at].left -= 1;
        }
        let used = used.into_iter().map(|at| state.grants[at].clone()).collect();
        Some(Taken::Grants { used, secrets })
    }

    fn give_back(&self, taken: Taken) {
        let (mut state, _) = self.state();
        match taken {
            Taken::Approval(digest, approved) => {
                state.approved.entry(digest).or_insert(approved);
            }
            Taken::Grants { used, .. } => {
                for mut grant in used {
                    match state.grants.iter_mut().find(|held| held.id == grant.id) {
                        Some(held) => held.left += 1,
                        None => {
                            grant.left = 1;
                            state.grants.push(grant);
                        }
                    }
                }
            }
        }
    }

    fn record_use(&self, taken: &Taken, verdict: &Verdict, call: &Call<'_>) -> Result<(), RecordError> {
        let record = |action, code| {
            let mut event =
                Event::at(&*self.clock, self.actor.clone(), action, call.tool.name.clone(), Ending::Ok);
            event.run = Some(self.run);
            event.call = Some(call.meta.call);
            event.trace = Some(call.trace());
            event.intent = call.state.intent;
            event.decision = Some(Decision::Declassify);
            event.signals = verdict.signals;
            event.code = code;
            event.policy = Some(self.policy);
            self.recorder.record(&event).map(drop)
        };
        match taken {
            Taken::Approval(_, approved) => {
                record(Action::ApprovalUsed, Name::new(format!("call:{}", approved.asked)).ok())
            }
            Taken::Grants { used, .. } => used.iter().try_for_each(|grant| {
                let action = match grant.kind {
                    Kind::Declassify => Action::DataflowDeclassified,
                    Kind::Endorse => Action::DataflowEndorsed,
                };
                record(action, grant.kind.code(grant.id))
            }),
        }
    }

    /// The state without what has expired or is used up, and the time.
    fn state(&self) -> (MutexGuard<'_, State>, Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let now = state.latest.max(self.clock.now());
        state.latest = now;
        state.pending.retain(|_, pending| now < pending.expires());
        state.answered.retain(|_, expires| now < *expires);
        state.approved.retain(|_, approved| now < approved.expires);
        state.grants.retain(|grant| now < grant.expires && grant.left > 0);
        (state, now)
    }
}
