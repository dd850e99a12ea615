//! Serves the conformance suite's services over WebSocket: what a client in another language is tried against.
//!
//! ```text
//! cargo run -p graft-transport --features websocket,conformance --example serve_websocket -- [ENDPOINT]
//! ```
//! It listens at `ws://127.0.0.1:0/` unless another endpoint is given, and prints where as its first line.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graft_core::{Clock, Router, Timestamp};
use graft_transport::conformance::{TestPorts, TestService};
use graft_transport::{Endpoint, RemoteOptions, Server};

/// Time since the start; nothing here asks for the date.
struct Machine(Instant);

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint: Endpoint = std::env::args().nth(1).as_deref().unwrap_or("ws://127.0.0.1:0/").parse()?;
    let service = TestService::default();
    let ports = TestPorts::new(service.counters());
    let router = Router::default().with(Arc::new(service)).with(Arc::new(ports));
    let options = RemoteOptions::new(Arc::new(Machine(Instant::now())));
    let server = Server::bind(&endpoint, router, &options.into())?;
    println!("{}", server.endpoint().unwrap_or(&endpoint));
    std::io::stdout().flush()?;
    std::future::pending().await
}
