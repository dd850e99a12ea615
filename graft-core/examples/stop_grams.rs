//! Makes `src/ledger/stop_grams.bin`, the list of grams that unrelated texts share (`STOP_GRAMS.md`).
//!
//! `cargo run --release -p graft-core --features conformance --example stop_grams -- OUT TEXTS.jsonl...`, where a line of
//! a file is `{"label", "text", ..}` and only the label `benign` counts.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(out), files) = (args.next(), args.collect::<Vec<_>>()) else {
        return Err("usage: stop_grams OUT TEXTS.jsonl...".into());
    };
    let mut texts = Vec::new();
    for file in files {
        for line in std::fs::read_to_string(file)?.lines() {
            let value: serde_json::Value = serde_json::from_str(line)?;
            if value["label"] == "benign" {
                texts.push(value["text"].as_str().ok_or("a line has no `text`")?.to_owned());
            }
        }
    }
    let list = graft_core::ledger::make_stop_grams(texts.iter().map(String::as_str), 3);
    println!("{} texts, {} grams", texts.len(), list.len() / 4);
    Ok(std::fs::write(out, list)?)
}
