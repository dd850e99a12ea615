//! A channel that makes marked calls again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use graft_core::{Channel, Clearance, Clock, Fault, FaultCode, Label, Request, TypedBody};
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep};

use crate::Retry;

/// Makes a call again if nobody knows how it ended ([`FaultCode::Unavailable`]) and it is marked as idempotent.
/// Any other call, and any other end, it leaves alone.
///
/// Retries are bounded in number, by a budget and by the deadline of the call. The budget is that of gRPC's retry
/// throttling (<https://github.com/grpc/proposal/blob/master/A6-client-retries.md>): each call that succeeds adds
/// its percentage of a token, each retry takes one, and ten are there from the beginning. Without a tokio runtime,
/// at the call or where the channel was made, there is nothing to pause on and no retry.
pub struct RetryingChannel {
    inner: Arc<dyn Channel>,
    retry: Retry,
    clock: Arc<dyn Clock>,
    /// In hundredths.
    tokens: Mutex<u32>,
    runtime: Option<Handle>,
}

/// The most tokens that are kept, in hundredths.
const MOST: u32 = 1000;

impl RetryingChannel {
    /// A channel over `inner`, the deadlines of whose calls are on `clock`.
    pub fn new(inner: Arc<dyn Channel>, retry: Retry, clock: Arc<dyn Clock>) -> Self {
        Self { inner, retry, clock, tokens: Mutex::new(MOST), runtime: Handle::try_current().ok() }
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, u32> {
        self.tokens.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn succeeded(&self) {
        let mut tokens = self.tokens();
        *tokens = MOST.min(*tokens + u32::from(self.retry.percent));
    }

    /// A pause on the tokio runtime of the caller, or else on that in which the channel was made.
    fn pause(&self, pause: Duration) -> Option<Sleep> {
        let runtime = Handle::try_current().ok().or_else(|| self.runtime.clone())?;
        let _context = runtime.enter();
        Some(sleep(pause))
    }

    fn takes_token(&self) -> bool {
        let mut tokens = self.tokens();
        let rest = tokens.checked_sub(100);
        *tokens = rest.unwrap_or(*tokens);
        rest.is_some()
    }
}

impl Channel for RetryingChannel {
    fn clearance(&self) -> Clearance {
        self.inner.clearance()
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        if !request.is_idempotent || self.retry.attempts <= 1 {
            return self.inner.call(request, body);
        }
        Box::pin(async move {
            let mut attempt = 1;
            loop {
                let fault = match self.inner.call(Request { ..request }, &mut *body).await {
                    Ok(label) => {
                        self.succeeded();
                        return Ok(label);
                    }
                    Err(fault) => fault,
                };
                let pause = self.retry.backoff.draw(attempt);
                let is_in_time = request
                    .meta
                    .deadline
                    .is_none_or(|deadline| deadline.remaining(&*self.clock).is_some_and(|left| pause < left));
                let goes_on =
                    fault.code() == FaultCode::Unavailable && attempt < self.retry.attempts && is_in_time;
                if !goes_on || !self.takes_token() {
                    return Err(fault);
                }
                let Some(slept) = self.pause(pause) else { return Err(fault) };
                attempt += 1;
                slept.await;
            }
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        self.inner.health()
    }
}
