//! Calls that are given up, calls that wait, and who drives them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::time::Duration;

use futures::future::{FutureExt, join_all};
use futures::poll;
use graft_core::{Channel, FaultCode};
use graft_transport::{Limits, RemoteChannel};

use crate::common::{bounded, options, until};
use crate::support::{Drops, Service, connected, send, serve, text};

/// Counts calls that began; `hang` never ends and counts when it is dropped, `late` takes five seconds.
fn service(begun: &Arc<AtomicUsize>, drops: &Drops) -> Arc<Service> {
    let (begun, drops) = (begun.clone(), drops.clone());
    Service::of(move |name, text, _| {
        begun.fetch_add(1, SeqCst);
        let dropped = drops.one();
        async move {
            match name {
                "hang" => {
                    let _dropped = dropped;
                    std::future::pending().await
                }
                "late" => tokio::time::sleep(Duration::from_secs(5)).await,
                _ => {}
            }
            Ok((text, vec![]))
        }
    })
}

#[tokio::test]
async fn a_call_can_be_given_up_at_every_stage() {
    let (begun, drops) = (Arc::default(), Drops::default());
    let limits = Limits::default().with_max_buffered(1000);
    let (_server, dialler) = serve(service(&begun, &drops), options(), 1000);
    let channel = dialler.connect(options().with_limits(limits)).await;
    // Never polled: nothing is sent.
    drop(text(&channel, "hang", ""));
    // In flight, and carried out: the callee's future is dropped.
    {
        let mut call = pin!(text(&channel, "hang", ""));
        while begun.load(SeqCst) == 0 {
            assert!(poll!(&mut call).is_pending());
            tokio::task::yield_now().await;
        }
        assert_eq!(drops.count(), 0);
    }
    bounded(until(|| drops.count() == 1)).await;
    // Answered and not polled since.
    {
        let mut call = pin!(text(&channel, "echo", "x"));
        assert!(poll!(&mut call).is_pending());
        bounded(until(|| begun.load(SeqCst) == 2)).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    // Waiting for room behind one that fills it. It is never sent.
    {
        let large = "x".repeat(100_000);
        let mut calls: Vec<_> = (0..50).map(|_| text(&channel, "hang", &large).boxed()).collect();
        for call in &mut calls {
            assert!(poll!(call).is_pending());
        }
        drop(calls);
    }
    assert_eq!(bounded(text(&channel, "echo", "x")).await.as_deref(), Ok("x"));
    assert!(begun.load(SeqCst) < 10, "{begun:?} calls of which most waited for room");
    bounded(until(|| drops.count() == begun.load(SeqCst))).await;
}

#[tokio::test]
async fn a_hundred_thousand_calls_given_up_leave_room_for_the_next() {
    let (begun, drops) = (Arc::default(), Drops::default());
    let limits = Limits::default().with_max_in_flight(64).with_max_cancel_rate(u32::MAX);
    let options = options().with_limits(limits);
    let (_server, channel) = connected(service(&begun, &drops), options).await;
    for round in 0..100_000 / 50 {
        {
            let mut calls: Vec<_> = (0..50).map(|_| text(&channel, "hang", "").boxed()).collect();
            for call in &mut calls {
                assert!(poll!(call).is_pending(), "round {round}: every place is free again");
            }
        }
        // Behind the cancels in the same order, so every one is answered when this is.
        assert_eq!(bounded(text(&channel, "echo", "x")).await.as_deref(), Ok("x"), "round {round}");
    }
    bounded(until(|| drops.count() == begun.load(SeqCst))).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_holds_up_none_of_a_thousand() {
    let (begun, drops) = (Arc::default(), Drops::default());
    let (_server, channel) = connected(service(&begun, &drops), options()).await;
    let began = tokio::time::Instant::now();
    let slow = text(&channel, "late", "slow");
    let others = join_all((0..1000).map(|n| {
        let channel = &channel;
        async move { text(channel, "echo", &n.to_string()).await == Ok(n.to_string()) }
    }));
    let others = async {
        let right = others.await.into_iter().filter(|right| *right).count();
        (right, began.elapsed())
    };
    let (slow, (right, took)) = bounded(futures::future::join(slow, others)).await;
    assert_eq!((slow.as_deref(), right), (Ok("slow"), 1000));
    assert!(took < Duration::from_millis(500) && began.elapsed() >= Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_lost_connection_settles_every_call_whoever_polls_it() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let (serving, calling, third) =
        (runtime().expect("builds"), runtime().expect("builds"), runtime().expect("builds"));
    let (begun, drops) = (Arc::default(), Drops::default());
    for count in [1, 2, 30] {
        let (server, addr) = serving.block_on(async {
            let router = graft_core::Router::default().with(service(&begun, &drops));
            let server = graft_transport::Server::tcp("127.0.0.1:0", router, options()).expect("binds");
            let addr = server.local_addr().expect("it is TCP");
            (server, addr)
        });
        let channel = calling.block_on(RemoteChannel::tcp(addr, options())).expect("connects");
        // The third in a row is alone and drives the socket itself.
        for _ in 0..3 {
            calling.block_on(text(&channel, "echo", "")).expect("is answered");
        }
        let before = begun.load(SeqCst);
        let hang = |channel: RemoteChannel| async move { text(&channel, "hang", "").await };
        let mut calls: Vec<_> = (1..count).map(|_| calling.spawn(hang(channel.clone()))).collect();
        // And one on another runtime, one on none.
        calls.push(third.spawn(hang(channel.clone())));
        let none = (count == 30).then(|| {
            let channel = channel.clone();
            std::thread::spawn(move || futures::executor::block_on(hang(channel)))
        });
        let count = count + usize::from(none.is_some());
        serving.block_on(bounded(until(|| begun.load(SeqCst) == before + count)));
        drop(server);
        for call in calls {
            let outcome = serving.block_on(bounded(call)).expect("no panic");
            assert_eq!(outcome, Err(FaultCode::Unavailable));
        }
        if let Some(none) = none {
            assert_eq!(none.join().expect("no panic"), Err(FaultCode::Unavailable));
        }
    }
}

/// Callers that come and go: some calls are made alone, some beside others, some are given up.
async fn come_and_go(callers: usize) {
    let (begun, drops) = (Arc::default(), Drops::default());
    let limits = Limits::default().with_max_cancel_rate(u32::MAX);
    let options = options().with_limits(limits);
    let router = graft_core::Router::default().with(service(&begun, &drops));
    let server = graft_transport::Server::tcp("127.0.0.1:0", router, options.clone()).expect("binds");
    let channel =
        RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options).await.expect("connects");
    let tasks = (0..callers).map(|caller| {
        let channel = channel.clone();
        tokio::spawn(async move {
            // A generator of its own for each: Knuth's MMIX.
            let mut state = caller as u64 + 1;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state >> 33
            };
            for call in 0..6000 / callers as u64 {
                let said = format!("{caller}:{call}");
                let mut answer = pin!(text(&channel, "echo", &said));
                match next() % 8 {
                    // Polled once and given up.
                    0 => drop(poll!(&mut answer)),
                    // Polled once and left alone for a while.
                    1 => {
                        if let Poll::Ready(answer) = poll!(&mut answer) {
                            assert_eq!(answer.as_deref(), Ok(&said[..]));
                        } else {
                            tokio::task::yield_now().await;
                            assert_eq!(answer.await.as_deref(), Ok(&said[..]));
                        }
                    }
                    2 => tokio::task::yield_now().await,
                    _ => assert_eq!(answer.await.as_deref(), Ok(&said[..])),
                }
            }
        })
    });
    // Shorter than the silence after which the task would look by itself.
    let all =
        tokio::time::timeout(Duration::from_secs(25), join_all(tasks)).await.expect("nobody is forgotten");
    for caller in all {
        caller.expect("no panic");
    }
}

#[tokio::test]
async fn callers_come_and_go_on_one_thread() {
    for callers in [1, 2, 64] {
        come_and_go(callers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_come_and_go_on_many_threads() {
    for callers in [1, 2, 64] {
        come_and_go(callers).await;
    }
}

#[tokio::test]
async fn a_lone_caller_that_is_not_polled_stops_nobody() {
    let (begun, drops) = (Arc::default(), Drops::default());
    let (_server, channel) = connected(service(&begun, &drops), options()).await;
    for _ in 0..3 {
        bounded(text(&channel, "echo", "")).await.expect("is answered");
    }
    let mut kept = pin!(text(&channel, "late", "kept"));
    assert!(poll!(&mut kept).is_pending());
    assert_eq!(bounded(text(&channel, "echo", "x")).await.as_deref(), Ok("x"));
    assert_eq!(bounded(channel.health()).await, Ok(true));
    assert_eq!(bounded(kept).await.as_deref(), Ok("kept"));
}

#[tokio::test]
async fn a_goodbye_is_noticed_within_two_ticks_of_the_last_lone_call() {
    let (begun, drops) = (Arc::default(), Drops::default());
    let (server, channel) = connected(service(&begun, &drops), options()).await;
    for _ in 0..5 {
        bounded(send(&channel, "echo", "", vec![])).await.expect("is answered");
    }
    server.shutdown().await;
    let noticed = until(|| channel.closed().is_some());
    tokio::time::timeout(Duration::from_millis(500), noticed).await.expect("a tick is 50 ms");
    assert_eq!(text(&channel, "echo", "").await, Err(FaultCode::Unavailable));
}
