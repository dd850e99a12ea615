//! What a receiver records of the calls that come in: who was let in, what was begun, and how it ended.

use std::sync::{Mutex, PoisonError};

use graft_core::{
    Action, Admitted, CallId, Clock, Deadline, Ending, Event, FaultCode, Invoke, Label, MethodId, Name,
    Recorder, Refused, ReplyKind, Request, RunId, Seq, TraceId,
};

use super::link::Link;

/// Whom records name as acting until somebody is proved to.
const ANONYMOUS: Name = Name::from_static("anonymous");

/// Whom a connection let in last: of one who stays, one record is made.
pub(super) type Granted = Mutex<Option<Admitted>>;

/// The records of one call. Dropped before it ended, nobody waits for it any more, or something panicked.
pub(super) struct Served<'a> {
    recorder: &'a dyn Recorder,
    clock: &'a dyn Clock,
    granted: &'a Granted,
    actor: Name,
    target: Name,
    has_effects: bool,
    /// The ids by which the caller knows the call.
    ids: (RunId, CallId, TraceId),
    deadline: Option<Deadline>,
    intent: Option<Seq>,
    is_over: bool,
}

impl<'a> Served<'a> {
    /// A call that came in over `link` for `service`, if there is one. `None` if nothing is recorded.
    pub(super) fn new(link: &'a Link, service: Option<&dyn Invoke>, request: &Request<'_>) -> Option<Self> {
        let tool = service.and_then(|service| service.method(request.method)).map(|method| &method.tool);
        let meta = request.meta;
        Some(Self {
            recorder: link.options.recorder()?,
            clock: &**link.options.clock(),
            granted: &link.granted,
            actor: ANONYMOUS,
            target: tool.map_or_else(|| unknown(request.method), |tool| tool.name.clone()),
            // Of what nothing is known anything may be.
            has_effects: tool.is_none_or(|tool| tool.effect.changes_state()),
            ids: (meta.run, meta.call, meta.trace.trace),
            deadline: meta.deadline,
            intent: None,
            is_over: false,
        })
    }

    /// Somebody was let in, who is not if it cannot be recorded.
    pub(super) fn granted(&mut self, who: Admitted) -> Result<(), FaultCode> {
        self.actor = who.principal.clone();
        let mut last = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(&who) {
            self.record(Action::AuthGranted, Ending::Ok, |event| event.fields = who.fields())?;
            *last = Some(who);
        }
        Ok(())
    }

    /// Somebody was refused, and is whether or not it can be recorded.
    pub(super) fn denied(&mut self, refused: &Refused) {
        self.is_over = true;
        if let Some(principal) = refused.principal() {
            self.actor = principal.clone();
        }
        let _ = self.record(Action::AuthDenied, Ending::Denied, |event| {
            event.code = Some(Name::from_static(refused.code().as_str()));
            event.fields = refused.fields();
        });
    }

    /// The method is about to be carried out, which it is not if that cannot be recorded.
    pub(super) fn begin(&mut self) -> Result<(), FaultCode> {
        if self.has_effects {
            self.intent = Some(self.record(Action::ServeStart, Ending::Pending, |_| {})?);
        }
        Ok(())
    }

    /// The call ended so. A reply that cannot be recorded is withheld.
    pub(super) fn end(
        &mut self,
        outcome: Result<(ReplyKind, Label), FaultCode>,
    ) -> Result<(ReplyKind, Label), FaultCode> {
        if std::mem::replace(&mut self.is_over, true) {
            return outcome;
        }
        let (ending, code) = match &outcome {
            Ok((ReplyKind::Ok, _)) => (Ending::Ok, None),
            Ok((ReplyKind::Err, _)) => (Ending::Failed, None),
            Err(code) if code.is_refusal() => (Ending::Denied, Some(*code)),
            Err(code) => (Ending::Failed, Some(*code)),
        };
        self.record(Action::ServeEnd, ending, |event| {
            event.intent = self.intent;
            event.code = code.map(|code| Name::from_static(code.as_str()));
        })?;
        outcome
    }

    fn record(
        &self,
        action: Action,
        ending: Ending,
        fill: impl FnOnce(&mut Event),
    ) -> Result<Seq, FaultCode> {
        let mut event = Event::at(self.clock, self.actor.clone(), action, self.target.clone(), ending);
        let (run, call, trace) = self.ids;
        (event.run, event.call, event.trace) = (Some(run), Some(call), Some(trace));
        fill(&mut event);
        self.recorder.record(&event).map_err(|_| FaultCode::RecordUnavailable)
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        let is_late = |deadline: Deadline| deadline.remaining(self.clock).is_none();
        let code = match self.deadline {
            _ if std::thread::panicking() => FaultCode::Internal,
            Some(deadline) if is_late(deadline) => FaultCode::DeadlineExceeded,
            _ => FaultCode::Cancelled,
        };
        let _ = self.end(Err(code)); // there is nobody left to tell
    }
}

/// A method of which nothing is known but what the caller calls it.
fn unknown(method: MethodId) -> Name {
    Name::new(format!("method:{method}")).unwrap_or(ANONYMOUS)
}
