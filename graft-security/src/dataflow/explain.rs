//! Verdicts in words: for the person who runs the agent, and for the model that made the call.

use std::fmt::Write as _;

use graft_core::{Decision, Evidence, Signal, Source, ToolMetadata, Verdict};

/// What a model is told of a call that did not happen. It has one shape, so that nothing can be learnt
/// from it about the data or the rules.
pub const fn text_for_model() -> &'static str {
    "This call was not made: the data-flow policy of this agent stopped it (dataflow_policy_blocked). \
     Continue without it, or ask the user."
}

/// Why a verdict came out as it did, a line each. Holds no bytes of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happened with the call.
    pub headline: String,
    /// One sentence for each reason: which argument, where its value came from, which rule.
    pub reasons: Vec<String>,
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.headline)?;
        self.reasons.iter().try_for_each(|reason| write!(f, "\n  - {reason}"))
    }
}

/// Explains `verdict` on a call of `tool` to the user or operator.
///
/// ```
/// use graft_core::{CallId, Decision, Evidence, Name, Signal, Source, ToolMetadata, Verdict};
/// use graft_security::dataflow::explain;
/// let tool = ToolMetadata::new(Name::from_static("Bank.send_money"));
/// let evidence = Evidence {
///     signal: Signal::UntrustedAuthority,
///     rule: "strangers-value",
///     arg: "$['recipient']".into(),
///     range: 0..22,
///     source: Source::Call(CallId(2), Name::from_static("Inbox.read")),
///     views: vec![],
/// };
/// let verdict =
///     Verdict { decision: Decision::Block, signals: vec![Signal::UntrustedAuthority], evidence: vec![evidence] };
/// assert_eq!(
///     explain(&verdict, &tool).to_string(),
///     "Bank.send_money was stopped\n  - `recipient` decides where it goes or what it acts on, and its value \
///      was named only in what call 2 (Inbox.read) returned, which a stranger may have written \
///      [untrusted-authority: strangers-value]"
/// );
/// ```
pub fn explain(verdict: &Verdict, tool: &ToolMetadata) -> Explanation {
    let what = match verdict.decision {
        Decision::Allow => "was let through",
        Decision::Flag => "was let through and would have been stopped",
        Decision::Declassify => "was let through, because the host declassified it",
        Decision::Ask => "waits for a person",
        Decision::Block => "was stopped",
    };
    let mut reasons: Vec<String> = Vec::new();
    for reason in verdict.evidence.iter().map(reason) {
        if !reasons.contains(&reason) {
            reasons.push(reason); // several spans of one source are one reason
        }
    }
    Explanation { headline: format!("{} {what}", tool.name), reasons }
}

fn reason(evidence: &Evidence) -> String {
    let arg = argument(&evidence.arg);
    let source = source(&evidence.source);
    let mut text = match evidence.rule {
        "strangers-value" => format!(
            "{arg} decides where it goes or what it acts on, and its value was named only in {source}, which a \
             stranger may have written"
        ),
        "strangers-span" => format!(
            "{arg} decides where it goes or what it acts on, and a part of it comes from {source}, which a stranger \
             may have written"
        ),
        "unknown-value" => format!(
            "{arg} decides where it goes, and nobody named its value: not the user, not a trusted tool"
        ),
        "ledger-full" => format!(
            "the run read more than its ledger holds, and {arg} may come from {source}: raise the ledger's limit to know"
        ),
        "carried-span" => format!("{arg} repeats text from {source}, which a stranger may have written"),
        "strangers-link" => format!("{arg} passes on a link that stood only in {source}"),
        "too-many-links" => format!("{arg} has more links than are looked up"),
        "host-label" if evidence.signal == Signal::SecretToSink => {
            "the application labelled the arguments as secret, and this call reaches outside".to_owned()
        }
        "host-label" => "the application labelled the arguments as untrusted".to_owned(),
        "secret-span" => format!("{arg} repeats secret text from {source}"),
        "credential-value" => format!("{arg} holds a credential from {source}"),
        "user-typed" => format!("{arg} repeats secret text that the user typed for this destination"),
        "not-asked-for" => {
            "nothing in what the user asked for calls for this, and untrusted text was read".to_owned()
        }
        "untrusted-and-private" => {
            "untrusted text and private data meet in this run, and this is a way out".to_owned()
        }
        "after-untrusted" => "untrusted text was read before this call".to_owned(),
        other => format!("{arg}: {other}"),
    };
    let _ = write!(text, " [{}: {}]", evidence.signal.as_str(), evidence.rule);
    text
}

/// The argument's name out of its path.
fn argument(path: &str) -> String {
    let name = path.strip_prefix("$['").and_then(|rest| rest.split_once("']"));
    match name {
        Some((name, "")) => format!("`{name}`"),
        Some((name, rest)) => format!("`{name}` (at {rest})"),
        None => "the call".to_owned(),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Prompt => "the user's prompt".to_owned(),
        Source::Operator => "the operator's text".to_owned(),
        Source::Call(call, tool) => format!("what call {call} ({tool}) returned"),
        Source::Unknown => "text that this run read".to_owned(),
    }
}

/// The rule words of each signal, for the documentation's table and its test.
pub const RULES: [(Signal, &[&str]); 6] = [
    (
        Signal::UntrustedToSink,
        &["carried-span", "strangers-link", "too-many-links", "ledger-full", "host-label"],
    ),
    (Signal::SecretToSink, &["secret-span", "credential-value", "user-typed", "ledger-full", "host-label"]),
    (Signal::UntrustedAuthority, &["strangers-value", "strangers-span", "unknown-value", "ledger-full"]),
    (Signal::UnrequestedEffect, &["not-asked-for"]),
    (Signal::LethalTrifecta, &["untrusted-and-private"]),
    (Signal::DerivedTaint, &["after-untrusted"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_words_of_its_own() {
        for (signal, rules) in RULES {
            for rule in rules {
                let evidence = Evidence {
                    signal,
                    rule,
                    arg: "$['to'][0]".into(),
                    range: 0..1,
                    source: Source::Unknown,
                    views: Vec::new(),
                };
                let text = reason(&evidence);
                assert!(!text.contains(&format!(": {rule} [")), "{rule} falls through to the default words");
                assert!(text.ends_with(&format!("[{}: {rule}]", signal.as_str())));
            }
        }
    }

    #[test]
    fn nested_arguments_are_named_with_their_place() {
        assert_eq!(argument("$['to'][0]"), "`to` (at [0])");
        assert_eq!(argument("$"), "the call");
    }
}
