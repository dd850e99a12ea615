//! Sends back what it gets, over WebSocket, below any session: what another language's WebSocket is tried against.
//!
//! ```text
//! cargo run -p graft-transport --features websocket --example echo_bytes -- [ADDRESS [ORIGIN..]]
//! ```
//! It listens on 127.0.0.1 at a free port unless an address is given, prints its URL as its first line, and lets
//! in pages of the listed origins.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use graft_transport::net::websocket::{Listener, WebSocketOptions};
use graft_transport::net::{HandshakeError, HandshakeOptions, Listen};
use tokio::io::{AsyncWriteExt, copy, split};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let addr = words.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let origins = words.fold(WebSocketOptions::default(), WebSocketOptions::with_origin);
    let listener = Arc::new(Listener::bind(addr, origins)?);
    println!("ws://{}/", listener.local_addr());
    std::io::stdout().flush()?;

    let options = HandshakeOptions::new(Duration::from_secs(10), || true);
    loop {
        let raw = listener.accept().await?;
        let (listener, options) = (listener.clone(), options.clone());
        tokio::spawn(async move {
            let io = match listener.handshake(raw, &options).await {
                Ok((io, _)) => io,
                Err(HandshakeError::Answered { status }) => return eprintln!("answered {status}"),
                Err(error) => return eprintln!("no stream: {error}"),
            };
            let (mut reads, mut writes) = split(io);
            if let Err(error) = copy(&mut reads, &mut writes).await {
                eprintln!("ended: {error}");
            }
            let _ = writes.shutdown().await;
        });
    }
}
