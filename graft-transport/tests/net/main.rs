//! The byte streams under the channels, over real sockets.

#![allow(clippy::panic, reason = "that is how a test fails")]

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use graft_core::Peer;
use graft_transport::net::{BoxedIo, HandshakeError, HandshakeOptions, Listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
mod certificates;
mod health;
mod streams;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
mod tls;
#[cfg(all(unix, feature = "unix"))]
mod unix;
#[cfg(feature = "websocket")]
mod websocket;

/// Longer than any handshake here takes.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

type Accepted = Result<(BoxedIo, Peer), HandshakeError>;

fn options(within: Duration) -> HandshakeOptions {
    HandshakeOptions::new(within, || true)
}

/// Accepts one connection and settles it.
fn accept_one(listener: impl Listen) -> JoinHandle<Accepted> {
    accept_one_with(listener, options(LONG))
}

fn accept_one_with(listener: impl Listen, options: HandshakeOptions) -> JoinHandle<Accepted> {
    tokio::spawn(async move {
        let raw = listener.accept().await.expect("a connection");
        listener.handshake(raw, &options).await
    })
}

/// Both ends of a connection that was made.
async fn ends<E: std::fmt::Debug>(
    accepted: JoinHandle<Accepted>,
    dial: impl Future<Output = Result<(BoxedIo, Peer), E>>,
) -> ((BoxedIo, Peer), (BoxedIo, Peer)) {
    let (dialled, accepted) = tokio::join!(dial, accepted);
    (dialled.expect("dialled"), accepted.expect("no panic").expect("accepted"))
}

/// A megabyte in each direction at once, in vectored writes of odd sizes, each checked byte by byte.
async fn carries_a_megabyte(one: BoxedIo, other: BoxedIo) {
    assert!(one.is_write_vectored() && other.is_write_vectored(), "vectored writes go through");
    let sent: Arc<Vec<u8>> =
        Arc::new((0_u32..1 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect());
    let exchange = |io: BoxedIo| {
        let sent = sent.clone();
        async move {
            let (mut reads, mut writes) = tokio::io::split(io);
            let write = async {
                let mut at = 0;
                while at < sent.len() {
                    let rest = &sent[at..];
                    let (first, rest) = rest.split_at(rest.len().min(7));
                    let (second, rest) = rest.split_at(rest.len().min(100_003));
                    let third = &rest[..rest.len().min(513)];
                    let slices =
                        [IoSlice::new(first), IoSlice::new(&[]), IoSlice::new(second), IoSlice::new(third)];
                    let n = writes.write_vectored(&slices).await.expect("written");
                    assert!(
                        n > first.len() || n == rest.len() + first.len() || second.is_empty(),
                        "one slice only"
                    );
                    at += n;
                }
                writes.flush().await.expect("flushed");
            };
            let mut got = vec![0; sent.len()];
            let (read, ()) = tokio::join!(reads.read_exact(&mut got), write);
            read.expect("read");
            assert!(got == *sent, "the bytes are the same");
            (reads, writes)
        }
    };
    let (one, mut other) = tokio::join!(exchange(one), exchange(other));
    // What one end shuts down the other sees end.
    let (_reads, mut writes) = one;
    writes.shutdown().await.expect("shut down");
    assert_eq!(other.0.read(&mut [0; 8]).await.expect("an end"), 0);
}

/// What a server answers to these bytes on a plain socket, up to its end.
async fn answer_to(addr: std::net::SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).await.expect("connected");
    stream.write_all(request).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

/// A switch for health.
fn switch() -> (Arc<AtomicBool>, HandshakeOptions) {
    let healthy = Arc::new(AtomicBool::new(true));
    let asked = healthy.clone();
    (healthy, HandshakeOptions::new(LONG, move || asked.load(Ordering::Relaxed)))
}
