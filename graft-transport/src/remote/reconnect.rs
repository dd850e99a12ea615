//! A channel that connects again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use graft_core::{Channel, Clearance, Clock, Fault, FaultCode, Label, Request, TypedBody};
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
/// [`RetryingChannel`](crate::RetryingChannel) does that for those that are marked. After a connection that could
/// not be made there is a pause, in which calls end at once in [`FaultCode::Unavailable`]. A call that waits for
/// a connection waits no longer than its deadline, or than the handshake may take.
pub struct ReconnectingChannel {
    dial: Box<Dial>,
    backoff: Backoff,
    clearance: Clearance,
    clock: Arc<dyn Clock>,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<RemoteChannel>,
    /// How many times in a row there was no connection.
    failures: u32,
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
            dial: Box::new(move || dial().boxed()),
            backoff,
            clearance: options.clearance(),
            clock: options.clock().clone(),
            patience: options.limits().handshake_timeout(),
            state: Mutex::default(),
        }
    }

    /// The same with a connection that is there already.
    #[must_use]
    pub fn with_connection(mut self, channel: RemoteChannel) -> Self {
        self.state.get_mut().current = Some(channel);
        self
    }

    /// The connection, made if there is none. One at a time is made, whoever else wants it waits.
    async fn connection(&self) -> Result<RemoteChannel, FaultCode> {
        let mut state = self.state.lock().await;
        if let Some(current) = state.current.take_if(|current| current.is_ending()) {
            // Its calls hold it for as long as they need it.
            drop(current);
        }
        if let Some(current) = &state.current {
            return Ok(current.clone());
        }
        if state.not_before.is_some_and(|not_before| Instant::now() < not_before) {
            return Err(FaultCode::Unavailable);
        }
        // Whoever gives up meanwhile leaves a pause behind, like any failure.
        state.failures = state.failures.saturating_add(1);
        state.not_before = Some(Instant::now() + self.backoff.draw(state.failures));
        match (self.dial)().await {
            Ok(channel) => {
                *state = State { current: Some(channel.clone()), ..State::default() };
                Ok(channel)
            }
            Err(_) => {
                state.not_before = Some(Instant::now() + self.backoff.draw(state.failures));
                Err(FaultCode::Unavailable)
            }
        }
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
            let left = match request.meta.deadline.map(|deadline| deadline.remaining(&*self.clock)) {
                Some(None) => return Err(fault(FaultCode::DeadlineExceeded)),
                Some(Some(left)) => Some(left),
                None => None,
            };
            // Two patiences: one to wait for somebody else's attempt, one for an own.
            let patience = left.unwrap_or(self.patience.saturating_mul(2));
            let connection = match timeout(patience, self.connection()).await {
                Ok(connection) => connection.map_err(fault)?,
                Err(_) if left.is_some() => return Err(fault(FaultCode::DeadlineExceeded)),
                Err(_) => return Err(fault(FaultCode::Unavailable)),
            };
            connection.call(request, body).await
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(async move {
            let connection = timeout(self.patience.saturating_mul(2), self.connection()).await;
            connection.map_err(|_| FaultCode::Unavailable)??.health().await
        })
    }
}
