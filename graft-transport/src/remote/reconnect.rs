//! A channel that connects again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use graft_core::{Channel, Clearance, Clock, Fault, FaultCode, Label, Request, TypedBody};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::RemoteOptions;
use super::channel::{ConnectError, RemoteChannel};
use crate::Backoff;

type Dial = dyn Fn() -> BoxFuture<'static, Result<RemoteChannel, ConnectError>> + Send + Sync;

/// Makes a connection when a call needs one: the first one, and a new one when the last one ended or its peer
/// takes no more calls.
///
/// Calls that were under way when a connection broke end in [`FaultCode::Unavailable`] and are not made again;
/// [`RetryingChannel`](crate::RetryingChannel) does that for those that are marked. Between two attempts there is a
/// pause, in which calls end at once in [`FaultCode::Unavailable`] if there is no connection. It grows until a
/// connection lasts for [`Backoff::max`], so that a peer which takes every connection and drops it is spared too. A
/// call that waits for a connection waits no longer than its deadline, or than the handshake may take; the attempt
/// goes on without it.
///
/// Connections live on the tokio runtime of the call that needed them, or else on that in which the channel was made;
/// without any, calls end in [`FaultCode::Unavailable`].
pub struct ReconnectingChannel {
    dial: Arc<Dial>,
    backoff: Backoff,
    clearance: Clearance,
    clock: Arc<dyn Clock>,
    /// How long an attempt may take: to reach the address, and to say hello.
    patience: Duration,
    runtime: Option<Handle>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    current: Option<RemoteChannel>,
    /// How many attempts there were since a connection last lasted.
    attempts: u32,
    /// When the last one was made.
    since: Option<Instant>,
    not_before: Option<Instant>,
}

impl ReconnectingChannel {
    /// A channel that makes its connections with `dial`. Nothing is dialled before the first call.
    ///
    /// `options` are those that `dial` connects with: their clearance is the channel's.
    pub fn new<D, F>(dial: D, backoff: Backoff, options: &RemoteOptions) -> Self
    where
        D: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<RemoteChannel, ConnectError>> + Send + 'static,
    {
        Self {
            dial: Arc::new(move || dial().boxed()),
            backoff,
            clearance: options.clearance(),
            clock: options.clock().clone(),
            patience: options.limits().handshake_timeout().saturating_mul(2),
            runtime: Handle::try_current().ok(),
            state: Arc::default(),
        }
    }

    /// The same with a connection that is there already.
    #[must_use]
    pub fn with_connection(mut self, channel: RemoteChannel) -> Self {
        let state = State { current: Some(channel), since: Some(Instant::now()), ..State::default() };
        self.state = Arc::new(Mutex::new(state));
        self
    }

    /// The connection, made if there is none. One at a time is made, whoever else wants it waits.
    async fn connection(&self, runtime: Handle) -> Result<RemoteChannel, FaultCode> {
        let mut state = self.state.clone().lock_owned().await;
        if let Some(current) = &state.current {
            if !current.is_ending() {
                return Ok(current.clone());
            }
            // Its calls hold it for as long as they need it.
            state.current = None;
            if state.since.is_some_and(|since| since.elapsed() >= self.backoff.max) {
                state.attempts = 0;
            }
        }
        if state.not_before.is_some_and(|not_before| Instant::now() < not_before) {
            return Err(FaultCode::Unavailable);
        }
        state.attempts = state.attempts.saturating_add(1);
        // Also if the attempt panics.
        state.not_before = Some(Instant::now() + self.backoff.draw(state.attempts));
        let (dial, backoff, patience) = (self.dial.clone(), self.backoff, self.patience);
        // In a task of its own, for a caller that gives up takes nothing away from the others.
        let attempt = runtime.spawn(async move {
            let dialled = timeout(patience, async { dial().await }).await;
            let now = Instant::now();
            state.since = Some(now);
            state.not_before = Some(now + backoff.draw(state.attempts));
            state.current = dialled.ok().and_then(Result::ok);
            state.current.clone()
        });
        attempt.await.ok().flatten().ok_or(FaultCode::Unavailable)
    }

    /// The same, waited for no longer than `patience`.
    async fn connected(&self, patience: Duration) -> Result<RemoteChannel, FaultCode> {
        // Mostly there is one, and then nothing else is needed.
        if let Ok(state) = self.state.try_lock()
            && let Some(current) = state.current.as_ref().filter(|current| !current.is_ending())
        {
            return Ok(current.clone());
        }
        let runtime = Handle::try_current().ok().or_else(|| self.runtime.clone());
        let runtime = runtime.ok_or(FaultCode::Unavailable)?;
        let within = {
            let _context = runtime.enter();
            timeout(patience, self.connection(runtime.clone()))
        };
        within.await.unwrap_or(Err(FaultCode::Unavailable))
    }
}

impl Channel for ReconnectingChannel {
    fn clearance(&self) -> Clearance {
        self.clearance
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        Box::pin(async move {
            let fault = |code| Fault::new(code, request.meta.trace.trace);
            // Two patiences: one to wait for somebody else's attempt, one for an own.
            let mut patience = self.patience.saturating_mul(2);
            let left = || request.meta.deadline.map(|deadline| deadline.remaining(&*self.clock));
            match left() {
                Some(None) => return Err(fault(FaultCode::DeadlineExceeded)),
                Some(Some(left)) => patience = left,
                None => {}
            }
            let connection = match self.connected(patience).await {
                Ok(connection) => connection,
                Err(_) if left() == Some(None) => return Err(fault(FaultCode::DeadlineExceeded)),
                Err(code) => return Err(fault(code)),
            };
            connection.call(request, body).await
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(async move { self.connected(self.patience.saturating_mul(2)).await?.health().await })
    }
}
