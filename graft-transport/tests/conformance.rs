//! The public suite over the channels of this crate, and over two that are written here.

#[cfg(feature = "tls-ring")]
#[path = "net/certificates.rs"]
#[allow(dead_code)] // the tests of the streams use the rest
mod certificates;
mod common;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use common::{Machine, options};
use futures::FutureExt;
use futures::future::{BoxFuture, Either, select};
use graft_core::{
    Body, Channel, Clearance, Clock, EncodedBody, Fault, FaultCode, Incoming, Label, MemoryRecorder, Name,
    Outgoing, Peer, ReplyKind, Request, Router, TypedBody,
};
use graft_transport::conformance::{self, Connect};
use graft_transport::net::{BoxedIo, HandshakeError, HandshakeOptions, Listen};
use graft_transport::{
    BindOptions, DialOptions, Endpoint, LocalChannel, RemoteChannel, RemoteOptions, Server,
};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

struct Local;

impl Connect for Local {
    async fn connect(&self, router: Router) -> Arc<dyn Channel> {
        Arc::new(LocalChannel::new(router, self.clock()))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Machine::clock()
    }
}

#[test]
fn the_local_channel_conforms_without_a_runtime() {
    futures::executor::block_on(conformance::all(&Local));
}

/// Whatever an endpoint names.
struct Reached<F> {
    endpoint: F,
    bind: BindOptions,
    dial: DialOptions,
    servers: Mutex<Vec<Server>>,
}

impl<F: Fn() -> String> Reached<F> {
    fn new(endpoint: F, options: RemoteOptions) -> Self {
        let (bind, dial) = (options.clone().into(), options.into());
        Self { endpoint, bind, dial, servers: Mutex::default() }
    }
}

impl<F: Fn() -> String> Connect for Reached<F> {
    async fn connect(&self, router: Router) -> Arc<dyn Channel> {
        let endpoint: Endpoint = (self.endpoint)().parse().expect("an endpoint");
        let server = Server::bind(&endpoint, router, &self.bind).expect("binds");
        let endpoint = server.endpoint().expect("it was bound to one");
        let channel = RemoteChannel::dial(endpoint, &self.dial).await.expect("connects");
        self.servers.lock().expect("not poisoned").push(server);
        Arc::new(channel)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Machine::clock()
    }
}

fn tcp(options: RemoteOptions) -> impl Connect {
    Reached::new(|| "tcp://127.0.0.1:0".to_owned(), options)
}

#[tokio::test]
async fn tcp_conforms_on_one_thread() {
    conformance::all(&tcp(options())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_conforms_on_many_threads() {
    conformance::all(&tcp(options())).await;
}

#[tokio::test]
async fn tcp_conforms_when_it_is_raised_to_carry_secrets() {
    let (why, who) = (Name::from_static("own-loopback"), Name::from_static("test"));
    let raised = options().danger_raise_clearance(why, who, &MemoryRecorder::default()).expect("records");
    conformance::all(&tcp(raised)).await;
}

#[cfg(all(unix, feature = "unix"))]
#[tokio::test]
async fn unix_sockets_conform() {
    let folder = std::env::temp_dir().join(format!("graft-conformance-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let next = std::sync::atomic::AtomicU32::new(0);
    let name = || next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let endpoint = || format!("unix:{}", folder.join(name().to_string()).to_str().expect("UTF-8"));
    conformance::all(&Reached::new(endpoint, options())).await;
    let _ = std::fs::remove_dir_all(&folder);
}

#[cfg(feature = "websocket")]
#[tokio::test]
async fn websocket_conforms() {
    conformance::all(&Reached::new(|| "ws://127.0.0.1:0/graft".to_owned(), options())).await;
}

#[cfg(feature = "tls-ring")]
mod over_tls {
    use super::certificates::Authority;
    use super::*;
    use graft_transport::net::tls::{TlsClientConfig, TlsServerConfig};

    fn reached(endpoint: &str, mutual: bool) -> impl Connect {
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let identity = servers.server().identity();
        let client = TlsClientConfig::new(&servers.roots());
        let (server, client) = match mutual {
            false => (TlsServerConfig::new(&identity), client),
            true => (
                TlsServerConfig::mutual(&identity, &clients.roots()),
                client.with_identity(&clients.client().identity()),
            ),
        };
        let plain = Reached::new(move || endpoint.to_owned(), options());
        Reached { bind: plain.bind.with_tls(server), dial: plain.dial.with_tls(client), ..plain }
    }

    #[tokio::test]
    async fn tls_conforms() {
        conformance::all(&reached("tls://localhost:0", false)).await;
    }

    #[tokio::test]
    async fn mutual_tls_conforms() {
        conformance::all(&reached("tls://localhost:0", true)).await;
    }

    #[cfg(feature = "websocket")]
    #[tokio::test]
    async fn websocket_over_tls_conforms() {
        conformance::all(&reached("wss://localhost:0/graft", false)).await;
    }
}

/// A stream of bytes of one's own under the crate's sessions: pipes in memory, handed over by hand.
struct Pipes {
    servers: Mutex<Vec<Server>>,
}

struct Handed(AsyncMutex<mpsc::UnboundedReceiver<DuplexStream>>);

impl Listen for Handed {
    type Raw = DuplexStream;

    async fn accept(&self) -> std::io::Result<DuplexStream> {
        match self.0.lock().await.recv().await {
            Some(pipe) => Ok(pipe),
            None => std::future::pending().await,
        }
    }

    async fn handshake(
        &self,
        pipe: DuplexStream,
        _: &HandshakeOptions,
    ) -> Result<(BoxedIo, Peer), HandshakeError> {
        Ok((Box::new(pipe), Peer::default()))
    }

    fn turn_away(&self, pipe: DuplexStream, _: &[u8]) {
        drop(pipe);
    }
}

impl Connect for Pipes {
    async fn connect(&self, router: Router) -> Arc<dyn Channel> {
        // A size that no frame fits.
        let (one, other) = duplex(1000);
        let (hand, handed) = mpsc::unbounded_channel();
        let server = Server::serve(Handed(AsyncMutex::new(handed)), router, options()).expect("serves");
        assert_eq!(server.endpoint(), None);
        self.servers.lock().expect("not poisoned").push(server);
        hand.send(one).expect("the server is there");
        Arc::new(RemoteChannel::over((Box::new(other), Peer::default()), options()).await.expect("connects"))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Machine::clock()
    }
}

#[tokio::test]
async fn a_stream_of_bytes_of_ones_own_conforms() {
    conformance::all(&Pipes { servers: Mutex::default() }).await;
}

/// A channel of one's own, with nothing of this crate in it: it encodes and decodes every value, in the process.
struct Encoding {
    router: Router,
    clock: Arc<dyn Clock>,
}

impl Encoding {
    async fn carry(&self, request: Request<'_>, body: &mut dyn TypedBody) -> Result<Label, FaultCode> {
        let (meta, label) = (request.meta, request.label);
        if !self.clearance().admits(label) {
            return Err(FaultCode::ClearanceExceeded);
        }
        let mut args = Outgoing::default();
        body.encode_args(&mut args)?;
        let (mut reply, mut kind) = (Outgoing::default(), ReplyKind::Ok);
        let encoded = EncodedBody { args: Incoming::of(args), reply: &mut reply, kind: &mut kind };
        let invoked = AssertUnwindSafe(self.router.invoke(request, Body::Encoded(encoded))).catch_unwind();
        let late = std::pin::pin!(async {
            let Some(deadline) = meta.deadline else { return std::future::pending().await };
            while deadline.remaining(&*self.clock).is_some() {
                tokio::task::yield_now().await;
            }
        });
        let invoked = match select(late, std::pin::pin!(invoked)).await {
            Either::Left(_) => return Err(FaultCode::DeadlineExceeded),
            Either::Right((invoked, _)) => invoked,
        };
        let label = invoked.map_err(|_| FaultCode::Internal)?.map_err(|fault| fault.code())?;
        if !self.clearance().admits(&label) {
            return Err(FaultCode::ClearanceExceeded);
        }
        body.decode_reply(kind, Incoming::of(reply)).map(|()| label)
    }
}

impl Channel for Encoding {
    fn clearance(&self) -> Clearance {
        Clearance::CHANNEL
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        let trace = request.meta.trace.trace;
        Box::pin(async move { self.carry(request, body).await.map_err(|code| Fault::new(code, trace)) })
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(std::future::ready(Ok(true)))
    }
}

struct Encodings;

impl Connect for Encodings {
    async fn connect(&self, router: Router) -> Arc<dyn Channel> {
        Arc::new(Encoding { router, clock: self.clock() })
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Machine::clock()
    }
}

#[tokio::test]
async fn a_channel_of_ones_own_conforms() {
    conformance::all(&Encodings).await;
}
