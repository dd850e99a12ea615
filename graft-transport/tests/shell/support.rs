//! A service of closures, and connections to it.

use std::any::Any;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use graft_core::port::{Export, Import, Incoming, ItemStream, Outgoing};
use graft_core::{
    Body, CallId, Channel, Deadline, Fault, FaultCode, InterfaceId, Invoke, Label, Metadata, MethodId, Peer,
    ReplyKind, Request, Router, RunId, TypedBody,
};
use graft_transport::net::{BoxedIo, HandshakeError, HandshakeOptions, Listen};
use graft_transport::{RemoteChannel, RemoteOptions, Server};
use tokio::io::DuplexStream;

use crate::common::Machine;

pub(crate) const INTERFACE: InterfaceId = InterfaceId([7; 32]);

/// What goes in or comes out of a call: a text and ports.
pub(crate) type Value = (String, Vec<Export>);
pub(crate) type Outcome = Result<Value, FaultCode>;
type Answer = dyn Fn(&'static str, String, Vec<Import>) -> BoxFuture<'static, Outcome> + Send + Sync;

/// Methods by name, each given its text and its ports.
pub(crate) struct Service(Box<Answer>);

pub(crate) const METHODS: [&str; 6] = ["echo", "hang", "get", "put", "sum", "late"];

pub(crate) fn method(name: &str) -> MethodId {
    MethodId::of("Shell", name)
}

impl Service {
    pub(crate) fn of<F>(
        answer: impl Fn(&'static str, String, Vec<Import>) -> F + Send + Sync + 'static,
    ) -> Arc<Self>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        Arc::new(Self(Box::new(move |name, text, ports| Box::pin(answer(name, text, ports)))))
    }
}

impl Invoke for Service {
    fn interface(&self) -> InterfaceId {
        INTERFACE
    }

    fn invoke<'a>(&'a self, request: Request<'a>, body: Body<'a>) -> BoxFuture<'a, Result<Label, Fault>> {
        let fault = |code| Fault::new(code, request.meta.trace.trace);
        let name = METHODS.into_iter().find(|name| method(name) == request.method);
        Box::pin(async move {
            let Body::Encoded(body) = body else { return Err(fault(FaultCode::Internal)) };
            let text =
                postcard::from_bytes(&body.args.bytes).map_err(|_| fault(FaultCode::InvalidArgument))?;
            let name = name.ok_or_else(|| fault(FaultCode::NotFound))?;
            let (text, ports) = (self.0)(name, text, body.args.ports).await.map_err(fault)?;
            body.reply.encode(&text).map_err(|_| fault(FaultCode::Internal))?;
            body.reply.ports.extend(ports);
            *body.kind = ReplyKind::Ok;
            Ok(Label::default())
        })
    }
}

/// A call's values.
struct Values {
    text: String,
    ports: Mutex<Vec<Export>>,
    reply: Option<(String, Vec<Import>)>,
}

impl TypedBody for Values {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn encode_args(&self, out: &mut Outgoing) -> Result<(), FaultCode> {
        out.encode(&self.text).map_err(|_| FaultCode::InvalidArgument)?;
        out.ports.append(&mut self.ports.lock().expect("no panic"));
        Ok(())
    }

    fn reply_kind(&self) -> Option<ReplyKind> {
        self.reply.as_ref().map(|_| ReplyKind::Ok)
    }

    fn decode_reply(&mut self, _: ReplyKind, reply: Incoming) -> Result<(), FaultCode> {
        let text = postcard::from_bytes(&reply.bytes).map_err(|_| FaultCode::InvalidReply)?;
        self.reply = Some((text, reply.ports));
        Ok(())
    }
}

pub(crate) async fn send(
    channel: &dyn Channel,
    name: &str,
    text: &str,
    ports: Vec<Export>,
) -> Result<(String, Vec<Import>), FaultCode> {
    send_within(channel, name, text, ports, None).await
}

pub(crate) async fn send_within(
    channel: &dyn Channel,
    name: &str,
    text: &str,
    ports: Vec<Export>,
    within: Option<Duration>,
) -> Result<(String, Vec<Import>), FaultCode> {
    let mut meta = Metadata::new(RunId([1; 16]), CallId(0));
    meta.deadline = within.map(|within| Deadline::after(&*Machine::clock(), within));
    let label = Label::default();
    let mut values = Values { text: text.to_owned(), ports: Mutex::new(ports), reply: None };
    let request = Request::new(INTERFACE, method(name), &meta, &label);
    channel.call(request, &mut values).await.map_err(|fault| fault.code())?;
    values.reply.ok_or(FaultCode::Internal)
}

pub(crate) async fn text(channel: &dyn Channel, name: &str, text: &str) -> Result<String, FaultCode> {
    send(channel, name, text, Vec::new()).await.map(|(text, _)| text)
}

/// The one stream among `ports`.
pub(crate) fn items(ports: Vec<Import>) -> ItemStream {
    match ports.into_iter().next() {
        Some(Import::Items(items)) => items,
        _ => unreachable!("a stream"),
    }
}

/// The one object among `ports`.
pub(crate) fn object(ports: Vec<Import>) -> Arc<dyn Channel> {
    match ports.into_iter().next() {
        Some(Import::Object(object)) => object,
        _ => unreachable!("an object"),
    }
}

/// Counts how often it was dropped.
#[derive(Clone, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn one(&self) -> OnDrop {
        OnDrop(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

pub(crate) struct OnDrop(Drops);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, SeqCst);
    }
}

pub(crate) fn bytes(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

/// A listener on pipes in memory, which wait for nobody and nothing but virtual time.
pub(crate) struct Pipes {
    next: tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<DuplexStream>>,
}

/// Connects to [`Pipes`].
#[derive(Clone)]
pub(crate) struct Dialler {
    pipes: tokio::sync::mpsc::UnboundedSender<DuplexStream>,
    size: usize,
}

pub(crate) fn pipes(size: usize) -> (Pipes, Dialler) {
    let (pipes, next) = tokio::sync::mpsc::unbounded_channel();
    (Pipes { next: next.into() }, Dialler { pipes, size })
}

impl Dialler {
    pub(crate) fn pipe(&self) -> Option<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(self.size);
        self.pipes.send(theirs).ok().map(|()| ours)
    }

    pub(crate) async fn connect(&self, options: RemoteOptions) -> RemoteChannel {
        let io: BoxedIo = Box::new(self.pipe().expect("there is a listener"));
        RemoteChannel::over((io, Peer::default()), options).await.expect("connects")
    }
}

impl Listen for Pipes {
    type Raw = DuplexStream;

    async fn accept(&self) -> std::io::Result<Self::Raw> {
        match self.next.lock().await.recv().await {
            Some(raw) => Ok(raw),
            None => std::future::pending().await,
        }
    }

    async fn handshake(
        &self,
        raw: Self::Raw,
        _: &HandshakeOptions,
    ) -> Result<(BoxedIo, Peer), HandshakeError> {
        Ok((Box::new(raw), Peer::default()))
    }

    fn turn_away(&self, _: Self::Raw, _: &[u8]) {}
}

/// A server of `service` on pipes of `size` bytes.
pub(crate) fn serve(service: Arc<Service>, options: RemoteOptions, size: usize) -> (Server, Dialler) {
    let (listener, dialler) = pipes(size);
    let server = Server::serve(listener, Router::default().with(service), options).expect("serves");
    (server, dialler)
}

/// One connection to a server of `service`.
pub(crate) async fn connected(service: Arc<Service>, options: RemoteOptions) -> (Server, RemoteChannel) {
    let (server, dialler) = serve(service, options.clone(), 64 << 10);
    let channel = dialler.connect(options).await;
    (server, channel)
}
