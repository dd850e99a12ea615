//! What of a record can be searched for.

use graft_core::{CallId, Decision, Event, RunId};

use crate::Query;
use crate::body::decision_number;
use crate::seal::IndexKey;

/// A tag that records were found by, the most telling field first, and what of the query it stands for.
const CALL_OF_RUN: u8 = 1;
const CALL: u8 = 2;
const TRACE: u8 = 3;
const RUN: u8 = 4;
const TARGET: u8 = 5;
const ACTOR: u8 = 6;
const ACTION: u8 = 7;
const DECISION: u8 = 8;

/// The most tags that a record has.
pub(super) const MAX_TAGS: usize = 8;

/// Hands over each tag of an event.
pub(super) fn of_event(key: &IndexKey, event: &Event, mut take: impl FnMut(u64)) {
    take(key.tag(ACTOR, &[event.actor.as_str().as_bytes()]));
    take(key.tag(ACTION, &[&event.action.number().to_be_bytes()]));
    take(key.tag(TARGET, &[event.target.as_str().as_bytes()]));
    if let Some(decision) = event.decision {
        take(key.tag(DECISION, &[&[decision_number(decision)]]));
    }
    if let Some(RunId(run)) = event.run {
        take(key.tag(RUN, &[&run]));
        if let Some(CallId(call)) = event.call {
            take(key.tag(CALL_OF_RUN, &[&run, &call.to_be_bytes()]));
        }
    }
    if let Some(CallId(call)) = event.call {
        take(key.tag(CALL, &[&call.to_be_bytes()]));
    }
    if let Some(trace) = event.trace {
        take(key.tag(TRACE, &[&trace.0]));
    }
}

/// What an index is asked for a query: the one field of it that the fewest records share. `None` if the query
/// gives none in full, and every record has to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    field: u8,
    value: Vec<u8>,
}

impl Wanted {
    pub(crate) fn by(query: &Query) -> Option<Self> {
        let run = query.run.and_then(|run| run.whole());
        let call = query.call.map(|CallId(call)| call.to_be_bytes());
        let found = |field, value: &[u8]| Some(Self { field, value: value.to_vec() });
        match (run, call) {
            (Some(run), Some(call)) => return found(CALL_OF_RUN, &[&run[..], &call].concat()),
            (_, Some(call)) => return found(CALL, &call),
            (_, None) => {}
        }
        if let Some(trace) = query.trace.and_then(|trace| trace.whole()) {
            return found(TRACE, &trace);
        }
        if let Some(run) = run {
            return found(RUN, &run);
        }
        if let Some(target) = query.target.as_ref().and_then(|target| target.whole()) {
            return found(TARGET, target.as_bytes());
        }
        if let Some(actor) = query.actor.as_ref().and_then(|actor| actor.whole()) {
            return found(ACTOR, actor.as_bytes());
        }
        if let Some(action) = query.action.as_ref().and_then(|action| action.whole()) {
            return found(ACTION, &action.number().to_be_bytes());
        }
        query.decision.and_then(|decision: Decision| found(DECISION, &[decision_number(decision)]))
    }

    pub(crate) fn tag(&self, key: &IndexKey) -> u64 {
        key.tag(self.field, &[&self.value])
    }
}
