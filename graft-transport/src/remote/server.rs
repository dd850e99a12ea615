//! The answering end of connections.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use graft_core::Router;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::RemoteOptions;
use super::link::{Host, Link};
use super::task::run;
use crate::net::{BindError, HandshakeOptions, Listen};
use crate::session::{Role, Session, Transmit};
use crate::{CloseReason, Closed, Endpoint};

/// How long the listener rests when the system has no socket to give.
const REST: Duration = Duration::from_millis(50);
/// How long a shutdown waits for connections to say goodbye.
const GRACE: Duration = Duration::from_secs(1);

/// Serves what a [`Router`] hosts. Dropping it stops listening and ends every connection and call.
pub struct Server {
    endpoint: Option<Endpoint>,
    address: Option<std::net::SocketAddr>,
    host: Arc<Host>,
    phase: watch::Sender<Phase>,
    listening: JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    Stopped,
}

impl Server {
    /// Serves the connections of any listener.
    ///
    /// # Errors
    /// [`BindError::NoRuntime`].
    pub fn serve(listener: impl Listen, router: Router, options: RemoteOptions) -> Result<Self, BindError> {
        let runtime = Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let host = Arc::new(Host::new(router));
        let (phase, watched) = watch::channel(Phase::Serving);
        let listening = runtime.spawn(listen(listener, host.clone(), options, watched));
        Ok(Self { endpoint: None, address: None, host, phase, listening })
    }

    /// That it listens at `endpoint`, and at `address` of the network.
    pub(super) fn at(mut self, endpoint: Option<Endpoint>, address: Option<std::net::SocketAddr>) -> Self {
        (self.endpoint, self.address) = (endpoint, address);
        self
    }

    /// Where it listens, with the port that it took; absent for a listener that was made elsewhere, and where no
    /// [`Endpoint`] can say it, such as at a relative path.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// The same as an address of the network, if it is one.
    pub fn local_addr(&self) -> Option<std::net::SocketAddr> {
        self.address
    }

    /// Says by health whether it takes calls, which it does from the beginning. Calls that come anyway are
    /// carried out.
    pub fn set_ready(&self, is_ready: bool) {
        self.host.is_ready.store(is_ready, Ordering::Relaxed);
    }

    /// Stops listening, tells every peer that no more calls are taken, and waits for those that run, for their
    /// streams and their objects, for at most `within`. What is left then is dropped.
    pub async fn drain(mut self, within: Duration) {
        self.phase.send_replace(Phase::Draining);
        // One that has ended is not waited for again.
        if timeout(within, &mut self.listening).await.is_err() {
            self.shutdown().await;
        }
    }

    /// Stops listening, drops what runs, and says goodbye on every connection, for at most a second.
    pub async fn shutdown(mut self) {
        self.phase.send_replace(Phase::Stopped);
        let _ = timeout(GRACE, &mut self.listening).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen<L: Listen>(
    listener: L,
    host: Arc<Host>,
    options: RemoteOptions,
    mut phase: watch::Receiver<Phase>,
) {
    let listener = Arc::new(listener);
    let healthy = {
        let (host, phase) = (host.clone(), phase.clone());
        move || host.is_ready.load(Ordering::Relaxed) && *phase.borrow() == Phase::Serving
    };
    let handshake = HandshakeOptions::new(options.limits().handshake_timeout(), healthy);
    // Dropped with this task, it ends every connection.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => break,
        };
        match accepted {
            Ok(raw) if connections.len() >= options.limits().max_connections() => {
                listener.turn_away(raw, &goodbye(&options));
            }
            Ok(raw) => {
                let (listener, handshake) = (listener.clone(), handshake.clone());
                let (host, options, phase) = (host.clone(), options.clone(), phase.clone());
                connections.spawn(async move {
                    let stream = listener.handshake(raw, &handshake).await;
                    // A connection that lasts does not keep the address open in a drain.
                    drop(listener);
                    // Whoever does not get through it is told on the way; there is nobody else to tell.
                    if let Ok(stream) = stream {
                        let link = Link::new(Role::Server, stream, options, host, Handle::current());
                        serve(link, phase).await;
                    }
                });
            }
            // Out of descriptors, or a peer that left the queue: neither is an end, and both pass.
            Err(_) => sleep(REST).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// What a peer is told for whom there is no place.
fn goodbye(options: &RemoteOptions) -> Vec<u8> {
    let mut session = Session::<(), ()>::new(Role::Server, *options.limits(), Duration::ZERO);
    session.close(Closed::by_us(CloseReason::TooManyConnections));
    let mut out = Transmit::default();
    session.poll_transmit(&mut out);
    out.pieces().flatten().copied().collect()
}

async fn serve(link: Arc<Link>, mut phase: watch::Receiver<Phase>) {
    let told = Arc::downgrade(&link);
    let tell = async move {
        loop {
            let now = *phase.borrow_and_update();
            match (now, Weak::upgrade(&told)) {
                (Phase::Draining, Some(link)) => link.tell(|state| state.session.drain()),
                (Phase::Stopped, Some(link)) => drop(link.close(Closed::by_us(CloseReason::Done))),
                _ => {}
            }
            if phase.changed().await.is_err() {
                return std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = run(link) => {}
        () = tell => {}
    }
}
