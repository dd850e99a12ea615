//! Spans by OpenTelemetry, of the host's tracer.

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, Tracer,
};

use graft_core::TraceContext;

use super::attributes::{ERROR, GRAFT, METHOD};
use super::metrics::key_values;
use super::{Begun, Ended, Observer, Side};

/// A span for each call, of kind client or server, which are one trace over as many processes as take part.
///
/// The client's span is a child of the one that is active in the thread's OpenTelemetry context, else of that which
/// [`Caller::with_trace`](graft_core::Caller::with_trace) was given, else the first of a trace, whose id then takes the
/// place of the run's in the call's metadata and in faults. Its W3C trace context travels with the call, and the
/// server's span is its child. User code runs with the server's span active, so its own spans and calls are
/// children of that. Whether a span is sampled is for the host's tracer to say; what a peer says of it
/// is a part of the parent.
#[derive(Clone, Debug)]
pub struct Traces<T>(T);

impl<T: Tracer> Traces<T> {
    /// Has `tracer` make the spans, of which the host says where they go.
    pub fn new(tracer: T) -> Self {
        Self(tracer)
    }
}

impl<T> Observer for Traces<T>
where
    T: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
{
    type Call = Context;

    fn begin(&self, begun: &Begun<'_, Context>) -> Context {
        let remote = |span: &TraceContext| Context::new().with_remote_span_context(span_context(span, begun));
        let (kind, around) = match begun.side {
            Side::Client => {
                let current = Context::current();
                let around = match begun.parent {
                    Some(parent) if !current.has_active_span() => remote(&parent),
                    _ => current,
                };
                (SpanKind::Client, around)
            }
            Side::Server if begun.trace.is_absent() => (SpanKind::Server, Context::new()),
            Side::Server => (SpanKind::Server, remote(&begun.trace)),
        };
        let name = begun.find(METHOD).unwrap_or(GRAFT).to_owned();
        let span = self.0.span_builder(name).with_kind(kind).with_attributes(key_values(begun.attributes));
        let span = self.0.build_with_context(span, &around);
        around.with_span(span)
    }

    fn within<R>(&self, call: &Context, step: impl FnOnce() -> R) -> R {
        let _active = call.clone().attach();
        step()
    }

    fn span(&self, call: &Context) -> Option<TraceContext> {
        let span = call.span();
        let context = span.span_context();
        context.is_valid().then(|| TraceContext {
            trace: graft_core::TraceId(context.trace_id().to_bytes()),
            span: graft_core::SpanId(context.span_id().to_bytes()),
            flags: context.trace_flags().to_u8(),
        })
    }

    fn end(&self, call: Context, ended: &Ended<'_>) {
        let span = call.span();
        span.set_attributes(key_values(ended.attributes));
        if ended.find(ERROR).is_some() {
            span.set_status(Status::error("")); // the attribute says which
        }
        span.end();
    }
}

fn span_context<C>(span: &TraceContext, begun: &Begun<'_, C>) -> SpanContext {
    let (trace, id) = (TraceId::from_bytes(span.trace.0), SpanId::from_bytes(span.span.0));
    // What is no tracestate is as if it had not come, by the specification.
    let state = begun.tracestate.and_then(|text| text.parse().ok()).unwrap_or_default();
    SpanContext::new(trace, id, TraceFlags::new(span.flags), true, state)
}
