//! The public suite over the channels of this crate.

mod common;

use std::sync::{Arc, Mutex};

use common::{Machine, options};
use graft_core::{Channel, Clock, MemoryRecorder, Name, Router};
use graft_transport::conformance::{self, Connect};
use graft_transport::{LocalChannel, RemoteChannel, RemoteOptions, Server};

struct Local;

impl Connect for Local {
    async fn connect(&self, router: Router) -> Arc<dyn Channel> {
        Arc::new(LocalChannel::new(router, self.clock()))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Machine::clock()
    }
}

struct Tcp {
    options: RemoteOptions,
    servers: Mutex<Vec<Server>>,
}

impl Tcp {
    fn new(options: RemoteOptions) -> Self {
        Self { options, servers: Mutex::default() }
    }
}

impl Connect for Tcp {
    async fn connect(&self, router: Router) -> Arc<dyn Channel> {
        let server = Server::tcp("127.0.0.1:0", router, self.options.clone()).expect("binds");
        let channel = RemoteChannel::tcp(server.local_addr().expect("it is TCP"), self.options.clone())
            .await
            .expect("connects");
        self.servers.lock().expect("not poisoned").push(server);
        Arc::new(channel)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Machine::clock()
    }
}

#[test]
fn the_local_channel_conforms_without_a_runtime() {
    futures::executor::block_on(conformance::all(&Local));
}

#[tokio::test]
async fn tcp_conforms_on_one_thread() {
    conformance::all(&Tcp::new(options())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_conforms_on_many_threads() {
    conformance::all(&Tcp::new(options())).await;
}

#[tokio::test]
async fn tcp_conforms_when_it_is_raised_to_carry_secrets() {
    let (why, who) = (Name::from_static("own-loopback"), Name::from_static("test"));
    let raised = options().danger_raise_clearance(why, who, &MemoryRecorder::default()).expect("records");
    conformance::all(&Tcp::new(raised)).await;
}
