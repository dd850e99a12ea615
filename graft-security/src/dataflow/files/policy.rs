//! A policy from a TOML or JSON file.

use std::collections::BTreeMap;

use graft_core::{Name, Sensitivity, Signal};
use serde::Deserialize;

use super::FileError;
use crate::dataflow::{DataFlowMode, DataFlowPolicy, OnDoubt, Response};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    version: Option<u32>,
    mode: Option<DataFlowMode>,
    profile: Option<Profile>,
    signals: Option<BTreeMap<SignalName, Response>>,
    on_doubt: Option<OnDoubt>,
    guard_trifecta: Option<bool>,
    declassify_sinks: Option<Vec<Name>>,
    sensitive_tiers: Option<Vec<Sensitivity>>,
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
    fn deserialize<D: serde::Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let word = String::deserialize(de)?;
        let signal = Signal::ALL.into_iter().find(|signal| signal.as_str() == word);
        signal.map(Self).ok_or_else(|| serde::de::Error::custom("an unknown signal"))
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
    let text =
        std::str::from_utf8(bytes).map_err(|_| fail("it is not UTF-8; save it as UTF-8".to_owned()))?;
    if text.trim().is_empty() {
        return Err(fail("the file is empty; a policy says at least `mode`".to_owned()));
    }
    if text.len() > MAX_POLICY {
        return Err(fail(format!("the file is over {} KiB; a policy is short", MAX_POLICY >> 10)));
    }
    let parsed: PolicyFile = if file.ends_with(".json") {
        super::json::parse(bytes).map_err(fail)?; // repeated keys
        serde_json::from_slice(bytes)
            .map_err(|error| fail(one_line(&error.to_string())).at_line(error.line()))?
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
    for (SignalName(signal), response) in file.signals.unwrap_or_default() {
        policy = policy.respond(signal, response);
    }
    if let Some(guard) = file.guard_trifecta {
        policy = policy.guard_trifecta(guard);
    }
    if let Some(on_doubt) = file.on_doubt {
        policy = policy.on_doubt(on_doubt);
    }
    if let Some(sinks) = file.declassify_sinks {
        policy = policy.declassify_sinks(sinks);
    }
    if let Some(tiers) = file.sensitive_tiers {
        policy = policy.sensitive_tiers(tiers);
    }
    Ok(policy)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "version = 1\nmode = \"enforce\"\nprofile = \"classic\"\non_doubt = \"ask\"\n\
        guard_trifecta = false\ndeclassify_sinks = [\"a.b\"]\nsensitive_tiers = [\"internal\"]\n\
        [signals]\nsecret-to-sink = \"find\"\n";

    fn complaint(file: &str, text: &str) -> String {
        let complaint = read_policy(file, text.as_bytes()).expect_err(text).to_string();
        assert!(!complaint.contains('\n'), "{complaint}");
        complaint
    }

    #[test]
    fn toml_and_json_say_the_same() {
        let json = r#"{"version":1,"mode":"enforce","profile":"classic","on_doubt":"ask","guard_trifecta":false,
            "declassify_sinks":["a.b"],"sensitive_tiers":["internal"],"signals":{"secret-to-sink":"find"}}"#;
        let expected = DataFlowPolicy::classic(DataFlowMode::Enforce)
            .on_doubt(OnDoubt::Ask)
            .guard_trifecta(false)
            .declassify_sinks([Name::from_static("a.b")])
            .sensitive_tiers([Sensitivity::Internal])
            .respond(Signal::SecretToSink, Response::Find);
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
            ("secret-to-sink", "secret-to-sinks", 8),
            ("\"find\"", "\"warn\"", 9),
            ("mode =", "mood =", 2),
            ("mode = \"enforce\"", "mode = \"enforce\"\nmode = \"off\"", 3),
        ] {
            let bad = TOML.replacen(from, to, 1);
            let error = read_policy("p.toml", bad.as_bytes()).expect_err(&bad);
            assert!(error.line().is_some_and(|found| found.abs_diff(line) <= 1), "{from} -> {to}: {error}");
        }
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
