//! What stands between generated code and the call.

use std::convert::Infallible;
use std::sync::Arc;

use graft_core::{
    Body, CallError, Caller, EncodedBody, Fault, FaultCode, Incoming, Invoke, Label, Labeled, Leaves,
    Malformed, Method, Outgoing, Path, Payload, ReplyKind, Request, Slot, TypedBody, Visit,
};

use crate::{Describe, EnumType, Interface, Type, TypeSet};

/// A type whose `impl` block carries `#[interface]`; the attribute implements it.
pub trait Described: Send + Sync + Sized + 'static {
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
        check_args: |bytes| D::interface().check_args(INDEX, bytes).map_err(Malformed::from),
        check_ok: |bytes| D::interface().check_ok(INDEX, bytes).map_err(Malformed::from),
        check_err: |bytes| D::interface().check_err(INDEX, bytes).map_err(Malformed::from),
    }
}

/// The label of each method's output, made once so that a call only clones it.
#[doc(hidden)]
pub fn labels<D: Described>() -> Box<[Label]> {
    D::methods().iter().map(|method| method.tool.output_label()).collect()
}

/// Runs one call of `method`: takes the arguments out of `body`, hands them to `run`, puts back what it returns.
///
/// Between two ends of the same Rust types nothing is encoded.
#[doc(hidden)]
pub async fn serve<A, R, E, Run, Ran>(
    method: &'static Method,
    label: &Label,
    request: Request<'_>,
    body: Body<'_>,
    run: Run,
) -> Result<Label, Fault>
where
    A: Payload,
    R: Describe,
    E: Describe,
    Run: FnOnce(A) -> Ran,
    Ran: Future<Output = Result<R, E>> + Send,
{
    let trace = request.meta.trace.trace;
    let fault = |code| Fault::new(code, trace);
    match body {
        Body::Typed(typed) => {
            if typed.as_any().is::<Slot<A, R, E>>() {
                let slot = slot::<A, R, E>(typed).ok_or_else(|| fault(FaultCode::Internal))?;
                let args = slot.take_args().ok_or_else(|| fault(FaultCode::Internal))?;
                slot.set_outcome(run(args).await);
            } else {
                // The caller was built from other Rust types of the same contract.
                let (mut args, mut reply) = (Outgoing::default(), Outgoing::default());
                typed.encode_args(&mut args).map_err(fault)?;
                let args = Incoming::new(args.to_bytes());
                let kind = encoded(method, args, &mut reply, run).await.map_err(fault)?;
                typed.decode_reply(kind, Incoming::new(reply.to_bytes())).map_err(fault)?;
            }
        }
        Body::Encoded(EncodedBody { args, reply, kind }) => {
            *kind = encoded(method, args, reply, run).await.map_err(fault)?;
        }
    }
    Ok(label.clone())
}

/// Out of line, so that the `Any`, which is not `Send`, does not live across an await.
fn slot<A: Payload, R: Payload, E: Payload>(body: &mut dyn TypedBody) -> Option<&mut Slot<A, R, E>> {
    body.as_any().downcast_mut()
}

async fn encoded<A, R, E, Run, Ran>(
    method: &'static Method,
    args: Incoming,
    reply: &mut Outgoing,
    run: Run,
) -> Result<ReplyKind, FaultCode>
where
    A: Payload,
    R: Describe,
    E: Describe,
    Run: FnOnce(A) -> Ran,
    Ran: Future<Output = Result<R, E>> + Send,
{
    let args = args.decode::<A>(method.check_args).map_err(|Malformed| FaultCode::InvalidArgument)?;
    let outcome = run(args).await;
    let (kind, written) = match &outcome {
        Ok(value) => (ReplyKind::Ok, reply.encode(value)),
        Err(error) => (ReplyKind::Err, reply.encode(error)),
    };
    written.map_err(|Malformed| FaultCode::Internal)?;
    Ok(kind)
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
pub async fn call<A: Payload, R: Describe, E: Describe>(
    caller: &Caller,
    method: &'static Method,
    args: A,
) -> Result<Labeled<R>, CallError<E>> {
    caller.call(method, args).await
}

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
