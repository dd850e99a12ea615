//! Metrics by OpenTelemetry, on the host's meter.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};

use super::{Attribute, Begun, Ended, Observer, Side};

/// How long calls take, how they end, and how many are under way.
///
/// | instrument | unit | attributes |
/// | --- | --- | --- |
/// | `rpc.client.call.duration`, `rpc.server.call.duration`: histograms | s | all |
/// | `graft.client.active_calls`, `graft.server.active_calls`: up-down counters | {call} | those known at the beginning |
///
/// The first two are of the semantic conventions, with their buckets; calls by outcome are the counts of the
/// histogram. The conventions have no name for the others yet.
#[derive(Clone)]
pub struct Metrics {
    client: Instruments,
    server: Instruments,
}

#[derive(Clone)]
struct Instruments {
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
}

/// The boundaries that the conventions recommend, in seconds.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

impl Metrics {
    /// Measures on `meter`, of which the host says where it leads.
    pub fn new(meter: &Meter) -> Self {
        let instruments = |duration, told, active| Instruments {
            duration: meter
                .f64_histogram(duration)
                .with_unit("s")
                .with_description(told)
                .with_boundaries(BUCKETS.to_vec())
                .build(),
            active: meter
                .i64_up_down_counter(active)
                .with_unit("{call}")
                .with_description("Calls under way.")
                .build(),
        };
        Self {
            client: instruments(
                "rpc.client.call.duration",
                "Measures the duration of outbound remote procedure calls (RPC).",
                "graft.client.active_calls",
            ),
            server: instruments(
                "rpc.server.call.duration",
                "Measures the duration of inbound remote procedure calls (RPC).",
                "graft.server.active_calls",
            ),
        }
    }
}

impl Observer for Metrics {
    type Call = Arc<Active>;

    fn begin(&self, begun: &Begun<'_, Arc<Active>>) -> Arc<Active> {
        let instruments = match begun.side {
            Side::Client => self.client.clone(),
            Side::Server => self.server.clone(),
        };
        let attributes: Vec<_> = key_values(begun.attributes).collect();
        instruments.active.add(1, &attributes);
        Arc::new(Active { instruments, attributes })
    }

    fn end(&self, call: Arc<Active>, ended: &Ended<'_>) {
        let begun = call.attributes.iter().cloned();
        let attributes: Vec<_> = begun.chain(key_values(ended.attributes)).collect();
        call.instruments.duration.record(ended.took.as_secs_f64(), &attributes);
    }
}

/// A call under way: counted until it is dropped.
pub struct Active {
    instruments: Instruments,
    attributes: Vec<KeyValue>,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.instruments.active.add(-1, &self.attributes);
    }
}

pub(super) fn key_values(attributes: &[Attribute]) -> impl Iterator<Item = KeyValue> + '_ {
    attributes.iter().map(|attribute| KeyValue::new(attribute.key(), attribute.value().clone()))
}
