//! Streams, objects and callbacks.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use graft_core::{Channel, Fault, FaultCode, Items};

use super::ports::{PortMethod, TestHandle, TestObject, TestValue, call, counted, item};
use super::{Bench, Connect, Counters, TRACE};

/// How long the items of a long stream are, in bytes.
const WIDTH: usize = 1024;
/// How many there are of them.
const MANY: u64 = 20_000;
/// How many of them a producer may be ahead of whoever takes them: 2 MiB of what is on the way.
const AHEAD: u64 = 2048;

/// The items of a method arrive in order, all of them, and then the end.
///
/// # Panics
/// If not.
pub async fn server_stream(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    for count in [0, 1, 1000] {
        let mut items = bench.items(PortMethod::Count, text(&format!("{count} 0"))).await;
        for n in 0..count {
            assert_eq!(bench.next(&mut items).await, Some(Ok(item(n, 0))), "an item is not in its place");
        }
        assert_eq!(bench.next(&mut items).await, None, "a stream does not end where it should");
    }
    bench.until("streams that ended are dropped", || bench.counters.ended.load(SeqCst) == 3).await;
}

/// The items of a caller reach the method, all of them.
///
/// # Panics
/// If not.
pub async fn client_stream(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    for count in [0, 1, 1000] {
        let own = Arc::new(Counters::default());
        let sum = bench.text(PortMethod::Sum, TestValue::Items(counted(&own, count, 0))).await;
        assert_eq!(sum, Ok(count.to_string()));
        bench.until("a caller's stream that ended is dropped", || own.ended.load(SeqCst) == 1).await;
    }
}

/// Items go both ways at once: what comes back for one may decide the next.
///
/// # Panics
/// If one direction waits for the end of the other.
pub async fn both_ways(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let (mut send, questions) = mpsc::channel::<String>(1);
    let mut answers = bench.items(PortMethod::Double, TestValue::Items(Items::new(questions))).await;
    for n in 0..100 {
        send.send(n.to_string()).await.expect("somebody takes it");
        assert_eq!(bench.next(&mut answers).await, Some(Ok(n.to_string().repeat(2))));
    }
    drop(send);
    assert_eq!(bench.next(&mut answers).await, None);
}

/// Who takes items slowly holds back who produces them, and loses none.
///
/// # Panics
/// If the producer runs ahead by more than 2 MiB, or an item is lost.
pub async fn slow_reader(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let mut items = bench.items(PortMethod::Count, text(&format!("{MANY} {WIDTH}"))).await;
    for n in 0..MANY {
        if n == 1 {
            let ahead = bench.settled(|| bench.counters.produced.load(SeqCst)).await;
            assert!(ahead <= AHEAD, "{ahead} items of 1 KiB were produced for a reader that took one");
        }
        let next = bench.next(&mut items).await;
        assert!(next == Some(Ok(item(n, WIDTH))), "item {n} is not in its place");
        let ahead = bench.counters.produced.load(SeqCst) - n;
        assert!(ahead <= AHEAD, "the producer was {ahead} items of 1 KiB ahead");
    }
    assert_eq!(bench.next(&mut items).await, None);
}

/// A method that takes items slowly holds back its caller.
///
/// # Panics
/// If the caller's producer runs ahead by more than 2 MiB, or an item is lost.
pub async fn slow_callee(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let own = Arc::new(Counters::default());
    bench.counters.is_held.store(true, SeqCst);
    let call = bench.text(PortMethod::Sum, TestValue::Items(counted(&own, MANY, WIDTH)));
    let look = async {
        bench.until("the method begins", || own.produced.load(SeqCst) > 0).await;
        let ahead = bench.settled(|| own.produced.load(SeqCst)).await;
        bench.counters.is_held.store(false, SeqCst);
        ahead
    };
    let (sum, ahead) = futures::future::join(call, look).await;
    assert!(ahead <= AHEAD, "{ahead} items of 1 KiB were produced for a method that took one");
    assert_eq!(sum, Ok(MANY.to_string()));
}

/// Dropping a stream drops what produces it, wherever that is.
///
/// # Panics
/// If it goes on.
pub async fn dropped_streams(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let mut items = bench.items(PortMethod::Count, text(&format!("{} 0", u64::MAX))).await;
    assert_eq!(bench.next(&mut items).await, Some(Ok("0".to_owned())));
    drop(items);
    bench.until("the method's stream is dropped", || bench.counters.ended.load(SeqCst) == 1).await;

    let own = Arc::new(Counters::default());
    let tasted = bench.text(PortMethod::Taste, TestValue::Items(counted(&own, u64::MAX, 0))).await;
    assert_eq!(tasted.as_deref(), Ok("0"));
    bench.until("the caller's stream is dropped", || own.ended.load(SeqCst) == 1).await;
}

/// A fault in the middle of a stream comes after the items before it, and ends it; so does a panic.
///
/// # Panics
/// If not.
pub async fn broken_streams(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    for (method, code) in
        [(PortMethod::Break, FaultCode::NotFound), (PortMethod::PanicAfter, FaultCode::Internal)]
    {
        let mut items = bench.items(method, text("")).await;
        for n in 0..2 {
            assert_eq!(bench.next(&mut items).await, Some(Ok(item(n, 0))));
        }
        assert_eq!(bench.next(&mut items).await, Some(Err((code, TRACE))), "{method:?}");
        assert_eq!(bench.next(&mut items).await, None, "something follows the end");
    }
}

/// An object that a method returned can be called while somebody holds it, and is dropped when nobody does.
///
/// # Panics
/// If not.
pub async fn objects(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let (ann, bob) = (bench.open("ann").await, bench.open("bob").await);
    for _ in 0..3 {
        assert_eq!(bench.say(&*ann, "hello").await.as_deref(), Ok("ann: hello"));
        assert_eq!(bench.say(&*bob, "hello").await.as_deref(), Ok("bob: hello"));
    }
    let fault = bench.on(&*ann, PortMethod::Panic, text("")).await.expect_err("a panic is no value");
    assert_eq!((fault.code(), fault.trace()), (FaultCode::Internal, TRACE));
    let fault =
        bench.on(&*ann, PortMethod::Count, text("1 0")).await.expect_err("it is not of this contract");
    assert_eq!(fault.code(), FaultCode::ContractMismatch);
    let fault =
        bench.on(&*bench.channel, PortMethod::Say, text("")).await.expect_err("objects are no services");
    assert_eq!(fault.code(), FaultCode::ContractMismatch);

    assert_eq!(bench.counters.released.load(SeqCst), 0, "an object went away while it was held");
    drop(ann);
    bench.until("the object is dropped", || bench.counters.released.load(SeqCst) == 1).await;
    assert_eq!(bench.say(&*bob, "hello").await.as_deref(), Ok("bob: hello"));
    drop(bob);
    bench.until("the other one too", || bench.counters.released.load(SeqCst) == 2).await;
}

/// A method can call an object of its caller, while the call is under way and, if it keeps the object, later.
///
/// # Panics
/// If not, or if the object stays when nobody holds it.
pub async fn callbacks(connect: &impl Connect) {
    let bench = Bench::new(connect).await;
    let own = Arc::new(Counters::default());
    let object = || {
        let object = TestObject::new("caller".to_owned(), own.clone());
        TestValue::Object(TestHandle::new(Arc::new(object)))
    };
    assert_eq!(bench.text(PortMethod::CallBack, object()).await.as_deref(), Ok("caller: ring"));
    bench.until("the caller's object is dropped", || own.released.load(SeqCst) == 1).await;

    assert!(bench.text(PortMethod::Keep, object()).await.is_ok());
    for _ in 0..3 {
        assert_eq!(bench.text(PortMethod::Ring, text("")).await.as_deref(), Ok("caller: ring"));
    }
    assert_eq!(own.released.load(SeqCst), 1, "an object went away while it was held");
    assert!(bench.text(PortMethod::Forget, text("")).await.is_ok());
    bench.until("the kept object is dropped", || own.released.load(SeqCst) == 2).await;
}

fn text(text: &str) -> TestValue {
    TestValue::Text(text.to_owned())
}

impl Bench {
    async fn on(
        &self,
        channel: &dyn Channel,
        method: PortMethod,
        value: TestValue,
    ) -> Result<TestValue, Fault> {
        let meta = self.meta(None);
        let called = self.within("every call ends", call(channel, method.method(), value, &meta)).await?;
        Ok(called.expect("none of these methods has an error of its own"))
    }

    async fn text(&self, method: PortMethod, value: TestValue) -> Result<String, FaultCode> {
        match self.on(&*self.channel, method, value).await.map_err(|fault| fault.code())? {
            TestValue::Text(text) => Ok(text),
            other => unreachable!("the method returns a text and not {other:?}"),
        }
    }

    async fn say(&self, object: &dyn Channel, what: &str) -> Result<String, FaultCode> {
        match self.on(object, PortMethod::Say, text(what)).await.map_err(|fault| fault.code())? {
            TestValue::Text(text) => Ok(text),
            other => unreachable!("the method returns a text and not {other:?}"),
        }
    }

    async fn items(&self, method: PortMethod, value: TestValue) -> Items<String> {
        match self.on(&*self.channel, method, value).await.expect("returns") {
            TestValue::Items(items) => items,
            other => unreachable!("the method returns a stream and not {other:?}"),
        }
    }

    /// The channel to an object of this name.
    async fn open(&self, name: &str) -> Arc<dyn Channel> {
        match self.on(&*self.channel, PortMethod::Open, text(name)).await.expect("returns") {
            TestValue::Object(object) => object.channel(),
            other => unreachable!("the method returns an object and not {other:?}"),
        }
    }

    async fn next(
        &self,
        items: &mut Items<String>,
    ) -> Option<Result<String, (FaultCode, graft_core::TraceId)>> {
        let next = self.within("every stream goes on or ends", items.next()).await;
        next.map(|item| item.map_err(|fault| (fault.code(), fault.trace())))
    }

    /// What `count` is once it stands still.
    async fn settled(&self, count: impl Fn() -> u64) -> u64 {
        let mut last = count();
        loop {
            let since = self.clock.monotonic();
            self.until("time goes on", || self.clock.monotonic() > since + Duration::from_millis(50)).await;
            match count() {
                same if same == last => return same,
                other => last = other,
            }
        }
    }
}
