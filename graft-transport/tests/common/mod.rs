//! What the tests over real sockets share.
#![allow(dead_code)] // each test file uses its part

pub(crate) mod golden;
pub(crate) mod raw;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use graft_core::{
    CallId, Channel, Clock, Deadline, Fault, Label, Metadata, Request, Router, RunId, Slot, Timestamp,
};
use graft_transport::conformance::{Counters, TestMethod, TestService};
use graft_transport::{RemoteOptions, Server};
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3600);

/// The time of the tokio runtime where there is one, so that it stands still when that does.
pub(crate) struct Machine(Instant);

impl Machine {
    pub(crate) fn clock() -> Arc<dyn Clock> {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        Arc::new(Self(*START))
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Duration {
        // Time may stand still in this runtime since before another test's runtime took the start.
        (Instant::now() + HOUR).saturating_duration_since(self.0)
    }
}

pub(crate) fn options() -> RemoteOptions {
    RemoteOptions::new(Machine::clock())
}

/// A server of the test service.
pub(crate) fn serve(options: RemoteOptions) -> (Server, Arc<Counters>) {
    let service = TestService::default();
    let counters = service.counters();
    let router = Router::default().with(Arc::new(service));
    (Server::tcp("127.0.0.1:0", router, options).expect("binds"), counters)
}

pub(crate) async fn call(channel: &dyn Channel, method: TestMethod, text: &str) -> Result<String, Fault> {
    call_within(channel, method, text, None).await
}

pub(crate) async fn call_within(
    channel: &dyn Channel,
    method: TestMethod,
    text: &str,
    timeout: Option<Duration>,
) -> Result<String, Fault> {
    let mut meta = Metadata::new(RunId([1; 16]), CallId(0));
    meta.deadline = timeout.map(|timeout| Deadline::after(&*Machine::clock(), timeout));
    let label = Label::default();
    let method = method.method();
    let mut slot = Slot::<String, String, String>::new(method, text.to_owned());
    let request = Request::new(TestService::INTERFACE, method.id, &meta, &label);
    channel.call(request, &mut slot).await?;
    Ok(slot.into_outcome().expect("there is a reply").unwrap_or_else(|error| error))
}

/// No wait in a test is without an end.
pub(crate) async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("no hang")
}

pub(crate) async fn until(happened: impl Fn() -> bool) {
    while !happened() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
