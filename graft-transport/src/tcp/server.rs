//! The answering end over TCP.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::poll_fn;
use graft_core::{Body, Deadline, EncodedBody, FaultCode, Label, ReplyKind, Request, Router};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::TcpOptions;
use super::pump::Pump;
use super::shared::{EndOnDrop, Shared};
use crate::session::{ServerEvent, ServerSession};
use crate::wire::{ReplyDraft, RequestFrame, Unnumbered};
use crate::{CloseReason, Closed};

/// How long the listener rests when the system has no socket to give.
const REST: Duration = Duration::from_millis(50);
/// How long a shutdown waits for connections to say goodbye.
const GRACE: Duration = Duration::from_secs(1);

type Calls = Shared<ServerSession<AbortOnDrop>>;

/// Serves what a [`Router`] hosts. Dropping it stops listening and ends every connection and call.
pub struct TcpServer {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

/// The server is not listening.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address cannot be listened on; check that it is this machine's and free.
    #[error("the address cannot be listened on; check that it is this machine's and free")]
    Address(#[source] io::Error),
    /// There is no tokio runtime here; bind from inside one.
    #[error("there is no tokio runtime here; bind from inside one")]
    NoRuntime,
}

impl TcpServer {
    /// Listens on `addr` and serves on the current tokio runtime, which needs I/O and time.
    ///
    /// Port 0 takes a free one; [`TcpServer::local_addr`] tells which. A host name is looked up while the
    /// thread waits; an address is not looked up.
    ///
    /// # Errors
    /// [`BindError`] if the address cannot be listened on or there is no runtime.
    pub fn bind(addr: impl ToSocketAddrs, router: Router, options: TcpOptions) -> Result<Self, BindError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let listen = || {
            let listener = std::net::TcpListener::bind(addr)?;
            listener.set_nonblocking(true)?;
            let addr = listener.local_addr()?;
            io::Result::Ok((TcpListener::from_std(listener)?, addr))
        };
        let (listener, addr) = listen().map_err(BindError::Address)?;
        let (stop, stopped) = watch::channel(false);
        let host = Arc::new(Host { router, options });
        Ok(Self { addr, stop, listening: runtime.spawn(listen_on(listener, host, stopped)) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops listening, drops what runs, and says goodbye on every connection, for at most a second.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let _ = timeout(GRACE, &mut self.listening).await;
    }
}

impl Drop for TcpServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

struct Host {
    router: Router,
    options: TcpOptions,
}

/// What runs for a call ends with its place in the session.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen_on(listener: TcpListener, host: Arc<Host>, mut stopped: watch::Receiver<bool>) {
    // Dropped with this task, it ends every connection.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, _)) if connections.len() >= host.options.limits().max_connections() => {
                turn_away(&stream, &host)
            }
            Ok((stream, _)) => drop(connections.spawn(serve(stream, host.clone(), stopped.clone()))),
            // Out of descriptors, or a peer that left the queue: neither is an end, and both pass.
            Err(_) => sleep(REST).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Tells a peer that there is no place, if its socket takes that at once.
fn turn_away(stream: &TcpStream, host: &Host) {
    let mut session = ServerSession::<()>::new(*host.options.limits());
    session.close(Closed::by_us(CloseReason::TooManyConnections));
    let mut out = Vec::new();
    session.poll_transmit(&mut out);
    let _ = stream.try_write(&out);
}

async fn serve(stream: TcpStream, host: Arc<Host>, mut stopped: watch::Receiver<bool>) {
    // Without it calls are slower and still right.
    let _ = stream.set_nodelay(true);
    let limits = *host.options.limits();
    let shared = Arc::new(Calls::new(ServerSession::new(limits)));
    let _end = EndOnDrop(&shared);
    let react = |session: &mut ServerSession<_>, input: &mut _| {
        while let Some(event) = session.handle(input)? {
            match event {
                ServerEvent::Open => {}
                ServerEvent::Request(request) => {
                    let number = request.number;
                    // The session is locked here, so the call cannot end before it is attached.
                    let task = tokio::spawn(answer(shared.clone(), host.clone(), request));
                    session.attach(number, AbortOnDrop(task.abort_handle()));
                }
                ServerEvent::Cancel(running) => drop(running),
            }
        }
        Ok(())
    };
    let mut pump = Pump::new(stream, &shared, limits, react).watching_idle();
    tokio::select! {
        _ = poll_fn(|cx| pump.poll_run(cx)) => {}
        _ = stopped.wait_for(|stop| *stop) => drop(shared.close(Closed::by_us(CloseReason::Done))),
    }
    pump.farewell().await;
}

/// Carries out one call and queues its answer.
async fn answer(shared: Arc<Calls>, host: Arc<Host>, request: RequestFrame) {
    let number = request.number;
    let answer = carry_out(&host, request).await;
    shared
        .queue(|session| match answer {
            Ok(reply) => session.reply(number, reply),
            Err(code) => drop(session.fault(number, code)),
        })
        .await;
}

async fn carry_out(host: &Host, mut request: RequestFrame) -> Result<Unnumbered, FaultCode> {
    let clock = &**host.options.clock();
    // A peer that sends what this side must not carry has broken its own rule, and the call ends here.
    if !host.options.clearance().admits(&request.label) {
        return Err(FaultCode::ClearanceExceeded);
    }
    let deadline = request.remaining.map(|left| Deadline::after(clock, left));
    request.meta.deadline = deadline;
    let mut draft = ReplyDraft::new();
    let invoked = AssertUnwindSafe(invoke(&host.router, &request, &mut draft)).catch_unwind();
    let invoked = match request.remaining {
        Some(left) => timeout(left, invoked).await.map_err(|_| FaultCode::DeadlineExceeded)?,
        None => invoked.await,
    };
    let (kind, label) = invoked.unwrap_or(Err(FaultCode::Internal))?;
    if deadline.is_some_and(|deadline| deadline.remaining(clock).is_none()) {
        return Err(FaultCode::DeadlineExceeded);
    }
    // Before the reply becomes a frame: what is above the clearance is dropped here, unframed.
    if !host.options.clearance().admits(&label) {
        return Err(FaultCode::ClearanceExceeded);
    }
    draft.finish(kind, &label)
}

async fn invoke(
    router: &Router,
    frame: &RequestFrame,
    draft: &mut ReplyDraft,
) -> Result<(ReplyKind, Label), FaultCode> {
    let request = Request::new(frame.interface, frame.method, &frame.meta, &frame.label);
    let mut kind = ReplyKind::Ok;
    let mut reply = graft_core::Outgoing::default();
    let args = graft_core::Incoming::new(frame.body.0.clone());
    let body = EncodedBody { args, reply: &mut reply, kind: &mut kind };
    let label = router.invoke(request, Body::Encoded(body)).await.map_err(|fault| fault.code())?;
    if !reply.ports.is_empty() {
        return Err(FaultCode::Internal);
    }
    draft.body().extend_from_slice(&reply.to_bytes());
    Ok((kind, label))
}
