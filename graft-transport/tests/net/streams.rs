//! Every stream carries bytes, both ways, and handshakes end in time.

use graft_transport::net::{BindError, DialError, HandshakeError, Listen, tcp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

fn listener() -> tcp::Listener {
    tcp::Listener::bind("127.0.0.1:0").expect("bound")
}

/// Graft's clients speak first; until then a listener cannot tell what they speak.
pub(super) async fn say_something(io: &mut BoxedIo) {
    io.write_all(&[5, 0, 0, 0]).await.expect("written");
    io.flush().await.expect("flushed");
}

pub(super) async fn hear_it(io: &mut BoxedIo) {
    let mut first = [0xFF; 4];
    io.read_exact(&mut first).await.expect("read");
    assert_eq!(first, [5, 0, 0, 0], "what was looked at is given back");
}

/// Makes a connection by way of a first word, which both ends need.
pub(super) async fn greeted<E: std::fmt::Debug>(
    accepted: JoinHandle<Accepted>,
    dial: impl Future<Output = Result<(BoxedIo, Peer), E>>,
) -> ((BoxedIo, Peer), (BoxedIo, Peer)) {
    let greet = async {
        let (mut io, peer) = dial.await?;
        say_something(&mut io).await;
        Ok::<_, E>((io, peer))
    };
    let (dialled, mut accepted) = ends(accepted, greet).await;
    hear_it(&mut accepted.0).await;
    (dialled, accepted)
}

#[tokio::test]
async fn tcp_carries_bytes_and_knows_addresses() {
    let listener = listener();
    let addr = listener.local_addr();
    let ((one, server), (other, client)) = greeted(accept_one(listener), tcp::dial(addr, LONG)).await;
    assert_eq!(server.address, Some(addr.to_string()));
    assert!(client.address.is_some_and(|address| address.starts_with("127.0.0.1:")));
    assert!(client.tls.is_none() && client.unix.is_none() && client.origin.is_none());
    carries_a_megabyte(one, other).await;
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_unreachable() {
    let addr = listener().local_addr();
    let error = tcp::dial(addr, LONG).await.err().expect("no stream");
    assert!(matches!(error, DialError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn an_address_that_is_taken_cannot_be_bound() {
    let first = listener();
    let error = tcp::Listener::bind(first.local_addr()).expect_err("taken");
    assert!(matches!(error, BindError::Address(_)), "{error:?}");
}

#[test]
fn binding_needs_a_runtime() {
    assert!(matches!(tcp::Listener::bind("127.0.0.1:0"), Err(BindError::NoRuntime)));
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_given_up_and_holds_up_nobody() {
    let listener = Arc::new(listener());
    let addr = listener.local_addr();
    let _silent = TcpStream::connect(addr).await.expect("connected");
    let raw = listener.accept().await.expect("the silent one");
    let waiting = {
        let listener = listener.clone();
        tokio::spawn(async move { listener.handshake(raw, &options(SHORT)).await })
    };
    let accept = async {
        let raw = listener.accept().await.expect("another");
        listener.handshake(raw, &options(LONG)).await.expect("settled")
    };
    let dial = async {
        let (mut io, _) = tcp::dial(addr, LONG).await.expect("dialled");
        say_something(&mut io).await;
        io
    };
    let ((mut io, _), _dialled) = tokio::join!(accept, dial);
    hear_it(&mut io).await;
    let error = waiting.await.expect("no panic").err().expect("no stream");
    assert!(matches!(error, HandshakeError::TimedOut), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_leaves_without_a_word_is_gone() {
    let listener = listener();
    let addr = listener.local_addr();
    let accepted = accept_one(listener);
    drop(TcpStream::connect(addr).await.expect("connected"));
    let error = accepted.await.expect("no panic").err().expect("no stream");
    assert!(matches!(error, HandshakeError::Disconnected(_)), "{error:?}");
}

#[tokio::test]
async fn who_is_turned_away_hears_the_goodbye() {
    let listener = listener();
    let mut stream = TcpStream::connect(listener.local_addr()).await.expect("connected");
    let raw = listener.accept().await.expect("accepted");
    listener.turn_away(raw, b"no place");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.expect("an end");
    assert_eq!(heard, "no place");
}
