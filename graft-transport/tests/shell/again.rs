//! Channels that connect again and that call again.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all};
use graft_core::{
    CallId, Channel, Clearance, Deadline, Fault, FaultCode, Label, Metadata, Request, RunId, TypedBody,
};
use graft_transport::conformance::TestMethod;
use graft_transport::net::DialError;
use graft_transport::{
    Backoff, ConnectError, ReconnectingChannel, RemoteChannel, Retry, RetryingChannel, Server,
};
use tokio::time::{Instant, sleep};

use crate::common::{Machine, bounded, options, until};
use crate::support::{Dialler, Service, send_within, serve, text};

const BACKOFF: Backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_secs(2) };

/// An address under which there may be a server, and when it was dialled.
#[derive(Clone, Default)]
struct Address {
    dialler: Arc<Mutex<Option<Dialler>>>,
    dialled: Arc<Mutex<Vec<Instant>>>,
}

impl Address {
    fn serve(&self) -> Server {
        let service = Service::of(|name, text, _| async move {
            match name {
                "late" => sleep(Duration::from_secs(5)).await,
                "hang" => std::future::pending().await,
                _ => {}
            }
            Ok((text, vec![]))
        });
        let (server, dialler) = serve(service, options(), 4096);
        *self.dialler.lock().expect("no panic") = Some(dialler);
        server
    }

    fn nobody(&self) {
        *self.dialler.lock().expect("no panic") = None;
    }

    fn count(&self) -> usize {
        self.dialled.lock().expect("no panic").len()
    }

    /// A channel whose attempts take as long as `takes`.
    fn channel(&self, takes: Duration) -> ReconnectingChannel {
        let address = self.clone();
        let dial = move || {
            let address = address.clone();
            async move {
                address.dialled.lock().expect("no panic").push(Instant::now());
                sleep(takes).await;
                let dialler = address.dialler.lock().expect("no panic").clone();
                let refused = || ConnectError::Dial(DialError::TimedOut);
                let pipe = dialler.and_then(|dialler| dialler.pipe()).ok_or_else(refused)?;
                RemoteChannel::over((Box::new(pipe), graft_core::Peer::default()), options()).await
            }
        };
        ReconnectingChannel::new(dial, BACKOFF, &options())
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_call_connects_and_many_share_one_attempt() {
    let address = Address::default();
    let _server = address.serve();
    let channel = address.channel(Duration::from_secs(1));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(address.count(), 0);
    let calls = join_all((0..50).map(|_| text(&channel, "echo", "x"))).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!(bounded(channel.health()).await, Ok(true));
    assert_eq!(address.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_takes_nothing_from_the_others() {
    let address = Address::default();
    let _server = address.serve();
    let channel = address.channel(Duration::from_secs(3));
    let began = Instant::now();
    for _ in 0..2 {
        let fault = send_within(&channel, "echo", "", vec![], Some(Duration::from_secs(1))).await.map(|_| ());
        assert_eq!(fault, Err(FaultCode::DeadlineExceeded));
    }
    assert_eq!(began.elapsed().as_secs(), 2);
    assert_eq!(text(&channel, "echo", "x").await.as_deref(), Ok("x"));
    assert_eq!((began.elapsed().as_secs(), address.count()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_the_pauses_grow_and_calls_in_them_end_at_once() {
    let address = Address::default();
    let server = address.serve();
    let channel = address.channel(Duration::ZERO);
    text(&channel, "echo", "").await.expect("is answered");
    sleep(Duration::from_secs(60)).await;
    let hanging = text(&channel, "hang", "");
    let loss = async {
        sleep(Duration::from_millis(10)).await;
        address.nobody();
        drop(server);
    };
    let (hanging, ()) = futures::future::join(hanging, loss).await;
    assert_eq!(hanging, Err(FaultCode::Unavailable));
    let lost = Instant::now();
    while lost.elapsed() < Duration::from_secs(30) {
        let asked = Instant::now();
        assert_eq!(text(&channel, "echo", "").await, Err(FaultCode::Unavailable));
        assert_eq!(asked.elapsed(), Duration::ZERO);
        sleep(Duration::from_millis(1)).await;
    }
    let dialled = address.dialled.lock().expect("no panic")[1..].to_vec();
    assert_eq!(
        dialled[0].duration_since(lost),
        Duration::ZERO,
        "a connection that lasted is made again at once"
    );
    let pauses: Vec<_> = dialled.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_millis()).collect();
    for (n, pause) in pauses.iter().enumerate() {
        let longest = (100 << n.min(10)).min(2000);
        assert!((100..=longest + 2).contains(pause), "pause {n} of {pauses:?}");
    }
    assert!(pauses.iter().max() > Some(&800) && pauses.len() > 13, "{pauses:?}");
    let _server = address.serve();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(text(&channel, "echo", "x").await.as_deref(), Ok("x"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_drops_every_connection_is_spared_too() {
    let address = Address::default();
    let channel = address.channel(Duration::ZERO);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        let server = address.serve();
        let _ = text(&channel, "echo", "").await;
        drop(server);
        sleep(Duration::from_millis(10)).await;
    }
    // One in two seconds once they have grown, and at least one in 100 ms before.
    assert!((8..100).contains(&address.count()), "{}", address.count());
}

#[tokio::test(start_paused = true)]
async fn a_drain_moves_new_calls_and_lets_old_ones_finish() {
    let address = Address::default();
    let old = address.serve();
    let channel = address.channel(Duration::ZERO);
    text(&channel, "echo", "").await.expect("is answered");
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let slow = text(&channel, "late", "slow");
    let moved = async {
        sleep(Duration::from_secs(1)).await;
        let _new = address.serve();
        let drained = old.drain(Duration::from_secs(60)).map(|()| began.elapsed());
        let called = async {
            sleep(Duration::from_secs(1)).await;
            let called = text(&channel, "echo", "x").await;
            sleep(Duration::from_secs(9)).await;
            called
        };
        futures::future::join(drained, called).await
    };
    let (slow, (drained, called)) = futures::future::join(slow, moved).await;
    assert_eq!((slow.as_deref(), called.as_deref()), (Ok("slow"), Ok("x")));
    assert_eq!((drained.as_secs(), address.count()), (5, 2));
}

#[test]
fn without_a_runtime_a_call_ends_and_does_not_panic() {
    let address = Address::default();
    let channel = address.channel(Duration::ZERO);
    assert_eq!(futures::executor::block_on(text(&channel, "echo", "")), Err(FaultCode::Unavailable));
    assert_eq!(futures::executor::block_on(channel.health()), Err(FaultCode::Unavailable));
    let flaky = Flaky::new(FaultCode::Unavailable, usize::MAX);
    let channel = RetryingChannel::new(flaky.clone(), Retry::default(), Machine::clock());
    assert_eq!(futures::executor::block_on(marked(&channel, None)), Err(FaultCode::Unavailable));
    assert_eq!(flaky.count.load(SeqCst), 1);
}

/// Fails so many times, then answers.
struct Flaky {
    code: FaultCode,
    left: AtomicUsize,
    count: AtomicUsize,
}

impl Flaky {
    fn new(code: FaultCode, times: usize) -> Arc<Self> {
        Arc::new(Self { code, left: times.into(), count: AtomicUsize::new(0) })
    }

    fn counted(&self) -> usize {
        self.count.swap(0, SeqCst)
    }
}

impl Channel for Flaky {
    fn clearance(&self) -> Clearance {
        Clearance::CHANNEL
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        _: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        self.count.fetch_add(1, SeqCst);
        let fails = self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        let outcome =
            if fails { Err(Fault::new(self.code, request.meta.trace.trace)) } else { Ok(Label::default()) };
        Box::pin(std::future::ready(outcome))
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(std::future::ready(Ok(true)))
    }
}

async fn call(channel: &dyn Channel, is_marked: bool, within: Option<Duration>) -> Result<(), FaultCode> {
    let mut meta = Metadata::new(RunId([1; 16]), CallId(0));
    meta.deadline = within.map(|within| Deadline::after(&*Machine::clock(), within));
    let label = Label::default();
    let method = TestMethod::Echo.method();
    let mut slot = graft_core::Slot::<String, String, String>::new(method, String::new());
    let request =
        Request { is_idempotent: is_marked, ..Request::new(method.interface, method.id, &meta, &label) };
    channel.call(request, &mut slot).await.map(|_| ()).map_err(|fault| fault.code())
}

async fn marked(channel: &dyn Channel, within: Option<Duration>) -> Result<(), FaultCode> {
    call(channel, true, within).await
}

const RETRY: Retry = Retry { attempts: 3, percent: 20, backoff: BACKOFF };

#[tokio::test(start_paused = true)]
async fn only_what_is_marked_and_unavailable_is_called_again() {
    let again = |code, times| {
        let flaky = Flaky::new(code, times);
        (flaky.clone(), RetryingChannel::new(flaky, RETRY, Machine::clock()))
    };
    for code in FaultCode::ALL.iter().copied().filter(|code| *code != FaultCode::Unavailable) {
        let (flaky, channel) = again(code, 1);
        assert_eq!((marked(&channel, None).await, flaky.counted()), (Err(code), 1));
    }
    let (flaky, channel) = again(FaultCode::Unavailable, 1);
    assert_eq!((call(&channel, false, None).await, flaky.counted()), (Err(FaultCode::Unavailable), 1));
    let (flaky, channel) = again(FaultCode::Unavailable, 2);
    let began = Instant::now();
    assert_eq!((marked(&channel, None).await, flaky.counted()), (Ok(()), 3));
    assert!((200..=302).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let (flaky, channel) = again(FaultCode::Unavailable, 3);
    assert_eq!((marked(&channel, None).await, flaky.counted()), (Err(FaultCode::Unavailable), 3));
}

#[tokio::test(start_paused = true)]
async fn a_retry_keeps_the_deadline_and_the_budget() {
    let flaky = Flaky::new(FaultCode::Unavailable, usize::MAX);
    let channel = RetryingChannel::new(flaky.clone(), RETRY, Machine::clock());
    let began = Instant::now();
    let outcome = marked(&channel, Some(Duration::from_millis(90))).await;
    assert_eq!((outcome, flaky.counted()), (Err(FaultCode::Unavailable), 1));
    assert_eq!(began.elapsed(), Duration::ZERO, "a pause that goes beyond the deadline is not begun");
    // Ten tokens: five calls are made three times each, the others once.
    for call in 0..10 {
        assert_eq!(marked(&channel, None).await, Err(FaultCode::Unavailable));
        assert_eq!(flaky.counted(), if call < 5 { 3 } else { 1 }, "call {call}");
    }
    // Five that succeed are one retry.
    flaky.left.store(0, SeqCst);
    for _ in 0..5 {
        assert_eq!(marked(&channel, None).await, Ok(()));
    }
    flaky.counted();
    flaky.left.store(usize::MAX, SeqCst);
    assert_eq!((marked(&channel, None).await, flaky.counted()), (Err(FaultCode::Unavailable), 2));
    assert_eq!((marked(&channel, None).await, flaky.counted()), (Err(FaultCode::Unavailable), 1));
}

#[tokio::test]
async fn what_the_callee_counts_says_that_unmarked_calls_are_made_once() {
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let service = Service::of(move |_, _, _| {
        counted.fetch_add(1, SeqCst);
        std::future::pending()
    });
    let (server, dialler) = serve(service, options(), 4096);
    let remote = Arc::new(dialler.connect(options()).await);
    let channel = RetryingChannel::new(remote, RETRY, Machine::clock());
    let call = text(&channel, "echo", "");
    let loss = async {
        until(|| begun.load(SeqCst) == 1).await;
        drop(server);
    };
    let (outcome, ()) = bounded(futures::future::join(call, loss)).await;
    assert_eq!((outcome, begun.load(SeqCst)), (Err(FaultCode::Unavailable), 1));
}
