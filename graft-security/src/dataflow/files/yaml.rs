//! YAML mappings and lists, as recorded tools print them, through an event parser that is bounded.
//!
//! Anchors, aliases and tags are refused: printed data has none, and an alias could stand for a bomb.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// The deepest nesting that is read.
const MAX_DEPTH: usize = 64;

/// Reads `text` as one YAML mapping or list.
pub(super) fn parse(text: &str) -> Option<Value> {
    let mut events = Parser::new_from_str(text).map(|event| event.ok().map(|(event, _)| event));
    let mut next = || events.next().flatten();
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    loop {
        let value = match next()? {
            Event::StreamStart | Event::Nothing => continue,
            Event::DocumentStart(_) if root.is_none() => continue,
            Event::DocumentEnd => continue,
            Event::StreamEnd => return root.filter(|value: &Value| value.is_object() || value.is_array()),
            Event::MappingStart(0, None) if open.len() < MAX_DEPTH => {
                open.push(Open::Mapping(Map::new(), None));
                continue;
            }
            Event::SequenceStart(0, None) if open.len() < MAX_DEPTH => {
                open.push(Open::Sequence(Vec::new()));
                continue;
            }
            Event::MappingEnd => match open.pop()? {
                Open::Mapping(members, None) => Value::Object(members),
                _ => return None,
            },
            Event::SequenceEnd => match open.pop()? {
                Open::Sequence(items) => Value::Array(items),
                Open::Mapping(..) => return None,
            },
            Event::Scalar(text, style, 0, None) => scalar(&text, style),
            _ => return None,
        };
        match open.last_mut() {
            None if root.is_none() => root = Some(value),
            None => return None,
            Some(Open::Sequence(items)) => items.push(value),
            Some(Open::Mapping(members, key)) => match key.take() {
                Some(key) => {
                    if members.insert(key, value).is_some() {
                        return None; // a later key must not hide an earlier one
                    }
                }
                None => {
                    *key = Some(match value {
                        Value::String(text) => text,
                        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other.to_string(),
                        Value::Array(_) | Value::Object(_) => return None,
                    });
                }
            },
        }
    }
}

enum Open {
    /// Members so far, and the key whose value is awaited.
    Mapping(Map<String, Value>, Option<String>),
    Sequence(Vec<Value>),
}

/// A plain scalar may be a number, a truth value or nothing; a quoted one is text.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if text.starts_with('0') && text.len() > 1 && !text.starts_with("0.") => text.into(),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(whole), _) => whole.into(),
            (_, Ok(number)) if number.is_finite() => number.into(),
            _ => text.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn printed_mappings_and_lists_are_read() {
        let text =
            "- body: 'one\n\n    two'\n  cc: []\n  id_: '0'\n  read: true\n  size: 12.5\n- x: \"a\\nb\"\n";
        assert_eq!(
            parse(text),
            Some(
                json!([{"body": "one\ntwo", "cc": [], "id_": "0", "read": true, "size": 12.5}, {"x": "a\nb"}])
            )
        );
    }

    #[test]
    fn bombs_tags_and_plain_text_are_left_alone() {
        for text in
            ["hello there", "a: &x 1\nb: *x\n", "a: !!str 1\n", "a: 1\na: 2\n", "a: [1", "", "--- 1\n--- 2\n"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"[".repeat(100_000)), None);
    }
}
