//! A call: what is invoked, with what, on whose behalf; and the body that carries its values.

use std::any::Any;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::{
    CallId, Deadline, Fault, FaultCode, HandleId, Headers, Incoming, InterfaceId, Label, Leaves, MethodId,
    Outgoing, Peer, ResourceLabel, RunId, Seq, ToolMetadata, TraceContext, TraceId, Verdict, Watch,
};

/// Proof of who calls, opaque to the transport. Zeroed on drop; `Debug` shows only that there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Zeroizing<Vec<u8>>);

impl Credential {
    /// Holds `bytes`.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The one door to the bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// What travels beside the values.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Number of the call within its run.
    pub call: CallId,
    /// The call on whose behalf this one is made.
    pub parent: Option<CallId>,
    /// The run it belongs to.
    pub run: RunId,
    /// When the caller stops waiting.
    pub deadline: Option<Deadline>,
    /// The trace it belongs to.
    pub trace: TraceContext,
    /// Who calls.
    pub credential: Option<Credential>,
    /// What else travels beside the call: baggage, trace state, the host's own.
    pub headers: Headers,
}

impl Metadata {
    /// Metadata of call `call` in `run`, without deadline, trace or credential.
    pub fn new(run: RunId, call: CallId) -> Self {
        Self {
            call,
            parent: None,
            run,
            deadline: None,
            trace: TraceContext::default(),
            credential: None,
            headers: Headers::default(),
        }
    }

    /// Lets the call travel under the span that an interceptor opened for it.
    pub(crate) fn adopt(&mut self, state: &CallState) {
        if let Some(span) = state.span.filter(|span| !span.is_absent()) {
            self.trace = span;
        }
    }
}

/// An invocation as a guard sees it, before anything happens.
///
/// Values are seen as [`Leaves`]; nothing is serialised for it.
#[doc(alias = "invocation intent")]
pub struct Call<'a> {
    /// What is known of the method.
    pub tool: &'a ToolMetadata,
    /// Ids, deadline, trace, credential.
    pub meta: &'a Metadata,
    /// The arguments: one value whose members are the arguments by name.
    pub args: &'a (dyn Leaves + Sync),
    /// What guards made of the call so far.
    pub state: CallState,
}

/// What guards made of a call; it outlives the arguments.
#[derive(Clone, Debug, Default)]
pub struct CallState {
    label: Label,
    /// The verdict, once a guard gave one.
    pub verdict: Option<Verdict>,
    /// The record of the intent, once it is written.
    pub intent: Option<Seq>,
    /// The labels of what the call returns, where a guard saw that they depend on its arguments.
    pub resource: Option<ResourceLabel>,
    /// The span in which the caller makes the call, if it was given one.
    pub parent: Option<TraceContext>,
    /// The span that an interceptor opened for the call. It travels with the call, and is in its metadata from then
    /// on, in place of the one that the caller made up.
    pub span: Option<TraceContext>,
}

impl CallState {
    /// That of a call of whose arguments the host says this, made inside this span.
    pub(crate) fn under(label: &Label, parent: Option<TraceContext>) -> Self {
        Self { label: label.clone(), parent, ..Self::default() }
    }

    /// Joins `by` in. There is no way back.
    pub(crate) fn raise(&mut self, by: &Label) {
        self.label.raise(by);
    }

    /// The label of the arguments: what the host said of them joined with what guards found.
    pub fn label(&self) -> &Label {
        &self.label
    }
}

impl<'a> Call<'a> {
    /// A call of `tool` with `args`, whose label so far is the host's default.
    pub fn new(tool: &'a ToolMetadata, meta: &'a Metadata, args: &'a (dyn Leaves + Sync)) -> Self {
        Self { tool, meta, args, state: CallState::default() }
    }

    /// A call whose arguments are a JSON object, for tools that are closures over JSON.
    #[cfg(feature = "json")]
    pub fn from_json(tool: &'a ToolMetadata, meta: &'a Metadata, args: &'a serde_json::Value) -> Self {
        Self::new(tool, meta, args)
    }

    /// The label of the arguments so far.
    pub fn label(&self) -> &Label {
        self.state.label()
    }

    /// The trace that the call is part of: that of the span which was opened for it, if one was.
    pub fn trace(&self) -> TraceId {
        self.state.span.filter(|span| !span.is_absent()).map_or(self.meta.trace.trace, |span| span.trace)
    }

    /// Joins `by` in. There is no way back.
    pub fn raise(&mut self, by: &Label) {
        self.state.label.raise(by);
    }
}

/// What came back, as a guard sees it.
#[derive(Clone, Copy)]
pub enum Outcome<'a> {
    /// The method's value.
    Value(&'a (dyn Leaves + Sync)),
    /// The method's own error.
    DomainError(&'a (dyn Leaves + Sync)),
    /// No value.
    Fault(&'a Fault),
}

/// What came back, with the label under which the caller will see it.
pub struct Reply<'a> {
    /// Value, error or fault.
    pub outcome: Outcome<'a>,
    label: Label,
}

impl<'a> Reply<'a> {
    /// A reply under `label`.
    pub fn new(outcome: Outcome<'a>, label: Label) -> Self {
        Self { outcome, label }
    }

    /// The label so far.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// The label as it is in the end.
    pub(crate) fn into_label(self) -> Label {
        self.label
    }

    /// Joins `by` in. There is no way back.
    pub fn raise(&mut self, by: &Label) {
        self.label.raise(by);
    }
}

/// A value that can be an argument list, a result or a typed error: it can be walked and it can be encoded.
pub trait Payload: Leaves + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Leaves + Serialize + DeserializeOwned + Send + Sync + 'static> Payload for T {}

/// Whether encoded bytes have the described shape; run before serde sees them.
pub type ShapeCheck = fn(&[u8]) -> Result<(), Malformed>;

/// Encoded bytes do not have the described shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes do not have the described shape")]
pub struct Malformed;

/// One method as both ends know it: ids, metadata, and how to check its encoded values.
#[derive(Debug)]
pub struct Method {
    /// The contract that it is part of.
    pub interface: InterfaceId,
    /// What the wire calls it.
    pub id: MethodId,
    /// What guards know of it.
    pub tool: ToolMetadata,
    /// The label of what it returns: [`ToolMetadata::output_label`], made once so that a call only clones it.
    pub label: Label,
    /// Checks encoded arguments.
    pub check_args: ShapeCheck,
    /// Checks an encoded result.
    pub check_ok: ShapeCheck,
    /// Checks an encoded typed error.
    pub check_err: ShapeCheck,
}

impl Method {
    /// A call of this method with what travels beside its values.
    pub fn request<'a>(&self, meta: &'a Metadata, label: &'a Label) -> Request<'a> {
        let is_idempotent = self.tool.idempotent;
        Request { is_idempotent, ..Request::new(self.interface, self.id, meta, label) }
    }
}

/// Whether an encoded reply holds the method's value or its own error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// The value.
    Ok,
    /// The method's own error.
    Err,
}

/// The values of one call in the frame of whoever makes it. Nothing is copied while both ends are Rust.
///
/// A channel that stays in the process hands it to the dispatcher as it is ([`Body::Typed`]); one
/// that leaves encodes the arguments and decodes the reply.
pub struct Slot<A, R, E> {
    method: &'static Method,
    args: Option<A>,
    outcome: Option<Result<R, E>>,
}

impl<A: Payload, R: Payload, E: Payload> Slot<A, R, E> {
    /// A call of `method` with `args`.
    pub fn new(method: &'static Method, args: A) -> Self {
        Self { method, args: Some(args), outcome: None }
    }

    /// Takes the arguments; the dispatcher does, once.
    pub fn take_args(&mut self) -> Option<A> {
        self.args.take()
    }

    /// The arguments while nobody took them.
    pub fn args(&self) -> Option<&A> {
        self.args.as_ref()
    }

    /// Sets what the method returned; the dispatcher does.
    pub fn set_outcome(&mut self, outcome: Result<R, E>) {
        self.outcome = Some(outcome);
    }

    /// What came back, while it is still here.
    pub fn outcome(&self) -> Option<Outcome<'_>> {
        Some(match self.outcome.as_ref()? {
            Ok(value) => Outcome::Value(value),
            Err(error) => Outcome::DomainError(error),
        })
    }

    /// Takes what came back.
    pub fn into_outcome(self) -> Option<Result<R, E>> {
        self.outcome
    }
}

/// A [`Slot`] with its types erased, for channels.
pub trait TypedBody: Send {
    /// The slot itself, for a dispatcher in the same process built from the same types.
    fn as_any(&mut self) -> &mut dyn Any;

    /// Appends the encoded arguments. What is a stream leaves with them, so a call that has one is encoded once.
    ///
    /// # Errors
    /// [`FaultCode::InvalidArgument`] if a value cannot be encoded.
    fn encode_args(&self, out: &mut Outgoing) -> Result<(), FaultCode>;

    /// Checks and decodes an encoded reply.
    ///
    /// # Errors
    /// [`FaultCode::InvalidReply`] if it has not the described shape.
    fn decode_reply(&mut self, kind: ReplyKind, reply: Incoming) -> Result<(), FaultCode>;

    /// What the reply is, once there is one.
    fn reply_kind(&self) -> Option<ReplyKind>;
}

impl<A: Payload, R: Payload, E: Payload> TypedBody for Slot<A, R, E> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn encode_args(&self, out: &mut Outgoing) -> Result<(), FaultCode> {
        let args = self.args.as_ref().ok_or(FaultCode::InvalidArgument)?;
        out.encode(args).map_err(|Malformed| FaultCode::InvalidArgument)
    }

    fn decode_reply(&mut self, kind: ReplyKind, reply: Incoming) -> Result<(), FaultCode> {
        let outcome = match kind {
            ReplyKind::Ok => reply.decode(self.method.check_ok).map(Ok),
            ReplyKind::Err => reply.decode(self.method.check_err).map(Err),
        };
        self.outcome = Some(outcome.map_err(|Malformed| FaultCode::InvalidReply)?);
        Ok(())
    }

    fn reply_kind(&self) -> Option<ReplyKind> {
        self.outcome.as_ref().map(|outcome| if outcome.is_ok() { ReplyKind::Ok } else { ReplyKind::Err })
    }
}

/// The values of a call that came in over a wire. `Debug` shows their length and not what they are.
pub struct EncodedBody<'a> {
    /// The encoded arguments; the dispatcher takes them.
    pub args: Incoming,
    /// Where the dispatcher appends the encoded reply.
    pub reply: &'a mut Outgoing,
    /// What the dispatcher says the reply is.
    pub kind: &'a mut ReplyKind,
}

impl std::fmt::Debug for EncodedBody<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EncodedBody({} bytes of arguments)", self.args.bytes.len())
    }
}

/// The values of a call as they reach a dispatcher.
pub enum Body<'a> {
    /// Rust values of a caller in the same process.
    Typed(&'a mut dyn TypedBody),
    /// Bytes from a wire.
    Encoded(EncodedBody<'a>),
}

/// A call on its way through a channel.
pub struct Request<'a> {
    /// The contract that the caller was built from.
    pub interface: InterfaceId,
    /// The method.
    pub method: MethodId,
    /// The object that it is called on; absent for what the peer hosts for everybody.
    pub handle: Option<HandleId>,
    /// Whether the call may be made again if nobody knows how it ended.
    pub is_idempotent: bool,
    /// What travels beside the values.
    pub meta: &'a Metadata,
    /// The label of the arguments together.
    pub label: &'a Label,
    /// Who sent it, where the channel knows.
    pub peer: Option<&'a Peer>,
    /// Who sees the arguments before the method does: of calls that come in for an object that a guarded
    /// caller handed out.
    pub watch: Option<&'a Arc<dyn Watch>>,
}

impl<'a> Request<'a> {
    /// A call of `method` on what the peer hosts for everybody, not to be made again.
    pub fn new(interface: InterfaceId, method: MethodId, meta: &'a Metadata, label: &'a Label) -> Self {
        Self { interface, method, handle: None, is_idempotent: false, meta, label, peer: None, watch: None }
    }
}
