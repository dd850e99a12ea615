//! Arguments of any kind are searched to an end, and what was recorded is found in them as it is.
#![no_main]

use graft_core::ledger::{SPAN_AUTHORITY, conformance::folded};
use graft_core::{
    CallId, Carried, Label, Leaf, LedgerKey, Name, Role, Sensitivity, TaintLedger, ToolMetadata,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|parts: (&str, &str, &[u8])| {
    let (recorded, before, bytes) = parts;
    let mut tool = ToolMetadata::new(Name::from_static("page"));
    tool.sensitivity = Sensitivity::Secret;
    let ledger = TaintLedger::new(LedgerKey::danger_for_replay("fuzz"));
    ledger.record_output(CallId(0), &tool, &recorded, &Label::default());
    let seen = ledger.read();
    let mut scan = seen.scan().with_ciphers(true);
    let text = format!("{before} {recorded}");
    scan.add("text", Role::Content, Leaf::Str(&text));
    scan.add("bytes", Role::Content, Leaf::Bytes(bytes));
    let mut found = false;
    let _ = scan.finish(&tool.name, &mut |carry| found |= carry.what == Carried::Secret);
    assert!(found || folded(recorded).len() < SPAN_AUTHORITY);
});
