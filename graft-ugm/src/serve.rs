//! What stands between generated code and the call.

use std::convert::Infallible;
use std::sync::Arc;

use futures::future::{BoxFuture, ready};
use graft_core::{
    Body, CallError, Caller, EncodedBody, Fault, FaultCode, Incoming, Invoke, Items, Label, Labeled,
    LabeledItems, Leaves, Malformed, Metadata, Method, Name, Outgoing, Path, Payload, Ports, ReplyKind,
    Request, ShapeCheck, Slot, Visit, Watch,
};

use crate::{Describe, EnumType, Handle, Interface, Type, TypeSet};

/// A type whose `impl` block carries `#[interface]`; the attribute implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not described: calls cannot reach it",
    label = "not described",
    note = "put `#[interface]` on its `impl` block"
)]
pub trait Described: Send + Sync + Sized + 'static {
    /// The client that the attribute writes beside the block.
    type Client: From<Caller>;

    /// The interface's name.
    const NAME: Name;

    /// What the block describes; made once.
    fn interface() -> &'static Interface;

    /// The methods as channels and dispatchers need them, in the order of [`Interface::methods`].
    fn methods() -> &'static [Method];

    /// Carries out calls on `self`. Give it to a [`Router`](graft_core::Router) or a server.
    fn dispatcher(self: Arc<Self>) -> Arc<dyn Invoke>;
}

/// The method at `INDEX` of `D`'s interface.
#[doc(hidden)]
pub fn method<D: Described, const INDEX: usize>() -> Method {
    let interface = D::interface();
    let (model, guard) = interface.methods().nth(INDEX).expect("generated code counts its own methods");
    Method {
        interface: interface.id(),
        id: model.id,
        tool: guard.tool.clone(),
        label: guard.tool.output_label(),
        check_args: |bytes| D::interface().check_args(INDEX, bytes).map_err(Malformed::from),
        check_ok: |bytes| D::interface().check_ok(INDEX, bytes).map_err(Malformed::from),
        check_err: |bytes| D::interface().check_err(INDEX, bytes).map_err(Malformed::from),
    }
}

/// What a method may return: a described value, a stream of them, or a handle.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a described method: it is not described",
    label = "not described"
)]
pub trait Answer: Payload {}

impl<T: Describe> Answer for T {}
impl<T: Describe> Answer for Items<T> {}
impl<T: Described> Answer for Handle<T> {}

/// Runs one call of `method`: takes the arguments out of `body`, hands them to `run`, puts back what it returns.
///
/// Between two ends of the same Rust types nothing is encoded, and what is boxed is little more than what `run`
/// gives. None of it runs before it is polled.
#[doc(hidden)]
pub fn serve<'a, A, R, E, Run, Ran>(
    method: &'static Method,
    request: Request<'a>,
    body: Body<'a>,
    run: Run,
) -> BoxFuture<'a, Result<Label, Fault>>
where
    A: Payload,
    R: Answer,
    E: Describe,
    Run: FnOnce(A) -> Ran + Send + 'a,
    Ran: Future<Output = Result<R, E>> + Send + 'a,
{
    let trace = request.meta.trace.trace;
    let fault = move |code| Fault::new(code, trace);
    match body {
        Body::Typed(typed) => {
            if !typed.as_any().is::<Slot<A, R, E>>() {
                // The caller was built from other Rust types of the same contract.
                return Box::pin(async move {
                    let (mut args, mut reply) = (Outgoing::default(), Outgoing::default());
                    typed.encode_args(&mut args).map_err(fault)?;
                    let kind = encoded(method, &request, Incoming::of(args), &mut reply, run).await?;
                    typed.decode_reply(kind, Incoming::of(reply)).map_err(fault)?;
                    Ok(method.label.clone())
                });
            }
            let slot = typed.as_any().downcast_mut::<Slot<A, R, E>>();
            let Some((args, slot)) = slot.and_then(|slot| Some((slot.take_args()?, slot))) else {
                return refuse(fault(FaultCode::Internal));
            };
            if let Err(fault) = seen(&request, &args) {
                return refuse(fault);
            }
            let ran = run(args);
            Box::pin(async move {
                slot.set_outcome(ran.await);
                Ok(method.label.clone())
            })
        }
        Body::Encoded(EncodedBody { args, reply, kind }) => Box::pin(async move {
            *kind = encoded(method, &request, args, reply, run).await?;
            Ok(method.label.clone())
        }),
    }
}

/// The answer to a call of a method that the interface does not have.
#[doc(hidden)]
pub fn unknown<'a>(request: &Request<'a>) -> BoxFuture<'a, Result<Label, Fault>> {
    refuse(Fault::new(FaultCode::NotFound, request.meta.trace.trace))
}

fn refuse<'a>(fault: Fault) -> BoxFuture<'a, Result<Label, Fault>> {
    Box::pin(ready(Err(fault)))
}

async fn encoded<A, R, E, Run, Ran>(
    method: &'static Method,
    request: &Request<'_>,
    args: Incoming,
    reply: &mut Outgoing,
    run: Run,
) -> Result<ReplyKind, Fault>
where
    A: Payload,
    R: Answer,
    E: Describe,
    Run: FnOnce(A) -> Ran,
    Ran: Future<Output = Result<R, E>> + Send,
{
    let fault = |code| Fault::new(code, request.meta.trace.trace);
    let args = args.decode::<A>(method.check_args).map_err(|Malformed| fault(FaultCode::InvalidArgument))?;
    seen(request, &args)?;
    let outcome = run(args).await;
    let (kind, written) = match &outcome {
        Ok(value) => (ReplyKind::Ok, reply.encode(value)),
        Err(error) => (ReplyKind::Err, reply.encode(error)),
    };
    written.map_err(|Malformed| fault(FaultCode::Internal))?;
    Ok(kind)
}

/// Shows the arguments to whoever watches the object.
fn seen<A: Payload>(request: &Request<'_>, args: &A) -> Result<(), Fault> {
    request.watch.map_or(Ok(()), |watch| watch.arguments(args, request.label))
}

/// Ties the ports among the arguments to the call that they came with, before user code has them.
#[doc(hidden)]
pub fn attach<A: Ports>(args: &mut A, meta: &Metadata, watch: Option<&Arc<dyn Watch>>) {
    args.each_port(&mut |name, check, port| {
        port.attach(meta, check, FaultCode::InvalidArgument);
        if let Some(watch) = watch {
            port.watch(name, watch);
        }
    });
}

/// Checks an item of a stream among the arguments.
#[doc(hidden)]
pub fn arg_item<D: Described, const METHOD: usize, const PARAM: usize>(
    bytes: &[u8],
) -> Result<(), Malformed> {
    D::interface().check_arg_item(METHOD, PARAM, bytes).map_err(Malformed::from)
}

/// No item is right of what is no stream.
#[doc(hidden)]
pub fn no_item(_: &[u8]) -> Result<(), Malformed> {
    Err(Malformed)
}

/// Checks an item of a stream that came back.
#[doc(hidden)]
pub fn ok_item<D: Described, const METHOD: usize>(bytes: &[u8]) -> Result<(), Malformed> {
    D::interface().check_ok_item(METHOD, bytes).map_err(Malformed::from)
}

/// An origin whose name the attribute has checked.
#[doc(hidden)]
pub fn origin(name: &'static str) -> graft_core::Origin {
    graft_core::Origin::new(name).expect("generated code checks the name")
}

/// A pattern that the attribute has checked.
#[doc(hidden)]
pub fn pattern(text: &'static str) -> graft_core::ResourcePattern {
    graft_core::ResourcePattern::new(text).expect("generated code checks the pattern")
}

/// The typed error of a method that has none. `Infallible` would say it too, but serde does not know it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub enum Never {}

impl Leaves for Never {
    fn visit(&self, _: &Path<'_>, _: &mut Visit<'_>) {
        match *self {}
    }
}

impl Describe for Never {
    type Form = Self;

    fn describe(_: &mut TypeSet) -> Type {
        Type::Enum(EnumType { name: "Never".to_owned(), args: Vec::new(), variants: Vec::new() })
    }
}

/// Makes one call. The bounds are those of the model, so that errors speak of it.
#[doc(hidden)]
pub fn call<A: Payload, R: Describe, E: Describe>(
    caller: &Caller,
    method: &'static Method,
    args: A,
) -> impl Future<Output = Result<Labeled<R>, CallError<E>>> {
    caller.call(method, args)
}

/// Makes one call with ports among its arguments.
#[doc(hidden)]
pub async fn call_with<A: Payload + Ports, R: Describe, E: Describe>(
    caller: &Caller,
    method: &'static Method,
    args: A,
) -> Result<Labeled<R>, CallError<E>> {
    caller.call_with(method, args).await
}

/// Makes one call that returns a stream.
#[doc(hidden)]
pub async fn stream<A: Payload + Ports, T: Describe, E: Describe>(
    caller: &Caller,
    method: &'static Method,
    args: A,
    check: ShapeCheck,
) -> Result<LabeledItems<T>, CallError<E>> {
    caller.stream(method, args, check).await
}

/// Makes one call that returns a handle, and gives the client of it: what comes through it is under at least the
/// label of the reply.
#[doc(hidden)]
pub async fn open<A: Payload + Ports, T: Described, E: Describe>(
    caller: &Caller,
    method: &'static Method,
    args: A,
) -> Result<T::Client, CallError<E>> {
    let handle: Labeled<Handle<T>> = caller.call_with(method, args).await?;
    let caller = caller.clone().with_reply_label(handle.label());
    let (handle, _receipt) = handle.release(OPEN);
    Ok(handle.over(&caller))
}

const OPEN: Name = Name::from_static("open-handle");

/// Walks one part of a value. The bound is that of the model, so that errors speak of it.
#[doc(hidden)]
pub fn visit<T: Describe>(value: &T, path: &Path<'_>, visit: &mut Visit<'_>) {
    value.visit(path, visit);
}

/// Says to the caller in the standard library's words that there is no typed error.
#[doc(hidden)]
pub fn infallible(error: CallError<Never>) -> CallError<Infallible> {
    match error {
        CallError::Domain(never) => CallError::Domain(never.map(|never| match never {})),
        CallError::Fault(fault) => CallError::Fault(fault),
    }
}
