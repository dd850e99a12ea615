//! What a caller adds to its calls, for the few that add anything.

use std::sync::Arc;

use super::Caller;
use crate::{
    CallContext, CallId, CallState, Channel, Clock, Deadline, Headers, Label, Metadata, Method, RunId,
    TraceContext,
};

#[derive(Clone, Default)]
pub(super) struct Beside {
    headers: Headers,
    /// The span around every call.
    trace: Option<TraceContext>,
    deadline: Option<Deadline>,
    /// The call on whose behalf these are made, and its run.
    parent: Option<(RunId, CallId)>,
    /// What every reply is at least under.
    replies: Option<Label>,
}

impl Caller {
    /// The same, each call with `headers`, in place of those that it had: baggage, trace state, the host's own.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        self.with_beside(|beside| beside.headers = headers)
    }

    /// The same, each call a child of `parent` in place of a span of the run's own trace.
    #[must_use]
    pub fn with_trace(self, parent: TraceContext) -> Self {
        let parent = Some(parent).filter(|parent| !parent.is_absent());
        self.with_beside(|beside| beside.trace = parent)
    }

    /// The same, each reply under at least `label`.
    #[must_use]
    pub fn with_reply_label(self, label: &Label) -> Self {
        self.with_beside(|beside| {
            beside.replies =
                Some(beside.replies.as_ref().map_or_else(|| label.clone(), |own| own.join(label)));
        })
    }

    /// The same for calls that carry out the call of `context`: no later than it, in its trace, and with its trace
    /// state and baggage unless there are others. The credential is not passed on; who calls is the caller's own
    /// to say.
    ///
    /// The deadline is on the clock that served the call, which has to be this caller's too.
    #[must_use]
    pub fn on_behalf_of(self, context: &CallContext<'_>) -> Self {
        let meta = context.metadata();
        let trace = Some(meta.trace).filter(|trace| !trace.is_absent());
        self.with_beside(|beside| {
            beside.deadline = earlier(beside.deadline, meta.deadline);
            beside.trace = trace.or(beside.trace);
            beside.parent = Some((meta.run, meta.call));
            for name in ["tracestate", "baggage"] {
                if let (None, Some(value)) = (beside.headers.find(name), meta.headers.find(name)) {
                    // What does not fit beside the caller's own is not needed to make the call.
                    let _ = beside.headers.set(name, value);
                }
            }
        })
    }

    /// The same through `channel`: interceptors, run, numbering, timeout and credential stay.
    #[must_use]
    pub fn over(&self, channel: Arc<dyn Channel>) -> Self {
        Self { channel, ..self.clone() }
    }

    /// The span in which it makes its calls, if it was given one.
    pub(super) fn parent(&self) -> Option<TraceContext> {
        self.beside.as_ref().and_then(|beside| beside.trace)
    }

    /// The clock of its deadlines.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn with_beside(mut self, change: impl FnOnce(&mut Beside)) -> Self {
        change(Arc::make_mut(self.beside.get_or_insert_default()));
        self
    }

    /// The label under which replies of `method` are at least seen.
    pub(super) fn declared(&self, method: &Method) -> Label {
        let label = method.label.clone();
        match self.beside.as_ref().and_then(|beside| beside.replies.as_ref()) {
            Some(replies) => label.join(replies),
            None => label,
        }
    }

    /// Lets the ledger know of that label as it knows of a resource's.
    pub(super) fn settle(&self, method: &Method, state: &mut CallState) {
        if let Some(replies) = self.beside.as_ref().and_then(|beside| beside.replies.as_ref()) {
            state.resource = Some(method.tool.resource_under(state.resource, replies));
        }
    }
}

impl Beside {
    pub(super) fn add_to(&self, meta: &mut Metadata) {
        meta.headers = self.headers.clone();
        meta.deadline = earlier(meta.deadline, self.deadline);
        meta.parent = self.parent.filter(|(run, _)| *run == meta.run).map(|(_, call)| call);
        if let Some(parent) = &self.trace {
            meta.trace = parent.child(meta.run, meta.call);
        }
    }
}

fn earlier(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
