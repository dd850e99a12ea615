//! Channels that stay in the process, for tests.
#![allow(clippy::panic)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;
use graft_core::port::{Export, Import};
use graft_core::{
    Body, Caller, Channel, Clearance, EncodedBody, Fault, FaultCode, Incoming, Invoke, Label, ManualClock,
    Outgoing, ReplyKind, Request, Router, RunId, TypedBody,
};

/// Hands the Rust values over as they are.
pub(crate) struct Typed(pub(crate) Router);

impl Channel for Typed {
    fn clearance(&self) -> Clearance {
        Clearance::IN_PROCESS
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        Box::pin(self.0.invoke(request, Body::Typed(body)))
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(async { Ok(true) })
    }
}

/// Does what a wire does: encodes, and hands over bytes.
pub(crate) struct Encoded(pub(crate) Router);

impl Channel for Encoded {
    fn clearance(&self) -> Clearance {
        Clearance::IN_PROCESS
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        Box::pin(async move {
            let trace = request.meta.trace.trace;
            let (mut args, mut reply, mut kind) = (Outgoing::default(), Outgoing::default(), ReplyKind::Ok);
            body.encode_args(&mut args).map_err(|code| Fault::new(code, trace))?;
            let encoded = EncodedBody { args: across(args), reply: &mut reply, kind: &mut kind };
            let label = self.0.invoke(request, Body::Encoded(encoded)).await?;
            body.decode_reply(kind, across(reply)).map_err(|code| Fault::new(code, trace))?;
            Ok(label)
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(async { Ok(true) })
    }
}

/// What leaves, as it comes in elsewhere: calls of an object are encoded too.
fn across(mut value: Outgoing) -> Incoming {
    let ports = std::mem::take(&mut value.ports).into_iter().map(|port| match port {
        Export::Items(items) => Import::Items(items),
        Export::Object(object) => Import::Object(Arc::new(Encoded(Router::default().with(object)))),
    });
    Incoming { ports: ports.collect(), bytes: value.into_bytes() }
}

/// One caller for each channel.
pub(crate) fn callers(service: Arc<dyn Invoke>) -> [Caller; 2] {
    let channels: [Arc<dyn Channel>; 2] = [
        Arc::new(Typed(Router::default().with(service.clone()))),
        Arc::new(Encoded(Router::default().with(service))),
    ];
    channels.map(|channel| Caller::new(channel, Arc::new(ManualClock::default()), RunId([7; 16])))
}

/// Runs a future that never has to wait.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing in these tests waits"),
    }
}
