//! The receiver's own records: what cannot be recorded does not happen there either.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use graft::core::{Action, Credential, Event, MemoryRecorder, RecordError, Seq};
use graft::{
    Agent, CallError, Gateway, Name, Recorder, RemoteChannel, RemoteOptions, Run, Server, SystemClock,
    interface,
};

use crate::office::Door;

/// Counts.
#[derive(Default)]
pub struct Counter(AtomicUsize);

#[interface]
impl Counter {
    /// Counts one more.
    #[interface(effect = "side-effecting", trust = "trusted")]
    pub fn add(&self) -> u64 {
        self.0.fetch_add(1, SeqCst) as u64
    }

    /// What was counted.
    #[interface(effect = "read-only", trust = "trusted")]
    pub fn count(&self) -> u64 {
        self.0.load(SeqCst) as u64
    }
}

/// Keeps so many records and then no more.
struct Full(MemoryRecorder, usize);

impl Recorder for Full {
    fn record(&self, event: &Event) -> Result<Seq, RecordError> {
        if self.0.events().len() < self.1 { self.0.record(event) } else { Err(RecordError) }
    }
}

struct Served {
    counter: Arc<Counter>,
    log: Arc<Full>,
    client: CounterClient,
    _run: Run,
    _server: Server,
}

async fn served(records: usize, credential: &str) -> Served {
    let options = || RemoteOptions::new(Arc::new(SystemClock::new()));
    let (counter, log) = (Arc::<Counter>::default(), Arc::new(Full(MemoryRecorder::default(), records)));
    let gateway = Gateway::new().host(counter.clone()).recorder(log.clone());
    let server = gateway.serve_tcp((Ipv4Addr::LOCALHOST, 0), options().with_admit(Arc::new(Door)));
    let server = server.expect("listens");
    let addr = server.local_addr().expect("it is TCP");
    let channel = RemoteChannel::tcp(addr, options()).await.expect("connects");
    let agent = Agent::over(Arc::new(channel)).credential(Credential::new(credential)).build();
    let run = agent.begin_run("count").expect("begins");
    let client = CounterClient::new(run.caller());
    Served { counter, log, client, _run: run, _server: server }
}

fn code<T, E>(result: Result<T, CallError<E>>) -> Option<&'static str> {
    result.err().as_ref().and_then(CallError::fault).map(|fault| fault.code().as_str())
}

#[tokio::test]
async fn what_a_receiver_cannot_record_it_does_not_do_or_does_not_tell() {
    // Who is let in, the intent, the outcome.
    for (records, done) in [(0, 0), (1, 0), (2, 1)] {
        let served = served(records, "ann's token").await;
        assert_eq!(code(served.client.add().await), Some("record_unavailable"), "{records}");
        assert_eq!((served.counter.0.load(SeqCst), served.log.0.events().len()), (done, records));
    }
    let served = served(3, "ann's token").await;
    assert_eq!(code(served.client.add().await), None);
    // Without effects there is no intent; a reply without a record is withheld all the same.
    assert_eq!(code(served.client.count().await), Some("record_unavailable"));
}

#[tokio::test]
async fn whoever_is_refused_is_told_the_same_whether_or_not_it_could_be_recorded() {
    for records in [0, 1] {
        let served = served(records, "a guess").await;
        assert_eq!(code(served.client.add().await), Some("unauthenticated"));
        assert_eq!((served.counter.0.load(SeqCst), served.log.0.events().len()), (0, records));
    }
}

#[tokio::test]
async fn each_call_leaves_its_records_in_order_and_no_others() {
    let served = served(100, "ann's token").await;
    for _ in 0..2 {
        served.client.add().await.expect("counts");
        served.client.count().await.expect("says");
    }
    let events = served.log.0.events();
    let actions: Vec<_> = events.iter().map(|event| event.action).collect();
    let (start, end) = (Action::ServeStart, Action::ServeEnd);
    assert_eq!(actions, [Action::AuthGranted, start, end, end, start, end, end]);
    assert!(events.iter().all(|event| event.actor == Name::from_static("ann")));
    assert!(events.iter().all(|event| event.monotonic.0 > 0), "by the clock of the connection");
    let refused = self::served(100, "a guess").await;
    assert_eq!(code(refused.client.add().await), Some("unauthenticated"));
    assert_eq!(refused.log.0.events().len(), 1);
}
