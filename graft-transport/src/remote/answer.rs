//! Carrying out the calls that come in.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use graft_core::{Body, Deadline, EncodedBody, FaultCode, Incoming, Label, Outgoing, ReplyKind, Request};

use super::link::Link;
use super::ports::{self, Hold};
use super::record::Served;
use crate::session::IncomingRequest;

/// A call that was carried out.
pub(super) struct Answered {
    number: u64,
    outcome: Result<(ReplyKind, Label), FaultCode>,
    reply: Outgoing,
}

/// Carries out one call; its reply is encoded into `reply`.
pub(super) async fn answer(link: Arc<Link>, request: IncomingRequest, mut reply: Outgoing) -> Answered {
    let number = request.frame.number;
    reply.clear();
    let outcome = carry_out(&link, request, &mut reply).await;
    Answered { number, outcome, reply }
}

async fn carry_out(
    link: &Arc<Link>,
    request: IncomingRequest,
    reply: &mut Outgoing,
) -> Result<(ReplyKind, Label), FaultCode> {
    let (interface, mut frame) = (request.interface, request.frame);
    // Taken up first: whatever ends the call from here on closes them.
    let ports =
        if frame.ports.is_empty() { Vec::new() } else { ports::import(&Hold::new(link), &frame.ports) };
    let deadline = frame.remaining.map(|left| Deadline::after(&**link.options.clock(), left));
    frame.meta.deadline = deadline;
    let request = Request {
        interface,
        method: frame.method,
        handle: frame.handle,
        is_idempotent: frame.is_idempotent,
        meta: &frame.meta,
        label: &frame.label,
        peer: Some(&link.peer),
        watch: None,
    };
    let args = Incoming { bytes: frame.body.0, ports };
    let mut served = match link.options.recorder() {
        Some(_) => served(link, &request),
        None => None,
    };
    let outcome = admitted_and_invoked(link, request, args, reply, served.as_mut()).await;
    match &mut served {
        Some(served) => served.end(outcome),
        None => outcome,
    }
}

fn served<'a>(link: &'a Link, request: &Request<'_>) -> Option<Served<'a>> {
    let object = request.handle.and_then(|handle| link.lock().objects.get(&handle.0).cloned());
    let service = match (&object, request.handle) {
        (Some(object), _) => Some(&**object),
        (None, Some(_)) => None,
        (None, None) => link.host.router.route(request.interface),
    };
    Served::new(link, service, request)
}

async fn admitted_and_invoked(
    link: &Link,
    request: Request<'_>,
    args: Incoming,
    reply: &mut Outgoing,
    mut served: Option<&mut Served<'_>>,
) -> Result<(ReplyKind, Label), FaultCode> {
    // A peer that sends what this side must not carry has broken its own rule, and the call ends here.
    if !link.options.clearance().admits(request.label) {
        return Err(FaultCode::ClearanceExceeded);
    }
    if let Some(admit) = link.options.admit() {
        match (admit.admit(&request), &mut served) {
            (Ok(who), Some(served)) => served.granted(who)?,
            (Ok(_), None) => {}
            (Err(refused), served) => {
                if let Some(served) = served {
                    served.denied(&refused);
                }
                return Err(refused.code());
            }
        }
        link.admitted();
    }
    let object = match request.handle {
        Some(handle) => Some(object(link, handle)?),
        None => None,
    };
    if let Some(served) = served {
        served.begin()?;
    }
    let (interface, meta) = (request.interface, request.meta);
    let mut kind = ReplyKind::Ok;
    let body = Body::Encoded(EncodedBody { args, reply: &mut *reply, kind: &mut kind });
    let invoked = async {
        match &object {
            Some(object) if object.hosts(interface) => object.invoke(request, body).await,
            Some(_) => Err(graft_core::Fault::new(FaultCode::ContractMismatch, meta.trace.trace)),
            None => link.host.router.invoke(request, body).await,
        }
    };
    let invoked = AssertUnwindSafe(invoked).catch_unwind().await;
    let label = invoked.map_err(|_| FaultCode::Internal)?.map_err(|fault| fault.code())?;
    if meta.deadline.is_some_and(|deadline| deadline.remaining(&**link.options.clock()).is_none()) {
        return Err(FaultCode::DeadlineExceeded);
    }
    // Before the reply becomes a frame: what is above the clearance is dropped here, unframed.
    if !link.options.clearance().admits(&label) {
        return Err(FaultCode::ClearanceExceeded);
    }
    Ok((kind, label))
}

fn object(link: &Link, handle: graft_core::HandleId) -> Result<Arc<dyn graft_core::Invoke>, FaultCode> {
    let object = link.lock().objects.get(&handle.0).cloned();
    object.ok_or_else(|| link.host.absent(handle))
}

/// Queues the answer of a call; gives back what the reply was encoded into.
pub(super) fn finish(link: &Arc<Link>, answered: Answered) -> Outgoing {
    let Answered { number, outcome, mut reply } = answered;
    let exports = std::mem::take(&mut reply.ports);
    let now = if exports.is_empty() { std::time::Duration::ZERO } else { link.now() };
    let mut state = link.lock();
    let (kind, label) = match outcome {
        Ok(outcome) => outcome,
        Err(code) => {
            state.session.fault(number, code);
            return reply;
        }
    };
    if exports.is_empty() {
        state.session.reply(number, kind, &label, &mut reply, &[]);
        return reply;
    }
    if !state.session.is_serving(number) {
        return reply;
    }
    let garbage = match ports::announce(&mut state, link, now, exports) {
        Ok(ports) if state.session.reply(number, kind, &label, &mut reply, ports.wire()) => {
            drop(state);
            ports.start(&Hold::new(link));
            return reply;
        }
        Ok(ports) => ports.withdraw(&mut state, link),
        Err((code, garbage)) => {
            state.session.fault(number, code);
            garbage
        }
    };
    drop(state);
    drop(garbage);
    reply
}
