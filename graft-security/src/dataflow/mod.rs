//! Data flow: what a run has seen decides what it may do.
//!
//! [`DataFlowPolicy`] is pure: the same ledger, call and policy give the same verdict. [`DataFlowGate`] puts
//! it in front of a channel; code that makes its own calls uses the policy as it is.

mod explain;
#[cfg(feature = "files")]
pub mod files;
mod gate;
pub mod grants;
mod judge;
mod overrides;
pub mod plan;
mod policy;
mod remedy;

pub use explain::{Explanation, RULES, Reason, explain, text_for_model};
pub use gate::{DataFlowGate, OnAsk, SignalCounts, SourceKind};
pub use graft_core::{
    Decision, Evidence, Label, Label as TaintLabel, LedgerKey, Signal, Source, Speaker, TaintLedger,
    ToolMetadata, Verdict,
};
pub use grants::{
    ApprovalError, CallDigest, GrantError, GrantId, GrantKey, GrantSource, Grants, PendingApproval, Question,
    Terms, question,
};
pub use judge::Assessment;
pub use overrides::{Rule, UnknownRule};
pub use policy::{DataFlowMode, DataFlowPolicy, OnDoubt, Response};
pub use remedy::{Change, Remedy};

/// The label that an output of `tool` carries as a whole, before anyone looks at its parts.
///
/// ```
/// use graft_core::{Name, Origin, OutputTrust, ToolMetadata, Trust};
/// use graft_security::dataflow::derive_taint_label;
/// let mut tool = ToolMetadata::new(Name::from_static("lookup"));
/// tool.trust = OutputTrust::Trusted;
/// assert_eq!(derive_taint_label(&tool).trust(), Trust::Trusted);
/// tool.origin = Origin::MCP_DERIVED;
/// assert_eq!(derive_taint_label(&tool).trust(), Trust::Untrusted);
/// ```
#[doc(alias = "deriveTaintLabel")]
pub fn derive_taint_label(tool: &ToolMetadata) -> TaintLabel {
    tool.output_label()
}
