//! The registry beside the example's runs says what the attributes on its types say.
//!
//! `GRAFT_BLESS=1 cargo test --features cli --test registry_home` writes it anew.
#![cfg(feature = "cli")]
#![allow(unreachable_pub, dead_code)] // the example's types stand as they are

#[path = "../examples/guarded_agent/services.rs"]
mod services;

use std::collections::BTreeMap;

use graft::Described;
use graft::core::ToolMetadata;
use graft::dataflow::files::Registry;
use serde_json::{Value, json};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/registry_home.json");

fn tools() -> Vec<ToolMetadata> {
    let all = [
        services::Inbox::methods(),
        services::Bank::methods(),
        services::Web::methods(),
        services::Files::methods(),
    ];
    all.into_iter().flatten().map(|method| method.tool.clone()).collect()
}

fn entry(tool: &ToolMetadata) -> Value {
    let record =
        |rule: &graft::core::RecordRule| json!({ "field": rule.field, "is_self": true, "trust": rule.trust });
    json!({
        "trust": tool.trust,
        "sensitivity": tool.sensitivity,
        "side_effect": tool.effect,
        "exfil": tool.exfil,
        "origin": tool.origin,
        "args": tool.args,
        "fields": tool.fields,
        "records": tool.records.iter().map(record).collect::<Vec<_>>(),
        "intent": tool.intent,
    })
}

#[test]
fn the_registry_file_says_what_the_attributes_say() {
    if std::env::var_os("GRAFT_BLESS").is_some() {
        let tools: BTreeMap<String, Value> =
            tools().iter().map(|tool| (tool.name.to_string(), entry(tool))).collect();
        let own = ["me", "emma@harbor.example", "DE89370400440532013000"];
        let registry = json!({ "version": 1, "suite": "home", "self": own, "tools": tools });
        let text = serde_json::to_string_pretty(&registry).expect("JSON") + "\n";
        std::fs::write(FILE, text).expect("the file can be written");
    }
    let bytes = std::fs::read(FILE).expect("the file is there");
    let registry = Registry::parse("registry_home.json", &bytes).expect("it parses");
    let described = tools();
    assert_eq!(registry.tools().count(), described.len());
    for tool in &described {
        assert_eq!(registry.tool(tool.name.as_str()), Some(tool));
    }
    assert_eq!(registry.unlabelled_sinks().count(), 0);
}
