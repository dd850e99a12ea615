//! How often is a text called carried that has nothing to do with what was read?
//!
//! Each benign text of a file is read in a run of its own, and of every other one the first 700 characters
//! are judged as content and the first 64 as a destination: all ordered pairs.
//!
//! `cargo bench --bench unrelated -- TEXTS.jsonl [--list]`, where a line is `{"id", "label", "text", ..}` and only
//! the label `benign` counts. `--list` names the pairs. Without a file, texts of made-up words.

mod harness;

use graft::core::ledger::{SPAN_AUTHORITY, SPAN_CONTENT};
use graft::core::{CallId, Carried, Leaf, Role};
use graft::dataflow::{LedgerKey, TaintLedger, ToolMetadata};
use graft::{Label, Name};
use harness::Failure;
use harness::text::{Script, text};

/// Characters of content, and of an authority's value.
const CONTENT: usize = 700;
const AUTHORITY: usize = 64;

struct Text {
    id: String,
    text: String,
    content: String,
    authority: String,
}

impl Text {
    fn new(id: String, text: String) -> Self {
        let first = |characters| text.chars().take(characters).collect();
        Self { content: first(CONTENT), authority: first(AUTHORITY), id, text }
    }
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_listed = words.iter().any(|word| word == "--list");
    let is_json = words.windows(2).any(|two| two[0] == "--format" && two[1] == "json");
    let file = words.iter().find(|word| !word.starts_with("--") && *word != "json");
    let texts = match file {
        Some(file) => read(file)?,
        None => (0..120).map(|seed| Text::new(seed.to_string(), text(Script::Latin, seed, 4096))).collect(),
    };
    let tool = ToolMetadata::new(Name::from_static("page"));
    let (mut pairs, mut content, mut authority) = (0_u64, 0_u64, 0_u64);
    for read in &texts {
        let ledger = TaintLedger::new(LedgerKey::danger_for_replay("unrelated"));
        ledger.record_output(CallId(0), &tool, &read.text, &Label::default());
        let seen = ledger.read();
        let is_carried = |text: &str, wide: bool| {
            let mut scan = seen.scan();
            scan.add("text", Role::Content, Leaf::Str(text));
            let mut found = false;
            scan.finish(&tool.name, &mut |carry| {
                found |= carry.what == Carried::Untrusted && (carry.is_wide || !wide);
            });
            found
        };
        for judged in texts.iter().filter(|judged| judged.id != read.id) {
            pairs += 1;
            let found = (is_carried(&judged.content, true), is_carried(&judged.authority, false));
            content += u64::from(found.0);
            authority += u64::from(found.1);
            if is_listed && (found.0 || found.1) {
                println!("{} in {}", judged.id, read.id);
            }
        }
    }
    let percent = |count: u64| 100.0 * count as f64 / pairs.max(1) as f64;
    if is_json {
        let line = serde_json::json!({
            "texts": texts.len(), "pairs": pairs, "content": content, "authority": authority,
        });
        println!("{line}");
        return Ok(());
    }
    println!("{} texts, {pairs} ordered pairs", texts.len());
    println!(
        "content of {CONTENT} characters, spans of {SPAN_CONTENT}: {content} ({:.3}%)",
        percent(content)
    );
    println!(
        "values of {AUTHORITY} characters, spans of {SPAN_AUTHORITY}: {authority} ({:.3}%)",
        percent(authority)
    );
    Ok(())
}

fn read(file: &str) -> Result<Vec<Text>, Failure> {
    let mut texts = Vec::new();
    for (number, line) in std::fs::read_to_string(file)?.lines().enumerate() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let field = |name: &str| {
            let text = value[name].as_str().map(str::to_owned);
            text.ok_or_else(|| format!("line {} has no text `{name}`", number + 1))
        };
        if field("label")? == "benign" {
            texts.push(Text::new(field("id")?, field("text")?));
        }
    }
    Ok(texts)
}
