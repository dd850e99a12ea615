//! What a report counts, in memory that does not grow with the log.

use std::collections::HashMap;

use graft_core::{Action, Decision, Ending, Event, Name, RunId, Signals, Timestamp};

use super::timeline::Timeline;
use crate::StoredEvent;

/// The runs and the denials that a page names; the first of them, since what follows often follows from them.
pub(super) const MAX_RUNS: usize = 200;
pub(super) const MAX_DENIALS: usize = 200;
/// The pairs of who and what that are counted, each by itself.
const MAX_DEEDS: usize = 4000;

/// Counts over all records.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) records: u64,
    pub(super) calls: u64,
    pub(super) denied: u64,
    pub(super) flagged: u64,
    /// Intents and outcomes that complete one: the difference is calls that have no recorded end.
    intents: u64,
    completed: u64,
    /// The earliest and the latest time.
    pub(super) span: Option<(Timestamp, Timestamp)>,
    /// How often time stood before that of the record before.
    pub(super) set_back: u64,
    last_time: Timestamp,
    pub(super) timeline: Timeline,
    pub(super) runs: Vec<Run>,
    run_at: HashMap<RunId, usize>,
    /// Records of runs that are not among those kept.
    pub(super) of_other_runs: u64,
    pub(super) denials: Vec<Denial>,
    deeds: HashMap<(Name, Action), Deeds>,
    /// Records of pairs that are not among those kept.
    pub(super) other_deeds: u64,
}

/// What is counted of one run.
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) calls: u64,
    pub(super) denied: u64,
    pub(super) signals: Signals,
}

/// One thing that was denied.
pub(super) struct Denial {
    pub(super) seq: u64,
    pub(super) event: Event,
}

/// How often somebody did something.
#[derive(Clone, Copy, Default)]
pub(super) struct Deeds {
    pub(super) all: u64,
    pub(super) denied: u64,
}

impl Tally {
    pub(super) fn add(&mut self, stored: &StoredEvent) {
        let event = &stored.event;
        let is_outcome = is_outcome(event);
        let is_call = is_outcome && event.ending != Ending::Denied;
        // What the policy stopped has a record of its own, and its outcome is another: it is one denial.
        let is_repeated = is_outcome && matches!(event.decision, Some(Decision::Block | Decision::Ask));
        let is_denied = event.ending == Ending::Denied && !is_repeated;
        self.records += 1;
        self.calls += u64::from(is_call);
        self.denied += u64::from(is_denied);
        self.flagged += u64::from(event.action == Action::DataflowFlagged);
        self.intents += u64::from(event.ending == Ending::Pending);
        self.completed += u64::from(event.intent.is_some() && is_outcome);
        self.set_back += u64::from(event.time < self.last_time);
        self.last_time = event.time;
        let (first, last) = self.span.unwrap_or((event.time, event.time));
        self.span = Some((first.min(event.time), last.max(event.time)));
        if is_call || is_denied {
            self.timeline.add(event.time, is_denied);
        }
        self.add_to_run(event, is_call, is_denied);
        self.add_deed(event, is_denied);
        if is_denied && self.denials.len() < MAX_DENIALS {
            self.denials.push(Denial { seq: stored.seq.0, event: event.clone() });
        }
    }

    fn add_to_run(&mut self, event: &Event, is_call: bool, is_denied: bool) {
        let Some(id) = event.run else { return };
        let at = match self.run_at.get(&id) {
            Some(&at) => at,
            None if self.runs.len() < MAX_RUNS => {
                let (calls, denied, signals) = (0, 0, Signals::NONE);
                self.runs.push(Run { id, first: event.time, last: event.time, calls, denied, signals });
                self.run_at.insert(id, self.runs.len() - 1);
                self.runs.len() - 1
            }
            None => {
                self.of_other_runs += 1;
                return;
            }
        };
        let run = &mut self.runs[at];
        (run.first, run.last) = (run.first.min(event.time), run.last.max(event.time));
        run.calls += u64::from(is_call);
        run.denied += u64::from(is_denied);
        event.signals.iter().for_each(|signal| run.signals.insert(signal));
    }

    fn add_deed(&mut self, event: &Event, is_denied: bool) {
        let pair = (event.actor.clone(), event.action);
        if self.deeds.len() >= MAX_DEEDS && !self.deeds.contains_key(&pair) {
            self.other_deeds += 1;
            return;
        }
        let deeds = self.deeds.entry(pair).or_default();
        deeds.all += 1;
        deeds.denied += u64::from(is_denied);
    }

    /// Calls that began and have no recorded end.
    pub(super) fn unended(&self) -> u64 {
        self.intents.saturating_sub(self.completed)
    }

    /// Who did what how often, the most frequent first, and in a fixed order among equals.
    pub(super) fn deeds(&self) -> Vec<(&Name, Action, Deeds)> {
        let mut all: Vec<_> =
            self.deeds.iter().map(|((actor, action), deeds)| (actor, *action, *deeds)).collect();
        all.sort_by(|a, b| b.2.all.cmp(&a.2.all).then(a.0.cmp(b.0)).then(a.1.cmp(&b.1)));
        all
    }

    /// All actions that were seen among the pairs kept, in the order of their names.
    pub(super) fn actions(&self) -> Vec<Action> {
        let mut actions: Vec<_> = self.deeds.keys().map(|(_, action)| *action).collect();
        actions.sort_unstable_by_key(|action| action.as_str());
        actions.dedup();
        actions
    }
}

/// Whether it is how a call ended, on the side that made it or on the side that answered it.
fn is_outcome(event: &Event) -> bool {
    matches!(event.action, Action::ToolExecuteEnd | Action::ToolExecuteError | Action::ServeEnd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::stored;

    fn tally(events: impl IntoIterator<Item = (u64, Action, Ending)>) -> Tally {
        let mut tally = Tally::default();
        for (time, action, ending) in events {
            let mut stored = stored(time);
            (stored.event.action, stored.event.ending) = (action, ending);
            tally.add(&stored);
        }
        tally
    }

    #[test]
    fn intents_and_outcomes_are_one_call() {
        let (start, end) = (Action::ToolExecuteStart, Action::ToolExecuteEnd);
        let tally = tally([
            (1, start, Ending::Pending),
            (2, end, Ending::Ok),
            (4, start, Ending::Pending),
            (3, Action::DataflowBlocked, Ending::Denied),
            (3, Action::ToolExecuteError, Ending::Denied),
            (5, start, Ending::Pending),
        ]);
        let counts = (tally.records, tally.calls, tally.denied, tally.unended(), tally.set_back);
        assert_eq!(counts, (6, 1, 1, 1, 1));
        assert_eq!(tally.span, Some((Timestamp(1), Timestamp(5))));
        assert_eq!((tally.runs.len(), tally.runs[0].calls, tally.runs[0].denied), (1, 1, 1));
        assert_eq!(tally.runs[0].signals, stored(0).event.signals);
        let deeds = tally.deeds();
        assert_eq!((deeds[0].1, deeds[0].2.all, deeds.len()), (start, 3, 4));
    }

    #[test]
    fn what_is_beyond_a_bound_is_counted_and_not_kept() {
        let mut tally = Tally::default();
        for n in 0..2 * MAX_DEEDS {
            let mut stored = stored(1);
            stored.event.run = Some(RunId((n as u128).to_be_bytes()));
            stored.event.actor = Name::new(format!("a{n}")).expect("a name");
            tally.add(&stored);
        }
        assert_eq!(
            (tally.runs.len(), tally.denials.len(), tally.deeds().len()),
            (MAX_RUNS, MAX_DENIALS, MAX_DEEDS)
        );
        assert_eq!(
            (tally.of_other_runs, tally.other_deeds),
            ((2 * MAX_DEEDS - MAX_RUNS) as u64, MAX_DEEDS as u64)
        );
        assert_eq!(tally.denied, 2 * MAX_DEEDS as u64);
    }
}
