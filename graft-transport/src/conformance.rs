//! What every channel has to do, as plain functions to run over a channel of one's own.
//!
//! Each function takes a [`Connect`], hosts the [`TestService`] and the [`TestPorts`] behind the channel that it
//! makes, and asserts one property; [`all`] runs them in order. No runtime is assumed.
//!
//! ```
//! use std::{sync::Arc, time::{Duration, Instant}};
//! use graft_core::{Channel, Clock, Router, Timestamp};
//! use graft_transport::{LocalChannel, conformance::{self, Connect}};
//!
//! struct Machine(Instant);
//! impl Clock for Machine {
//!     fn now(&self) -> Timestamp { Timestamp(0) }
//!     fn monotonic(&self) -> Duration { self.0.elapsed() }
//! }
//!
//! struct Mine(Arc<Machine>);
//! impl Connect for Mine {
//!     async fn connect(&self, router: Router) -> Arc<dyn Channel> {
//!         Arc::new(LocalChannel::new(router, self.0.clone()))
//!     }
//!     fn clock(&self) -> Arc<dyn Clock> { self.0.clone() }
//! }
//! futures::executor::block_on(conformance::all(&Mine(Arc::new(Machine(Instant::now())))));
//! ```

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use graft_core::{
    CallId, Channel, Clearance, Clock, Deadline, Fault, FaultCode, InterfaceId, Label, Metadata, Outcome,
    Request, Router, RunId, Sensitivity, Slot, TraceId,
};

mod beside;
mod ports;
mod service;
mod shapes;

pub use beside::{headers, health, remaining_time, what_is_beside};
pub use ports::{PortMethod, TestHandle, TestObject, TestPorts, TestValue};
use service::yield_now;
pub use service::{Counters, Seen, TestMethod, TestService};
pub use shapes::{
    both_ways, broken_streams, callbacks, client_stream, dropped_streams, objects, server_stream,
    slow_callee, slow_reader,
};

/// Makes the channel under test.
pub trait Connect {
    /// A channel to what `router` hosts. A server behind it has to live as long as `self`.
    fn connect(&self, router: Router) -> impl Future<Output = Arc<dyn Channel>>;

    /// The clock that the channel has. It has to move by itself.
    fn clock(&self) -> Arc<dyn Clock>;
}

/// How long a property may take to show.
const PATIENCE: Duration = Duration::from_secs(30);
const TRACE: TraceId = TraceId([7; 16]);

/// Runs every function of this suite.
///
/// # Panics
/// If the channel lacks a property; the message says which.
pub async fn all(connect: &impl Connect) {
    echo(connect).await;
    labels(connect).await;
    out_of_order(connect).await;
    deadline(connect).await;
    cancel(connect).await;
    domain_error(connect).await;
    panics(connect).await;
    not_hosted(connect).await;
    clearance_of_arguments(connect).await;
    clearance_of_replies(connect).await;
    health(connect).await;
    headers(connect).await;
    what_is_beside(connect).await;
    remaining_time(connect).await;
    server_stream(connect).await;
    client_stream(connect).await;
    both_ways(connect).await;
    slow_reader(connect).await;
    slow_callee(connect).await;
    dropped_streams(connect).await;
    broken_streams(connect).await;
    objects(connect).await;
    callbacks(connect).await;
}

/// Values arrive as they were sent, small, empty and large.
///
/// # Panics
/// If not.
pub async fn echo(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    for text in [String::new(), "hello".to_owned(), "ß€😀".repeat(50_000)] {
        let (outcome, _) = bench.call(TestMethod::Echo, &text).await.expect("echo returns");
        assert!(outcome == Ok(text), "a value changed on its way");
    }
}

/// The label that the receiver gives a reply reaches the caller, and the label of the arguments the receiver.
///
/// # Panics
/// If not.
pub async fn labels(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let web = Label::untrusted(graft_core::Origin::WEB_SEARCH);
    let (outcome, label) = bench.call_with(TestMethod::Relabel, "x", &web, None).await.expect("returns");
    assert!(outcome.is_ok() && label == web, "a label changed on its way: {label}");
}

/// Many calls are in flight at once, and each returns when it is done and not when its turn comes.
///
/// # Panics
/// If a call waits for one that was made before it.
pub async fn out_of_order(connect: &impl Connect) {
    const CALLS: u64 = 64;
    let bench = Bench::new(connect).await;
    bench.counters.turn.store(CALLS - 1, SeqCst);
    // The first call made is the last that may return.
    let texts: Vec<String> = (0..CALLS).map(|n| n.to_string()).collect();
    let mut calls: FuturesUnordered<_> =
        texts.iter().map(|text| bench.call(TestMethod::InTurn, text)).collect();
    while let Some(returned) = calls.next().await {
        assert!(returned.is_ok_and(|(outcome, _)| outcome.is_ok()), "a call waited for an earlier one");
    }
}

/// A deadline ends a call that does not return in time, one that has passed lets none begin.
///
/// # Panics
/// If not.
pub async fn deadline(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let label = Label::default();
    let call = bench.call_with(TestMethod::Hang, "", &label, Some(Duration::from_millis(20)));
    assert_eq!(code(call.await), Some(FaultCode::DeadlineExceeded));

    let before = bench.counters.begun.load(SeqCst);
    let call = bench.call_with(TestMethod::Echo, "", &label, Some(Duration::ZERO));
    assert_eq!(code(call.await), Some(FaultCode::DeadlineExceeded));
    assert_eq!(bench.counters.begun.load(SeqCst), before, "a call began after its deadline");
}

/// Dropping the caller's future drops the callee's.
///
/// # Panics
/// If it goes on.
pub async fn cancel(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    {
        let call = Box::pin(bench.call(TestMethod::Hang, ""));
        let begun = Box::pin(bench.until("the call begins", || bench.counters.begun.load(SeqCst) == 1));
        match select(call, begun).await {
            Either::Left((returned, _)) => assert!(returned.is_err(), "a call that never ends returned"),
            Either::Right(((), call)) => drop(call),
        }
    }
    bench.until("the callee's future is dropped", || bench.counters.dropped.load(SeqCst) == 1).await;
}

/// The method's own error arrives as such, with its value.
///
/// # Panics
/// If not.
pub async fn domain_error(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let (outcome, _) = bench.call(TestMethod::Fail, "no funds").await.expect("the call itself succeeds");
    assert_eq!(outcome, Err("no funds".to_owned()));
}

/// A panic in user code is an opaque fault with the trace id of its call, and the channel lives on.
///
/// # Panics
/// If not.
pub async fn panics(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let fault = bench.call(TestMethod::Panic, "").await.expect_err("a panic is no value");
    assert_eq!((fault.code(), fault.trace()), (FaultCode::Internal, TRACE));
    assert!(bench.call(TestMethod::Echo, "").await.is_ok(), "a panic ended more than its call");
}

/// A contract that nobody hosts, and a method that it does not have, are faults of their own.
///
/// # Panics
/// If not.
pub async fn not_hosted(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let fault = bench.call(TestMethod::Unknown, "").await.expect_err("there is no such method");
    assert_eq!(fault.code(), FaultCode::NotFound);
    let stranger = Bench { interface: InterfaceId([0xee; 32]), ..bench };
    let fault = stranger.call(TestMethod::Echo, "").await.expect_err("there is no such contract");
    assert_eq!((fault.code(), fault.trace()), (FaultCode::ContractMismatch, TRACE));
}

/// Secret arguments cross only a channel with the clearance for them; else the callee never begins.
///
/// # Panics
/// If not.
pub async fn clearance_of_arguments(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let secret = Label::default().with_sensitivity(Sensitivity::Secret);
    let result = bench.call_with(TestMethod::Echo, "", &secret, None).await;
    if bench.channel.clearance().admits(&secret) {
        assert!(result.is_ok(), "the channel's own clearance admits this call");
    } else {
        assert_eq!(code(result), Some(FaultCode::ClearanceExceeded));
        assert_eq!(bench.counters.begun.load(SeqCst), 0, "secret arguments crossed");
    }
}

/// A secret reply crosses only a channel with the clearance for it.
///
/// # Panics
/// If not.
pub async fn clearance_of_replies(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let result = bench.call(TestMethod::Secret, "").await;
    if bench.channel.clearance() == Clearance::DANGER_SECRET {
        let (_, label) = result.expect("the channel's own clearance admits this reply");
        assert_eq!(label.sensitivity(), Sensitivity::Secret);
    } else {
        assert_eq!(code(result), Some(FaultCode::ClearanceExceeded));
    }
}

/// A test service behind the channel under test.
struct Bench {
    channel: Arc<dyn Channel>,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
    interface: InterfaceId,
}

type Returned = Result<(Result<String, String>, Label), Fault>;

impl Bench {
    async fn new(connect: &impl Connect) -> Self {
        let service = TestService::default();
        let counters = service.counters();
        let ports = TestPorts::new(counters.clone());
        let router = Router::default().with(Arc::new(service)).with(Arc::new(ports));
        let channel = connect.connect(router).await;
        Self { channel, counters, clock: connect.clock(), interface: TestService::INTERFACE }
    }

    async fn call(&self, method: TestMethod, text: &str) -> Returned {
        self.call_with(method, text, &Label::default(), None).await
    }

    async fn call_with(
        &self,
        method: TestMethod,
        text: &str,
        label: &Label,
        timeout: Option<Duration>,
    ) -> Returned {
        let meta = self.meta(timeout);
        let mut slot = Slot::<String, String, String>::new(method.method(), text.to_owned());
        let request = Request::new(self.interface, method.method().id, &meta, label);
        let label = self.within("every call ends", self.channel.call(request, &mut slot)).await?;
        assert!(matches!(slot.outcome(), Some(Outcome::Value(_) | Outcome::DomainError(_))), "no reply");
        Ok((slot.into_outcome().expect("there is a reply"), label))
    }

    fn meta(&self, timeout: Option<Duration>) -> Metadata {
        let mut meta = Metadata::new(RunId([1; 16]), CallId(0));
        meta.trace.trace = TRACE;
        meta.deadline = timeout.map(|timeout| Deadline::after(&*self.clock, timeout));
        meta
    }

    /// Waits until `happened`.
    async fn until(&self, what: &str, happened: impl Fn() -> bool) {
        let end = self.clock.monotonic() + PATIENCE;
        while !happened() {
            assert!(self.clock.monotonic() < end, "{what}: not within {PATIENCE:?}");
            yield_now().await;
        }
    }

    /// Waits for `future`.
    async fn within<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        let never = Box::pin(self.until(what, || false));
        match select(Box::pin(future), never).await {
            Either::Left((value, _)) => value,
            Either::Right(((), _)) => unreachable!("the wait ends in a panic"),
        }
    }
}

fn code(result: Returned) -> Option<FaultCode> {
    result.err().map(|fault| fault.code())
}
