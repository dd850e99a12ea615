//! JSON with the checks that files from outside need: no repeated key, no surprise, and a path in every
//! complaint.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What is wrong with a text that should be JSON, and in which of its lines, from 1.
#[derive(Debug)]
pub(super) struct NotJson {
    pub(super) what: String,
    pub(super) line: usize,
}

/// For a text of one line, whose place in its file the caller knows.
impl From<NotJson> for String {
    fn from(error: NotJson) -> Self {
        error.what
    }
}

/// Parses one JSON value. A repeated key and nesting over 128 levels are errors.
pub(super) fn parse(text: &[u8]) -> Result<Value, NotJson> {
    utf8(text)?;
    let strict: Strict = serde_json::from_slice(text).map_err(|error| {
        // Texts of our own; the parser's may repeat what the file says.
        let what = match error.classify() {
            serde_json::error::Category::Eof => "the JSON ends too early; the file may be cut off",
            serde_json::error::Category::Data if error.to_string().starts_with(REPEATED) => {
                "an object has the same key twice; keep one"
            }
            _ if error.to_string().starts_with("recursion limit") => {
                "it is nested over 128 levels deep; flatten it"
            }
            _ => "it is not JSON; correct it there",
        };
        NotJson { what: format!("{what} (column {})", error.column()), line: error.line() }
    })?;
    Ok(strict.0)
}

/// `bytes` as text.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, NotJson> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        NotJson { what: "it is not UTF-8; save it as UTF-8".to_owned(), line }
    })
}

/// A key of the file as a complaint shows it: on one line, and short.
pub(super) fn shown(key: &str) -> String {
    let mut shown: String = key.chars().take(64).flat_map(char::escape_debug).collect();
    if key.chars().nth(64).is_some() {
        shown.push('…');
    }
    shown
}

const REPEATED: &str = "an object has the same key twice";

/// A value parsed without letting a later key hide an earlier one.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let Strict(value) = map.next_value()?;
            if members.insert(key, value).is_some() {
                return Err(serde::de::Error::custom(REPEATED));
            }
        }
        Ok(Value::Object(members))
    }
}

/// An object being read field by field. It knows where it stands, so that complaints do.
pub(super) struct Object {
    at: String,
    members: Map<String, Value>,
}

impl Object {
    /// `value` as an object; `at` names it in complaints.
    pub(super) fn new(value: Value, at: &str) -> Result<Self, String> {
        match value {
            Value::Object(members) => Ok(Self { at: at.to_owned(), members }),
            _ => Err(format!("{} must be an object", name(at))),
        }
    }

    /// Takes the field `key`; a null counts as absent.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.members.remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn path(&self, key: &str) -> String {
        let key = shown(key);
        if self.at.is_empty() { key } else { format!("{}.{key}", self.at) }
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{}` must be text", self.path(key))),
        }
    }

    pub(super) fn need_text(&mut self, key: &str) -> Result<String, String> {
        self.text(key)?.ok_or_else(|| format!("`{}` is missing", self.path(key)))
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<u64>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => {
                let wrong = || format!("`{}` must be a whole number from 0", self.path(key));
                value.as_u64().map(Some).ok_or_else(wrong)
            }
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(format!("`{}` must be true or false", self.path(key))),
        }
    }

    pub(super) fn list(&mut self, key: &str) -> Result<Vec<Value>, String> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(format!("`{}` must be a list", self.path(key))),
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<String>, String> {
        let path = self.path(key);
        let text = |(i, item)| match item {
            Value::String(text) => Ok(text),
            _ => Err(format!("`{path}[{i}]` must be text")),
        };
        self.list(key)?.into_iter().enumerate().map(text).collect()
    }

    pub(super) fn members(&mut self, key: &str) -> Result<Map<String, Value>, String> {
        match self.take(key) {
            None => Ok(Map::new()),
            Some(Value::Object(members)) => Ok(members),
            Some(_) => Err(format!("`{}` must be an object", self.path(key))),
        }
    }

    /// One of the words of `T`, which are listed as `words`.
    pub(super) fn word<T: DeserializeOwned>(&mut self, key: &str, words: &str) -> Result<Option<T>, String> {
        let path = self.path(key);
        self.take(key).map(|value| word(value, &path, words)).transpose()
    }

    /// How many fields nobody took.
    pub(super) fn rest(self) -> usize {
        self.members.len()
    }

    /// Complains of any field that nobody took.
    pub(super) fn finish(self) -> Result<(), String> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(key) => Err(format!(
                "`{}` is not a field of this format; remove it or correct its name",
                self.path(key)
            )),
        }
    }
}

/// `value` as one of the words of `T`.
pub(super) fn word<T: DeserializeOwned>(value: Value, path: &str, words: &str) -> Result<T, String> {
    serde_json::from_value(value).map_err(|_| format!("`{path}` must be one of {words}"))
}

fn name(at: &str) -> String {
    if at.is_empty() { "the file's content".to_owned() } else { format!("`{at}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_key_is_an_error_at_any_depth() {
        assert!(parse(br#"{"a":1,"b":{"a":1}}"#).is_ok());
        assert!(parse(br#"[{"b":{"a":1,"a":2}}]"#).expect_err("refused").what.contains("same key twice"));
    }

    #[test]
    fn complaints_do_not_repeat_the_file() {
        for bad in
            [&br#"{"password":hunter2}"#[..], br#"{"password":"hunter2""#, b"hunter2", b"\"hunter2\xff\""]
        {
            let complaint = parse(bad).expect_err("refused").what;
            assert!(!complaint.contains("hunter2"), "{complaint}");
        }
    }

    #[test]
    fn faults_have_the_line_they_are_in() {
        for (bad, line) in [
            (&b"{\n\"a\": 1,\n}"[..], 3),
            (b"[1,\n2", 2),
            (b"{\"a\":1,\n\"a\":2}", 2),
            (b"[\n\n\"\xff\"]", 3),
        ] {
            assert_eq!(parse(bad).expect_err("refused").line, line);
        }
    }

    #[test]
    fn a_key_in_a_complaint_is_short_and_steers_nothing() {
        let mut object = Object::new(serde_json::json!({"a\u{1b}[2J\n": 1}), "tools").expect("an object");
        assert_eq!(object.text("a\u{1b}[2J\n").expect_err("no text"), "`tools.a\\u{1b}[2J\\n` must be text");
        assert_eq!(shown(&"ü".repeat(65)), format!("{}…", "ü".repeat(64)));
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "[".repeat(400_000);
        assert!(parse(deep.as_bytes()).expect_err("refused").what.contains("nested"));
    }
}
