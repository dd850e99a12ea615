//! Feeds a recorded run through ledger and policy. No call is executed.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use graft_core::{
    Call, CallId, Clock, Decision, Label, LedgerKey, Metadata, RunId, Speaker, TaintLedger, ToolMetadata,
    Verdict,
};

use super::registry::Registry;
use super::run::{RunEvent, RunInput};
use super::structure::{printed, structure};
use crate::dataflow::DataFlowPolicy;
use crate::dataflow::plan::PlanRun;

/// One judged call of a run.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Number of the call.
    pub n: u64,
    /// The tool.
    pub tool: String,
    /// What the policy says.
    pub verdict: Verdict,
    /// What saying it cost.
    pub took: Duration,
}

/// What became of a run.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// Every call of a sink that was not moot, in order.
    pub judged: Vec<Judged>,
    /// Calls that a refusal made pointless.
    pub moot: Vec<u64>,
    /// How many calls were of a tool that the registry lacks.
    pub unknown_tools: usize,
}

/// What a replay needs beside the run.
pub struct ReplayOptions<'a> {
    /// The policy.
    pub policy: &'a DataFlowPolicy,
    /// The labels of the tools.
    pub registry: &'a Registry,
    /// Measures what a judgement costs.
    pub clock: &'a dyn Clock,
}

/// A call that was made and may return something.
struct Made<'a> {
    tool: Cow<'a, ToolMetadata>,
    /// Of its arguments.
    label: Label,
}

/// Replays one run. The same input, policy and registry give the same verdicts.
///
/// A blocked call did not happen: its result is not recorded. A call that a person would be asked about is
/// let through.
pub fn replay(input: &RunInput, options: &ReplayOptions<'_>) -> Replayed {
    let ReplayOptions { policy, registry, clock } = *options;
    let ledger =
        TaintLedger::new(LedgerKey::danger_for_replay("graft replay")).with_own_ids(registry.own_ids());
    ledger.record_trusted(Speaker::User, &input.user_prompt);
    if let Some(system) = &input.system {
        ledger.record_trusted(Speaker::Operator, system);
    }
    let plan = input.plan.clone().map(|plan| PlanRun::new(plan, ledger.key().clone()));
    let mut replayed = Replayed::default();
    let mut gone: HashSet<u64> = HashSet::new();
    let mut made: HashMap<u64, Made<'_>> = HashMap::new();
    for event in &input.events {
        match event {
            RunEvent::Call { n, moot_if_blocked: Some(other), .. } if gone.contains(other) => {
                gone.insert(*n);
                replayed.moot.push(*n);
            }
            RunEvent::Call { n, tool: name, args, .. } => {
                let Some(tool) = registry.tool(name) else {
                    replayed.unknown_tools += 1;
                    continue;
                };
                let meta = Metadata::new(RunId([0; 16]), CallId(*n));
                let call = Call::from_json(tool, &meta, args);
                let start = clock.monotonic();
                let assessment = policy.assess_planned(&ledger, plan.as_ref(), &call);
                let took = clock.monotonic().saturating_sub(start);
                let label = assessment.label;
                made.insert(*n, Made { tool: tool.labelled(tool.resource_label(args)), label });
                if assessment.verdict.decision != Decision::Block {
                    ledger.record_sent(&call);
                    if let Some(plan) = &plan {
                        plan.called(&call);
                    }
                }
                if tool.is_sink() {
                    let verdict = assessment.verdict;
                    if verdict.decision == Decision::Block {
                        gone.insert(*n);
                    }
                    replayed.judged.push(Judged { n: *n, tool: name.clone(), verdict, took });
                }
            }
            RunEvent::Result { n, text, format } if !gone.contains(n) => {
                if let Some(Made { tool, label }) = made.get(n) {
                    let mut value = structure(tool, text, *format);
                    ledger.record_output(CallId(*n), tool, &value, label);
                    if let Some(plan) = &plan {
                        if value.is_string() && plan.plan().looks_into(tool.name.as_str()) {
                            value = printed(text).unwrap_or(value);
                        }
                        plan.returned(CallId(*n), &tool.name, &value);
                    }
                }
            }
            RunEvent::Result { .. } => {}
        }
    }
    replayed
}
