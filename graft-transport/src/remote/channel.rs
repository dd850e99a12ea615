//! The calling end of a connection.

use std::sync::Arc;

use futures::future::BoxFuture;
use graft_core::{
    Channel, Clearance, Fault, FaultCode, InterfaceId, Label, Peer, Request, Router, TypedBody,
};
use tokio::runtime::Handle;

use super::RemoteOptions;
use super::call::RemoteCall;
use super::link::{Host, Link};
use super::ports::Hold;
use super::task::run;
use crate::net::{BoxedIo, DialError};
use crate::session::Role;
use crate::{CloseReason, Closed};

/// Carries calls to a [`Server`](crate::Server) over one connection, many at a time.
///
/// When the peer is gone every pending call ends in [`FaultCode::Unavailable`], and so does every later one.
/// Dropping the channel says goodbye, once the streams and objects that came over it are dropped too.
#[derive(Clone)]
pub struct RemoteChannel {
    hold: Hold,
}

/// Ends the connection when the last who uses it is gone.
pub(super) struct Owner(Arc<Link>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close(Closed::by_us(CloseReason::Done));
    }
}

/// There is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address was not reached, or its end refused before there was a session.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The address was reached and the connection ended before it was open.
    #[error("the connection ended before it was open")]
    Closed(#[source] Closed),
    /// This build has no stream for such an endpoint; enable the feature for it.
    #[error("a `{scheme}:` address is not compiled into this build; enable the feature for it")]
    NotCompiledIn {
        /// The scheme of the endpoint.
        scheme: &'static str,
    },
    /// The endpoint is of TLS, and it was not said whom this end believes.
    #[error("the address is one of TLS; give the roots that this end believes")]
    NoTls,
    /// The endpoint is `local:`, where nothing is dialled; use a [`LocalChannel`](crate::LocalChannel).
    #[error("`local:` is this process, and nothing is dialled there; use a local channel")]
    Local,
    /// There is no tokio runtime here; connect from inside one.
    #[error("there is no tokio runtime here; connect from inside one")]
    NoRuntime,
}

impl RemoteChannel {
    /// Exchanges hellos over a stream that was made elsewhere.
    ///
    /// # Errors
    /// [`ConnectError::Closed`] or [`ConnectError::NoRuntime`].
    pub async fn over(stream: (BoxedIo, Peer), options: RemoteOptions) -> Result<Self, ConnectError> {
        let runtime = Handle::try_current().map_err(|_| ConnectError::NoRuntime)?;
        let host = Arc::new(Host::new(Router::default()));
        let link = Link::new(Role::Client, stream, options, host, runtime.clone());
        let owner = Arc::new(Owner(link.clone()));
        let _ = link.owner.set(Arc::downgrade(&owner));
        runtime.spawn(run(link));
        // Dropped while it waits, the channel closes the connection that it made.
        let channel = Self { hold: Hold::new(&owner.0) };
        match channel.link().opened().await {
            Ok(()) => Ok(channel),
            Err(closed) => Err(channel.refused().unwrap_or(ConnectError::Closed(closed))),
        }
    }

    /// What TLS says that comes after its handshake: with version 1.3 a server judges a client so late.
    #[cfg(feature = "_tls")]
    fn refused(&self) -> Option<ConnectError> {
        let fault = crate::net::tls::TlsFault::of(self.link().broken.get()?)?;
        Some(ConnectError::Dial(DialError::Tls(fault)))
    }

    #[cfg(not(feature = "_tls"))]
    fn refused(&self) -> Option<ConnectError> {
        None
    }

    /// How the connection ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        self.link().closed()
    }

    /// Whether the peer said that it takes no more calls, or is gone: then it is time to connect again.
    pub fn is_ending(&self) -> bool {
        let state = self.link().lock();
        state.session.is_draining() || state.session.closed().is_some()
    }

    /// What is known of the other end.
    pub fn peer(&self) -> &Peer {
        &self.link().peer
    }

    /// Whether the peer hosts this contract, asked once for each: a client of another one finds out here and not in
    /// the middle of its work.
    ///
    /// # Errors
    /// The fault of a connection that ended, [`FaultCode::LimitExceeded`] after a thousand interfaces, or
    /// [`FaultCode::Unavailable`] if the peer does not say within [`Limits::keepalive`](crate::Limits::keepalive). One
    /// that asks who calls says nothing before it let a call in.
    pub async fn hosts(&self, interface: InterfaceId) -> Result<bool, FaultCode> {
        self.link().hosts(interface).await
    }

    fn link(&self) -> &Link {
        self.hold.link()
    }
}

impl Channel for RemoteChannel {
    fn clearance(&self) -> Clearance {
        self.link().options.clearance()
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        Box::pin(RemoteCall::new(&self.hold, request, None, body))
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(self.link().health())
    }
}

impl std::fmt::Debug for RemoteChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteChannel").field("peer", self.peer()).field("closed", &self.closed()).finish()
    }
}
