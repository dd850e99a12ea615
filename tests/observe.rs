//! What observers, `tracing` and OpenTelemetry are told of calls, and what they are not.
#![allow(missing_docs, unreachable_pub, clippy::panic)] // a panic is one of the ways in which a call ends

use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::FutureExt;
use futures::executor::block_on;
use graft::core::{
    Body, CallId, Credential, EncodedBody, Incoming, Metadata, MethodId, Outgoing, ReplyKind, Request, RunId,
};
use graft::dataflow::DataFlowMode;
use graft::observe::{Attribute, Begun, Ended, Metrics, Observe, Observer, Side, Spans, Traces};
use graft::ugm::Described;
use graft::{
    Acceptable, Agent, CallContext, CallError, Caller, Gateway, Headers, Items, Label, ManualClock,
    ProviderClearance, RemoteChannel, RemoteOptions, SystemClock, TraceContext, interface,
};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider, SpanData};
use tracing::span;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

/// In every value that no observer may see.
const CANARY: &str = "canary7391";

#[derive(Clone, Default)]
pub struct Bank {
    clock: Arc<ManualClock>,
    /// Where payments are booked.
    books: Option<BooksClient>,
}

#[interface]
impl Bank {
    /// Pays.
    #[interface(effect = "external-stateful", exfil = "payment", args(to = "destination"), intent("pay"))]
    pub async fn pay(&self, context: &CallContext<'_>, to: &str, euros: u32) -> Result<String, String> {
        let _ = context;
        self.clock.advance(Duration::from_millis(20));
        match euros {
            0 => Err(format!("{CANARY}: nothing to pay to {to}")),
            1 => panic!("{CANARY}: one euro"),
            2 => futures::future::pending().await,
            _ => Ok(format!("{CANARY}: paid to {to}")),
        }
    }

    /// Pays and books it.
    #[interface(effect = "external-stateful", exfil = "payment", args(to = "destination"), intent("pay"))]
    pub async fn pay_and_book(&self, to: &str) -> String {
        let _look_up = tracing::info_span!("looks_up").entered();
        drop(_look_up);
        if let Some(books) = &self.books {
            let _ = books.book(to).await;
        }
        to.to_owned()
    }

    /// What was paid.
    #[interface(effect = "read-only")]
    pub fn payments(&self) -> Items<String> {
        Items::new(futures::stream::iter([CANARY.to_owned(), CANARY.to_owned()]))
    }
}

pub struct Books;

#[interface]
impl Books {
    /// Books a payment.
    #[interface(effect = "side-effecting")]
    pub fn book(&self, line: &str) -> u64 {
        line.len() as u64
    }
}

fn known() -> ProviderClearance {
    ProviderClearance::unfamiliar().accepts_sensitivity([Acceptable::Internal])
}

/// A caller with all that may be seen in no span: a credential, headers.
fn caller<O: Observer>(observe: &Observe<O>, gateway: &Gateway) -> Caller {
    let mut headers = Headers::default();
    headers.set("baggage", &format!("tenant={CANARY}")).expect("fits");
    headers.set("x-own", CANARY).expect("fits");
    Caller::new(gateway.local(), Arc::new(SystemClock::new()), RunId([7; 16]))
        .with_interceptors([observe.calls()])
        .with_headers(headers)
        .with_credential(Credential::new(CANARY))
}

/// Writes down what it is told.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().expect("no panic")
    }

    fn told(&self, what: &str, side: Side, attributes: &[Attribute], rest: &dyn Debug) {
        let mut line = format!("{side:?} {what}");
        for attribute in attributes {
            write!(line, " {}={}", attribute.key(), attribute.value()).expect("text");
        }
        self.lines().push(format!("{line} {rest:?}"));
    }
}

impl Observer for Log {
    type Call = Side;

    fn begin(&self, begun: &Begun<'_, Side>) -> Side {
        self.told("begins", begun.side, begun.attributes, &begun.tracestate);
        begun.side
    }

    fn end(&self, side: Side, ended: &Ended<'_>) {
        self.told("ends", side, ended.attributes, &ended.took);
    }
}

#[test]
fn each_way_in_which_a_call_can_end_is_told_by_its_word_at_both_ends() {
    let (log, bank) = (Log::default(), Bank::default());
    let observe = Observe::new(log.clone(), bank.clock.clone()).with_clearance(known());
    let gateway = Gateway::new().host_dispatcher(observe.service(Arc::new(bank)));
    let bank = BankClient::new(caller(&observe, &gateway));
    let begins = |side| format!("{side} begins rpc.system.name=graft rpc.method=Bank/pay None");
    let ends = |side, word: &str| match word {
        "ok" => format!("{side} ends rpc.response.status_code=ok 20ms"),
        _ => format!("{side} ends rpc.response.status_code={word} error.type={word} 20ms"),
    };
    for (euros, word) in [(9, "ok"), (0, "domain_error"), (1, "internal"), (2, "cancelled")] {
        let ended = block_on(async {
            let call = bank.pay(CANARY, euros);
            futures::pin_mut!(call);
            futures::future::poll_immediate(call).await
        });
        assert_eq!(ended.is_some(), euros != 2);
        let told = std::mem::take(&mut *log.lines());
        // A call whose future is dropped ends from the inside or the outside, as its parts are dropped.
        let mut expected = [begins("Client"), begins("Server"), ends("Server", word), ends("Client", word)];
        let mut told_sorted = told.clone();
        if euros == 2 {
            expected.sort();
            told_sorted.sort();
        }
        assert_eq!(told_sorted, expected);
    }
}

#[test]
fn a_collector_that_nobody_knows_is_not_told_the_method_or_the_trace_state() {
    let log = Log::default();
    let observe = Observe::new(log.clone(), Arc::new(ManualClock::default()));
    let gateway = Gateway::new().host_dispatcher(observe.service(Arc::new(Books)));
    let mut headers = Headers::default();
    headers.set("tracestate", "vendor=1").expect("fits");
    let books =
        |observe: &Observe<Log>| BooksClient::new(caller(observe, &gateway).with_headers(headers.clone()));
    block_on(books(&observe).book("x")).expect("is booked");
    assert_eq!(log.lines()[0], "Client begins rpc.system.name=graft None");
    assert_eq!(log.lines()[1], "Server begins rpc.system.name=graft None");
    block_on(books(&observe.with_clearance(known())).book("x")).expect("is booked");
    assert_eq!(
        log.lines()[4],
        r#"Client begins rpc.system.name=graft rpc.method=Books/book Some("vendor=1")"#
    );
}

#[test]
fn a_method_that_only_the_peer_names_has_no_name() {
    let log = Log::default();
    let observe = Observe::new(log.clone(), Arc::new(ManualClock::default())).with_clearance(known());
    let service = observe.service(Arc::new(Books));
    let (meta, label) = (Metadata::new(RunId([1; 16]), CallId(0)), Label::default());
    let request = Request::new(service.interface(), MethodId([9; 8]), &meta, &label);
    let (mut reply, mut kind) = (Outgoing::default(), ReplyKind::Ok);
    let body = EncodedBody { args: Incoming::new(vec![0].into()), reply: &mut reply, kind: &mut kind };
    block_on(service.invoke(request, Body::Encoded(body))).expect_err("there is no such method");
    assert_eq!(
        *log.lines(),
        [
            "Server begins rpc.system.name=graft rpc.method=_OTHER None",
            "Server ends rpc.response.status_code=not_found error.type=not_found 0ns"
        ]
    );
}

#[test]
fn what_the_policy_stops_is_seen_and_a_stream_is_one_call() {
    let (log, bank) = (Log::default(), Bank::default());
    let observe = Observe::new(log.clone(), bank.clock.clone());
    let channel = Gateway::new().host(Arc::new(bank)).local();
    let agent = Agent::over(channel).data_flow_policy(DataFlowMode::Enforce).observe(&observe).build();
    let run = agent.begin_run("what was paid?").expect("begins");
    let bank = BankClient::new(run.caller());
    let mut items = block_on(bank.payments()).expect("comes");
    assert_eq!(log.lines().len(), 1);
    for _ in 0..2 {
        let item = futures::StreamExt::next(&mut items).now_or_never().flatten();
        item.expect("there are two").expect("comes");
        assert_eq!(log.lines().len(), 1, "an item is no end");
    }
    assert!(futures::StreamExt::next(&mut items).now_or_never().flatten().is_none());
    assert_eq!(log.lines()[1..], ["Client ends rpc.response.status_code=ok 0ns"]);
    let stopped = block_on(bank.pay(CANARY, 9)).expect_err("is stopped");
    let word = stopped.fault().expect("a fault").code().as_str();
    assert_eq!(log.lines()[3], format!("Client ends rpc.response.status_code={word} error.type={word} 0ns"));
}

/// Nobody listens.
struct Deaf;

impl Observer for Deaf {
    type Call = ();

    fn is_on(&self) -> bool {
        false
    }

    fn begin(&self, _: &Begun<'_, ()>) {
        panic!("nobody listens");
    }

    fn end(&self, _: (), _: &Ended<'_>) {
        panic!("nobody listens");
    }
}

#[test]
fn nothing_is_made_of_a_call_while_nobody_listens() {
    assert!(!Spans.is_on(), "there is no subscriber in this thread");
    let observe = Observe::new(Deaf, Arc::new(ManualClock::default()));
    let gateway = Gateway::new().host_dispatcher(observe.service(Arc::new(Books)));
    block_on(BooksClient::new(caller(&observe, &gateway)).book("x")).expect("is booked");
}

/// A host's subscriber: keeps every span with its fields.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<KeptSpan>>>);

#[derive(Debug, Default)]
struct KeptSpan {
    id: u64,
    parent: Option<u64>,
    name: &'static str,
    fields: HashMap<&'static str, String>,
}

struct Fields<'a>(&'a mut HashMap<&'static str, String>);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S> Layer<S> for Kept
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| span.parent().map(|parent| parent.id().into_u64()));
        let name = attributes.metadata().name();
        let mut span = KeptSpan { id: id.into_u64(), parent, name, fields: HashMap::new() };
        attributes.record(&mut Fields(&mut span.fields));
        self.0.lock().expect("no panic").push(span);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        let mut spans = self.0.lock().expect("no panic");
        if let Some(span) = spans.iter_mut().rev().find(|span| span.id == id.into_u64()) {
            values.record(&mut Fields(&mut span.fields));
        }
    }
}

impl Kept {
    /// Each span by its name in the order in which they began, the parent's in front.
    fn tree(&self) -> Vec<String> {
        let spans = self.0.lock().expect("no panic");
        let path = |span: &KeptSpan| {
            let parents = std::iter::successors(Some(span), |span| {
                spans.iter().find(|other| Some(other.id) == span.parent)
            });
            let names: Vec<_> = parents.map(|span| span.name).collect();
            names.into_iter().rev().collect::<Vec<_>>().join("/")
        };
        spans.iter().map(path).collect()
    }
}

/// A bank that books with books of the same gateway, and a caller of it.
fn bank_and_books<O: Observer>(observe: &Observe<O>) -> BankClient {
    let books = Gateway::new().host_dispatcher(observe.service(Arc::new(Books)));
    let inner = caller(observe, &books).with_next_call(CallId(100));
    let bank = Bank { books: Some(BooksClient::new(inner)), ..Bank::default() };
    BankClient::new(caller(observe, &Gateway::new().host_dispatcher(observe.service(Arc::new(bank)))))
}

#[test]
fn spans_of_calls_and_of_user_code_are_one_tree() {
    let kept = Kept::default();
    let observe = Observe::new(Spans, Arc::new(SystemClock::new())).with_clearance(known());
    tracing::subscriber::with_default(Registry::default().with(kept.clone()), || {
        let bank = bank_and_books(&observe);
        block_on(bank.pay_and_book(CANARY)).expect("is paid");
        block_on(bank.pay(CANARY, 0)).expect_err("nothing to pay");
    });
    let work = "rpc.client/rpc.server";
    let booked = format!("{work}/rpc.client");
    assert_eq!(
        kept.tree(),
        [
            "rpc.client",
            work,
            &format!("{work}/looks_up"),
            &booked,
            &format!("{booked}/rpc.server"),
            "rpc.client",
            work
        ]
    );
    let spans = kept.0.lock().expect("no panic");
    let trace = "07".repeat(16);
    let client = [
        ("otel.kind", "client"),
        ("otel.name", "Bank/pay"),
        ("rpc.system.name", "graft"),
        ("rpc.method", "Bank/pay"),
        ("trace_id", &trace),
        ("span_id", "0000000000000002"),
        ("rpc.response.status_code", "domain_error"),
        ("error.type", "domain_error"),
        ("otel.status_code", "error"),
    ];
    let expected: HashMap<_, _> = client.into_iter().map(|(key, value)| (key, value.to_owned())).collect();
    assert_eq!(spans[5].fields, expected);
    assert_eq!(spans[6].fields.get("parent_id"), spans[5].fields.get("span_id"));
    assert_eq!(spans[6].fields.get("trace_id"), Some(&trace));
    assert!(!spans[0].fields.contains_key("error.type"));
    assert!(!format!("{spans:?}").contains(CANARY));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn tracer() -> (SdkTracerProvider, InMemorySpanExporter, SdkTracer) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let tracer = provider.tracer("host");
    (provider, exporter, tracer)
}

fn is_child(span: &SpanData, of: &SpanData) -> bool {
    let trace = span.span_context.trace_id() == of.span_context.trace_id();
    trace && span.parent_span_id == of.span_context.span_id()
}

#[test]
fn spans_of_opentelemetry_are_one_trace_that_the_metadata_and_faults_name() {
    let (_provider, exporter, tracer) = tracer();
    let observe = Observe::new(Traces::new(tracer), Arc::new(SystemClock::new())).with_clearance(known());
    let bank = bank_and_books(&observe);
    // Not under the futures crate's executor, which the exporter itself uses.
    let runtime = runtime();
    runtime.block_on(bank.pay_and_book(CANARY)).expect("is paid");
    let spans = exporter.get_finished_spans().expect("is open");
    let names: Vec<_> =
        spans.iter().map(|span| (format!("{:?}", span.span_kind), span.name.clone())).collect();
    let expected = [
        ("Server", "Books/book"),
        ("Client", "Books/book"),
        ("Server", "Bank/pay_and_book"),
        ("Client", "Bank/pay_and_book"),
    ];
    assert_eq!(names, expected.map(|(kind, name)| (kind.to_owned(), name.into())));
    let [booked, book, paid, pay] = &spans[..] else { panic!("four spans") };
    assert!(is_child(booked, book) && is_child(book, paid) && is_child(paid, pay));
    assert!(paid.parent_span_is_remote && pay.parent_span_id == opentelemetry::trace::SpanId::INVALID);

    exporter.reset();
    let CallError::Fault(fault) = runtime.block_on(bank.pay(CANARY, 1)).expect_err("panics") else {
        panic!("a fault");
    };
    let spans = [spans, exporter.get_finished_spans().expect("is open")].concat();
    assert_eq!(fault.trace().0, spans[5].span_context.trace_id().to_bytes());
    assert_eq!(spans[5].status, opentelemetry::trace::Status::error(""));
    assert!(!format!("{spans:?}").contains(CANARY), "{spans:?}");
}

#[test]
fn a_trace_goes_over_tcp_on_from_the_span_that_the_caller_was_given() {
    let runtime = runtime();
    let (_provider, exporter, tracer) = tracer();
    let here = Observe::new(Traces::new(tracer.clone()), Arc::new(SystemClock::new()));
    let there = Observe::new(Traces::new(tracer), Arc::new(SystemClock::new()));
    let parent: TraceContext =
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("a traceparent");
    runtime.block_on(async {
        let gateway = Gateway::new().host_dispatcher(there.service(Arc::new(Bank::default())));
        let options = || RemoteOptions::new(Arc::new(SystemClock::new()));
        let server = gateway.serve_tcp("127.0.0.1:0", options()).expect("listens");
        let address = server.local_addr().expect("listens");
        let channel = RemoteChannel::tcp(address, options()).await.expect("connects");
        let caller = Caller::new(Arc::new(channel), Arc::new(SystemClock::new()), RunId([7; 16]))
            .with_interceptors([here.calls()])
            .with_trace(parent);
        let bank = BankClient::new(caller);
        bank.pay(CANARY, 0).await.expect_err("nothing to pay");
        let mut items = bank.payments().await.expect("comes");
        while let Some(item) = futures::StreamExt::next(&mut items).await {
            item.expect("comes");
        }
    });
    let spans = exporter.get_finished_spans().expect("is open");
    assert_eq!(spans.len(), 4, "{spans:?}");
    for pair in spans.chunks(2) {
        let [served, called] = pair else { panic!("pairs") };
        assert!(is_child(served, called));
        assert_eq!((&*served.name, &*called.name), ("graft", "graft"));
        assert_eq!(called.span_context.trace_id().to_bytes(), parent.trace.0);
        assert_eq!(called.parent_span_id.to_bytes(), parent.span.0);
    }
    let words =
        spans.iter().map(|span| span.attributes.iter().find(|each| each.key.as_str() == "error.type"));
    assert_eq!(words.map(|word| word.is_some()).collect::<Vec<_>>(), [true, true, false, false]);
}

#[test]
fn of_a_pair_both_name_the_span_under_which_the_call_travels() {
    let (kept, (_provider, exporter, tracer)) = (Kept::default(), tracer());
    let observe = Observe::new((Traces::new(tracer), Spans), Arc::new(SystemClock::new()));
    let gateway = Gateway::new().host_dispatcher(observe.service(Arc::new(Books)));
    tracing::subscriber::with_default(Registry::default().with(kept.clone()), || {
        runtime().block_on(BooksClient::new(caller(&observe, &gateway)).book("x")).expect("is booked");
    });
    assert_eq!(kept.tree(), ["rpc.client", "rpc.client/rpc.server"]);
    let spans = exporter.get_finished_spans().expect("is open");
    let travels = spans[1].span_context.span_id().to_string();
    let kept = kept.0.lock().expect("no panic");
    assert_eq!(
        (kept[0].fields.get("span_id"), kept[1].fields.get("parent_id")),
        (Some(&travels), Some(&travels))
    );
}

/// Each point as `name unit attributes value`, sorted.
fn points(all: &[ResourceMetrics]) -> Vec<String> {
    let mut lines = Vec::new();
    let last = all.last().into_iter().flat_map(ResourceMetrics::scope_metrics);
    for metric in last.flat_map(|scope| scope.metrics()) {
        let mut line = |attributes: Vec<_>, value: &dyn Debug| {
            let mut attributes: Vec<_> =
                attributes.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
            attributes.sort();
            lines.push(format!("{} {} {} {value:?}", metric.name(), metric.unit(), attributes.join(" ")));
        };
        let pair = |each: &opentelemetry::KeyValue| (each.key.to_string(), each.value.to_string());
        match metric.data() {
            AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                for point in histogram.data_points() {
                    assert_eq!(point.bounds().next(), Some(0.005));
                    line(point.attributes().map(pair).collect(), &(point.count(), point.sum()));
                }
            }
            AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                for point in sum.data_points() {
                    line(point.attributes().map(pair).collect(), &point.value());
                }
            }
            other => panic!("nothing else is measured: {other:?}"),
        }
    }
    lines.sort();
    lines
}

#[test]
fn a_meter_gets_durations_by_outcome_and_calls_under_way() {
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(3600)).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let bank = Bank::default();
    let metrics = Metrics::new(&provider.meter("host"));
    let observe = Observe::new((Spans, metrics), bank.clock.clone()).with_clearance(known());
    let gateway = Gateway::new().host_dispatcher(observe.service(Arc::new(bank)));
    let bank = BankClient::new(caller(&observe, &gateway));
    for _ in 0..2 {
        block_on(bank.pay(CANARY, 9)).expect("is paid");
    }
    block_on(bank.pay(CANARY, 0)).expect_err("nothing to pay");
    let mut pending = Box::pin(bank.pay(CANARY, 2));
    assert!((&mut pending).now_or_never().is_none());
    provider.force_flush().expect("is open");
    drop(pending);
    let both = |line: &str| ["client", "server"].map(|side| line.replace("SIDE", side));
    let method = "rpc.method=Bank/pay";
    let system = "rpc.system.name=graft";
    let duration = "rpc.SIDE.call.duration s";
    let mut expected = [
        both(&format!("graft.SIDE.active_calls {{call}} {method} {system} 1")),
        both(&format!("{duration} {method} rpc.response.status_code=ok {system} (2, 0.04)")),
        both(&format!(
            "{duration} error.type=domain_error {method} rpc.response.status_code=domain_error {system} (1, 0.02)"
        )),
    ]
    .concat();
    expected.sort();
    assert_eq!(points(&exporter.get_finished_metrics().expect("is open")), expected);

    provider.force_flush().expect("is open");
    let all = exporter.get_finished_metrics().expect("is open");
    let after = points(&all);
    for line in both(&format!("graft.SIDE.active_calls {{call}} {method} {system} 0")) {
        assert!(after.contains(&line), "{after:?}");
    }
    assert!(after.iter().any(|line| line.contains("error.type=cancelled")));
    assert!(!format!("{all:?}").contains(CANARY));
}

#[test]
fn methods_that_a_service_hosts_are_those_that_it_describes() {
    let names: Vec<_> = Bank::methods().iter().map(|method| method.tool.name.as_str()).collect();
    assert_eq!(names, ["Bank.pay", "Bank.pay_and_book", "Bank.payments"]);
}
