//! Streams of items, from either end and from both.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures::{StreamExt, stream};
use graft_core::FaultCode;
use graft_core::port::{Export, ItemStream};
use graft_transport::Limits;

use crate::common::{bounded, options, until};
use crate::support::{Drops, Outcome, Service, bytes, connected, items, send, serve, text};

/// `count` items, each its number; counts those that were produced, and when the whole is dropped.
fn numbers(count: u64, produced: Arc<AtomicU64>, drops: &Drops) -> ItemStream {
    let dropped = drops.one();
    let numbers = stream::iter(0..count).map(move |number| {
        let _dropped = &dropped;
        produced.fetch_add(1, SeqCst);
        Ok(bytes(number))
    });
    numbers.boxed()
}

fn number(item: &[u8]) -> u64 {
    u64::from_le_bytes(item.try_into().expect("eight bytes"))
}

/// Adds up what a stream carries; an error counts for itself.
async fn sum(items: ItemStream) -> Result<u64, FaultCode> {
    items.fold(Ok(0), |sum, item| async move { Ok(sum? + number(&item?)) }).await
}

#[derive(Clone, Default)]
struct Source {
    produced: Arc<AtomicU64>,
    drops: Drops,
}

impl Source {
    /// `get` gives a stream, `sum` takes one, `put` gives back double what it takes, `late` breaks in the middle.
    fn service(&self) -> Arc<Service> {
        let source = self.clone();
        Service::of(move |name, text, ports| source.clone().answer(name, text, ports))
    }

    async fn answer(self, name: &'static str, text: String, ports: Vec<graft_core::port::Import>) -> Outcome {
        let count = text.parse().unwrap_or(0);
        let export = match name {
            "sum" => return Ok((sum(items(ports)).await?.to_string(), vec![])),
            "get" => numbers(count, self.produced, &self.drops),
            "put" => items(ports).map(|item| item.map(|item| bytes(2 * number(&item)))).boxed(),
            "late" => numbers(10, self.produced, &self.drops)
                .chain(stream::poll_fn(|_| std::panic::resume_unwind(Box::new("a producer panics"))))
                .boxed(),
            _ => return Ok((text, vec![])),
        };
        Ok((String::new(), vec![Export::Items(export)]))
    }
}

async fn all_ways(count: u64) {
    let source = Source::default();
    let (server, _) = (&source, ());
    let (_server, channel) = connected(server.service(), options()).await;
    let whole = (0..count).sum::<u64>();

    let (_, ports) = send(&channel, "get", &count.to_string(), vec![]).await.expect("is given");
    assert_eq!(sum(items(ports)).await, Ok(whole));

    let up = numbers(count, Arc::default(), &source.drops);
    let (text, _) = send(&channel, "sum", "", vec![Export::Items(up)]).await.expect("is taken");
    assert_eq!(text, whole.to_string());

    let up = numbers(count, Arc::default(), &source.drops);
    let (_, ports) = send(&channel, "put", "", vec![Export::Items(up)]).await.expect("is taken");
    assert_eq!(sum(items(ports)).await, Ok(2 * whole));
    until(|| source.drops.count() == 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_go_up_and_down_and_both_ways() {
    for count in [0, 1, 1000, 70_000] {
        bounded(all_ways(count)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a million items each way take a while"]
async fn a_million_items_go_up_and_down_and_both_ways() {
    all_ways(1_000_000).await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_the_producer() {
    let source = Source::default();
    let limits = Limits::default().with_stream_window(10_000).with_window(50_000);
    let (_server, channel) = connected(source.service(), options().with_limits(limits)).await;
    let (_, ports) = bounded(send(&channel, "get", "200000", vec![])).await.expect("is given");
    let mut items = items(ports);
    // Reading a little lets a little more through; calls go on meanwhile.
    for read in 0..5 {
        let mut last = u64::MAX;
        while last != source.produced.load(SeqCst) {
            last = source.produced.load(SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(bounded(text(&channel, "echo", "x")).await.as_deref(), Ok("x"));
        }
        // An item of 8 bytes costs more than they are; at most one and a half windows wait, and one is in hand.
        assert!(
            last <= read * 100 + 15_000 / 8 + 1,
            "{last} were produced for a reader that read {}",
            read * 100
        );
        for _ in 0..100 {
            bounded(items.next()).await.expect("there are more").expect("no fault");
        }
    }
    drop(items);
    bounded(until(|| source.drops.count() == 1)).await;
    assert!(source.produced.load(SeqCst) < 5000);
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_producer_that_waits() {
    let source = Source::default();
    let drops = source.drops.clone();
    let service = Service::of(move |_, text, _| {
        let dropped = drops.one();
        let waits = stream::poll_fn(move |_| {
            let _dropped = &dropped;
            std::task::Poll::Pending
        });
        async move { Ok((text, vec![Export::Items(waits.boxed())])) }
    });
    let (_server, channel) = connected(service, options()).await;
    let (_, ports) = bounded(send(&channel, "get", "", vec![])).await.expect("is given");
    drop(ports);
    bounded(until(|| source.drops.count() == 1)).await;
    // One that nobody took out of its reply goes the same way.
    drop(bounded(send(&channel, "get", "", vec![])).await);
    bounded(until(|| source.drops.count() == 2)).await;
}

#[tokio::test]
async fn a_producer_that_panics_is_a_fault_at_its_reader_and_nothing_else() {
    let source = Source::default();
    let (_server, channel) = connected(source.service(), options()).await;
    let (_, other) = bounded(send(&channel, "get", "1000", vec![])).await.expect("is given");
    let (_, ports) = bounded(send(&channel, "late", "", vec![])).await.expect("is given");
    let mut items_of_it = items(ports);
    for _ in 0..10 {
        assert!(matches!(bounded(items_of_it.next()).await, Some(Ok(_))));
    }
    assert_eq!(bounded(items_of_it.next()).await, Some(Err(FaultCode::Internal)));
    assert_eq!(bounded(items_of_it.next()).await, None);
    assert_eq!(bounded(sum(items(other))).await, Ok(499_500));
    // The same from the caller's end: the callee reads the fault.
    let panics = stream::poll_fn(|_| std::panic::resume_unwind(Box::new("a producer panics")));
    let fault = bounded(send(&channel, "sum", "", vec![Export::Items(panics.boxed())])).await;
    assert_eq!(fault.map(|_| ()), Err(FaultCode::Internal));
    assert_eq!(bounded(text(&channel, "echo", "x")).await.as_deref(), Ok("x"));
}

#[tokio::test]
async fn both_ends_of_a_stream_learn_that_the_connection_is_lost() {
    let source = Source::default();
    let seen = Arc::new(std::sync::Mutex::new(None));
    let service = {
        let (seen, source) = (seen.clone(), source.clone());
        Service::of(move |name, text, ports| {
            let (seen, source) = (seen.clone(), source.clone());
            async move {
                if name == "sum" {
                    // Goes on after the call.
                    tokio::spawn(async move {
                        let outcome = sum(items(ports)).await;
                        *seen.lock().expect("no panic") = Some(outcome);
                    });
                    return Ok((text, vec![]));
                }
                source.answer(name, text, ports).await
            }
        })
    };
    let (server, dialler) = serve(service, options(), 1000);
    let channel = dialler.connect(options()).await;
    let endless = stream::pending().boxed();
    bounded(send(&channel, "sum", "", vec![Export::Items(endless)])).await.expect("is taken");
    let (_, ports) = bounded(send(&channel, "get", "200000", vec![])).await.expect("is given");
    let mut down = items(ports);
    bounded(down.next()).await.expect("there are more").expect("no fault");
    drop(server);
    let fault = bounded(down.by_ref().filter_map(|item| std::future::ready(item.err())).next()).await;
    assert_eq!(fault, Some(FaultCode::Unavailable));
    assert_eq!(bounded(down.next()).await, None);
    bounded(until(|| seen.lock().expect("no panic").is_some())).await;
    assert_eq!(*seen.lock().expect("no panic"), Some(Err(FaultCode::Unavailable)));
    bounded(until(|| source.drops.count() == 1)).await;
}
