//! A recorded result as the structure that it was.

use graft_core::{OutputTrust, ToolMetadata};
use serde_json::Value;

use super::run::ResultFormat;
use super::{json, python, yaml};

/// Reads a result's text: as JSON where it says so; else, if the labels of `tool` speak of its parts, as
/// JSON, Python literal or YAML, whichever it parses as; else as plain text.
pub(super) fn structure(tool: &ToolMetadata, text: &str, format: ResultFormat) -> Value {
    let has_parts = !tool.fields.is_empty() || tool.trust == OutputTrust::Structured;
    let parsed = match format {
        ResultFormat::Json => json::parse(text.as_bytes()).ok(),
        ResultFormat::Text if has_parts => printed(text),
        ResultFormat::Text => None,
    };
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A printed structure: JSON, Python literal or YAML, whichever it parses as.
pub(super) fn printed(text: &str) -> Option<Value> {
    json::parse(text.as_bytes())
        .ok()
        .filter(|value| value.is_object() || value.is_array())
        .or_else(|| python::parse(text))
        .or_else(|| yaml::parse(text))
}
