//! Labels, the taint ledger, the call, and the traits at which the graft crates meet.
//!
//! No I/O, no async runtime and no clock of its own: bytes, time and randomness come in as arguments.
//!
//! ```
//! use graft_core::{Label, Origin, Sensitivity, Trust};
//! let page = Label::untrusted(Origin::WEB_SEARCH);
//! let balance = Label::of(Origin::TOOL).with_sensitivity(Sensitivity::Secret);
//! assert_eq!(page.join(&balance).trust(), Trust::Untrusted);
//! ```

mod admit;
mod call;
mod caller;
mod clearance;
mod clock;
mod context;
mod digest;
mod fault;
mod fields;
mod headers;
mod hosted;
mod id;
mod interceptor;
mod invoke;
mod items;
mod key;
mod label;
pub mod labeled;
mod leaf;
pub mod ledger;
mod peer;
pub mod port;
mod record;
mod resource;
pub mod tool;
mod verdict;

pub use admit::{Admit, Admitted, Refused};
pub use call::{
    Body, Call, CallState, Credential, EncodedBody, Malformed, Metadata, Method, Outcome, Payload, Reply,
    ReplyKind, Request, ShapeCheck, Slot, TypedBody,
};
pub use caller::{Caller, LabeledItems};
pub use clearance::{Acceptable, Clearance, Payload as ProviderPayload, ProviderClearance, RowKind, Tagged};
pub use clock::{Clock, Deadline, ManualClock, Monotonic, Timestamp};
pub use context::{CallContext, TraceContext, TraceParentError};
pub use digest::{DigestKey, KeyedDigest};
pub use fault::{Blame, CallError, Fault, FaultCode};
pub use fields::{FieldError, FieldValue, Fields};
pub use headers::{HeaderError, Headers};
pub use hosted::{Hosted, invoke_here};
pub use id::{CallId, HandleId, InterfaceId, MethodId, Name, NameError, RunId, SpanId, TraceId};
pub use interceptor::{CallRecorder, DeadlineCheck, Done, Interceptor};
pub use invoke::{Channel, Invoke, Router};
pub use items::{Items, Port, Ports, Watch};
pub use key::{MIN_KEY_LEN, WeakKey, check_key};
pub use label::{Label, Origin, Origins, Sensitivity, TaintLabel, Trust};
pub use labeled::{Door, Labeled, Receipt};
pub use leaf::{Leaf, Leaves, Path, Segment, Visit};
pub use ledger::{
    Carried, Carry, LedgerKey, Provenance, Restored, Scan, Seen, Snapshot, SnapshotError, SnapshotKey,
    SnapshotOf, Speaker, TaintLedger, View,
};
pub use peer::{Peer, TlsPeer, UnixPeer};
pub use port::{Incoming, Outgoing};
pub use record::{Action, Ending, Event, MemoryRecorder, RecordError, Recorder, Seq};
pub use resource::{NoPattern, ResourceLabel, ResourcePattern, ResourceRule};
pub use tool::{Effect, Exfil, OutputTrust, RecordRule, Role, ToolMetadata};
pub use verdict::{Decision, Evidence, Signal, Signals, Source, Verdict};
