//! Streams of items as arguments and results.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::future::ready;
use futures::stream::{BoxStream, Stream, StreamExt};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::port::{Export, Import, ItemStream, export, import};
use crate::{
    Fault, FaultCode, Incoming, Invoke, Label, Leaf, Leaves, Malformed, Metadata, Outgoing, Path, Payload,
    ShapeCheck, TraceId, Visit,
};

/// Values of one type that come one after the other: a parameter or the result of a method.
///
/// Nothing is produced before somebody polls, and at most one item is under way in the process, so a slow
/// consumer costs no memory. Between two ends of the same Rust types items move as they are; over a wire each
/// is encoded by itself. After an error nothing comes. Dropping it drops the producer's stream, wherever that
/// is; a producer that panics ends its own stream with [`FaultCode::Internal`] and touches nothing else.
///
/// The deadline of a call bounds it up to its reply. What bounds a stream after that is whoever consumes it: it
/// lives until it ends, until it is dropped, or until the channel is gone.
///
/// ```
/// use futures::{StreamExt, executor::block_on, stream};
/// use graft_core::Items;
/// let squares = Items::new(stream::iter(1_u32..).map(|n| n * n));
/// let first: Vec<u32> = block_on(squares.take(3).map(|item| item.unwrap()).collect());
/// assert_eq!(first, [1, 4, 9]);
/// ```
pub struct Items<T> {
    /// In a mutex because encoding takes the stream out of a value that it only borrows.
    source: Mutex<Source<T>>,
    trace: TraceId,
}

enum Source<T> {
    Typed(BoxStream<'static, Result<T, Fault>>),
    /// As it came over a wire, with what both ends know of its items; without that nothing comes out of it.
    Encoded(ItemStream, Option<(ShapeCheck, FaultCode)>),
    /// It ended, or it left.
    Gone,
}

impl<T: 'static> Items<T> {
    /// The items of `stream`.
    pub fn new(stream: impl Stream<Item = T> + Send + 'static) -> Self {
        Self::try_new(stream.map(Ok))
    }

    /// The items of `stream` up to its first fault. What crosses a wire of a fault is its code.
    pub fn try_new(stream: impl Stream<Item = Result<T, Fault>> + Send + 'static) -> Self {
        Self::of(Source::Typed(stream.boxed()))
    }

    /// Drops the producer's stream.
    pub fn close(&mut self) {
        drop(self.leave());
    }

    fn of(source: Source<T>) -> Self {
        Self { source: Mutex::new(source), trace: TraceId([0; 16]) }
    }

    fn leave(&self) -> Source<T> {
        std::mem::replace(&mut *self.source.lock().unwrap_or_else(PoisonError::into_inner), Source::Gone)
    }
}

impl<T: Payload> Source<T> {
    fn poll(&mut self, cx: &mut Context<'_>, trace: TraceId) -> Poll<Option<Result<T, Fault>>> {
        match self {
            Self::Typed(stream) => stream.as_mut().poll_next(cx),
            Self::Encoded(items, shape) => items.as_mut().poll_next(cx).map(|item| {
                let (check, malformed) = shape.unwrap_or((|_| Err(Malformed), FaultCode::Internal));
                let decoded =
                    item?.and_then(|item| Incoming::new(item).decode(check).map_err(|Malformed| malformed));
                Some(decoded.map_err(|code| Fault::new(code, trace)))
            }),
            Self::Gone => Poll::Ready(None),
        }
    }
}

impl<T: Payload> Stream for Items<T> {
    type Item = Result<T, Fault>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { source, trace } = self.get_mut();
        let source = source.get_mut().unwrap_or_else(PoisonError::into_inner);
        // What a panic leaves half done is the stream, which is dropped at once.
        let polled = catch_unwind(AssertUnwindSafe(|| source.poll(cx, *trace)))
            .unwrap_or_else(|_| Poll::Ready(Some(Err(Fault::new(FaultCode::Internal, *trace)))));
        if let Poll::Ready(None | Some(Err(_))) = polled {
            let ended = std::mem::replace(source, Source::Gone);
            let _ = catch_unwind(AssertUnwindSafe(|| drop(ended)));
        }
        polled
    }
}

/// Its items are seen one by one when they pass; here it stands for none.
impl<T> Leaves for Items<T> {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Empty);
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Items(..)")
    }
}

/// Hands the stream over to whoever encodes; it works once, and nowhere but in a call.
impl<T: Payload> Serialize for Items<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stream = match self.leave() {
            // Nobody looks at items that only pass through, so their bytes stay as they are.
            Source::Encoded(items, _) => items,
            typed @ Source::Typed(_) => Self::of(typed)
                .scan(false, |failed, item| {
                    let encoded = item.map_err(|fault| fault.code()).and_then(|item| encode(&item));
                    let goes_on = !std::mem::replace(failed, encoded.is_err());
                    ready(goes_on.then_some(encoded))
                })
                .boxed(),
            Source::Gone => return Err(ser::Error::custom("a stream leaves once")),
        };
        let position = export(Export::Items(stream));
        serializer.serialize_u32(position.map_err(|_| ser::Error::custom("a stream travels in a call only"))?)
    }
}

/// Takes up the stream that came in beside the value.
impl<'de, T: 'static> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match import(u32::deserialize(deserializer)?) {
            Some(Import::Items(items)) => Ok(Self::of(Source::Encoded(items, None))),
            _ => Err(de::Error::custom("there is no such stream")),
        }
    }
}

/// An item by itself. One that holds ports is refused: there is no place beside it.
fn encode<T: Payload>(item: &T) -> Result<bytes::Bytes, FaultCode> {
    let mut out = Outgoing::default();
    out.encode(item).map_err(|Malformed| FaultCode::Internal)?;
    if out.ports.is_empty() { Ok(out.into_bytes()) } else { Err(FaultCode::Internal) }
}

/// A live thing that stands in a value: a stream or a handle. Generated code walks those of a call with [`Ports`].
pub trait Port {
    /// Says to which call the port belongs and, of a stream that came in, what shape its items have and what it
    /// means if one has another.
    fn attach(&mut self, meta: &Metadata, check: ShapeCheck, malformed: FaultCode);

    /// Puts `watch` between the port, which stands in the argument `name`, and whoever uses it.
    fn watch(&mut self, name: &'static str, watch: &Arc<dyn Watch>);
}

/// Arguments in which ports stand.
pub trait Ports {
    /// Calls `each` with the name of every argument that is a port, the check for its items, and the port.
    fn each_port(&mut self, each: &mut dyn FnMut(&'static str, ShapeCheck, &mut dyn Port));
}

/// Sees what passes a port while it passes.
pub trait Watch: Send + Sync {
    /// Lets an item of the stream `name` pass, or ends the stream with a fault.
    ///
    /// # Errors
    /// The fault that whoever consumes the stream gets in place of the item.
    fn item(&self, name: &'static str, item: &(dyn Leaves + Sync)) -> Result<(), Fault>;

    /// The object that stands in for `object` on the other side.
    fn object(self: Arc<Self>, object: Arc<dyn Invoke>) -> Arc<dyn Invoke>;

    /// Lets the arguments of a call of a watched object pass to it, or refuses the call. `label` is what the
    /// caller says of them.
    ///
    /// # Errors
    /// The fault in which the call ends.
    fn arguments(&self, args: &(dyn Leaves + Sync), label: &Label) -> Result<(), Fault>;
}

impl<T: Payload> Port for Items<T> {
    fn attach(&mut self, meta: &Metadata, check: ShapeCheck, malformed: FaultCode) {
        self.trace = meta.trace.trace;
        if let Source::Encoded(_, shape) = self.source.get_mut().unwrap_or_else(PoisonError::into_inner) {
            *shape = Some((check, malformed));
        }
    }

    fn watch(&mut self, name: &'static str, watch: &Arc<dyn Watch>) {
        let (watch, trace) = (watch.clone(), self.trace);
        let inner = Self { source: Mutex::new(self.leave()), trace };
        let watched = inner.map(move |item| item.and_then(|item| watch.item(name, &item).map(|()| item)));
        *self = Self { trace, ..Self::try_new(watched) };
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use crate::{CallId, RunId};
    use futures::{FutureExt, stream};

    fn next<T: Payload>(items: &mut Items<T>) -> Option<Result<T, FaultCode>> {
        let next = items.next().now_or_never().expect("nothing here waits");
        next.map(|item| item.map_err(|fault| fault.code()))
    }

    fn sent(value: &impl Serialize) -> Incoming {
        let mut out = Outgoing::default();
        out.encode(value).expect("encodes");
        Incoming::of(out)
    }

    #[test]
    fn items_come_encoded_in_order_and_only_once_somebody_knows_their_shape() {
        let meta = Metadata::new(RunId([1; 16]), CallId(0));
        let check: ShapeCheck = |bytes| if bytes.len() == 1 { Ok(()) } else { Err(Malformed) };
        let numbers = || sent(&Items::new(stream::iter([7_u32, 300, 8])));
        let mut items: Items<u32> = numbers().decode(|_| Ok(())).expect("decodes");
        assert_eq!((next(&mut items), next(&mut items)), (Some(Err(FaultCode::Internal)), None));
        let mut items: Items<u32> = numbers().decode(|_| Ok(())).expect("decodes");
        items.attach(&meta, check, FaultCode::InvalidReply);
        assert_eq!(next(&mut items), Some(Ok(7)));
        assert_eq!((next(&mut items), next(&mut items)), (Some(Err(FaultCode::InvalidReply)), None));
    }

    #[test]
    fn a_stream_leaves_once_and_not_outside_of_a_call() {
        let items = Items::new(stream::iter([1_u8]));
        assert!(postcard::to_stdvec(&items).is_err());
        let items = Items::new(stream::iter([1_u8]));
        sent(&items);
        assert_eq!(Outgoing::default().encode(&items), Err(Malformed));
        assert!(Incoming::new(bytes::Bytes::from_static(&[0])).decode::<Items<u8>>(|_| Ok(())).is_err());
    }

    #[test]
    fn a_panic_of_the_producer_ends_its_stream() {
        let mut items = Items::new(stream::iter(0_u8..).map(|n| if n == 1 { panic!("no") } else { n }));
        assert_eq!(next(&mut items), Some(Ok(0)));
        assert_eq!((next(&mut items), next(&mut items)), (Some(Err(FaultCode::Internal)), None));
    }

    #[test]
    fn an_item_with_a_port_in_it_does_not_leave() {
        let outer = sent(&Items::new(stream::iter([Items::new(stream::iter([1_u8]))])));
        let Some(Import::Items(mut items)) = outer.ports.into_iter().next() else { panic!("one stream") };
        assert_eq!(items.next().now_or_never(), Some(Some(Err(FaultCode::Internal))));
    }
}
