#![allow(
    clippy::field_reassign_with_default,
    reason = "a query is filled field by field, as outside of the crate"
)]

mod file;
mod search;

use graft_core::{Action, CallId, Event, Name, RunId, TraceId};

use crate::{Query, sample};

/// The event of the `n`th record: a call of its own, one of a few runs, actors and targets.
fn event(n: u64) -> Event {
    let mut event = sample::stored(1000 + n).event;
    event.actor = Name::new(format!("agent:{}", n % 3)).expect("a name");
    event.target = Name::new(format!("Bank.method{}", n % 40)).expect("a name");
    event.action = if n.is_multiple_of(2) { Action::RunBegin } else { Action::RunEnd };
    event.run = Some(RunId([(n / 100) as u8; 16]));
    event.call = Some(CallId(n));
    event.trace = n.is_multiple_of(5).then_some(TraceId([n as u8; 16]));
    event
}

/// Queries that give one field in full, or a call and its run.
fn queries() -> Vec<Query> {
    let mut all = Vec::new();
    let mut ask = |set: &dyn Fn(&mut Query)| {
        let mut query = Query::default();
        set(&mut query);
        all.push(query);
    };
    for n in [0, 7, 99, 1999, 5000] {
        ask(&|query| query.call = Some(CallId(n)));
        ask(&|query| (query.call, query.run) = (Some(CallId(n)), Some([(n / 100) as u8; 16].into())));
        ask(&|query| query.run = Some([n as u8; 16].into()));
        ask(&|query| query.trace = Some([n as u8; 16].into()));
        ask(&|query| query.target = format!("Bank.method{n}").parse().ok());
        ask(&|query| query.actor = format!("agent:{n}").parse().ok());
    }
    ask(&|query| query.action = "run:begin".parse().ok());
    ask(&|query| query.decision = Some(graft_core::Decision::Block));
    ask(&|query| query.decision = Some(graft_core::Decision::Ask));
    all
}
