//! The document and the keys.

use std::collections::BTreeSet;
use std::fmt::Write;

use graft::Config;
use graft::config::{Key, keys};
use graft::transport::Limits;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/CONFIG.md");
const HEAD: &str = "| key | variable | takes | default | what it is |\n| --- | --- | --- | --- | --- |\n";

/// `GRAFT_BLESS=1 cargo test -p graft --test config` writes the table anew.
#[test]
fn the_table_of_the_document_is_the_keys() {
    let mut table = HEAD.to_owned();
    for Key { name, variable, takes, default, about, .. } in keys() {
        let default = default.map_or("not set".to_owned(), |default| format!("`{default}`"));
        writeln!(table, "| `{name}` | `{variable}` | {takes} | {default} | {about} |").unwrap();
    }
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let before = document.split("| key |").next().unwrap();
    let wanted = format!("{before}{table}");
    if std::env::var_os("GRAFT_BLESS").is_some() {
        std::fs::write(DOCUMENT, wanted).unwrap();
    } else {
        assert!(document == wanted, "the end of CONFIG.md should be:\n{table}");
    }
}

#[test]
fn every_limit_is_a_key() {
    let keys: BTreeSet<String> = keys().into_iter().map(|key| key.name).collect();
    for limit in Limits::default().entries() {
        assert!(keys.contains(&format!("limits.{}", limit.name)), "{}", limit.name);
    }
}

#[test]
fn no_two_keys_share_a_variable_and_none_looks_like_one_of_kubernetes() {
    let variables: BTreeSet<String> = keys().into_iter().map(|key| key.variable).collect();
    assert_eq!(variables.len(), keys().len());
    for variable in variables {
        assert!(variable.starts_with("GRAFT_"), "{variable}");
        assert!(!variable.starts_with("GRAFT_SERVICE_") && !variable.starts_with("GRAFT_PORT"), "{variable}");
    }
}

#[test]
fn settings_stand_in_the_order_of_the_keys_and_begin_as_the_defaults() {
    let config = Config::builder().build().unwrap();
    let settings = config.settings().iter().map(|setting| (setting.key.clone(), setting.value.clone()));
    assert!(settings.eq(keys().into_iter().map(|key| (key.name, key.default))));
    assert_eq!(*config.limits(), Limits::default());
}
