//! One run under its plan.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, OnceLock};

use graft_core::{Call, CallId, Exfil, Leaf, Leaves, LedgerKey, Name, Path, Role, Segment, TaintLedger};

use super::found::{Budget, Found, plain};
use super::tree::{Tree, text_of};
use super::{Literal, Plan};

/// The most calls of a plan's sources that are out at one time; results of more are not looked at.
const MAX_PENDING: usize = 1024;
/// The most addresses that the plan let the run visit and that are known again.
const MAX_VISITED: usize = 4096;

/// A sealed plan and what its sources have given so far. `Send + Sync`; of values it keeps digests only.
pub struct PlanRun {
    pub(super) plan: Plan,
    pub(super) key: LedgerKey,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// For each step its sources, by argument.
    found: Vec<BTreeMap<String, Found>>,
    /// Calls that have not returned, with the sources that they are of.
    pending: HashMap<CallId, Vec<(usize, String)>>,
    visited: HashSet<u64>,
    budget: Budget,
}

impl State {
    pub(super) fn found(&self, step: usize, arg: &str) -> Option<&Found> {
        self.found.get(step)?.get(arg)
    }
}

impl PlanRun {
    /// `plan` for a run whose digests are made under `key`. Most hosts want a [`PlanSeal`], which looks at what
    /// was read before.
    pub fn new(plan: Plan, key: LedgerKey) -> Self {
        let found = plan.steps().iter().map(|_| BTreeMap::new()).collect();
        Self { plan, key, state: Mutex::new(State { found, ..State::default() }) }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Notes that `call` is being made: it was let through. A call that is not noted gives nothing.
    pub fn called(&self, call: &Call<'_>) {
        let mut state = self.lock();
        let is_of = |with: &BTreeMap<String, Literal>| {
            with.iter().all(|(name, value)| self.has_arg(call, name, value))
        };
        let sources = self
            .plan
            .sources()
            .filter(|(.., source)| source.tool == call.tool.name.as_str() && is_of(&source.with));
        let sources: Vec<(usize, String)> = sources.map(|(step, arg, _)| (step, arg.to_owned())).collect();
        if !sources.is_empty() && state.pending.len() < MAX_PENDING {
            state.pending.insert(call.meta.call, sources);
        }
        if self.plan.is_bound() && call.tool.exfil == Exfil::Url {
            call.args.visit(&Path::ROOT, &mut |path, leaf| {
                let name = path.first().and_then(Segment::name);
                let is_address = name.is_some_and(|name| call.tool.role(name) == Role::Destination);
                if let (true, Some(text)) = (is_address && state.visited.len() < MAX_VISITED, text_of(leaf)) {
                    state.visited.extend(plain(&self.key, &text));
                }
            });
        }
    }

    /// Takes the candidates out of what `call` of `tool` returned.
    pub fn returned(&self, call: CallId, tool: &Name, output: &dyn Leaves) {
        let mut state = self.lock();
        let Some(sources) = state.pending.remove(&call) else { return };
        let tree = Tree::of(output);
        let State { found, budget, .. } = &mut *state;
        for (step, arg, source) in self.plan.sources() {
            if sources.iter().any(|(other, name)| (*other, name.as_str()) == (step, arg)) {
                let found = found[step].entry(arg.to_owned()).or_default();
                found.source = Some(graft_core::Source::Call(call, tool.clone()));
                found.take(source, &self.key, &tree, budget);
            }
        }
    }

    /// Notes that `call` came to nothing.
    pub fn failed(&self, call: CallId) {
        self.lock().pending.remove(&call);
    }

    /// Whether the plan let the run visit this address.
    pub(in crate::dataflow) fn visited(&self, link: &str) -> bool {
        plain(&self.key, link).is_some_and(|link| self.lock().visited.contains(&link))
    }

    /// Whether `call` has an argument `name` that says `value`.
    fn has_arg(&self, call: &Call<'_>, name: &str, value: &Literal) -> bool {
        let mut expected = Vec::new();
        value.each(&mut |text| expected.push(plain(&self.key, text)));
        let mut rest = expected.iter();
        let mut is_same = true;
        call.args.visit(&Path::ROOT, &mut |path, leaf| {
            if path.first().and_then(Segment::name) == Some(name) && !matches!(leaf, Leaf::Key(_)) {
                let said = text_of(leaf).and_then(|text| plain(&self.key, &text));
                is_same &= rest.next().is_some_and(|expected| *expected == said);
            }
        });
        is_same && rest.next().is_none()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Shows no digest.
impl std::fmt::Debug for PlanRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanRun").field("is_bound", &self.plan.is_bound()).finish_non_exhaustive()
    }
}

/// The place of a run's plan: empty until one is sealed, and then never changed. Share it between the run and
/// its gate.
#[derive(Debug, Default)]
pub struct PlanSeal(OnceLock<PlanRun>);

impl PlanSeal {
    /// Seals `plan` for the run that owns `ledger`. What was called before gives the plan nothing.
    ///
    /// # Errors
    /// [`SealError`] if untrusted text came in before, or a plan is sealed already.
    pub fn seal(&self, plan: Plan, ledger: &TaintLedger) -> Result<(), SealError> {
        // Recording waits while the ledger is read, so nothing comes in between.
        let seen = ledger.read();
        if seen.untrusted() {
            return Err(SealError::Untrusted);
        }
        let sealed = self.0.set(PlanRun::new(plan, ledger.key().clone()));
        sealed.map_err(|_| SealError::Sealed)
    }

    /// The plan, once one is sealed.
    pub fn plan(&self) -> Option<&PlanRun> {
        self.0.get()
    }
}

/// A plan was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The run has read untrusted text, which may have had a say in the plan.
    #[error("untrusted text was read before; seal a plan at the beginning of its run")]
    Untrusted,
    /// The run has a plan.
    #[error("the run has a plan already; begin another run for another task")]
    Sealed,
}
