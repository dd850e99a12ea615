//! A registry: what is known of each tool that runs call.

use std::collections::BTreeMap;

use graft_core::ledger::MAX_STEM;
use graft_core::{Name, Origin, RecordRule, ResourcePattern, ResourceRule, ToolMetadata};
use serde_json::{Map, Value, json};

use super::FileError;
use super::json::{Object, parse, shown, word};

const TRUSTS: &str = "`trusted`, `structured`, `untrusted`";
const SENSITIVITIES: &str = "`public`, `internal`, `secret`";
const ROLES: &str =
    "`destination`, `target`, `credential`, `command`, `control`, `proof`, `query`, `content`";

/// The tools of one registry file and the user's own identifiers.
///
/// ```
/// use graft_security::dataflow::files::Registry;
/// let registry = Registry::parse("tools.json", br#"{"suite": "mine", "self": ["me@x.example"], "tools": {
///     "send": {"side_effect": "external-stateful", "exfil": "message", "args": {"to": "destination"}}
/// }}"#)?;
/// assert!(registry.tool("send").unwrap().is_sink());
/// assert!(registry.tool("delete").is_none());
/// # Ok::<(), graft_security::dataflow::files::FileError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    own: Vec<String>,
    tools: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    tool: ToolMetadata,
    /// A sink that takes arguments none of which has a role.
    unlabelled: bool,
}

impl Registry {
    /// Reads the registry that the user knows as `file`.
    ///
    /// # Errors
    /// The first thing that is wrong. An unknown field is: a label that is not understood must not be
    /// passed over.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, FileError> {
        let fail = |what: String| FileError::new(file, what);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(fail("the file is empty; a registry is one JSON object with `tools`".to_owned()));
        }
        let value = parse(bytes).map_err(|error| fail(error.what).at_line(error.line))?;
        Self::read(value).map_err(fail)
    }

    /// The registry of these tools, for a user with these identifiers.
    pub fn from_tools<'a>(
        own: impl IntoIterator<Item = String>,
        tools: impl IntoIterator<Item = &'a ToolMetadata>,
    ) -> Self {
        let entry = |tool: &ToolMetadata| Entry {
            tool: tool.clone(),
            unlabelled: tool.is_sink() && tool.args.is_empty(),
        };
        let tools = tools.into_iter().map(|tool| (tool.name.to_string(), entry(tool)));
        Self { own: own.into_iter().collect(), tools: tools.collect() }
    }

    /// The registry as a file holds it. Parsing it gives the same tools, less their scopes.
    pub fn to_json(&self) -> Value {
        let tools: Map<String, Value> =
            self.tools().map(|(name, tool)| (name.to_owned(), printed(tool))).collect();
        json!({ "version": 1, "self": self.own, "tools": tools })
    }

    /// The tool called `name`.
    pub fn tool(&self, name: &str) -> Option<&ToolMetadata> {
        self.tools.get(name).map(|entry| &entry.tool)
    }

    /// Every tool, by name.
    pub fn tools(&self) -> impl Iterator<Item = (&str, &ToolMetadata)> {
        self.tools.iter().map(|(name, entry)| (name.as_str(), &entry.tool))
    }

    /// The user's own identifiers.
    pub fn own_ids(&self) -> &[String] {
        &self.own
    }

    /// Sinks that take arguments none of which has a role: the policy can only judge them as a whole.
    pub fn unlabelled_sinks(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().filter(|(_, entry)| entry.unlabelled).map(|(name, _)| name.as_str())
    }

    fn read(value: Value) -> Result<Self, String> {
        let mut top = Object::new(value, "")?;
        version(&mut top)?;
        top.text("suite")?;
        let own = top.texts("self")?;
        let Some(tools) = top.take("tools") else {
            return Err("`tools` is missing; a registry is one JSON object with `tools`".to_owned());
        };
        let Value::Object(tools) = tools else { return Err("`tools` must be an object".to_owned()) };
        let tools = tools.into_iter().map(|(name, value)| Ok((name.clone(), entry(&name, value)?)));
        let tools = tools.collect::<Result<_, String>>()?;
        top.finish()?;
        Ok(Self { own, tools })
    }
}

fn printed(tool: &ToolMetadata) -> Value {
    let record = |rule: &RecordRule| {
        let mut record = json!({ "field": rule.field, "is_self": true, "trust": rule.trust });
        if let Some(writers) = &rule.no_other_writer {
            record["no_other_writer"] = writers.as_str().into();
        }
        record
    };
    let resource = |rule: &ResourceRule| {
        let mut resource = json!({ "arg": rule.arg, "pattern": rule.pattern.as_str() });
        if let Some(trust) = rule.trust {
            resource["trust"] = json!(trust);
        }
        if let Some(sensitivity) = rule.sensitivity {
            resource["sensitivity"] = json!(sensitivity);
        }
        resource
    };
    json!({
        "trust": tool.trust,
        "sensitivity": tool.sensitivity,
        "side_effect": tool.effect,
        "exfil": tool.exfil,
        "origin": tool.origin,
        "args": tool.args,
        "fields": tool.fields,
        "records": tool.records.iter().map(record).collect::<Vec<_>>(),
        "vouches": tool.vouches,
        "resources": tool.resources.iter().map(resource).collect::<Vec<_>>(),
        "credentials": tool.credentials,
        "intent": tool.intent,
    })
}

/// Refuses a file of a later version. One without a version is of the first.
pub(super) fn version(top: &mut Object) -> Result<(), String> {
    match top.number("version")? {
        None | Some(1) => Ok(()),
        Some(other) => Err(format!("it is of version {other}; this graft reads version 1")),
    }
}

fn entry(name: &str, value: Value) -> Result<Entry, String> {
    let mut object = Object::new(value, &format!("tools.{}", shown(name)))?;
    let stable = Name::new(name)
        .map_err(|error| format!("the tool name `{}` cannot be used: {error}", shown(name)))?;
    let mut tool = ToolMetadata::new(stable);
    // For people and for models; no policy reads them.
    object.text("description")?;
    object.text("why")?;
    let params = object.take("params");
    let has_params = params.as_ref().is_none_or(|params| !lists_none(params));
    if let Some(trust) = object.word("trust", TRUSTS)? {
        tool.trust = trust;
    }
    if let Some(sensitivity) = object.word("sensitivity", SENSITIVITIES)? {
        tool.sensitivity = sensitivity;
    }
    let effects = "`pure`, `read-only`, `side-effecting`, `external-stateful`";
    if let Some(effect) = object.word("side_effect", effects)? {
        tool.effect = effect;
    }
    let exfils = "`none`, `message`, `payment`, `share`, `publish`, `url`";
    if let Some(exfil) = object.word("exfil", exfils)? {
        tool.exfil = exfil;
    }
    if let Some(origin) = object.text("origin")? {
        tool.origin = Origin::new(origin).map_err(|error| format!("`{}`: {error}", object.path("origin")))?;
    }
    tool.args = words(&mut object, "args", ROLES)?;
    tool.fields = words(&mut object, "fields", TRUSTS)?;
    tool.vouches = vouches(&mut object)?;
    let path = object.path("resources");
    let resources = object.list("resources")?.into_iter().enumerate();
    tool.resources =
        resources.map(|(i, value)| resource(value, &format!("{path}[{i}]"))).collect::<Result<_, _>>()?;
    tool.credentials = object.texts("credentials")?;
    tool.intent = object.texts("intent")?;
    if tool.intent.iter().any(|stem| stem.chars().count() > MAX_STEM) {
        return Err(format!("`{}` has a stem of over {MAX_STEM} characters", object.path("intent")));
    }
    let path = object.path("records");
    let records = object.list("records")?.into_iter().enumerate();
    tool.records =
        records.map(|(i, value)| record(value, &format!("{path}[{i}]"))).collect::<Result<_, _>>()?;
    object.finish()?;
    if let Some(Value::Object(schema)) = &params
        && let Some(Value::Object(properties)) = schema.get("properties")
        && !tool.args.is_empty()
    {
        // A parameter without a role is content; listed, its name is known as a name.
        for name in properties.keys() {
            tool.args.entry(name.clone()).or_default();
        }
    }
    let unlabelled = has_params && tool.is_sink() && tool.args.is_empty();
    Ok(Entry { tool, unlabelled })
}

/// Whether a published schema says that the tool takes no argument.
fn lists_none(params: &Value) -> bool {
    match params {
        Value::Array(params) => params.is_empty(),
        Value::Object(schema) => {
            matches!(schema.get("properties"), Some(Value::Object(all)) if all.is_empty())
        }
        _ => false,
    }
}

fn words<T: serde::de::DeserializeOwned>(
    object: &mut Object,
    key: &str,
    words: &str,
) -> Result<BTreeMap<String, T>, String> {
    let path = object.path(key);
    let members = object.members(key)?.into_iter();
    members
        .map(|(name, value)| Ok((name.clone(), word(value, &format!("{path}.{}", shown(&name)), words)?)))
        .collect()
}

/// One word for every field, or one for each.
fn vouches(object: &mut Object) -> Result<BTreeMap<String, bool>, String> {
    let at = object.path("vouches");
    let flag = |(name, value): (String, Value)| match value {
        Value::Bool(vouches) => Ok((name, vouches)),
        _ => Err(format!("`{at}.{}` must be true or false", shown(&name))),
    };
    match object.take("vouches") {
        None => Ok(BTreeMap::new()),
        Some(Value::Bool(every)) => Ok(BTreeMap::from([(ToolMetadata::EVERY_FIELD.to_owned(), every)])),
        Some(Value::Object(fields)) => fields.into_iter().map(flag).collect(),
        Some(_) => Err(format!("`{at}` must be true or false, or an object of them by field")),
    }
}

fn resource(value: Value, at: &str) -> Result<ResourceRule, String> {
    let mut object = Object::new(value, at)?;
    let arg = object.need_text("arg")?;
    let pattern = object.need_text("pattern")?;
    let pattern = ResourcePattern::new(pattern).map_err(|error| format!("`{at}.pattern`: {error}"))?;
    let trust = object.word("trust", TRUSTS)?;
    let sensitivity = object.word("sensitivity", SENSITIVITIES)?;
    object.text("why")?;
    object.finish()?;
    if trust.is_none() && sensitivity.is_none() {
        return Err(format!("`{at}` labels nothing; it says `trust`, `sensitivity` or both"));
    }
    Ok(ResourceRule { arg, pattern, trust, sensitivity })
}

fn record(value: Value, at: &str) -> Result<RecordRule, String> {
    let mut object = Object::new(value, at)?;
    let field = object.need_text("field")?;
    if object.flag("is_self")? != Some(true) {
        return Err(format!("`{at}.is_self` must be true; no other record rule is known"));
    }
    let Some(trust) = object.word("trust", TRUSTS)? else { return Err(format!("`{at}.trust` is missing")) };
    let no_other_writer = object.text("no_other_writer")?;
    object.text("why")?;
    object.finish()?;
    Ok(RecordRule { field, trust, no_other_writer })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"version":1,"suite":"s","self":["me"],"tools":{"t":{"description":"d","params":{},
        "trust":"trusted","sensitivity":"secret","side_effect":"read-only","exfil":"url","origin":"web-search",
        "args":{"to":"destination"},"fields":{"x":"structured"},"credentials":["pin"],"intent":["pay"],
        "vouches":{"x":false,"*":true},
        "resources":[{"arg":"to","pattern":"x.example/**","trust":"trusted","sensitivity":"public","why":""}],
        "records":[{"field":"f","is_self":true,"trust":"trusted","no_other_writer":"w","why":""}],"why":""}}}"#;

    fn complaint(text: &str) -> String {
        Registry::parse("r.json", text.as_bytes()).expect_err(text).to_string()
    }

    #[test]
    fn every_field_of_the_wrong_type_is_named() {
        Registry::parse("r.json", GOOD.as_bytes()).expect("the good one");
        for (from, to, named) in [
            (r#""version":1"#, r#""version":"1""#, "version"),
            (r#""version":1"#, r#""version":2"#, "version 2"),
            (r#""suite":"s""#, r#""suite":1"#, "suite"),
            (r#"["me"]"#, r#"[7]"#, "self[0]"),
            (r#"["me"]"#, r#"{}"#, "self"),
            (r#"{"t":{"#, r#"[{"#, "JSON"),
            (r#""description":"d""#, r#""description":{}"#, "tools.t.description"),
            (r#""trust":"trusted","sensitivity""#, r#""trust":"sure","sensitivity""#, "tools.t.trust"),
            (r#""secret""#, r#""hush""#, "tools.t.sensitivity"),
            (r#""read-only""#, r#"1"#, "tools.t.side_effect"),
            (r#""url""#, r#""fax""#, "tools.t.exfil"),
            (r#""web-search""#, r#""web search""#, "tools.t.origin"),
            (r#""destination""#, r#""dest""#, "tools.t.args.to"),
            (r#""structured""#, r#"null"#, "tools.t.fields.x"),
            (r#"["pin"]"#, r#""pin""#, "tools.t.credentials"),
            (r#"["pay"]"#, r#"[["pay"]]"#, "tools.t.intent[0]"),
            (r#""field":"f""#, r#""field":1"#, "tools.t.records[0].field"),
            (r#""is_self":true"#, r#""is_self":false"#, "is_self"),
            (r#""no_other_writer":"w""#, r#""no_other_writer":1"#, "no_other_writer"),
            (r#""exfil""#, r#""exfill""#, "tools.t.exfill"),
            (r#""x":false"#, r#""x":"no""#, "tools.t.vouches.x"),
            (r#"{"x":false,"*":true}"#, r#"["x"]"#, "tools.t.vouches"),
            (r#""arg":"to""#, r#""argument":"to""#, "tools.t.resources[0].arg"),
            (r#""x.example/**""#, r#""https://x.example/""#, "tools.t.resources[0].pattern"),
            (
                r#""trust":"trusted","sensitivity":"public""#,
                r#""trust":"sure""#,
                "tools.t.resources[0].trust",
            ),
            (r#""trust":"trusted","sensitivity":"public""#, r#""why":"x""#, "same key"),
            (r#""trust":"trusted","sensitivity":"public","why""#, r#""why""#, "tools.t.resources[0]"),
        ] {
            let bad = GOOD.replacen(from, to, 1);
            assert_ne!(bad, GOOD, "{from}");
            assert!(complaint(&bad).contains(named), "{from} -> {to}: {}", complaint(&bad));
        }
    }

    #[test]
    fn empty_cut_and_hostile_files_are_refused() {
        assert!(complaint("").contains("empty") && complaint(" \n").contains("empty"));
        for end in 1..GOOD.len() {
            complaint(&GOOD[..end]);
        }
        assert!(complaint("[]").contains("object"));
        assert!(complaint(r#"{"tools":{"t":{},"t":{}}}"#).contains("same key twice"));
        assert!(complaint(&format!("{{\"tools\":{}", "[".repeat(400_000))).contains("nested"));
        assert!(Registry::parse("r.json", b"{\"suite\":\"\xff\"}").is_err());
        assert!(complaint(r#"{"tools":{"two words":{}}}"#).contains("two words"));
    }

    #[test]
    fn a_registry_prints_as_what_it_was_parsed_from() {
        let registry = Registry::parse("r.json", GOOD.as_bytes()).expect("parses");
        let printed = registry.to_json().to_string();
        let again = Registry::parse("r.json", printed.as_bytes()).expect("parses");
        assert_eq!(again.tool("t"), registry.tool("t"));
        assert_eq!(again.own_ids(), registry.own_ids());
    }

    #[test]
    fn a_tool_without_labels_gets_the_cautious_ones_and_shows_up_in_the_lint() {
        let registry = Registry::parse("r.json", br#"{"tools":{"t":{}}}"#).expect("parses");
        assert_eq!(registry.tool("t"), Some(&ToolMetadata::new(Name::from_static("t"))));
        assert_eq!(registry.unlabelled_sinks().collect::<Vec<_>>(), ["t"]);
    }
}
