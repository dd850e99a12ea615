//! Streams and objects that cross a connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, poll_fn};
use futures::{FutureExt, Stream, StreamExt};
use graft_core::port::{Export, Import, ItemStream};
use graft_core::{Channel, Clearance, Fault, FaultCode, HandleId, Label, Request, TypedBody};

use super::call::RemoteCall;
use super::channel::Owner;
use super::link::{Garbage, Link, State};
use crate::session::{Room, Taken};
use crate::wire::Port;

/// A link, kept open while somebody at a client's end holds it.
#[derive(Clone)]
pub(super) struct Hold {
    link: Arc<Link>,
    _owner: Option<Arc<Owner>>,
}

impl Hold {
    pub(super) fn new(link: &Arc<Link>) -> Self {
        Self { link: link.clone(), _owner: link.owner.get().and_then(std::sync::Weak::upgrade) }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }
}

/// Ports that were given numbers and are about to go out.
#[derive(Default)]
pub(super) struct Announced {
    wire: Vec<Port>,
    streams: Vec<(u64, ItemStream)>,
}

/// Gives ports their numbers. If it cannot, they come back to be dropped after unlocking.
pub(super) fn announce(
    state: &mut State,
    link: &Link,
    now: Duration,
    exports: Vec<Export>,
) -> Result<Announced, (FaultCode, Garbage)> {
    let mut announced = Announced::default();
    let mut exports = exports.into_iter();
    while let Some(export) = exports.next() {
        match export {
            Export::Items(items) => {
                let stream = state.session.produce();
                announced.wire.push(Port::Items(stream));
                announced.streams.push((stream, items));
            }
            Export::Object(object) => {
                let handle = link.host.new_handle();
                if let Err(code) = state.session.host(now, handle) {
                    link.host.gone(handle);
                    let mut garbage = announced.withdraw(state, link);
                    garbage.add([Export::Object(object)].into_iter().chain(exports));
                    return Err((code, garbage));
                }
                state.objects.insert(handle.0, object);
                announced.wire.push(Port::Object(handle));
            }
        }
    }
    Ok(announced)
}

impl Announced {
    /// What stands for them in a frame.
    pub(super) fn wire(&self) -> &[Port] {
        &self.wire
    }

    /// They do not go out after all. What comes back is to be dropped after unlocking.
    pub(super) fn withdraw(self, state: &mut State, link: &Link) -> Garbage {
        let mut garbage = Garbage::default();
        for port in &self.wire {
            match port {
                Port::Items(stream) => state.session.unproduce(*stream),
                Port::Object(handle) => {
                    state.session.unhost(*handle);
                    garbage.add(state.objects.remove(&handle.0).map(Export::Object));
                    link.host.gone(*handle);
                }
            }
        }
        garbage.add(self.streams.into_iter().map(|(_, items)| Export::Items(items)));
        garbage
    }

    /// They went out: items begin to flow.
    pub(super) fn start(self, hold: &Hold) {
        for (stream, items) in self.streams {
            let link = hold.link.clone();
            let task = hold.link.runtime.spawn(produce(link, stream, items));
            let mut state = hold.link.lock();
            // Stopped already, there is nobody to send to.
            if state.session.room(stream, 0) == Room::Gone {
                task.abort();
            } else {
                state.producers.insert(stream, task.abort_handle());
            }
        }
    }
}

/// Sends the items of a stream as there is credit for them. Stopped, its task is aborted.
async fn produce(link: Arc<Link>, stream: u64, mut items: ItemStream) {
    let end = loop {
        let next = AssertUnwindSafe(items.next()).catch_unwind().await;
        let item = match next {
            Ok(Some(Ok(item))) => item,
            Ok(Some(Err(code))) => break Some(code),
            Ok(None) => break None,
            Err(_) => break Some(FaultCode::Internal),
        };
        let sent = poll_fn(|cx| {
            let mut state = link.lock();
            match state.session.room(stream, item.len()) {
                Room::Now => {
                    let sent = state.session.send(stream, &item);
                    state.drive_by_task(&link);
                    Poll::Ready(sent.map_err(Some))
                }
                Room::Later => {
                    state.writers.insert(stream, cx.waker().clone());
                    Poll::Pending
                }
                Room::Gone => Poll::Ready(Err(None)),
            }
        });
        match sent.await {
            Ok(()) => {}
            Err(Some(code)) => break Some(code),
            Err(None) => return,
        }
    };
    // Its end is told also if it panics once more.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(items)));
    link.tell(|state| {
        state.session.finish(stream, end);
        state.producers.remove(&stream);
    });
}

/// Ports that came in, each to be taken up or dropped.
pub(super) fn import(hold: &Hold, ports: &[Port]) -> Vec<Import> {
    let import = |port: &Port| match port {
        Port::Items(stream) => {
            Import::Items(Incoming { hold: hold.clone(), stream: *stream, is_over: false }.boxed())
        }
        Port::Object(handle) => {
            Import::Object(Arc::new(RemoteObject { hold: hold.clone(), handle: *handle }))
        }
    };
    ports.iter().map(import).collect()
}

/// Items that the peer produces.
struct Incoming {
    hold: Hold,
    stream: u64,
    is_over: bool,
}

impl Stream for Incoming {
    type Item = Result<Bytes, FaultCode>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let link = self.hold.link();
        let mut state = link.lock();
        let taken = state.session.take(self.stream);
        if state.session.has_output() {
            state.drive_by_task(link);
        }
        let item = match taken {
            Taken::Item(item) => return Poll::Ready(Some(Ok(item))),
            Taken::Nothing => {
                state.readers.insert(self.stream, cx.waker().clone());
                return Poll::Pending;
            }
            Taken::End(code) => code.map(Err),
        };
        drop(state);
        self.is_over = true;
        Poll::Ready(item)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.is_over {
            self.hold.link().tell(|state| {
                state.readers.remove(&self.stream);
                state.session.stop(self.stream);
            });
        }
    }
}

/// An object that the peer hosts for this side.
struct RemoteObject {
    hold: Hold,
    handle: HandleId,
}

impl Channel for RemoteObject {
    fn clearance(&self) -> Clearance {
        self.hold.link().options.clearance()
    }

    fn call<'a>(
        &'a self,
        request: Request<'a>,
        body: &'a mut dyn TypedBody,
    ) -> BoxFuture<'a, Result<Label, Fault>> {
        Box::pin(RemoteCall::new(&self.hold, request, Some(self.handle), body))
    }

    fn health(&self) -> BoxFuture<'_, Result<bool, FaultCode>> {
        Box::pin(self.hold.link().health())
    }
}

impl Drop for RemoteObject {
    fn drop(&mut self) {
        self.hold.link().tell(|state| state.session.release(self.handle));
    }
}
