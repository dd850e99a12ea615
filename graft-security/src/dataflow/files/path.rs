//! Paths of arguments as reports may show them.
//!
//! A key of an object in an argument may itself be a value, such as a map from receivers to amounts. So only
//! keys stand that are the tool's and not the call's.

use std::collections::BTreeSet;

use serde_json::Value;

/// The names that a tool's schema gives to parameters and to the fields in them.
pub(super) fn declared(params: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut open = vec![params];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(members) => {
                if let Some(Value::Object(properties)) = members.get("properties") {
                    names.extend(properties.keys().cloned());
                }
                open.extend(members.values());
            }
            _ => {}
        }
    }
    names
}

/// `path`, normalised as in RFC 9535, with `[*]` for each key that may not be shown. `may_show` is given the
/// key and how many steps stand before it.
pub(super) fn shown(path: &str, may_show: impl Fn(&str, usize) -> bool) -> String {
    let mut shown = "$".to_owned();
    let mut rest = path.strip_prefix('$').unwrap_or_default();
    let mut depth = 0;
    while !rest.is_empty() {
        let (step, key, behind) = first_step(rest);
        match key {
            Some(key) if !may_show(key, depth) => shown.push_str("[*]"),
            _ => shown.push_str(step),
        }
        rest = behind;
        depth += 1;
    }
    shown
}

/// The first step, its key as it is escaped if it has one, and what stands behind it.
fn first_step(path: &str) -> (&str, Option<&str>, &str) {
    let Some(quoted) = path.strip_prefix("['") else {
        let end = path.find(']').map_or(path.len(), |at| at + 1);
        return (&path[..end], None, &path[end..]);
    };
    let mut escaped = false;
    let end = quoted.find(|c| {
        let ends = c == '\'' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let key = &quoted[..end.unwrap_or(quoted.len())];
    let end = path.len().min(key.len() + "['']".len());
    (&path[..end], Some(key), &path[end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_keys_that_may_be_shown_are() {
        for (path, expected) in [
            ("$", "$"),
            ("$['to']", "$['to']"),
            ("$['to'][0]['email']", "$['to'][0][*]"),
            ("$['x']['to'][12]", "$[*]['to'][12]"),
            ("$['it\\'s']['a]b']['\\\\']['to']", "$[*][*][*]['to']"),
            ("$['\\\\\\'to']", "$[*]"),
            ("$['']", "$[*]"),
        ] {
            assert_eq!(shown(path, |key, _| key == "to"), expected, "{path}");
        }
        assert_eq!(shown("$['a']['a']", |_, depth| depth == 0), "$['a'][*]");
    }

    #[test]
    fn schemas_declare_names_at_any_depth() {
        let params = json!({"properties": {"to": {"type": "array", "items": {"properties": {"email": {}}}}},
            "$defs": {"Row": {"properties": {"due": {"default": "properties"}}}}, "title": "t"});
        assert_eq!(declared(&params), ["due", "email", "to"].map(str::to_owned).into());
        assert_eq!(declared(&json!("text")), BTreeSet::new());
    }
}
