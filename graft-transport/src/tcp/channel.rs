//! The calling end over TCP.

use std::io;
use std::sync::Arc;

use futures::future::{BoxFuture, poll_fn};
use graft_core::{Channel, Clearance, Fault, FaultCode, Label, Request, TypedBody};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::TcpOptions;
use super::pump::Pump;
use super::shared::{EndOnDrop, Shared};
use crate::session::{Answer, ClientEvent, ClientSession};
use crate::wire::RequestDraft;
use crate::{CloseReason, Closed};

type Calls = Shared<ClientSession<oneshot::Sender<Answer>>>;

/// Carries calls to a [`TcpServer`](crate::TcpServer) over one connection, many at a time.
///
/// When the peer is gone every pending call ends in [`FaultCode::Unavailable`], and so does every later
/// one: there is no reconnecting. Dropping the channel says goodbye.
pub struct TcpChannel {
    shared: Arc<Calls>,
    options: TcpOptions,
}

/// There is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address cannot be reached; check that the server runs there.
    #[error("the address cannot be reached; check that the server runs there")]
    Unreachable(#[source] io::Error),
    /// The address was reached and the connection ended before it was open.
    #[error("the connection ended before it was open")]
    Closed(#[source] Closed),
}

impl TcpChannel {
    /// Connects and exchanges hellos, within [`Limits::handshake_timeout`](crate::Limits::handshake_timeout)
    /// each. Needs a tokio runtime with I/O and time, on which the connection then lives.
    ///
    /// # Errors
    /// [`ConnectError`], which says whether the address or the peer is the trouble.
    pub async fn connect(addr: impl ToSocketAddrs, options: TcpOptions) -> Result<Self, ConnectError> {
        let stream = timeout(options.limits().handshake_timeout(), TcpStream::connect(addr))
            .await
            .unwrap_or_else(|elapsed| Err(elapsed.into()))
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(ConnectError::Unreachable)?;
        let shared = Arc::new(Shared::new(ClientSession::new(*options.limits())));
        let (open, opened) = oneshot::channel();
        // Dropped while it waits, the channel closes the connection that it made.
        let channel = Self { shared: shared.clone(), options };
        tokio::spawn(run(stream, shared, *channel.options.limits(), open));
        match opened.await {
            Ok(()) => Ok(channel),
            Err(_) => Err(ConnectError::Closed(
                channel.closed().unwrap_or(Closed::by_us(CloseReason::Disconnected)),
            )),
        }
    }

    /// How the connection ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        self.shared.lock().closed()
    }

    async fn exchange(
        &self,
        request: &Request<'_>,
        body: &mut dyn TypedBody,
    ) -> Result<Label, (FaultCode, Option<graft_core::TraceId>)> {
        let own = |code| (code, None);
        // Again here, for a caller that did not ask: nothing is encoded before this line.
        if !self.options.clearance().admits(request.label) {
            return Err(own(FaultCode::ClearanceExceeded));
        }
        let clock = &**self.options.clock();
        let remaining = match request.meta.deadline {
            Some(deadline) => Some(deadline.remaining(clock).ok_or(own(FaultCode::DeadlineExceeded))?),
            None => None,
        };
        let mut draft = RequestDraft::new(request, remaining).map_err(own)?;
        let mut args = graft_core::Outgoing::default();
        body.encode_args(&mut args).map_err(own)?;
        if !args.ports.is_empty() {
            return Err(own(FaultCode::InvalidArgument));
        }
        draft.body().extend_from_slice(&args.to_bytes());
        let frame = draft.finish().map_err(own)?;

        let answered = async {
            let (answer, answered) = oneshot::channel();
            let number = self.shared.queue(|session| session.request(frame, answer)).await.map_err(own)?;
            let cancel = CancelOnDrop { shared: &self.shared, number };
            let answer = answered.await;
            std::mem::forget(cancel);
            let gone = || own(self.closed().map_or(FaultCode::Unavailable, Closed::fault_code));
            answer.map_err(|_| gone())
        };
        let answer = match remaining {
            Some(remaining) => {
                timeout(remaining, answered).await.unwrap_or(Err(own(FaultCode::DeadlineExceeded)))?
            }
            None => answered.await?,
        };
        if request.meta.deadline.is_some_and(|deadline| deadline.remaining(clock).is_none()) {
            return Err(own(FaultCode::DeadlineExceeded));
        }
        match answer {
            Answer::Reply { kind, label, body: reply } => {
                body.decode_reply(kind, graft_core::Incoming::new(reply.0)).map_err(own)?;
                Ok(label)
            }
            Answer::Fault { code, trace } => Err((code, Some(trace))),
        }
    }
}

impl Channel for TcpChannel {
    fn clearance(&self) -> Clearance {
        self.options.clearance()
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        Box::pin(async move {
            let own = request.meta.trace.trace;
            self.exchange(&request, body)
                .await
                .map_err(|(code, trace)| Fault::new(code, trace.unwrap_or(own)))
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(std::future::ready(if self.closed().is_none() {
            Ok(true)
        } else {
            Err(FaultCode::Unavailable)
        }))
    }
}

impl Drop for TcpChannel {
    fn drop(&mut self) {
        self.shared.close(Closed::by_us(CloseReason::Done));
    }
}

/// A call that is out. Dropped before its answer, it is cancelled.
struct CancelOnDrop<'a> {
    shared: &'a Calls,
    number: u64,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        self.shared.queue_now(|session| session.cancel(self.number));
    }
}

async fn run(stream: TcpStream, shared: Arc<Calls>, limits: crate::Limits, open: oneshot::Sender<()>) {
    let _end = EndOnDrop(&shared);
    let mut open = Some(open);
    let mut pump = Pump::new(stream, &shared, limits, |session: &mut ClientSession<_>, input| {
        while let Some(event) = session.handle(input)? {
            match event {
                ClientEvent::Open => drop(open.take().map(|open| open.send(()))),
                // A caller that went away in this moment needs no answer.
                ClientEvent::Answer(call, answer) => drop(oneshot::Sender::send(call, answer)),
            }
        }
        Ok(())
    });
    poll_fn(|cx| pump.poll_run(cx)).await;
    pump.farewell().await;
}
