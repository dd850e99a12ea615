//! Spans by `tracing`, under whichever subscriber the host has.

use tracing::field::{Empty, display};
use tracing::{Level, Span, span, span_enabled};

use super::attributes::{ERROR, GRAFT, METHOD, STATUS, SYSTEM};
use super::{Begun, Ended, Observer, Side};

/// A `tracing` span for each call: `rpc.client` and `rpc.server`, of level INFO and target `graft`.
///
/// Its fields are the attributes; `trace_id`, `span_id` (the client's) and `parent_id` (the server's), by
/// which spans of two processes find each other; and `otel.name`, `otel.kind` and `otel.status_code` for
/// layers that hand spans on to OpenTelemetry. A span is a child of the one that the thread is in. That of
/// a server is a child of the client's where the same [`Observe`](super::Observe) watches both, and user code runs in
/// it. Subscriber and filter are the host's; while nobody listens nothing is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spans;

impl Observer for Spans {
    type Call = Span;

    fn is_on(&self) -> bool {
        span_enabled!(target: "graft", Level::INFO)
    }

    fn begin(&self, begun: &Begun<'_, Span>) -> Span {
        let (system, method) = (begun.find(SYSTEM), begun.find(METHOD));
        let name = method.unwrap_or(GRAFT);
        let known = !begun.trace.is_absent();
        let trace = known.then(|| display(begun.trace.trace));
        let caller = known.then(|| display(begun.trace.span));
        let open = || match begun.side {
            Side::Client => span!(
                target: "graft",
                Level::INFO,
                "rpc.client",
                "otel.kind" = "client",
                "otel.name" = name,
                "rpc.system.name" = system,
                "rpc.method" = method,
                "trace_id" = trace,
                "span_id" = caller,
                "rpc.response.status_code" = Empty,
                "error.type" = Empty,
                "otel.status_code" = Empty,
            ),
            Side::Server => span!(
                target: "graft",
                Level::INFO,
                "rpc.server",
                "otel.kind" = "server",
                "otel.name" = name,
                "rpc.system.name" = system,
                "rpc.method" = method,
                "trace_id" = trace,
                "parent_id" = caller,
                "rpc.response.status_code" = Empty,
                "error.type" = Empty,
                "otel.status_code" = Empty,
            ),
        };
        match &begun.client {
            Some(client) => client.in_scope(open),
            None => open(),
        }
    }

    fn within<R>(&self, call: &Span, step: impl FnOnce() -> R) -> R {
        call.in_scope(step)
    }

    fn end(&self, call: Span, ended: &Ended<'_>) {
        for key in [STATUS, ERROR] {
            if let Some(value) = ended.find(key) {
                call.record(key, value);
            }
        }
        if ended.find(ERROR).is_some() {
            call.record("otel.status_code", "error");
        }
    }
}
