//! One case for each row of the action table and each way in which it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use graft::core::{
    Action, Decision, Ending, Event, FieldValue, Fields, ManualClock, MemoryRecorder, RunId, Signal, Signals,
    TraceId,
};
use graft::dataflow::{DataFlowMode, DataFlowPolicy, GrantSource, Terms};
use graft::{
    AgentBuilder, CallError, Config, Described, Label, Labeled, Name, RemoteOptions, Run, Sensitivity,
    SnapshotKey, Timestamp,
};

use crate::office::{
    ANN, BEARER, FRIEND, Office, OfficeClient, Remote, SECRET, SENDS, STRANGER, TOKENS, asking, begin,
    gateway, over,
};

/// What the record must say. What is not set must not be in it.
#[derive(Clone)]
struct Row {
    action: Action,
    ending: Ending,
    actor: &'static str,
    target: &'static str,
    code: Option<String>,
    decision: Option<Decision>,
    signals: Signals,
    /// The number of the call, which is in the run and its trace.
    call: Option<u64>,
    in_run: bool,
    /// Linked to the intent of the same call.
    linked: bool,
    policy: bool,
    fields: Vec<(Name, FieldValue)>,
}

fn row(action: Action, ending: Ending, target: &'static str) -> Row {
    Row {
        action,
        ending,
        actor: "agent",
        target,
        code: None,
        decision: None,
        signals: Signals::NONE,
        call: None,
        in_run: false,
        linked: false,
        policy: false,
        fields: Vec::new(),
    }
}

impl Row {
    fn by(self, actor: &'static str) -> Self {
        Self { actor, ..self }
    }

    fn code(self, code: &str) -> Self {
        Self { code: Some(code.to_owned()), ..self }
    }

    fn call(self, call: u64) -> Self {
        Self { call: Some(call), in_run: true, ..self }
    }

    fn in_run(self) -> Self {
        Self { in_run: true, ..self }
    }

    fn linked(self) -> Self {
        Self { linked: true, ..self }
    }

    fn judged(self, decision: Decision, signals: impl Into<Signals>) -> Self {
        Self { decision: Some(decision), signals: signals.into(), ..self }
    }

    fn policy(self) -> Self {
        Self { policy: true, ..self }
    }

    fn fields(self, fields: impl IntoIterator<Item = (Name, FieldValue)>) -> Self {
        Self { fields: fields.into_iter().collect(), ..self }
    }
}

/// What an act leaves beside its records.
struct Did {
    run: Option<RunId>,
    policy: Option<[u8; 32]>,
}

impl Did {
    fn nothing() -> Self {
        Self { run: None, policy: None }
    }

    fn in_run(run: &Run, policy: &DataFlowPolicy) -> Self {
        Self { run: Some(run.id()), policy: Some(policy.digest()) }
    }

    fn at(remote: &Remote) -> Self {
        Self { run: Some(remote.run.id()), policy: None }
    }
}

type Act = Box<dyn Fn(Arc<MemoryRecorder>) -> BoxFuture<'static, Did>>;

fn act<F: Future<Output = Did> + Send + 'static>(act: impl Fn(Arc<MemoryRecorder>) -> F + 'static) -> Act {
    Box::new(move |log| act(log).boxed())
}

/// A run under `policy` in the same process, and what is done in it.
fn within<F>(
    policy: impl Fn() -> DataFlowPolicy + Send + Sync + Copy + 'static,
    does: impl Fn(Run, OfficeClient) -> F + Send + Sync + Copy + 'static,
) -> Act
where
    F: Future<Output = Run> + Send,
{
    built(policy, |agent| agent, does)
}

fn built<F>(
    policy: impl Fn() -> DataFlowPolicy + Send + Sync + Copy + 'static,
    set: impl Fn(AgentBuilder) -> AgentBuilder + Send + Sync + Copy + 'static,
    does: impl Fn(Run, OfficeClient) -> F + Send + Sync + Copy + 'static,
) -> Act
where
    F: Future<Output = Run> + Send,
{
    act(move |log| async move {
        let agent = set(over(gateway().local()).data_flow_policy(policy()).recorder(log)).build();
        let (run, office) = begin(&agent);
        let run = does(run, office).await;
        Did::in_run(&run, &policy())
    })
}

fn enforce() -> DataFlowPolicy {
    DataFlowPolicy::new(DataFlowMode::Enforce)
}

fn shadow() -> DataFlowPolicy {
    DataFlowPolicy::new(DataFlowMode::Shadow)
}

fn stopped<T, E>(result: &Result<Labeled<T>, CallError<E>>) -> &'static str {
    let fault = result.as_ref().err().and_then(CallError::fault);
    fault.expect("it was stopped").code().as_str()
}

/// Polls once, so that the call is under way, and lets go of it.
async fn abandon(call: impl Future) {
    let mut call = std::pin::pin!(call);
    futures::future::poll_fn(|cx| {
        assert!(call.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}

async fn approved(run: Run, office: OfficeClient, answer: bool) -> Run {
    office.letters().await.expect("reads");
    let asked = office.send("zoe@elsewhere.example", "hello").await;
    assert_eq!(stopped(&asked), "dataflow_needs_approval");
    let pending = asked.err().and_then(|error| run.pending(error.fault()?)).expect("a question waits");
    let grants = run.grants();
    let answered = if answer { grants.approve(&pending, &ANN) } else { grants.deny(&pending, &ANN) };
    answered.expect("is answered");
    assert_eq!(office.send("zoe@elsewhere.example", "hello").await.is_ok(), answer);
    run
}

/// Grants that `value`, which `source` gave, is sent to `to`.
fn grant(run: &Run, value: &str, source: &str, to: &str) {
    let send = Office::methods().iter().find(|method| method.tool.name.as_str() == "Office.send");
    let args = BTreeMap::from([("to", to.to_owned())]);
    let source = GrantSource::Tool(Name::new(source).expect("a name"));
    let terms = Terms::new(value, source, &send.expect("is described").tool, &args, Timestamp(u64::MAX));
    let terms = Labeled::new(terms, Label::default());
    let grants = run.grants();
    let granted = if value == SECRET { grants.declassify(terms, &ANN) } else { grants.endorse(terms, &ANN) };
    granted.expect("is granted");
}

fn cases() -> Vec<(Row, Act)> {
    use Action::*;
    use Ending::*;
    const SEND: &str = "Office.send";
    let auth = [(Fields::AUTHENTICATOR, FieldValue::Name(TOKENS)), (Fields::PROOF, FieldValue::Name(BEARER))];
    let to_stranger = [Signal::UntrustedAuthority];
    vec![
        (
            row(RunBegin, Ok, "run").in_run().code("dataflow:enforce").policy(),
            within(enforce, |run, _| async { run }),
        ),
        (
            row(RunEnd, Ok, "run").in_run(),
            act(|log| async move {
                let agent = over(gateway().local()).data_flow_policy(enforce()).recorder(log).build();
                let run = begin(&agent).0;
                let did = Did::in_run(&run, &enforce());
                run.end().expect("ends");
                did
            }),
        ),
        (
            row(RunResume, Ok, "run").in_run().code("dataflow:enforce").policy(),
            act(|log| async move {
                let agent = over(gateway().local()).data_flow_policy(enforce()).recorder(log).build();
                let key = SnapshotKey::new(b"9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5c").expect("strong");
                let (run, _) = begin(&agent);
                let (id, snapshot) = (run.id(), run.snapshot(&key));
                drop(run);
                let run = agent.resume_run(id, &snapshot.bytes, &key, snapshot.epoch).expect("goes on");
                Did::in_run(&run, &enforce())
            }),
        ),
        (
            row(PolicyChange, Ok, "dataflow").code("dataflow:shadow").policy(),
            act(|log| async move {
                let agent = over(gateway().local()).data_flow_policy(shadow()).recorder(log).build();
                let (run, _) = begin(&agent);
                begin(&agent.clone()); // the same agent, so nothing changes
                Did::in_run(&run, &shadow())
            }),
        ),
        (
            row(ConfigLoad, Ok, "config").fields([
                (Name::from_static("from-default"), FieldValue::U64(graft::config::keys().len() as u64 - 1)),
                (Name::from_static("from-file"), FieldValue::U64(0)),
                (Name::from_static("from-environment"), FieldValue::U64(0)),
                (Name::from_static("from-code"), FieldValue::U64(1)),
            ]),
            act(|log| async move {
                let config = Config::builder().set("dataflow.mode", "enforce").build().expect("is good");
                let agent = graft::Agent::from_config(&config, gateway().local()).expect("no credential");
                let (run, _) = begin(&agent.recorder(log).build());
                Did::in_run(&run, &enforce())
            }),
        ),
        (
            row(ConfigLoad, Failed, "config").by("ann").code("bad-value"),
            act(|log| async move {
                let error = Config::builder().set("dataflow.mode", "perhaps").build().expect_err("is not");
                error.record(&*log, &ManualClock::default(), ANN).expect("is recorded");
                Did::nothing()
            }),
        ),
        (
            row(ClearanceRaised, Ok, "channel:remote").by("ann").code("own-loopback"),
            act(|log| async move {
                let why = Name::from_static("own-loopback");
                let options = RemoteOptions::new(Arc::new(ManualClock::default()));
                options.danger_raise_clearance(why, ANN, &*log).expect("is raised");
                Did::nothing()
            }),
        ),
        (
            row(LabelReleased, Ok, "archive.example").in_run().code("declassify"),
            within(enforce, |run, office| async move {
                let secret = office.vault().await.expect("reads");
                let archive = Name::from_static("archive.example");
                let (_, receipt) = secret.declassify(Sensitivity::Internal, archive, ANN);
                run.record_receipt(&receipt).expect("is recorded");
                run
            }),
        ),
        (
            row(ToolExecuteStart, Pending, SEND).call(0),
            within(enforce, |run, office| async move {
                office.send(FRIEND, "hello").await.expect("goes through");
                run
            }),
        ),
        (
            row(ToolExecuteEnd, Ok, SEND).call(0).linked().judged(Decision::Allow, []),
            within(enforce, |run, office| async move {
                office.send(FRIEND, "hello").await.expect("goes through");
                run
            }),
        ),
        (
            row(ToolExecuteEnd, Ok, "Office.copies").call(0).judged(Decision::Allow, []),
            within(enforce, |run, office| async move {
                let mut copies = office.copies("hello").await.expect("begins");
                while let Some(copy) = copies.next().await {
                    copy.expect("an item");
                }
                run
            }),
        ),
        (
            row(ToolExecuteEnd, Failed, "Office.file").call(0).linked().judged(Decision::Allow, []),
            within(enforce, |run, office| async move {
                assert!(matches!(office.file("hello").await, Err(CallError::Domain(_))));
                run
            }),
        ),
        (
            row(ToolExecuteError, Failed, "Office.explode")
                .call(0)
                .linked()
                .code("internal")
                .judged(Decision::Allow, []),
            within(enforce, |run, office| async move {
                assert_eq!(stopped(&office.explode("hello").await), "internal");
                run
            }),
        ),
        (
            row(ToolExecuteError, Failed, "Office.hang")
                .call(0)
                .linked()
                .code("cancelled")
                .judged(Decision::Allow, []),
            within(enforce, |run, office| async move {
                abandon(office.hang("hello")).await;
                run
            }),
        ),
        (
            row(ToolExecuteError, Failed, "Office.copies")
                .call(0)
                .code("cancelled")
                .judged(Decision::Allow, []),
            within(enforce, |run, office| async move {
                let mut copies = office.copies("hello").await.expect("begins");
                copies.next().await.expect("one").expect("an item");
                drop(copies); // and not the other
                run
            }),
        ),
        (
            row(ToolExecuteError, Failed, SEND).call(0).linked().code("deadline_exceeded"),
            built(
                enforce,
                |agent| agent.timeout(Duration::ZERO),
                |run, office| async move {
                    assert_eq!(stopped(&office.send(FRIEND, "hello").await), "deadline_exceeded");
                    run
                },
            ),
        ),
        (
            row(ToolExecuteError, Denied, SEND)
                .call(1)
                .linked()
                .code("dataflow_policy_blocked")
                .judged(Decision::Block, to_stranger),
            within(enforce, |run, office| async move {
                office.letters().await.expect("reads");
                assert_eq!(stopped(&office.send(STRANGER, "hello").await), "dataflow_policy_blocked");
                run
            }),
        ),
        (
            row(DataflowBlocked, Denied, SEND).call(1).linked().policy().judged(Decision::Block, to_stranger),
            within(enforce, |run, office| async move {
                office.letters().await.expect("reads");
                assert_eq!(stopped(&office.send(STRANGER, "hello").await), "dataflow_policy_blocked");
                run
            }),
        ),
        (
            row(DataflowFlagged, Ok, SEND).call(1).linked().policy().judged(Decision::Flag, to_stranger),
            within(shadow, |run, office| async move {
                office.letters().await.expect("reads");
                office.send(STRANGER, "hello").await.expect("shadow stops nothing");
                run
            }),
        ),
        (
            row(DataflowDeclassified, Ok, SEND)
                .call(1)
                .linked()
                .policy()
                .judged(Decision::Declassify, to_stranger),
            within(
                || enforce().declassify_sinks([Name::from_static(SEND)]),
                |run, office| async move {
                    office.letters().await.expect("reads");
                    office.send(STRANGER, "hello").await.expect("the sink is declassified");
                    run
                },
            ),
        ),
        (
            row(DataflowDeclassified, Ok, SEND)
                .call(1)
                .linked()
                .policy()
                .code("declassify:0")
                .judged(Decision::Declassify, [Signal::SecretToSink]),
            within(enforce, |run, office| async move {
                office.vault().await.expect("reads");
                grant(&run, SECRET, "Office.vault", FRIEND);
                office.send(FRIEND, SECRET).await.expect("is granted");
                run
            }),
        ),
        (
            row(DataflowEndorsed, Ok, SEND)
                .call(1)
                .linked()
                .policy()
                .code("endorse:0")
                .judged(Decision::Declassify, to_stranger),
            within(enforce, |run, office| async move {
                office.letters().await.expect("reads");
                grant(&run, STRANGER, "Office.letters", STRANGER);
                office.send(STRANGER, "hello").await.expect("is granted");
                run
            }),
        ),
        (
            row(GrantMade, Ok, SEND).by("ann").in_run().policy().code("endorse:0"),
            within(enforce, |run, _| async move {
                grant(&run, STRANGER, "Office.letters", STRANGER);
                run
            }),
        ),
        (
            row(ApprovalAnswered, Ok, SEND).by("ann").call(1).policy().judged(Decision::Ask, []),
            within(asking, |run, office| approved(run, office, true)),
        ),
        (
            row(ApprovalAnswered, Denied, SEND).by("ann").call(1).policy().judged(Decision::Ask, []),
            within(asking, |run, office| approved(run, office, false)),
        ),
        (
            row(ApprovalUsed, Ok, SEND)
                .call(2)
                .linked()
                .policy()
                .code("call:1")
                .judged(Decision::Declassify, to_stranger),
            within(asking, |run, office| approved(run, office, true)),
        ),
        (
            row(AuthGranted, Ok, SEND).by("ann").call(0).fields(auth.clone()),
            act(|log| async move {
                let remote = Remote::new(log, Some("ann's token")).await;
                remote.office.send(FRIEND, "hello").await.expect("goes through");
                remote.office.send(FRIEND, "hello").await.expect("goes through"); // over the same connection
                Did::at(&remote)
            }),
        ),
        (
            row(AuthDenied, Denied, SEND)
                .by("anonymous")
                .call(0)
                .code("unauthenticated")
                .fields([(Fields::AUTHENTICATOR, FieldValue::Name(TOKENS))]),
            act(|log| async move {
                let remote = Remote::new(log, None).await;
                assert_eq!(stopped(&remote.office.send(FRIEND, "hello").await), "unauthenticated");
                Did::at(&remote)
            }),
        ),
        (
            row(AuthDenied, Denied, "Office.letters")
                .by("anonymous")
                .call(0)
                .code("unauthenticated")
                .fields(auth.clone()),
            act(|log| async move {
                let remote = Remote::new(log, Some("a guess")).await;
                assert_eq!(stopped(&remote.office.letters().await), "unauthenticated");
                Did::at(&remote)
            }),
        ),
        (
            row(AuthDenied, Denied, SEND)
                .by("bob")
                .call(0)
                .code("forbidden")
                .fields(auth.into_iter().chain([(Fields::SCOPE, FieldValue::Name(SENDS))])),
            act(|log| async move {
                let remote = Remote::new(log, Some("bob's token")).await;
                assert_eq!(stopped(&remote.office.send(FRIEND, "hello").await), "forbidden");
                Did::at(&remote)
            }),
        ),
        (
            row(ServeStart, Pending, SEND).by("ann").call(0),
            act(|log| async move {
                let remote = Remote::new(log, Some("ann's token")).await;
                remote.office.send(FRIEND, "hello").await.expect("goes through");
                Did::at(&remote)
            }),
        ),
        (
            row(ServeEnd, Ok, SEND).by("ann").call(0).linked(),
            act(|log| async move {
                let remote = Remote::new(log, Some("ann's token")).await;
                remote.office.send(FRIEND, "hello").await.expect("goes through");
                Did::at(&remote)
            }),
        ),
        (
            row(ServeEnd, Ok, "Office.letters").by("bob").call(0),
            act(|log| async move {
                let remote = Remote::new(log, Some("bob's token")).await;
                remote.office.letters().await.expect("reads");
                Did::at(&remote)
            }),
        ),
        (
            row(ServeEnd, Failed, "Office.file").by("ann").call(0).linked(),
            act(|log| async move {
                let remote = Remote::new(log, Some("ann's token")).await;
                assert!(matches!(remote.office.file("hello").await, Err(CallError::Domain(_))));
                Did::at(&remote)
            }),
        ),
        (
            row(ServeEnd, Failed, "Office.explode").by("ann").call(0).linked().code("internal"),
            act(|log| async move {
                let remote = Remote::new(log, Some("ann's token")).await;
                assert_eq!(stopped(&remote.office.explode("hello").await), "internal");
                Did::at(&remote)
            }),
        ),
        (
            row(ServeEnd, Denied, "Office.vault").by("ann").call(0).code("clearance_exceeded"),
            act(|log| async move {
                let remote = Remote::new(log, Some("ann's token")).await;
                assert_eq!(stopped(&remote.office.vault().await), "clearance_exceeded");
                Did::at(&remote)
            }),
        ),
        (
            row(ServeEnd, Failed, "Office.hang").by("ann").call(0).linked().code("cancelled"),
            act(|log| async move {
                let remote = Remote::new(log.clone(), Some("ann's token")).await;
                {
                    let mut call = std::pin::pin!(remote.office.hang("hello"));
                    let begun = || log.events().iter().any(|event| event.action == ServeStart);
                    until(begun, call.as_mut()).await;
                }
                let ended = || log.events().iter().any(|event| event.action == ServeEnd);
                until(ended, std::future::pending::<()>()).await;
                Did::at(&remote)
            }),
        ),
    ]
}

/// Drives `beside` until `is_so`, for at most ten seconds.
async fn until(is_so: impl Fn() -> bool, beside: impl Future) {
    let mut beside = std::pin::pin!(beside);
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::select! {
            _ = &mut beside => panic!("it does not end"),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
    }
    panic!("it did not come to that");
}

fn check(expected: &Row, did: &Did, events: &[Event]) {
    let found: Vec<_> = events
        .iter()
        .filter(|event| (event.action, event.ending) == (expected.action, expected.ending))
        .filter(|event| event.target.as_str() == expected.target)
        .collect();
    let what = format!("{} {} of {}", expected.action.as_str(), expected.ending.as_str(), expected.target);
    let [event] = found[..] else { panic!("{} records of {what}, in {events:#?}", found.len()) };
    assert_eq!(event.actor.as_str(), expected.actor, "{what}");
    assert_eq!(event.code.as_ref().map(Name::as_str), expected.code.as_deref(), "{what}");
    assert_eq!((event.decision, event.signals), (expected.decision, expected.signals), "{what}");
    assert_eq!(event.run, did.run.filter(|_| expected.in_run), "{what}");
    assert_eq!(event.call.map(|call| call.0), expected.call, "{what}");
    // A run is a trace.
    let trace = did.run.filter(|_| event.call.is_some()).map(|run| TraceId(run.0));
    let is_an_answer = expected.action == Action::ApprovalAnswered; // given outside of any call
    assert_eq!(event.trace, trace.filter(|_| !is_an_answer), "{what}");
    assert_eq!(event.policy, did.policy.filter(|_| expected.policy), "{what}");
    assert_eq!(event.fields, Fields::new(expected.fields.clone()).expect("few"), "{what}");
    let intent = event.intent.map(|seq| &events[seq.0 as usize]);
    assert_eq!(intent.is_some(), expected.linked, "{what}");
    if let Some(intent) = intent {
        let starts = [Action::ToolExecuteStart, Action::ServeStart];
        assert!(starts.contains(&intent.action), "{what}");
        let of = |event: &Event| (event.target.clone(), event.run, event.call, event.trace);
        assert_eq!(of(intent), of(event), "{what}");
    }
}

#[tokio::test]
async fn each_act_leaves_exactly_one_record_of_it_that_says_who_what_on_what_and_how_it_ended() {
    for (expected, act) in cases() {
        let log = Arc::new(MemoryRecorder::default());
        let did = act(log.clone()).await;
        check(&expected, &did, &log.events());
    }
}

/// The rows of what a log does to itself, which graft-audit writes and its tests find.
fn is_the_logs_own(action: Action) -> bool {
    action.as_str().starts_with("log:")
}

#[test]
fn every_row_of_the_action_table_has_a_producer() {
    let produced: BTreeSet<_> = cases().iter().map(|(row, _)| row.action).collect();
    let table = Action::ALL.iter().copied().filter(|action| !is_the_logs_own(*action));
    assert_eq!(produced, table.collect());
}
