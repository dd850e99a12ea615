//! The registry beside the example's runs says what the attributes on its types say.
//!
//! `GRAFT_BLESS=1 cargo test --features cli --test registry_home` writes it anew.
#![cfg(feature = "cli")]
#![allow(unreachable_pub, dead_code)] // the example's types stand as they are

#[path = "../examples/guarded_agent/services.rs"]
mod services;

use graft::Described;
use graft::core::ToolMetadata;
use graft::dataflow::files::Registry;

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

#[test]
fn the_registry_file_says_what_the_attributes_say() {
    if std::env::var_os("GRAFT_BLESS").is_some() {
        let own = ["me", "emma@harbor.example", "DE89370400440532013000"].map(str::to_owned);
        let registry = Registry::from_tools(own, &tools()).to_json();
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
