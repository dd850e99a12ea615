//! How fast does the taint ledger take an output, and how much memory does it keep of it?
//!
//! An output is one untrusted text. The floor is one pass over its bytes that folds ASCII case and keeps
//! letters and digits, without which no two spellings could be compared.

mod harness;

use std::time::Instant;

use graft::core::{CallId, OutputTrust};
use graft::dataflow::{LedgerKey, TaintLedger, ToolMetadata};
use graft::{Label, Name, Origin};
use harness::text::{Script, text};
use harness::{Bench, Case, Failure};

const OUTPUT: usize = 64 << 10;

fn main() -> Result<(), Failure> {
    let mut bench = Bench::from_args();
    let tool = page();
    // A ledger is full at 1 MiB, so a run takes eight outputs of different words.
    let outputs = |script, bytes| -> Vec<String> { (0..8).map(|seed| text(script, seed, bytes)).collect() };
    let plain = outputs(Script::Latin, OUTPUT);
    let mut cases = Vec::new();
    cases.push(
        Case::new("one folding pass over ASCII", |round| {
            let mut next = plain.iter().cycle();
            round.together(|| Ok(next.next().map(|text| fold(text))))
        })
        .bytes(OUTPUT),
    );
    for (name, script, bytes) in [
        ("record 64 KiB of ASCII", Script::Latin, OUTPUT),
        ("record 64 KiB of Cyrillic", Script::Cyrillic, OUTPUT),
        ("record 64 KiB of Han", Script::Han, OUTPUT),
        ("record 1 KiB of ASCII", Script::Latin, 1 << 10),
        ("record 32 B of ASCII", Script::Latin, 32),
    ] {
        let (outputs, tool) = (outputs(script, bytes), &tool);
        let case = Case::new(name, move |round| {
            let mut left = round.iterations();
            while left > 0 {
                let ledger = TaintLedger::new(LedgerKey::danger_for_replay("bench"));
                let now = left.min(outputs.len() as u64);
                let start = Instant::now();
                for (call, output) in (0..now).zip(&outputs) {
                    std::hint::black_box(ledger.record_output(CallId(call), tool, output, &Label::default()));
                }
                round.took(start.elapsed());
                left -= now;
            }
            Ok(())
        });
        cases.push(case.bytes(bytes));
    }
    bench.compare("recording an output into the ledger of a new run", cases)?;
    if let Some(bytes) = memory_of_a_byte(&tool) {
        bench.note("bytes of memory for each recorded byte of ASCII", bytes, None);
    }
    bench.finish()
}

fn page() -> ToolMetadata {
    let mut tool = ToolMetadata::new(Name::from_static("page"));
    tool.effect = graft::core::Effect::ReadOnly;
    tool.origin = Origin::WEB_SEARCH;
    tool.trust = OutputTrust::Untrusted;
    tool
}

fn fold(text: &str) -> Vec<u8> {
    let (mut folded, mut length) = (vec![0; text.len()], 0);
    for byte in text.bytes() {
        // Written either way and kept only if it counts, which needs no branch.
        folded[length] = byte.to_ascii_lowercase();
        length += usize::from(byte.is_ascii_alphanumeric());
    }
    folded.truncate(length);
    folded
}

/// What the process grows by when 16 full ledgers are filled, as far as the system tells.
fn memory_of_a_byte(tool: &ToolMetadata) -> Option<f64> {
    const LEDGERS: usize = 16;
    let outputs: Vec<String> = (0..16).map(|seed| text(Script::Latin, seed, OUTPUT)).collect();
    let before = resident()?;
    let ledgers: Vec<TaintLedger> = (0..LEDGERS)
        .map(|_| {
            let ledger = TaintLedger::new(LedgerKey::danger_for_replay("bench"));
            for (call, output) in (0..).zip(&outputs) {
                let _ = ledger.record_output(CallId(call), tool, output, &Label::default());
            }
            ledger
        })
        .collect();
    let grown = resident()?.saturating_sub(before);
    drop(ledgers);
    Some(grown as f64 / (LEDGERS * outputs.len() * OUTPUT) as f64)
}

/// Bytes of this process that are in memory, on Linux.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? << 10)
}
