//! Python literals, as `repr` prints them: some recorded tools answer in these.
//!
//! The grammar is the part of <https://docs.python.org/3/library/ast.html#ast.literal_eval> that data is
//! printed in: dicts, lists, tuples, sets, strings, bytes, numbers, `True`, `False`, `None`.

use serde_json::{Map, Number, Value};

/// The deepest nesting that is read.
const MAX_DEPTH: usize = 64;

/// Reads `text` as one Python dict, list or tuple.
pub(super) fn parse(text: &str) -> Option<Value> {
    let text = text.trim();
    if !text.starts_with(['{', '[', '(']) {
        return None;
    }
    let mut reader = Reader { rest: text };
    let value = reader.value(MAX_DEPTH)?;
    reader.skip();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        self.skip();
        let first = self.rest.chars().next()?;
        match first {
            '{' => self.braces(depth),
            '[' => self.sequence(']', depth).map(Value::Array),
            '(' => self.sequence(')', depth).map(Value::Array),
            '\'' | '"' => self.string().map(Value::String),
            'b' | 'r' | 'u' if self.rest[1..].starts_with(['\'', '"']) => {
                self.rest = &self.rest[1..];
                self.string().map(Value::String)
            }
            '0'..='9' | '-' | '+' | '.' => self.number(),
            _ => self.word(),
        }
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, c: char) -> Option<()> {
        self.skip();
        self.rest = self.rest.strip_prefix(c)?;
        Some(())
    }

    /// Items up to `close`, with an optional comma behind the last.
    fn sequence(&mut self, close: char, depth: usize) -> Option<Vec<Value>> {
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        while self.eat(close).is_none() {
            items.push(self.value(depth)?);
            if self.eat(',').is_none() {
                self.eat(close)?;
                break;
            }
        }
        Some(items)
    }

    fn braces(&mut self, depth: usize) -> Option<Value> {
        self.rest = &self.rest[1..];
        let mut members = Map::new();
        let mut items = Vec::new();
        while self.eat('}').is_none() {
            let key = self.value(depth)?;
            if self.eat(':').is_some() {
                let key = match key {
                    Value::String(key) => key,
                    other => other.to_string(),
                };
                if members.insert(key, self.value(depth)?).is_some() {
                    return None; // a later key must not hide an earlier one
                }
            } else {
                items.push(key);
            }
            if self.eat(',').is_none() {
                self.eat('}')?;
                break;
            }
        }
        match (members.is_empty(), items.is_empty()) {
            (_, true) => Some(Value::Object(members)),
            (true, false) => Some(Value::Array(items)),
            (false, false) => None,
        }
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let mut chars = self.rest[1..].char_indices();
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.rest = &self.rest[at + 2..];
                    return Some(text);
                }
                '\\' => {
                    let (_, escape) = chars.next()?;
                    let mut hex = |digits: usize| {
                        let code: Option<String> =
                            (0..digits).map(|_| chars.next().map(|(_, c)| c)).collect();
                        u32::from_str_radix(&code?, 16).ok().and_then(char::from_u32)
                    };
                    match escape {
                        'n' => text.push('\n'),
                        't' => text.push('\t'),
                        'r' => text.push('\r'),
                        '0' => text.push('\0'),
                        'a' => text.push('\u{7}'),
                        'b' => text.push('\u{8}'),
                        'f' => text.push('\u{c}'),
                        'v' => text.push('\u{b}'),
                        '\\' | '\'' | '"' => text.push(escape),
                        '\n' => {}
                        'x' => text.push(hex(2)?),
                        'u' => text.push(hex(4)?),
                        'U' => text.push(hex(8)?),
                        other => text.extend(['\\', other]),
                    }
                }
                '\n' => return None,
                c => text.push(c),
            }
        }
        None
    }

    fn number(&mut self) -> Option<Value> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        let digits = digits.replace('_', "");
        if let Ok(whole) = digits.parse::<i64>() {
            return Some(whole.into());
        }
        let looks_like_one = digits.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        digits.parse().ok().filter(|_| looks_like_one).and_then(Number::from_f64).map(Value::Number)
    }

    fn word(&mut self) -> Option<Value> {
        for (word, value) in
            [("True", Value::Bool(true)), ("False", Value::Bool(false)), ("None", Value::Null)]
        {
            if let Some(rest) = self.rest.strip_prefix(word)
                && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
            {
                self.rest = rest;
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_repr_prints_is_read_back() {
        for (text, value) in [
            (r#"{'a': [1, -2.5, True, None], "b": ('x',)}"#, json!({"a": [1, -2.5, true, null], "b": ["x"]})),
            (r"['it\'s', 'l\nx\x41\u00e9\q']", json!(["it's", "l\nxAé\\q"])),
            ("{1: 'x', None: 2}", json!({"1": "x", "null": 2})),
            ("{'x', 'y'}", json!(["x", "y"])),
            ("[b'x', u'y', 1_000, 1e3]", json!(["x", "y", 1000, 1000.0])),
            (" [] ", json!([])),
        ] {
            assert_eq!(parse(text), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_literal_is_left_alone() {
        for text in [
            "hello",
            "'x'",
            "[1",
            "[1]]",
            "{'a': 1, 'b'}",
            "{'a': 1, 'a': 2}",
            "[datetime(1)]",
            "[Trueish]",
            "['a\nb']",
            "[1 2]",
            "[--1]",
            "[inf]",
            "[é]",
            "['\\",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"[".repeat(400_000)), None);
        assert!(parse(&("[".repeat(60) + &"]".repeat(60))).is_some());
    }
}
