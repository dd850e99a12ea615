//! Objects that one end hosts for the other.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use graft_core::port::{Export, Import};
use graft_core::{Channel, FaultCode, HandleId};
use graft_transport::Limits;
use graft_transport::wire::{Frame, Port};

use crate::common::{bounded, options, until};
use crate::raw::Raw;
use crate::support::{Drops, Service, connected, object, send, serve, text};

/// An object that answers with its name and counts when it is dropped.
fn named(name: &'static str, drops: &Drops) -> Export {
    let dropped = drops.one();
    Export::Object(Service::of(move |_, text, _| {
        let _dropped = &dropped;
        let answer = format!("{name}:{text}");
        async move { Ok((answer, vec![])) }
    }))
}

/// `get` gives an object; `put` calls the one that it is given as many times as the text says and keeps it for `late`,
/// which calls it once more; `sum` gives as many objects as the text says.
fn service(drops: &Drops) -> Arc<Service> {
    let drops = drops.clone();
    let kept = Arc::new(std::sync::Mutex::new(None::<Arc<dyn Channel>>));
    Service::of(move |name, said, ports: Vec<Import>| {
        let (drops, kept) = (drops.clone(), kept.clone());
        async move {
            match name {
                "get" => Ok((said, vec![named("object", &drops)])),
                "sum" => {
                    let count = said.parse().unwrap_or(0);
                    Ok((said, (0..count).map(|_| named("one of them", &drops)).collect()))
                }
                "put" => {
                    let object = object(ports);
                    let calls = (0..said.parse().unwrap_or(0)).map(|n| {
                        let object = object.clone();
                        async move { text(&*object, "echo", &n.to_string()).await }
                    });
                    let answers = join_all(calls).await.into_iter().collect::<Result<Vec<_>, _>>()?;
                    *kept.lock().expect("no panic") = Some(object);
                    Ok((answers.join(" "), vec![]))
                }
                "late" => {
                    let object = kept.lock().expect("no panic").clone().ok_or(FaultCode::NotFound)?;
                    let code = text(&*object, "echo", "late").await.err();
                    Ok((code.map_or("", FaultCode::as_str).to_owned(), vec![]))
                }
                "hang" => std::future::pending().await,
                _ => Ok((said, vec![])),
            }
        }
    })
}

#[tokio::test]
async fn an_object_is_called_and_released_when_it_is_dropped() {
    let drops = Drops::default();
    let (_server, channel) = connected(service(&drops), options()).await;
    let (_, ports) = bounded(send(&channel, "get", "", vec![])).await.expect("is given");
    let given = object(ports);
    assert_eq!(bounded(text(&*given, "echo", "1")).await.as_deref(), Ok("object:1"));
    assert_eq!(bounded(text(&*given, "hang", "2")).await.as_deref(), Ok("object:2"));
    drop(given);
    bounded(until(|| drops.count() == 1)).await;
    // One that nobody took out of its reply, or whose call was given up when the reply was there.
    drop(bounded(send(&channel, "get", "", vec![])).await);
    bounded(until(|| drops.count() == 2)).await;
    {
        let mut call = std::pin::pin!(send(&channel, "get", "", vec![]));
        assert!(futures::poll!(&mut call).is_pending());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bounded(until(|| drops.count() == 3)).await;
}

#[tokio::test]
async fn there_are_only_so_many_objects() {
    let drops = Drops::default();
    let limits = Limits::default().with_max_handles(3);
    let (_server, channel) = connected(service(&drops), options().with_limits(limits)).await;
    let fault = bounded(send(&channel, "sum", "4", vec![])).await.map(|_| ());
    assert_eq!((fault, drops.count()), (Err(FaultCode::LimitExceeded), 4));
    let (_, held) = bounded(send(&channel, "sum", "3", vec![])).await.expect("as many as there may be");
    assert_eq!(bounded(send(&channel, "get", "", vec![])).await.map(|_| ()), Err(FaultCode::LimitExceeded));
    assert_eq!(drops.count(), 5);
    drop(held);
    bounded(until(|| drops.count() == 8)).await;
    bounded(send(&channel, "get", "", vec![])).await.expect("there is room again");
}

#[tokio::test]
async fn a_lost_connection_drops_the_objects_of_both_ends() {
    let (theirs, ours) = (Drops::default(), Drops::default());
    let (server, channel) = connected(service(&theirs), options()).await;
    let (_, ports) = bounded(send(&channel, "get", "", vec![])).await.expect("is given");
    bounded(send(&channel, "put", "1", vec![named("mine", &ours)])).await.expect("is taken");
    drop(server);
    bounded(until(|| theirs.count() + ours.count() == 2)).await;
    assert_eq!(bounded(text(&*object(ports), "echo", "")).await, Err(FaultCode::Unavailable));
}

#[tokio::test]
async fn the_callee_calls_back_and_all_callbacks_get_through() {
    let (theirs, ours) = (Drops::default(), Drops::default());
    // So little room that callbacks wait for each other.
    let limits = Limits::default().with_max_buffered(200);
    let options = options().with_limits(limits);
    let (_server, dialler) = serve(service(&theirs), options.clone(), 300);
    let channel = dialler.connect(options).await;
    let (answers, _) =
        bounded(send(&channel, "put", "500", vec![named("mine", &ours)])).await.expect("is taken");
    let all: Vec<_> = (0..500).map(|n| format!("mine:{n}")).collect();
    assert_eq!(answers, all.join(" "));
    assert_eq!(ours.count(), 0, "it is kept over there");
}

/// What came back for call `number`.
async fn answer(peer: &mut Raw, number: u64) -> Frame {
    loop {
        match bounded(peer.frame()).await.expect("the connection is open") {
            Frame::Reply(reply) if reply.number == number => break Frame::Reply(reply),
            Frame::Fault(fault) if fault.number == number => break Frame::Fault(fault),
            _ => {}
        }
    }
}

fn code(frame: &Frame) -> Option<FaultCode> {
    match frame {
        Frame::Fault(fault) => Some(fault.fault_code()),
        _ => None,
    }
}

async fn given(peer: &mut Raw, number: u64) -> HandleId {
    peer.call(number, "get", None).await;
    match answer(peer, number).await {
        Frame::Reply(reply) => match reply.ports[..] {
            [Port::Object(handle)] => handle,
            _ => unreachable!("{reply:?}"),
        },
        frame => unreachable!("{frame:?}"),
    }
}

#[tokio::test]
async fn a_handle_of_somebody_else_is_forbidden_and_an_unknown_one_is_gone() {
    let drops = Drops::default();
    let (_server, dialler) = serve(service(&drops), options(), 4096);
    let (mut one, mut other) = (Raw::over(&dialler).await, Raw::over(&dialler).await);
    let handle = given(&mut one, 0).await;
    one.call(1, "echo", Some(handle)).await;
    assert_eq!(code(&answer(&mut one, 1).await), None);
    other.call(0, "echo", Some(handle)).await;
    assert_eq!(code(&answer(&mut other, 0).await), Some(FaultCode::Forbidden));
    other.call(1, "echo", Some(HandleId(12345))).await;
    assert_eq!(code(&answer(&mut other, 1).await), Some(FaultCode::HandleGone));
    // Nor can it release or renew it.
    other.say(&[Frame::Release { handle }, Frame::Renew { handle }]).await;
    other.call(2, "echo", None).await;
    assert_eq!((code(&answer(&mut other, 2).await), drops.count()), (None, 0));
    // Released by its own peer it is gone for both.
    one.say(&[Frame::Release { handle }]).await;
    one.call(2, "echo", Some(handle)).await;
    assert_eq!((code(&answer(&mut one, 2).await), drops.count()), (Some(FaultCode::HandleGone), 1));
    other.call(3, "echo", Some(handle)).await;
    assert_eq!(code(&answer(&mut other, 3).await), Some(FaultCode::HandleGone));
    // With the connection it is lost.
    let handle = given(&mut one, 3).await;
    drop(one);
    bounded(until(|| drops.count() == 2)).await;
    other.call(4, "echo", Some(handle)).await;
    assert_eq!(code(&answer(&mut other, 4).await), Some(FaultCode::HandleGone));
}

#[tokio::test(start_paused = true)]
async fn a_lease_runs_out_on_a_peer_that_neither_calls_nor_renews() {
    let drops = Drops::default();
    let limits = Limits::default().with_lease(Duration::from_secs(9));
    let (_server, dialler) = serve(service(&drops), options().with_limits(limits), 4096);
    let mut peer = Raw::over(&dialler).await;
    let handle = given(&mut peer, 0).await;
    let wait = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
    wait(8).await;
    peer.say(&[Frame::Renew { handle }]).await;
    wait(8).await;
    peer.call(1, "echo", Some(handle)).await;
    assert_eq!(code(&answer(&mut peer, 1).await), None);
    wait(8).await;
    assert_eq!(drops.count(), 0);
    wait(2).await;
    assert_eq!(drops.count(), 1);
    peer.call(2, "echo", Some(handle)).await;
    assert_eq!(code(&answer(&mut peer, 2).await), Some(FaultCode::HandleGone));
    // A channel renews by itself, for as long as it holds the object.
    let channel = dialler.connect(options()).await;
    let (_, ports) = send(&channel, "get", "", vec![]).await.expect("is given");
    wait(100).await;
    assert_eq!(drops.count(), 1);
    drop(ports);
    wait(1).await;
    assert_eq!(drops.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_callback_on_what_the_caller_no_longer_hosts_says_that_it_is_gone() {
    let (theirs, ours) = (Drops::default(), Drops::default());
    // The caller's clock runs its lease out before the callee's first renewal.
    let limits = Limits::default().with_lease(Duration::from_millis(5));
    let (_server, dialler) = serve(service(&theirs), options(), 4096);
    let channel = dialler.connect(options().with_limits(limits)).await;
    send(&channel, "put", "1", vec![named("mine", &ours)]).await.expect("is taken");
    tokio::time::sleep(Duration::from_millis(8)).await;
    assert_eq!(ours.count(), 1);
    let (said, _) = send(&channel, "late", "", vec![]).await.expect("is answered");
    assert_eq!(said, FaultCode::HandleGone.as_str());
}
