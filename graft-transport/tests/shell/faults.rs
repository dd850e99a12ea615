//! What goes wrong in user code or in its place, and what it must not take with it.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, stream};
use graft_core::port::{Export, Import};
use graft_core::{Admit, Admitted, Channel, FaultCode, Refused, Request};
use graft_transport::{Dispatch, Limits};

use crate::common::{bounded, options, until};
use crate::support::{Drops, Service, connected, object, send, send_within, serve, text};

struct Panics;

impl Admit for Panics {
    fn admit(&self, _: &Request<'_>) -> Result<Admitted, Refused> {
        std::panic::resume_unwind(Box::new("a judge panics"))
    }
}

#[tokio::test]
async fn a_judge_that_panics_answers_internal_wherever_calls_run() {
    for dispatch in [Dispatch::Inline, Dispatch::Spawned] {
        let service = Service::of(|_, text, _| async { Ok((text, vec![])) });
        let options = options().with_dispatch(dispatch).with_admit(Arc::new(Panics));
        let (_server, channel) = connected(service, options).await;
        for _ in 0..3 {
            assert_eq!(bounded(text(&channel, "echo", "")).await, Err(FaultCode::Internal), "{dispatch:?}");
        }
        assert!(channel.closed().is_none());
    }
}

/// An object that drops what came over the very connection when it is dropped itself, and then panics.
fn spiteful(held: Vec<Import>, drops: &Drops) -> Export {
    struct Spite(Option<Vec<Import>>, #[allow(dead_code)] crate::support::OnDrop);
    impl Drop for Spite {
        fn drop(&mut self) {
            drop(self.0.take());
            std::panic::resume_unwind(Box::new("a destructor panics"));
        }
    }
    let spite = Mutex::new(Spite(Some(held), drops.one()));
    Export::Object(Service::of(move |_, text, _| {
        let _lock = &spite;
        async { Ok((text, vec![])) }
    }))
}

fn giver(drops: &Drops) -> Arc<Service> {
    let drops = drops.clone();
    Service::of(move |name, text, ports| {
        let drops = drops.clone();
        async move {
            match name {
                "get" => {
                    let export = Export::Object(Service::of(|_, text, _| async { Ok((text, vec![])) }));
                    Ok((text, vec![export]))
                }
                // Gives an object that holds what came with the call.
                "put" => Ok((text, vec![spiteful(ports, &drops)])),
                _ => Ok((text, vec![])),
            }
        }
    })
}

#[tokio::test]
async fn an_object_that_is_refused_or_released_is_dropped_under_no_lock() {
    let drops = Drops::default();
    let limits = Limits::default().with_max_handles(2);
    let (_server, channel) = connected(giver(&drops), options().with_limits(limits)).await;
    let hold = || Export::Object(Service::of(|_, text, _| async { Ok((text, vec![])) }));
    // Too many to be hosted at once: they are dropped, and what they hold of the connection with them.
    let (_, one) = bounded(send(&channel, "get", "", vec![])).await.expect("is given");
    let spite = spiteful(one, &drops);
    let more = vec![spite, hold(), hold()];
    assert_eq!(bounded(send(&channel, "echo", "", more)).await.map(|_| ()), Err(FaultCode::LimitExceeded));
    assert_eq!(drops.count(), 1);
    // The other end's object holds one of this end's; released, it drops it, and panics.
    let (_, ports) = bounded(send(&channel, "put", "", vec![hold()])).await.expect("is given");
    drop(object(ports));
    bounded(until(|| drops.count() == 2)).await;
    assert_eq!(bounded(text(&channel, "echo", "still")).await.as_deref(), Ok("still"));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_also_for_a_call_that_waits_for_room() {
    let limits = Limits::default().with_max_buffered(1000).with_frame_timeout(Duration::from_secs(600));
    let service = Service::of(|_, text, _| async { Ok((text, vec![])) });
    let (_server, dialler) = serve(service, options(), 16);
    let (ours, theirs) = tokio::io::duplex(64);
    let (mut read, mut write) = tokio::io::split(theirs);
    // A peer that says hello and then reads nothing.
    let mut hello = dialler.pipe().expect("is there");
    let peer = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut bytes = [0; 35];
        hello.read_exact(&mut bytes).await.expect("a hello");
        write.write_all(&bytes).await.expect("is there");
        read.read_exact(&mut bytes).await.expect("a hello");
        std::future::pending::<()>().await
    });
    let io: graft_transport::net::BoxedIo = Box::new(ours);
    let options = options().with_limits(limits);
    let channel = graft_transport::RemoteChannel::over((io, graft_core::Peer::default()), options)
        .await
        .expect("opens");
    let large = "x".repeat(5000);
    let began = tokio::time::Instant::now();
    let calls = (0..20).map(|_| send_within(&channel, "echo", &large, vec![], Some(Duration::from_secs(2))));
    for outcome in bounded(join_all(calls)).await {
        assert_eq!(outcome.map(|_| ()), Err(FaultCode::DeadlineExceeded));
    }
    assert_eq!(began.elapsed().as_secs(), 2);
    // Nor is a question after health open for longer than silence is borne.
    let outcome = tokio::time::timeout(Duration::from_secs(31), channel.health()).await.expect("ends");
    assert_eq!(outcome, Err(FaultCode::Unavailable));
    peer.abort();
}

#[tokio::test(start_paused = true)]
async fn two_full_ends_do_not_wait_for_each_other() {
    let service = Service::of(|_, text, _| async { Ok((text, vec![])) });
    let limits = Limits::default().with_max_buffered(1000);
    let (_server, dialler) = serve(service, options().with_limits(limits), 1000);
    let channel = dialler.connect(options().with_limits(limits)).await;
    let large = "x".repeat(20_000);
    let began = tokio::time::Instant::now();
    let calls = stream::iter(0..200).map(|_| text(&channel, "echo", &large)).buffer_unordered(200);
    let outcomes: Vec<_> = bounded(calls.collect()).await;
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_ok_and(|text| text.len() == large.len())));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_until_what_was_answered_is_written() {
    let service = Service::of(|_, _, _| async { Ok(("x".repeat(100_000), vec![])) });
    let (server, dialler) = serve(service, options(), 100);
    let pipe = dialler.pipe().expect("is there");
    let ours: graft_transport::net::BoxedIo = {
        let (ours, theirs) = tokio::io::duplex(100);
        // A slow line: 100 bytes in 10 ms.
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut read, mut write) = tokio::io::split(theirs);
            let (mut from, mut to) = tokio::io::split(pipe);
            let up = async {
                tokio::io::copy(&mut read, &mut to).await.ok();
            };
            let down = async {
                let mut bytes = [0; 100];
                while let Ok(n @ 1..) = from.read(&mut bytes).await {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    if write.write_all(&bytes[..n]).await.is_err() {
                        break;
                    }
                }
            };
            futures::future::join(up, down).await;
        });
        Box::new(ours)
    };
    let channel = graft_transport::RemoteChannel::over((ours, graft_core::Peer::default()), options())
        .await
        .expect("opens");
    let call = text(&channel, "get", "");
    let drain = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        server.drain(Duration::from_secs(60)).await;
    };
    let (outcome, ()) = bounded(futures::future::join(call, drain)).await;
    assert_eq!(
        outcome.map(|text| text.len()),
        Ok(100_000),
        "it takes ten seconds, and drain waits for a minute"
    );
}
