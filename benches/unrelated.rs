//! How often is a text called carried that has nothing to do with what was read?
//!
//! Each benign text of a file is read in a run of its own, and every other one is judged: its first 700
//! characters as content, with the stop grams and without, and as a destination if it has at most 64.
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
}

impl Text {
    fn new(id: String, text: String) -> Self {
        Self { content: text.chars().take(CONTENT).collect(), id, text }
    }

    fn is_value(&self) -> bool {
        self.text.chars().count() <= AUTHORITY
    }
}

/// What was found in one text.
#[derive(Default)]
struct Found {
    any: bool,
    wide: bool,
    wide_and_rare: bool,
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
    let (mut pairs, mut rare, mut content, mut values, mut authority) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
    for read in &texts {
        let ledger = TaintLedger::new(LedgerKey::danger_for_replay("unrelated"));
        ledger.record_output(CallId(0), &tool, &read.text, &Label::default());
        let seen = ledger.read();
        for judged in texts.iter().filter(|judged| judged.id != read.id) {
            let (mut scan, mut found) = (seen.scan(), Found::default());
            scan.add("text", Role::Content, Leaf::Str(&judged.content));
            let _ = scan.finish(&tool.name, &mut |carry| {
                let is_wide = carry.is_wide && carry.what == Carried::Untrusted;
                found.any |= carry.what == Carried::Untrusted;
                found.wide |= is_wide;
                found.wide_and_rare |= is_wide && !carry.is_common;
            });
            pairs += 1;
            rare += u64::from(found.wide_and_rare);
            content += u64::from(found.wide);
            if judged.is_value() {
                values += 1;
                authority += u64::from(found.any);
            }
            if is_listed && (found.wide_and_rare || judged.is_value() && found.any) {
                println!("{} in {}", judged.id, read.id);
            }
        }
    }
    if is_json {
        let line = serde_json::json!({
            "texts": texts.len(), "pairs": pairs, "content": rare, "content_without_stop_grams": content,
            "values": values, "values_carried": authority,
        });
        println!("{line}");
        return Ok(());
    }
    let show = |what: &str, count: u64, of: u64| {
        println!("{what:<62}{count:>9} of {of:>9} {:>7.3}%", 100.0 * count as f64 / of.max(1) as f64);
    };
    println!("{} texts, all ordered pairs", texts.len());
    show(&format!("content of {CONTENT} characters, spans of {SPAN_CONTENT}"), rare, pairs);
    show("the same without the stop grams", content, pairs);
    show(&format!("values of at most {AUTHORITY} characters, spans of {SPAN_AUTHORITY}"), authority, values);
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
