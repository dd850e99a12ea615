//! What does it cost to judge a call, by the length of its arguments and of what the run has read?
//!
//! The call sends a message; destination and wish stand in the prompt, and its text is not what was read,
//! so the judge has to look at all of it. The rival keeps what was read as text and looks for pieces of the
//! argument in it: each span of the length that the ledger guarantees covers one of these pieces.

mod harness;

use std::collections::BTreeMap;

use graft::core::ledger::SPAN_CONTENT;
use graft::core::{Call, CallId, Exfil, Metadata, OutputTrust, Role, RunId};
use graft::dataflow::{
    DataFlowMode, DataFlowPolicy, Decision, LedgerKey, Speaker, TaintLedger, ToolMetadata,
};
use graft::{Label, Name, Origin};
use harness::text::{Script, text};
use harness::{Bench, Case, Failure};

/// The longest argument that the rival gets; it takes minutes for the others.
const RIVAL_ARGUMENT: usize = 1 << 10;

type Args = BTreeMap<&'static str, String>;

fn main() -> Result<(), Failure> {
    let mut bench = Bench::from_args();
    let policy = DataFlowPolicy::new(DataFlowMode::Enforce);
    let (page, mail) = tools();
    let meta = Metadata::new(RunId([7; 16]), CallId(99));
    let judged = |name: String, ledger: &TaintLedger, args: Args, expected: Decision| {
        let verdict = policy.evaluate(ledger, &Call::new(&mail, &meta, &args));
        if verdict.decision != expected {
            return Err(Failure::from(format!("{name}: {:?}", verdict.evidence)));
        }
        Ok((name, args))
    };
    let _ = judged;
    bench.finish()
}
