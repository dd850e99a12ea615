//! Spans and metrics of calls, for whoever the host wires in. Nothing is emitted before it does.
//!
//! [`Observe`] watches calls at either end and tells one [`Observer`]: [`Spans`] for `tracing` (feature `tracing`),
//! [`Metrics`] and [`Traces`] for OpenTelemetry (feature `otel`), two of them as a pair, or the host's own. The
//! host makes the subscriber, the meter and the tracer; graft looks up no global and installs none.
//!
//! An observer is told of a call what passes a [`ProviderClearance`], which cannot hold `secret`:
//!
//! | attribute | value | class |
//! | --- | --- | --- |
//! | `rpc.system.name` | `graft` | public |
//! | `rpc.method` | `Interface/method` as it is described, or `_OTHER` | internal: what a service can do is its own affair |
//! | `rpc.response.status_code` | `ok`, `domain_error` or the word of the fault | public |
//! | `error.type` | the same, if the call failed | public |
//!
//! and when it began and ended, its place in its trace, and, as internal, the `tracestate` that came with it. Nobody
//! outside knows a clearance that the host did not raise, so without
//! [`Observe::with_clearance`] the method is withheld. No argument, result, error value, credential or other header
//! is looked at. How long a method takes may depend on its arguments, though, and so may how it ends.
//!
//! Each attribute has as many values as there are described methods and words for outcomes; a method named by the
//! peer alone is `_OTHER`. The names are those of the OpenTelemetry semantic conventions 1.42.0
//! (<https://opentelemetry.io/docs/specs/semconv/rpc/>, release candidate), in which `rpc.method` holds the service's
//! name too.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering};
//! use graft::observe::{Begun, Ended, Observe, Observer};
//! use graft::{Agent, Gateway, SystemClock, interface};
//!
//! pub struct Clock;
//!
//! #[interface]
//! impl Clock {
//!     /// The hour.
//!     #[interface(effect = "read-only", trust = "trusted")]
//!     pub fn hour(&self) -> u8 {
//!         7
//!     }
//! }
//!
//! /// Counts what went well.
//! #[derive(Default)]
//! struct Count(AtomicU64);
//!
//! impl Observer for Count {
//!     type Call = ();
//!     fn begin(&self, _: &Begun<'_, ()>) {}
//!     fn end(&self, _: (), ended: &Ended<'_>) {
//!         assert_eq!(ended.find("rpc.response.status_code"), Some("ok"));
//!         self.0.fetch_add(1, Ordering::Relaxed);
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let observe = Observe::new(Count::default(), Arc::new(SystemClock::new()));
//! let gateway = Gateway::new().host_dispatcher(observe.service(Arc::new(Clock)));
//! let agent = Agent::over(gateway.local()).observe(&observe).build();
//! let run = agent.begin_run("what time is it?")?;
//! futures::executor::block_on(ClockClient::new(run.caller()).hour())?;
//! assert_eq!(observe.observer().0.load(Ordering::Relaxed), 2); // both ends
//! # Ok(())
//! # }
//! ```

mod attributes;
mod ends;
#[cfg(feature = "otel")]
mod metrics;
#[cfg(feature = "tracing")]
mod spans;
#[cfg(feature = "otel")]
mod traces;

use std::sync::Arc;
use std::time::Duration;

use graft_core::{
    Clock, Interceptor, Invoke, Method, Name, ProviderClearance, Request, Tagged, TraceContext,
};
use graft_ugm::Described;

pub use attributes::{Attribute, CallEnd};
pub use ends::MAX_UNDER_WAY;
#[cfg(feature = "otel")]
pub use metrics::Metrics;
#[cfg(feature = "tracing")]
pub use spans::Spans;
#[cfg(feature = "otel")]
pub use traces::Traces;

/// Which end of a call is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Whoever calls.
    Client,
    /// Whoever carries the call out.
    Server,
}

/// Is told when calls begin and end. Implement it to add a backend.
///
/// It is called on the call's own way, so it should neither block nor wait. A pair of observers is one too.
pub trait Observer: Send + Sync + 'static {
    /// What it keeps of a call under way. Dropped without [`Observer::end`], the call is not to be counted any more.
    type Call: Clone + Send + Sync + 'static;

    /// Whether anybody listens. If not, nothing is made of a call. Asked at the beginning of each.
    fn is_on(&self) -> bool {
        true
    }

    /// A call begins.
    fn begin(&self, begun: &Begun<'_, Self::Call>) -> Self::Call;

    /// Does a step of the method's work as a part of the call.
    fn within<R>(&self, call: &Self::Call, step: impl FnOnce() -> R) -> R {
        let _ = call;
        step()
    }

    /// The span that was opened for a call which leaves, if it has an id to travel under.
    fn span(&self, call: &Self::Call) -> Option<TraceContext> {
        let _ = call;
        None
    }

    /// A call ended: with the reply, or with the stream that a client got.
    fn end(&self, call: Self::Call, ended: &Ended<'_>);
}

/// A call that begins, as an observer is told of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Begun<'a, C> {
    /// Which end this is.
    pub side: Side,
    /// What may be told of it.
    pub attributes: &'a [Attribute],
    /// The span under which the call travels: that of the client, as far as anybody knows yet.
    pub trace: TraceContext,
    /// The span in which a client makes the call, if it was given one.
    pub parent: Option<TraceContext>,
    /// The `tracestate` that came with the call, if the clearance has internal rows pass.
    pub tracestate: Option<&'a str>,
    /// What the same [`Observe`] keeps of the client's end, if the client is in this process.
    pub client: Option<C>,
}

impl<C> Begun<'_, C> {
    /// The value of the attribute `key`, if there is one that may be told.
    pub fn find(&self, key: &str) -> Option<&str> {
        attributes::find(self.attributes, key)
    }
}

/// How a call ended, as an observer is told of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended<'a> {
    /// What may be told of it, beside what was told at the beginning.
    pub attributes: &'a [Attribute],
    /// What it took, on the host's clock.
    pub took: Duration,
}

impl Ended<'_> {
    /// The value of the attribute `key`, if there is one that may be told.
    pub fn find(&self, key: &str) -> Option<&str> {
        attributes::find(self.attributes, key)
    }
}

/// Watches calls for one [`Observer`], at both ends. Clones watch for the same.
pub struct Observe<O: Observer> {
    observer: Arc<O>,
    clearance: ProviderClearance,
    clock: Arc<dyn Clock>,
    under_way: Arc<ends::UnderWay<Kept<O>>>,
}

/// A call under way.
struct Kept<O: Observer> {
    call: O::Call,
    began: Duration,
}

impl<O: Observer> Clone for Observe<O> {
    fn clone(&self) -> Self {
        let Self { observer, clearance, clock, under_way } = self;
        let (observer, clock, under_way) = (observer.clone(), clock.clone(), under_way.clone());
        Self { observer, clearance: *clearance, clock, under_way }
    }
}

impl<O: Observer> Observe<O> {
    /// Tells `observer` of calls, measured on `clock`: what is public.
    pub fn new(observer: O, clock: Arc<dyn Clock>) -> Self {
        let (observer, clearance) = (Arc::new(observer), ProviderClearance::unfamiliar());
        Self { observer, clearance, clock, under_way: Arc::default() }
    }

    /// The same for a collector that the host knows, from what is made of it on.
    ///
    /// ```
    /// use graft::observe::{Observe, Observer};
    /// use graft::{Acceptable, ProviderClearance};
    /// fn known<O: Observer>(observe: Observe<O>) -> Observe<O> {
    ///     observe.with_clearance(ProviderClearance::unfamiliar().accepts_sensitivity([Acceptable::Internal]))
    /// }
    /// ```
    ///
    /// There is no such word as this:
    ///
    /// ```compile_fail,E0599
    /// use graft::observe::{Observe, Observer};
    /// use graft::{Acceptable, ProviderClearance};
    /// fn known<O: Observer>(observe: Observe<O>) -> Observe<O> {
    ///     observe.with_clearance(ProviderClearance::unfamiliar().accepts_sensitivity([Acceptable::Secret]))
    /// }
    /// ```
    /// ```compile_fail,E0271
    /// use graft::observe::{Observe, Observer};
    /// use graft::{ProviderClearance, Sensitivity};
    /// fn known<O: Observer>(observe: Observe<O>) -> Observe<O> {
    ///     observe.with_clearance(ProviderClearance::unfamiliar().accepts_sensitivity([Sensitivity::Secret]))
    /// }
    /// ```
    #[must_use]
    pub fn with_clearance(self, clearance: ProviderClearance) -> Self {
        Self { clearance, ..self }
    }

    /// Who is told.
    pub fn observer(&self) -> &O {
        &self.observer
    }

    /// The caller's end: an interceptor for a caller, to stand first, since it is not asked after one that stops a
    /// call. For an agent [`AgentBuilder::observe`](crate::AgentBuilder::observe) puts it there.
    ///
    /// A call that returns a stream ends with the stream, one whose future is dropped with `cancelled`. What comes in
    /// for objects among the arguments is a part of the call.
    pub fn calls(&self) -> Arc<dyn Interceptor> {
        Arc::new(ends::Calls(self.clone()))
    }

    /// The callee's end: what carries out calls of `service`.
    ///
    /// A call ends here with the reply, though it may be a stream. Calls on objects that the service hands out are
    /// not watched: they do not pass it.
    pub fn service<S: Described>(&self, service: Arc<S>) -> Arc<dyn Invoke> {
        self.dispatcher(service.dispatcher(), S::methods())
    }

    /// The same for a dispatcher that was not generated; `methods` are those that it hosts.
    pub fn dispatcher(&self, service: Arc<dyn Invoke>, methods: &'static [Method]) -> Arc<dyn Invoke> {
        Arc::new(ends::Service { watching: self.clone(), service, methods })
    }

    fn begin_client(&self, call: &graft_core::Call<'_>) -> Kept<O> {
        let rows = self.clearance.payload(attributes::begun(Some(&call.tool.name))).admitted;
        let (trace, parent) = (call.state.span.unwrap_or(call.meta.trace), call.state.parent);
        let tracestate = self.tracestate(call.meta);
        self.begin(&Begun { side: Side::Client, attributes: &rows, trace, parent, tracestate, client: None })
    }

    fn begin_server(&self, request: &Request<'_>, name: Option<&Name>) -> Kept<O> {
        let rows = self.clearance.payload(attributes::begun(name)).admitted;
        let meta = request.meta;
        let client = self.under_way.find(meta, |kept| kept.call.clone());
        let (trace, tracestate) = (meta.trace, self.tracestate(meta));
        self.begin(&Begun { side: Side::Server, attributes: &rows, trace, parent: None, tracestate, client })
    }

    fn begin(&self, begun: &Begun<'_, O::Call>) -> Kept<O> {
        let began = self.clock.monotonic();
        Kept { call: self.observer.begin(begun), began }
    }

    fn end(&self, kept: Kept<O>, end: CallEnd) {
        let took = self.clock.monotonic().saturating_sub(kept.began);
        let rows = self.clearance.payload(attributes::ended(end)).admitted;
        self.observer.end(kept.call, &Ended { attributes: &rows, took });
    }

    fn tracestate<'a>(&self, meta: &'a graft_core::Metadata) -> Option<&'a str> {
        let rows = meta.headers.find("tracestate").map(Tagged::trace_attribute);
        self.clearance.payload(rows).admitted.pop()
    }
}

/// Both are told. The first says under which span a call travels, unless it has none, and the second is told of that.
impl<A: Observer, B: Observer> Observer for (A, B) {
    type Call = (Option<A::Call>, Option<B::Call>);

    fn is_on(&self) -> bool {
        self.0.is_on() || self.1.is_on()
    }

    fn begin(&self, begun: &Begun<'_, Self::Call>) -> Self::Call {
        let (a, b) = begun.client.clone().unwrap_or_default();
        let first = self.0.is_on().then(|| self.0.begin(&begun.of(a)));
        let mut begun = begun.of(b);
        if begun.side == Side::Client {
            begun.trace = first.as_ref().and_then(|call| self.0.span(call)).unwrap_or(begun.trace);
        }
        (first, self.1.is_on().then(|| self.1.begin(&begun)))
    }

    fn within<R>(&self, call: &Self::Call, step: impl FnOnce() -> R) -> R {
        let inner = || match &call.1 {
            Some(call) => self.1.within(call, step),
            None => step(),
        };
        match &call.0 {
            Some(call) => self.0.within(call, inner),
            None => inner(),
        }
    }

    fn span(&self, call: &Self::Call) -> Option<TraceContext> {
        let first = call.0.as_ref().and_then(|call| self.0.span(call));
        first.or_else(|| call.1.as_ref().and_then(|call| self.1.span(call)))
    }

    fn end(&self, call: Self::Call, ended: &Ended<'_>) {
        if let Some(call) = call.0 {
            self.0.end(call, ended);
        }
        if let Some(call) = call.1 {
            self.1.end(call, ended);
        }
    }
}

impl<C> Begun<'_, C> {
    /// The same for one of two observers.
    fn of<D>(&self, client: Option<D>) -> Begun<'_, D> {
        let Self { side, attributes, trace, parent, tracestate, .. } = *self;
        Begun { side, attributes, trace, parent, tracestate, client }
    }
}
