//! What interceptors see of ports.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use graft_core::{
    Body, Call, CallError, CallRecorder, Caller, Channel, Clearance, Clock, Credential, DeadlineCheck, Done,
    Ending, Fault, FaultCode, Headers, Interceptor, Label, ManualClock, MemoryRecorder, Name, Origin,
    Outcome, Path, Reply, Request, Router, RunId, Sensitivity, TraceContext, Trust, TypedBody,
};
use graft_ugm::{Described, Handle, Items};

use crate::common::{callers, now};
use crate::service::{Desk, DeskClient, Listener};
use crate::{all, bare};

/// Notes what passes, and refuses the number 13.
#[derive(Default)]
struct Spy(Mutex<Vec<String>>);

impl Spy {
    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }

    fn note(&self, text: String) {
        self.0.lock().expect("no panic").push(text);
    }
}

fn leaves(value: &dyn graft_core::Leaves) -> String {
    let mut text = String::new();
    value.visit(&Path::ROOT, &mut |path, leaf| text += &format!(" {path} {leaf:?}"));
    text
}

impl Interceptor for Spy {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Fault> {
        self.note(format!("before{}", leaves(call.args)));
        Ok(())
    }

    fn after(&self, done: &Done<'_>, reply: &mut Reply<'_>) -> Result<(), Fault> {
        let label = done.state.label().trust();
        self.note(match &reply.outcome {
            Outcome::Value(value) => format!("after {label:?}{}", leaves(*value)),
            Outcome::DomainError(_) => "after an error".to_owned(),
            Outcome::Fault(fault) => format!("after {}", fault.code().as_str()),
        });
        Ok(())
    }

    fn before_item(&self, call: &mut Call<'_>) -> Result<(), Fault> {
        let item = leaves(call.args);
        let is_bad = item.ends_with("Uint(13)");
        self.note(format!("item{item}"));
        if item.ends_with("Uint(3)") {
            call.raise(&Label::untrusted(Origin::WEB_SEARCH));
        }
        if item.ends_with("Uint(7)") {
            call.raise(&Label::default().with_sensitivity(Sensitivity::Secret));
        }
        match is_bad {
            true => Err(Fault::new(FaultCode::DataflowPolicyBlocked, call.meta.trace.trace)),
            false => Ok(()),
        }
    }

    fn after_item(&self, _: &Done<'_>, reply: &mut Reply<'_>) -> Result<(), Fault> {
        let Outcome::Value(value) = reply.outcome else { return Ok(()) };
        self.note(format!("came {:?}{}", reply.label().trust(), leaves(value)));
        reply.raise(&Label::default().with_sensitivity(Sensitivity::Secret));
        Ok(())
    }
}

fn guarded(spy: &Arc<Spy>) -> [DeskClient; 2] {
    callers(Arc::new(Desk::default()).dispatcher())
        .map(|caller| DeskClient::new(caller.with_interceptors([spy.clone() as Arc<dyn Interceptor>])))
}

#[test]
fn items_of_arguments_are_judged_one_by_one_under_the_parameters_name() {
    let spy = Arc::new(Spy::default());
    for desk in guarded(&spy) {
        now(desk.sum(0, Items::new(stream::iter([1, 3])))).expect("returns");
        assert_eq!(
            spy.seen(),
            [
                "before $['start'] Uint(0) $['numbers'] Empty",
                "item $['numbers'] Uint(1)",
                "item $['numbers'] Uint(3)",
                "after Untrusted $ Uint(4)",
            ]
        );
    }
}

#[test]
fn a_refused_item_ends_the_stream_and_the_call_even_of_a_callee_that_goes_on() {
    let spy = Arc::new(Spy::default());
    for desk in guarded(&spy) {
        let numbers = || Items::new(stream::iter([1, 13, 2]));
        for ended in [now(desk.sum(0, numbers())).map(drop).err(), None] {
            if let Some(CallError::Fault(fault)) = ended {
                assert_eq!(fault.code(), FaultCode::DataflowPolicyBlocked);
            }
        }
        assert_eq!(spy.seen().last().map(String::as_str), Some("after dataflow_policy_blocked"));
        let error = now(desk.hangs(numbers())).expect_err("it would hang");
        assert_eq!(error.fault().map(Fault::code), Some(FaultCode::DataflowPolicyBlocked));
        assert!(!spy.seen().contains(&"item $['numbers'] Uint(2)".to_owned()));

        // After the reply it is the stream of results that ends.
        let mut items = now(desk.double(Items::new(stream::iter([1, 13])))).expect("returns");
        assert_eq!(bare(now(items.next()).expect("one").expect("an item")), 2);
        let fault = now(items.next()).expect("one").expect_err("a fault");
        assert_eq!(fault.code(), FaultCode::DataflowPolicyBlocked);
        assert!(now(items.next()).is_none());
        assert_eq!(spy.seen().last().map(String::as_str), Some("after dataflow_policy_blocked"));
    }
}

#[test]
fn items_of_results_come_labelled_and_the_call_ends_with_them() {
    let spy = Arc::new(Spy::default());
    for desk in guarded(&spy) {
        let mut items = now(desk.count(1)).expect("returns");
        let item = now(items.next()).expect("one").expect("an item");
        assert_eq!(item.label().sensitivity(), Sensitivity::Secret);
        assert_eq!(spy.seen(), ["before $['to'] Uint(1)", "came Trusted $ Uint(0)"]);
        assert!(now(items.next()).is_none());
        assert_eq!(spy.seen(), ["after Trusted $ Empty"]);
        drop(items);
        assert!(spy.seen().is_empty(), "it ends once");

        drop(now(desk.count(1)).expect("returns"));
        assert_eq!(spy.seen(), ["before $['to'] Uint(1)", "after cancelled"]);
        let items = now(desk.breaks()).expect("returns");
        assert_eq!(all(items), Err(FaultCode::Internal));
        assert_eq!(spy.seen().last().map(String::as_str), Some("after internal"));
    }
}

#[test]
fn calls_of_an_object_that_came_back_pass_the_same_guards_in_the_same_numbering() {
    let spy = Arc::new(Spy::default());
    for caller in callers(Arc::new(Desk::default()).dispatcher()) {
        let caller = caller.with_interceptors([spy.clone() as Arc<dyn Interceptor>]);
        let account = now(DeskClient::new(caller.clone()).account("ann")).expect("returns");
        let child = now(account.child("x".to_owned())).expect("returns");
        now(child.name()).expect("returns");
        let seen = spy.seen();
        assert_eq!(seen[2..4], ["before $['name'] Str(\"x\")", "after Trusted $ Empty"]);
        assert_eq!(seen[4..], ["before", "after Trusted $ Str(\"ann/x\")"]);
        assert_eq!(caller.next_call().0, 3);
    }
}

/// Cannot write down how a call ended.
struct NoLog;

impl Interceptor for NoLog {
    fn before(&self, _: &mut Call<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn after(&self, done: &Done<'_>, _: &mut Reply<'_>) -> Result<(), Fault> {
        Err(Fault::new(FaultCode::RecordUnavailable, done.meta.trace.trace))
    }
}

#[test]
fn a_guard_that_does_not_look_at_items_sees_each_as_a_call_and_fails_closed() {
    for caller in callers(Arc::new(Desk::default()).dispatcher()) {
        let desk = DeskClient::new(caller.with_interceptors([Arc::new(NoLog) as Arc<dyn Interceptor>]));
        assert_eq!(all(now(desk.count(2)).expect("returns")), Err(FaultCode::RecordUnavailable));
        let mut none = now(desk.count(0)).expect("returns");
        let fault = now(none.next()).expect("the end is a fault").expect_err("a fault");
        assert_eq!(fault.code(), FaultCode::RecordUnavailable);
        assert!(now(none.next()).is_none());
        let listener = Arc::new(Listener(Default::default()));
        assert!(now(desk.each(1, Handle::new(listener.clone()))).is_err());
        assert!(listener.0.lock().expect("no panic").is_empty(), "what is not recorded does not come in");
    }
}

/// A channel that carries no secret.
struct Narrow(Arc<dyn Channel>);

impl Channel for Narrow {
    fn clearance(&self) -> Clearance {
        Clearance::CHANNEL
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        self.0.call(request, body)
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        self.0.health()
    }
}

fn narrow(service: Arc<dyn graft_core::Invoke>) -> Caller {
    let channel = Narrow(Arc::new(crate::common::Encoded(Router::default().with(service))));
    Caller::new(Arc::new(channel), Arc::new(ManualClock::default()), RunId([7; 16]))
}

#[test]
fn a_secret_item_does_not_cross_a_channel_that_carries_none() {
    let spy = Arc::new(Spy::default());
    let caller = narrow(Arc::new(Desk::default()).dispatcher());
    let desk = DeskClient::new(caller.with_interceptors([spy as Arc<dyn Interceptor>]));
    assert!(now(desk.sum(0, Items::new(stream::iter([1, 2])))).is_ok());
    let error = now(desk.sum(0, Items::new(stream::iter([1, 7])))).expect_err("a secret");
    assert_eq!(error.fault().map(Fault::code), Some(FaultCode::ClearanceExceeded));
}

#[test]
fn what_comes_in_through_a_callback_is_an_untrusted_output_of_the_call() {
    let spy = Arc::new(Spy::default());
    for desk in guarded(&spy) {
        now(desk.each(2, Handle::new(Arc::new(Listener(Default::default()))))).expect("returns");
        assert_eq!(
            spy.seen(),
            [
                "before $['to'] Uint(2) $['listener'] Empty",
                "came Untrusted $['number'] Uint(0)",
                "came Untrusted $['number'] Uint(1)",
                "after Trusted $ Uint(1)",
            ]
        );
    }
}

/// A listener whose answer is a secret.
mod telltale {
    use graft_ugm::interface;

    pub struct Listener;

    #[interface(crate = "graft_ugm")]
    impl Listener {
        #[interface(sensitivity = "secret")]
        pub fn on(&self, number: u32) -> u32 {
            number
        }
    }

    pub struct Desk;

    #[interface(crate = "graft_ugm")]
    #[allow(unused_variables)]
    impl Desk {
        pub async fn each(&self, listener: graft_ugm::Handle<Listener>) -> bool {
            listener.client().on(1).await.is_ok()
        }
    }
}

#[test]
fn a_secret_does_not_leave_as_the_answer_of_a_callback() {
    let handle = || Handle::new(Arc::new(telltale::Listener));
    let service = Arc::new(telltale::Desk).dispatcher();
    let [wide, _] = callers(service.clone());
    assert!(bare(now(telltale::DeskClient::new(wide).each(handle())).expect("returns")));
    let desk = telltale::DeskClient::new(narrow(service));
    assert!(!bare(now(desk.each(handle())).expect("returns")));
}

#[test]
fn a_call_leaves_one_intent_and_one_outcome_however_many_items_it_has() {
    let clock = Arc::new(ManualClock::default());
    let log = Arc::new(MemoryRecorder::default());
    let recorder: Arc<dyn Interceptor> =
        Arc::new(CallRecorder::new(log.clone(), clock, Name::from_static("me")));
    let [caller, _] = callers(Arc::new(Desk::default()).dispatcher());
    let desk = DeskClient::new(caller.with_interceptors([recorder]));
    let items = now(desk.double(Items::new(stream::iter(0..50)))).expect("returns");
    assert_eq!(log.events().len(), 1, "only the intent while the stream goes on");
    assert_eq!(all(items).map(|all| all.len()), Ok(50));
    let events = log.events();
    assert_eq!(events.iter().map(|event| event.ending).collect::<Vec<_>>(), [Ending::Pending, Ending::Ok]);
    assert_eq!(events[1].intent.map(|seq| seq.0), Some(0));
    drop(now(desk.double(Items::new(stream::iter(0..50)))).expect("returns"));
    assert_eq!(log.events()[3].code.as_ref().map(Name::as_str), Some("cancelled"));
}

#[test]
fn a_deadline_bounds_the_call_and_not_its_stream() {
    let clock = Arc::new(ManualClock::default());
    let channel = graft_core::Hosted::new(Arc::new(Desk::default()).dispatcher()).with_clock(clock.clone());
    let caller = Caller::new(Arc::new(channel), clock.clone(), RunId([7; 16]))
        .with_interceptors([Arc::new(DeadlineCheck(clock.clone())) as Arc<dyn Interceptor>])
        .with_timeout(Duration::from_secs(1));
    let desk = DeskClient::new(caller);
    let items = now(desk.double(Items::new(stream::iter(0..3)))).expect("returns");
    let account = now(desk.account("ann")).expect("returns");
    clock.advance(Duration::from_secs(2));
    assert_eq!(all(items), Ok(vec![0, 2, 4]));
    assert!(now(account.name()).is_ok(), "each call has its own deadline");
}

/// Breaks at once, or later.
mod fragile {
    use graft_ugm::interface;

    pub struct Fragile;

    #[interface(crate = "graft_ugm")]
    impl Fragile {
        pub fn now(&self) {
            panic!("user code");
        }

        pub async fn later(&self) {
            std::future::ready(()).await;
            panic!("user code");
        }

        pub async fn never(&self) {
            std::future::pending::<()>().await;
        }
    }
}

#[test]
fn an_object_of_this_process_contains_panics_and_heeds_deadlines() {
    let clock = Arc::new(ManualClock::default());
    let caller = callers(Arc::new(Desk::default()).dispatcher())[0].clone();
    let handle = Handle::new(Arc::new(fragile::Fragile));
    let code = |error: CallError<_>| error.fault().map(Fault::code);
    for object in [handle.client(), handle.over(&caller)] {
        assert_eq!(now(object.now()).map_err(code).err(), Some(Some(FaultCode::Internal)));
        assert_eq!(now(object.later()).map_err(code).err(), Some(Some(FaultCode::Internal)));
    }
    let channel = graft_core::Hosted::new(Arc::new(Desk::default()).dispatcher());
    let caller = Caller::new(Arc::new(channel), clock.clone(), RunId([7; 16]));
    let object = handle.over(&caller.with_timeout(Duration::from_secs(1)));
    let mut call = Box::pin(object.never());
    let mut poll = || call.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(poll().is_pending());
    clock.advance(Duration::from_secs(1));
    let std::task::Poll::Ready(Err(error)) = poll() else { panic!("it is late") };
    assert_eq!(code(error), Some(FaultCode::DeadlineExceeded));
}

/// Gives each request to a function.
struct Requests<F>(F);

impl<F: Fn(&Request<'_>) + Send + Sync> graft_core::Invoke for Requests<F> {
    fn interface(&self) -> graft_core::InterfaceId {
        Desk::interface().id()
    }

    fn invoke<'a>(&'a self, request: Request<'a>, _: Body<'a>) -> BoxFuture<'a, Result<Label, Fault>> {
        (self.0)(&request);
        Box::pin(async move { Err(Fault::new(FaultCode::Unavailable, request.meta.trace.trace)) })
    }
}

#[test]
fn a_mark_of_idempotency_reaches_the_request() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = seen.clone();
    let desk =
        Requests(move |request: &Request<'_>| note.lock().expect("no panic").push(request.is_idempotent));
    let [caller, _] = callers(Arc::new(desk));
    let desk = DeskClient::new(caller);
    assert!(now(desk.count(1)).is_err() && now(desk.breaks()).is_err());
    assert!(now(desk.double(Items::new(stream::empty()))).is_err());
    assert_eq!(*seen.lock().expect("no panic"), [true, false, false], "what is in a stream leaves once");
}

#[test]
fn a_callee_sees_its_call_and_makes_others_on_its_behalf() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let mut headers = Headers::default();
    headers.set("Baggage", "tenant=7").expect("a header");
    let parent: TraceContext =
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("a traceparent");
    for caller in callers(Arc::new(Desk::default()).dispatcher()) {
        let caller = caller
            .with_headers(headers.clone())
            .with_trace(parent)
            .with_timeout(Duration::from_secs(3))
            .with_credential(Credential::new(*b"key"));
        let seen = bare(now(DeskClient::new(caller).context("bAGGAGE")).expect("returns"));
        let trace: TraceContext = seen[1].parse().expect("a traceparent");
        assert_eq!((trace.trace, trace.flags), (parent.trace, 1));
        assert_ne!(trace.span, parent.span);
        let rest: Vec<&str> = seen.iter().map(String::as_str).collect();
        assert_eq!([rest[0], rest[2], rest[3], rest[4], rest[5]], ["tenant=7", "true", "true", "false", "0"]);
    }

    let [caller, _] = callers(Arc::new(Desk::default()).dispatcher());
    let mut meta = graft_core::Metadata::new(RunId([7; 16]), graft_core::CallId(4));
    meta.deadline = Some(graft_core::Deadline::after(&*clock, Duration::from_secs(1)));
    (meta.headers, meta.trace) = (headers, parent);
    meta.credential = Some(Credential::new(*b"key"));
    let label = Label::default();
    let interface = Desk::interface().id();
    let request = Request::new(interface, graft_core::MethodId([0; 8]), &meta, &label);
    let context = graft_core::CallContext::of(&request);
    let desk = DeskClient::new(caller.on_behalf_of(&context));
    let seen = bare(now(desk.context("baggage")).expect("returns"));
    let trace: TraceContext = seen[1].parse().expect("a traceparent");
    assert_eq!((seen[0].as_str(), seen[2].as_str(), trace.trace), ("tenant=7", "true", parent.trace));
    assert_eq!(seen[3], "false", "a credential is not passed on");
    assert_eq!(Trust::Trusted, Label::bottom().trust());
}
