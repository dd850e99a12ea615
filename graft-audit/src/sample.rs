//! Records for tests.

use graft_core::{
    Action, CallId, Decision, Ending, Event, FieldValue, Fields, KeyedDigest, Monotonic, Name, RunId, Seq,
    Signal, Timestamp, TraceId,
};

use crate::{Leaf, StoredEvent};

/// A blocked call with everything in it, at `time`.
pub(crate) fn stored(time: u64) -> StoredEvent {
    let (actor, target) = (Name::from_static("agent:7"), Name::from_static("Bank.send_money"));
    let mut event = Event::new(Timestamp(time), actor, Action::DataflowBlocked, target, Ending::Denied);
    event.run = Some(RunId([0xab; 16]));
    event.call = Some(CallId(3));
    event.trace = Some(TraceId([8; 16]));
    event.intent = Some(Seq(2));
    event.decision = Some(Decision::Block);
    event.signals = [Signal::UntrustedToSink, Signal::UntrustedAuthority].into();
    event.code = Some(Name::from_static("dataflow_policy_blocked"));
    event.policy = Some([7; 32]);
    event.monotonic = Monotonic(9);
    let field = |name, value| (Name::from_static(name), value);
    let fields = [
        field("account", FieldValue::Digest(KeyedDigest::from_stored([9; 32]))),
        field("delta", FieldValue::I64(-3)),
        field("paid", FieldValue::Bool(true)),
        field("region", FieldValue::Name(Name::from_static("eu:west"))),
        field("tenant", FieldValue::U64(u64::MAX)),
    ];
    event.fields = Fields::new(fields).expect("five, each with a name of its own");
    StoredEvent { seq: Seq(5), leaf: Leaf([1; 32]), event }
}
