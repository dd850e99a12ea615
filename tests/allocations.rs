//! How many allocations a call in this process makes, bare and guarded. Counted, not timed, so that a regression
//! is red on any machine. A binary of its own: the allocator counts for the whole process.

#![allow(unreachable_pub, missing_docs)] // only public methods are described

use std::alloc::System;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use graft::core::{CallId, OutputTrust, RunId, ToolMetadata};
use graft::dataflow::DataFlowMode;
use graft::observe::{Begun, Ended, Observe, Observer};
use graft::{Agent, Caller, Gateway, Label, Name, Origin, SystemClock, interface};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Gives back what it gets.
struct Echo;

#[interface]
impl Echo {
    #[interface(effect = "pure", trust = "trusted")]
    pub fn echo(&self, text: String) -> String {
        text
    }

    #[interface(
        effect = "external-stateful",
        exfil = "message",
        trust = "trusted",
        args(text = "content"),
        intent("send")
    )]
    pub fn send(&self, text: String) -> String {
        text
    }
}

/// The floor: the same with a trait object of one's own.
trait Direct: Send + Sync {
    fn echo(&self, text: String) -> Pin<Box<dyn Future<Output = String> + Send + '_>>;
}

impl Direct for Echo {
    fn echo(&self, text: String) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(async move { Echo::echo(self, text) })
    }
}

/// Whoever watches while nobody listens.
struct Deaf;

impl Observer for Deaf {
    type Call = ();

    fn is_on(&self) -> bool {
        false
    }

    fn begin(&self, _: &Begun<'_, ()>) {}

    fn end(&self, _: (), _: &Ended<'_>) {}
}

const CALLS: usize = 500;

/// Allocations of one call, in hundredths: the median of some rounds, since tables that grow do so now and then.
fn allocations(texts: &[String], call: impl AsyncFn(String)) -> usize {
    let round = || {
        let region = Region::new(ALLOCATOR);
        block_on(async {
            for text in texts {
                call(text.clone()).await;
            }
        });
        let made = region.change();
        100 * (made.allocations + made.reallocations) / texts.len()
    };
    let mut rounds: Vec<usize> = (0..5).map(|_| round()).collect();
    rounds.sort_unstable();
    rounds[2]
}

#[test]
fn a_call_in_this_process_allocates_no_more_than_is_written_here() {
    let spread = |n: usize| (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let digits: Vec<String> = (0..CALLS).map(|n| format!("{:032x}", spread(n))).collect();
    let words: Vec<String> = (0..CALLS).map(|n| format!("order {n:05} for mr smith on foot")).collect();
    let channel = Gateway::new().host(Arc::new(Echo)).local();
    let direct: Arc<dyn Direct> = Arc::new(Echo);
    let caller = Caller::new(channel.clone(), Arc::new(SystemClock::new()), RunId([7; 16]));
    let bare = EchoClient::new(caller.clone());
    let observe = Observe::new(Deaf, Arc::new(SystemClock::new()));
    let watched = Gateway::new().host_dispatcher(observe.service(Arc::new(Echo))).local();
    let watched = EchoClient::new(caller.over(watched).with_interceptors([observe.calls()]));
    let agent =
        Agent::over(channel).data_flow_policy(DataFlowMode::Enforce).timeout(Duration::from_secs(10)).build();
    let run = agent.begin_run("send what I type").expect("the run begins");
    let page = ToolMetadata {
        origin: Origin::WEB_SEARCH,
        trust: OutputTrust::Untrusted,
        ..ToolMetadata::new(Name::from_static("page"))
    };
    let recorded: String = (0..3000).map(|n| format!("page {n} of a catalogue of kites, ")).collect();
    let _ = run.ledger().record_output(CallId(0), &page, &recorded[..64 << 10].to_owned(), &Label::default());
    let guarded = EchoClient::new(run.caller());

    let floor = allocations(&digits, async |text| drop(direct.echo(text).await));
    let over = |made: usize| made.saturating_sub(floor);
    let echo = async |client: &EchoClient, text| drop(client.echo(text).await.expect("it echoes"));
    let send = async |client: &EchoClient, text| drop(client.send(text).await.expect("it is sent"));

    // In hundredths. What the ledger keeps grows by doubling, which is a few of them.
    for (what, made, bound) in [
        ("bare", allocations(&digits, async |text| echo(&bare, text).await), 100),
        ("watched, nobody listens", allocations(&digits, async |text| echo(&watched, text).await), 100),
        ("recorded", allocations(&digits, async |text| echo(&guarded, text).await), 110),
        ("recorded, words", allocations(&words, async |text| echo(&guarded, text).await), 110),
        ("judged", allocations(&digits, async |text| send(&guarded, text).await), 300),
        ("judged, words", allocations(&words, async |text| send(&guarded, text).await), 220),
    ] {
        println!("{what}: {} hundredths over a direct call", over(made));
        assert!(over(made) <= bound, "{what}: {} hundredths over a direct call, not {bound}", over(made));
    }
}
