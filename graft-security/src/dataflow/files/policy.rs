//! A policy from a TOML or JSON file.

use std::collections::BTreeMap;

use graft_core::{Name, Sensitivity, Signal};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::FileError;
use super::json::{NotJson, Object, parse, utf8};
use crate::dataflow::{DataFlowMode, DataFlowPolicy, OnDoubt, Response, Rule};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default, deserialize_with = "version")]
    version: Option<u64>,
    #[serde(default, deserialize_with = "mode")]
    mode: Option<DataFlowMode>,
    #[serde(default, deserialize_with = "profile")]
    profile: Option<Profile>,
    #[serde(default)]
    signals: BTreeMap<SignalName, SignalResponse>,
    #[serde(default)]
    rules: BTreeMap<RuleName, RuleResponse>,
    #[serde(default, deserialize_with = "sinks")]
    sinks: BTreeMap<Name, SinkFile>,
    #[serde(default, deserialize_with = "on_doubt")]
    on_doubt: Option<OnDoubt>,
    #[serde(default, deserialize_with = "follow_links")]
    follow_links: Option<bool>,
    #[serde(default, deserialize_with = "send_on_request")]
    send_on_request: Option<bool>,
    #[serde(default, deserialize_with = "look_for_ciphers")]
    look_for_ciphers: Option<bool>,
    #[serde(default, deserialize_with = "scan_limit")]
    scan_limit: Option<usize>,
    #[serde(default, deserialize_with = "guard_trifecta")]
    guard_trifecta: Option<bool>,
    #[serde(default, deserialize_with = "declassify_sinks")]
    declassify_sinks: Option<Vec<Name>>,
    #[serde(default, deserialize_with = "sensitive_tiers")]
    sensitive_tiers: Option<Vec<Sensitivity>>,
    #[serde(default, deserialize_with = "strict_plan")]
    strict_plan: Option<bool>,
}

/// What differs at one sink.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SinkFile {
    #[serde(default)]
    signals: BTreeMap<SignalName, SignalResponse>,
    #[serde(default)]
    rules: BTreeMap<RuleName, RuleResponse>,
}

/// One function a field, so that a wrong value is answered with what the field takes.
macro_rules! fields {
    ($($field:ident: $type:ty, $takes:literal;)*) => {$(
        fn $field<'de, D: Deserializer<'de>>(de: D) -> Result<Option<$type>, D::Error> {
            typed(de, concat!("`", stringify!($field), "` must be ", $takes))
        }
    )*};
}

fields! {
    version: u64, "a whole number";
    mode: DataFlowMode, "one of `off`, `shadow`, `enforce`";
    profile: Profile, "one of `default`, `classic`";
    on_doubt: OnDoubt, "one of `block`, `ask`";
    follow_links: bool, "true or false";
    send_on_request: bool, "true or false";
    look_for_ciphers: bool, "true or false";
    scan_limit: usize, "a whole number of bytes";
    guard_trifecta: bool, "true or false";
    declassify_sinks: Vec<Name>, "a list of tool names";
    strict_plan: bool, "true or false";
    sensitive_tiers: Vec<Sensitivity>, "a list of `public`, `internal`, `secret`";
}

fn typed<'de, T: DeserializeOwned, D: Deserializer<'de>>(de: D, wrong: &str) -> Result<T, D::Error> {
    serde_json::from_value(Value::deserialize(de)?).map_err(|_| D::Error::custom(wrong))
}

/// Key by key, so that what is wrong with a sink is said as for the same table at the top.
fn sinks<'de, D: Deserializer<'de>>(de: D) -> Result<BTreeMap<Name, SinkFile>, D::Error> {
    let tables: BTreeMap<String, SinkFile> = BTreeMap::deserialize(de)?;
    let named = tables.into_iter().map(|(name, table)| Some((Name::new(name).ok()?, table)));
    named.collect::<Option<_>>().ok_or_else(|| D::Error::custom("a key of `sinks` must be a tool name"))
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Profile {
    Default,
    Classic,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct SignalName(Signal);

impl<'de> Deserialize<'de> for SignalName {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let word = String::deserialize(de)?;
        let signal = Signal::ALL.into_iter().find(|signal| signal.as_str() == word);
        signal.map(Self).ok_or_else(|| {
            let known = Signal::ALL.map(|signal| format!("`{}`", signal.as_str())).join(", ");
            D::Error::custom(format!("a key of `signals` must be one of {known}"))
        })
    }
}

struct SignalResponse(Response);

impl<'de> Deserialize<'de> for SignalResponse {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        typed(de, "a value of `signals` must be one of `off`, `find`, `stop`").map(Self)
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RuleName(Rule);

impl<'de> Deserialize<'de> for RuleName {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        Rule::new(&String::deserialize(de)?).map(Self).map_err(|_| {
            let mut known: Vec<String> = Rule::all().map(|rule| format!("`{rule}`")).collect();
            known.sort_unstable();
            known.dedup();
            D::Error::custom(format!("a key of `rules` must be one of {}", known.join(", ")))
        })
    }
}

struct RuleResponse(Response);

impl<'de> Deserialize<'de> for RuleResponse {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        typed(de, "a value of `rules` must be one of `off`, `find`, `stop`").map(Self)
    }
}

/// Reads the policy that the user knows as `file`: JSON if that name ends in `.json`, else TOML.
///
/// ```
/// use graft_security::dataflow::{files::read_policy, DataFlowMode};
/// let policy = read_policy("policy.toml", b"mode = \"shadow\"\n[signals]\nderived-taint = \"stop\"\n")?;
/// assert_eq!(policy.mode(), DataFlowMode::Shadow);
/// # Ok::<(), graft_security::dataflow::files::FileError>(())
/// ```
///
/// # Errors
/// The first thing that is wrong, with its line. An unknown key is: a rule that is not understood must
/// not be passed over.
pub fn read_policy(file: &str, bytes: &[u8]) -> Result<DataFlowPolicy, FileError> {
    let fail = |what: String| FileError::new(file, what);
    let at = |error: NotJson| fail(error.what).at_line(error.line);
    let text = utf8(bytes).map_err(at)?;
    if text.trim().is_empty() {
        return Err(fail("the file is empty; a policy says at least `mode`".to_owned()));
    }
    if text.len() > MAX_POLICY {
        return Err(fail(format!("the file is over {} KiB; a policy is short", MAX_POLICY >> 10)));
    }
    let parsed: PolicyFile = if file.ends_with(".json") {
        // Repeated keys; and a list, which would be taken for the fields in order.
        Object::new(parse(bytes).map_err(at)?, "").map_err(fail)?;
        serde_json::from_slice(bytes).map_err(|error| {
            let what = error.to_string();
            let what = what.rsplit_once(" at line ").map_or(&*what, |(what, _)| what);
            fail(one_line(what)).at_line(error.line())
        })?
    } else {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            fail(one_line(error.message())).at_line(line)
        })?
    };
    build(parsed).map_err(fail)
}

const MAX_POLICY: usize = 256 << 10;

fn build(file: PolicyFile) -> Result<DataFlowPolicy, String> {
    if let Some(other) = file.version.filter(|version| *version != 1) {
        return Err(format!("it is of version {other}; this graft reads version 1"));
    }
    let Some(mode) = file.mode else {
        return Err("`mode` is missing; it is one of `off`, `shadow`, `enforce`".to_owned());
    };
    let mut policy = match file.profile {
        Some(Profile::Classic) => DataFlowPolicy::classic(mode),
        Some(Profile::Default) | None => DataFlowPolicy::new(mode),
    };
    for (SignalName(signal), SignalResponse(response)) in file.signals {
        policy = policy.respond(signal, response);
    }
    for (RuleName(rule), RuleResponse(response)) in file.rules {
        policy = policy.respond_to_rule(rule, response);
    }
    for (sink, here) in file.sinks {
        for (SignalName(signal), SignalResponse(response)) in here.signals {
            policy = policy.respond_at(sink.clone(), signal, response);
        }
        for (RuleName(rule), RuleResponse(response)) in here.rules {
            policy = policy.respond_to_rule_at(sink.clone(), rule, response);
        }
    }
    if let Some(guard) = file.guard_trifecta {
        policy = policy.guard_trifecta(guard);
    }
    if let Some(on_doubt) = file.on_doubt {
        policy = policy.on_doubt(on_doubt);
    }
    if let Some(follow) = file.follow_links {
        policy = policy.follow_links(follow);
    }
    if let Some(send) = file.send_on_request {
        policy = policy.send_on_request(send);
    }
    if let Some(look) = file.look_for_ciphers {
        policy = policy.look_for_ciphers(look);
    }
    if let Some(bytes) = file.scan_limit {
        policy = policy.scan_limit(bytes);
    }
    if let Some(sinks) = file.declassify_sinks {
        policy = policy.declassify_sinks(sinks);
    }
    if let Some(tiers) = file.sensitive_tiers {
        policy = policy.sensitive_tiers(tiers);
    }
    if let Some(strict) = file.strict_plan {
        policy = policy.strict_plan(strict);
    }
    Ok(policy)
}

/// A parser's words on one line. They may repeat a key, but not more of the file than fits.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let text = words.collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MAX_COMPLAINT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

const MAX_COMPLAINT: usize = 240;

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "version = 1\nmode = \"enforce\"\nprofile = \"classic\"\non_doubt = \"ask\"\n\
        guard_trifecta = false\ndeclassify_sinks = [\"a.b\"]\nsensitive_tiers = [\"internal\"]\n\
        follow_links = false\nsend_on_request = true\nlook_for_ciphers = true\nscan_limit = 4096\nstrict_plan = true\n\
        [signals]\nsecret-to-sink = \"find\"\n[rules]\nledger-full = \"find\"\n\
        [sinks.\"Mail.send\".signals]\nderived-taint = \"stop\"\n\
        [sinks.\"Mail.send\".rules]\nstrangers-link = \"off\"\n";

    fn complaint(file: &str, text: &str) -> String {
        let complaint = read_policy(file, text.as_bytes()).expect_err(text).to_string();
        assert!(!complaint.contains('\n'), "{complaint}");
        complaint
    }

    #[test]
    fn toml_and_json_say_the_same() {
        let json = r#"{"version":1,"mode":"enforce","profile":"classic","on_doubt":"ask","guard_trifecta":false,
            "declassify_sinks":["a.b"],"sensitive_tiers":["internal"],"follow_links":false,"send_on_request":true,"look_for_ciphers":true,"scan_limit":4096,
            "strict_plan":true,"signals":{"secret-to-sink":"find"},"rules":{"ledger-full":"find"},
            "sinks":{"Mail.send":{"signals":{"derived-taint":"stop"},"rules":{"strangers-link":"off"}}}}"#;
        let mail = Name::from_static("Mail.send");
        let expected = DataFlowPolicy::classic(DataFlowMode::Enforce)
            .on_doubt(OnDoubt::Ask)
            .guard_trifecta(false)
            .follow_links(false)
            .send_on_request(true)
            .look_for_ciphers(true)
            .scan_limit(4096)
            .declassify_sinks([Name::from_static("a.b")])
            .sensitive_tiers([Sensitivity::Internal])
            .strict_plan(true)
            .respond(Signal::SecretToSink, Response::Find)
            .respond_to_rule(Rule::from_static("ledger-full"), Response::Find)
            .respond_at(mail.clone(), Signal::DerivedTaint, Response::Stop)
            .respond_to_rule_at(mail, Rule::from_static("strangers-link"), Response::Off);
        assert_eq!(read_policy("p.toml", TOML.as_bytes()).as_ref(), Ok(&expected));
        assert_eq!(read_policy("p.json", json.as_bytes()).as_ref(), Ok(&expected));
    }

    #[test]
    fn every_field_of_the_wrong_type_is_an_error_in_its_line() {
        for (from, to, line) in [
            ("version = 1", "version = \"x\"", 1),
            ("\"enforce\"", "\"strict\"", 2),
            ("\"enforce\"", "7", 2),
            ("\"classic\"", "\"modern\"", 3),
            ("\"ask\"", "true", 4),
            ("false", "\"no\"", 5),
            ("[\"a.b\"]", "[\"a b\"]", 6),
            ("[\"internal\"]", "[\"hush\"]", 7),
            ("follow_links = false", "follow_links = 0", 8),
            ("look_for_ciphers = true", "look_for_ciphers = 1", 10),
            ("scan_limit = 4096", "scan_limit = -1", 11),
            ("secret-to-sink", "secret-to-sinks", 14),
            ("\"find\"", "\"warn\"", 14),
            ("ledger-full =", "ledger-fuller =", 16),
            ("\nledger-full = \"find\"", "\nledger-full = \"ask\"", 16),
            ("\"Mail.send\".signals", "\"Mail send\".signals", 17),
            ("\"Mail.send\".signals", "\"Mail.send\".signal", 17),
            ("derived-taint =", "derive-taint =", 18),
            ("strangers-link =", "strangers-links =", 20),
            ("\"off\"", "\"no\"", 20),
            ("strict_plan = true", "strict_plan = 1", 12),
            ("mode =", "mood =", 2),
            ("mode = \"enforce\"", "mode = \"enforce\"\nmode = \"off\"", 3),
        ] {
            let bad = TOML.replacen(from, to, 1);
            let error = read_policy("p.toml", bad.as_bytes()).expect_err(&bad);
            assert!(error.line().is_some_and(|found| found.abs_diff(line) <= 1), "{from} -> {to}: {error}");
        }
    }

    #[test]
    fn a_complaint_names_the_field_and_what_it_takes() {
        for (toml, json, named) in [
            ("version = \"1\"", r#"{"version":"1"}"#, "`version` must be a whole number"),
            ("mode = 7", r#"{"mode":7}"#, "`mode` must be one of `off`, `shadow`, `enforce`"),
            ("profile = \"new\"", r#"{"profile":[]}"#, "`profile` must be one of"),
            ("on_doubt = []", r#"{"on_doubt":{}}"#, "`on_doubt` must be one of"),
            ("follow_links = 1", r#"{"follow_links":1}"#, "`follow_links` must be true or false"),
            ("send_on_request = 1", r#"{"send_on_request":1}"#, "`send_on_request` must be true or false"),
            ("scan_limit = \"1\"", r#"{"scan_limit":"1"}"#, "`scan_limit` must be a whole number of bytes"),
            ("guard_trifecta = 1", r#"{"guard_trifecta":1}"#, "`guard_trifecta` must be true or false"),
            ("declassify_sinks = \"a\"", r#"{"declassify_sinks":[1]}"#, "`declassify_sinks` must be a list"),
            ("sensitive_tiers = 1", r#"{"sensitive_tiers":["x"]}"#, "`sensitive_tiers` must be a list"),
            ("strict_plan = 1", r#"{"strict_plan":"yes"}"#, "`strict_plan` must be true or false"),
            ("signals = { x = \"stop\" }", r#"{"signals":{"x":"stop"}}"#, "`untrusted-to-sink`"),
            ("signals.derived-taint = 1", r#"{"signals":{"derived-taint":1}}"#, "`off`, `find`, `stop`"),
            (
                "rules.strangers = \"off\"",
                r#"{"rules":{"strangers":"off"}}"#,
                "a key of `rules` must be one of",
            ),
            ("rules.ledger-full = 1", r#"{"rules":{"ledger-full":1}}"#, "a value of `rules` must be one of"),
            ("sinks.\"a b\" = {}", r#"{"sinks":{"a b":{}}}"#, "a key of `sinks` must be a tool name"),
            ("sinks.a.rule = {}", r#"{"sinks":{"a":{"rule":{}}}}"#, "unknown field `rule`"),
            ("sinks.a.rules.x = \"off\"", r#"{"sinks":{"a":{"rules":{"x":"off"}}}}"#, "a key of `rules`"),
            ("mood = 1", r#"{"mood":1}"#, "unknown field `mood`"),
        ] {
            for complaint in [complaint("p.toml", toml), complaint("p.json", json)] {
                assert!(complaint.contains(named) && complaint.contains(", line 1: "), "{complaint}");
            }
        }
        assert!(complaint("p.json", "[]").contains("must be an object"));
        let long = complaint("p.json", &format!("{{\"{}\":1}}", "x".repeat(9000)));
        assert!(long.chars().count() < 300, "{long}");
    }

    #[test]
    fn empty_cut_and_hostile_files_are_refused() {
        assert!(complaint("p.toml", " \n").contains("empty"));
        assert!(complaint("p.toml", "profile = \"classic\"").contains("`mode` is missing"));
        assert!(complaint("p.toml", "version = 2\nmode = \"off\"").contains("version 2"));
        assert!(complaint("p.json", r#"{"mode":"off","mode":"enforce"}"#).contains("same key twice"));
        assert!(read_policy("p.toml", b"mode = \"\xff\"").is_err());
        for hostile in ["x = ".to_owned() + &"[".repeat(200_000), "#".repeat(MAX_POLICY + 1)] {
            complaint("p.toml", &hostile);
        }
        complaint("p.json", &"[".repeat(200_000));
        for end in 1.."mode = \"enforce\"".len() {
            complaint("p.toml", &"mode = \"enforce\""[..end]);
        }
    }
}
