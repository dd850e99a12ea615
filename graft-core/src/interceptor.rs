//! What stands between a caller and a channel, each with the same anatomy: `before`, then the call, then `after`.

use crate::{
    Action, Call, CallState, Clock, Ending, Event, Fault, FaultCode, Metadata, Name, Outcome, Recorder,
    Reply, ToolMetadata, TraceId,
};
use std::sync::Arc;

/// Looks at each call before it happens and at what came back. Synchronous, so that it costs no hop.
///
/// `before` runs in the order in which interceptors were added, `after` in the reverse order and only
/// for those whose `before` ran, however the call ended. A call that returns a stream ends with the stream.
pub trait Interceptor: Send + Sync {
    /// Lets the call go on, or ends it with a fault. May raise the label of the arguments.
    ///
    /// # Errors
    /// The fault that the caller gets in place of a value.
    fn before(&self, call: &mut Call<'_>) -> Result<(), Fault>;

    /// Sees how the call ended. May raise the label of the reply.
    ///
    /// # Errors
    /// A fault withholds the reply from the caller.
    fn after(&self, done: &Done<'_>, reply: &mut Reply<'_>) -> Result<(), Fault> {
        let _ = (done, reply);
        Ok(())
    }

    /// Looks at one item of a stream among the arguments before it leaves: [`Call::args`] is a value whose only
    /// member is the item, under the parameter's name. Unless said, as at a call of its own.
    ///
    /// # Errors
    /// The fault in which the stream and the call end.
    fn before_item(&self, call: &mut Call<'_>) -> Result<(), Fault> {
        self.before(call)
    }

    /// Sees one item of a stream that came back, or the arguments of a call that came in for an object which
    /// was among the arguments; [`Interceptor::after`] sees the end. Unless said, as at the end of a call.
    ///
    /// # Errors
    /// A fault withholds the item, and the stream ends in it.
    fn after_item(&self, done: &Done<'_>, reply: &mut Reply<'_>) -> Result<(), Fault> {
        self.after(done, reply)
    }
}

/// A call that ended. Its arguments are gone to the receiver; what guards made of them is in `state`.
pub struct Done<'a> {
    /// What is known of the method.
    pub tool: &'a ToolMetadata,
    /// Ids, deadline, trace, credential.
    pub meta: &'a Metadata,
    /// Label of the arguments, verdict, position of the intent.
    pub state: &'a CallState,
}

/// Refuses a call whose deadline has passed before it began. Its items are not bounded by it.
pub struct DeadlineCheck(pub Arc<dyn Clock>);

impl Interceptor for DeadlineCheck {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Fault> {
        match call.meta.deadline {
            Some(deadline) if deadline.remaining(&*self.0).is_none() => {
                Err(Fault::new(FaultCode::DeadlineExceeded, call.trace()))
            }
            _ => Ok(()),
        }
    }

    fn before_item(&self, _: &mut Call<'_>) -> Result<(), Fault> {
        Ok(())
    }
}

/// Writes the intent of a call with effects and the outcome of every call, and nothing of single items: the
/// outcome of a call that returns a stream is how the stream ended.
///
/// It stands outermost, so that a call which a later interceptor stops leaves its outcome too. If the
/// intent cannot be written the call does not happen; if the outcome cannot, the reply is withheld.
pub struct CallRecorder {
    recorder: Arc<dyn Recorder>,
    clock: Arc<dyn Clock>,
    actor: Name,
}

impl CallRecorder {
    /// Records what `actor` calls.
    pub fn new(recorder: Arc<dyn Recorder>, clock: Arc<dyn Clock>, actor: Name) -> Self {
        Self { recorder, clock, actor }
    }

    fn event(
        &self,
        tool: &ToolMetadata,
        meta: &Metadata,
        trace: TraceId,
        action: Action,
        ending: Ending,
    ) -> Event {
        let mut event = Event::at(&*self.clock, self.actor.clone(), action, tool.name.clone(), ending);
        event.run = Some(meta.run);
        event.call = Some(meta.call);
        event.trace = Some(trace);
        event
    }

    fn record(&self, event: &Event, trace: TraceId) -> Result<crate::Seq, Fault> {
        self.recorder.record(event).map_err(|_| Fault::new(FaultCode::RecordUnavailable, trace))
    }
}

impl Interceptor for CallRecorder {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Fault> {
        if call.tool.effect.changes_state() {
            let trace = call.trace();
            let event = self.event(call.tool, call.meta, trace, Action::ToolExecuteStart, Ending::Pending);
            call.state.intent = Some(self.record(&event, trace)?);
        }
        Ok(())
    }

    fn after(&self, done: &Done<'_>, reply: &mut Reply<'_>) -> Result<(), Fault> {
        let (action, ending, code) = match reply.outcome {
            Outcome::Value(_) => (Action::ToolExecuteEnd, Ending::Ok, None),
            Outcome::DomainError(_) => (Action::ToolExecuteEnd, Ending::Failed, None),
            Outcome::Fault(fault) => {
                let ending = if fault.code().is_refusal() { Ending::Denied } else { Ending::Failed };
                (Action::ToolExecuteError, ending, Some(fault.code()))
            }
        };
        let trace = done.meta.trace.trace;
        let mut event = self.event(done.tool, done.meta, trace, action, ending);
        event.intent = done.state.intent;
        event.code = code.map(|code| Name::from_static(code.as_str()));
        if let Some(verdict) = &done.state.verdict {
            event.decision = Some(verdict.decision);
            event.signals = verdict.signals;
        }
        self.record(&event, trace).map(drop)
    }

    fn before_item(&self, _: &mut Call<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn after_item(&self, _: &Done<'_>, _: &mut Reply<'_>) -> Result<(), Fault> {
        Ok(())
    }
}
