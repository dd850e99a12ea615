//! Verdicts in words: for the person who runs the agent, and for the model that made the call.

use std::borrow::Cow;
use std::fmt;

use graft_core::{Decision, Evidence, Name, Signal, Source, ToolMetadata, Verdict};
use serde::{Deserialize, Serialize};

use super::remedy::{self, Change};

/// What a model is told of a call that did not happen. It has one shape, so that nothing can be learnt
/// from it about the data or the rules.
pub const fn text_for_model() -> &'static str {
    "This call was not made: the data-flow policy of this agent stopped it (dataflow_policy_blocked). \
     Continue without it, or ask the user."
}

/// One piece of evidence, with words for it. It owns what it says, so that it can be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The signal that it speaks for.
    pub signal: Signal,
    /// The rule within the signal.
    pub rule: Cow<'static, str>,
    /// The argument's path as RFC 9535 normalises it; `$` for the call as a whole.
    pub arg: String,
    /// Half-open byte offsets in the leaf as given.
    pub range: (usize, usize),
    /// Where the value came from.
    pub source: Source,
    /// The decoders that were undone, outermost first.
    pub views: Vec<Cow<'static, str>>,
    /// Whether it stops the call or makes it doubtful by itself.
    pub stops: bool,
    /// The same in one sentence.
    pub text: String,
}

impl From<&Evidence> for Reason {
    fn from(evidence: &Evidence) -> Self {
        Self {
            signal: evidence.signal,
            rule: evidence.rule.into(),
            arg: evidence.arg.clone(),
            range: (evidence.range.start, evidence.range.end),
            source: evidence.source.clone(),
            views: evidence.views.iter().map(|&view| view.into()).collect(),
            stops: evidence.stops,
            text: reason(evidence),
        }
    }
}

/// Why a verdict came out as it did and what would change it. Holds no bytes of the data.
///
/// `Display` and [`Explanation::for_operator`] are for who runs the agent, [`Explanation::for_user`] is for
/// who asked it for something, [`text_for_model`] for the model. With serde it is one JSON object, which
/// FORMATS.md describes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The tool.
    pub tool: Name,
    /// What happened with the call.
    pub decision: Decision,
    /// The same in words.
    pub headline: String,
    /// Which argument, where its value came from, which rule: each piece of evidence.
    pub reasons: Vec<Reason>,
    /// The cheapest change for each reason that stops the call; all of them together let it pass.
    pub smallest_change: Vec<Change>,
    /// All that would help, cheapest first.
    pub remedies: Vec<Change>,
}

impl Explanation {
    /// For the user: what happened and why, without rules and numbers, and what the user can do.
    pub fn for_user(&self) -> String {
        let mut text = format!("The agent's call {}.", self.headline);
        let stops = self.reasons.iter().any(|reason| reason.stops);
        for said in distinct(self.reasons.iter().filter(|reason| reason.stops == stops), |it| &it.text) {
            text += &format!("\n  - {said}");
        }
        match self.decision {
            Decision::Ask => text += "\nIt happens if you approve it.",
            Decision::Block => {
                text += "\nIf you want it, ask for it in your own words and name the values yourself.";
            }
            Decision::Allow | Decision::Flag | Decision::Declassify => {}
        }
        text
    }

    /// For who runs the agent: every reason with its rule, and every remedy, cheapest first.
    pub fn for_operator(&self) -> String {
        let mut text = self.to_string();
        for said in distinct(self.remedies.iter(), |it| &it.text) {
            text += &format!("\n  * {said}");
        }
        text
    }
}

/// Each text once: several spans of one source are one reason.
fn distinct<'a, T>(all: impl Iterator<Item = &'a T>, text: fn(&'a T) -> &'a String) -> Vec<&'a str> {
    let mut seen: Vec<&str> = Vec::new();
    for one in all.map(text) {
        if !seen.contains(&one.as_str()) {
            seen.push(one);
        }
    }
    seen
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)?;
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for reason in &self.reasons {
            let key = (reason.text.as_str(), &*reason.rule);
            if !seen.contains(&key) {
                seen.push(key);
                write!(f, "\n  - {} [{}: {}]", reason.text, reason.signal.as_str(), reason.rule)?;
            }
        }
        Ok(())
    }
}

/// Explains `verdict` on a call of `tool` to the user or operator.
///
/// ```
/// use graft_core::{CallId, Decision, Evidence, Name, Role, Signal, Source, ToolMetadata, Verdict};
/// use graft_security::dataflow::{Remedy, explain};
/// let mut tool = ToolMetadata::new(Name::from_static("Bank.send_money"));
/// tool.args.insert("recipient".into(), Role::Destination);
/// let evidence = Evidence {
///     signal: Signal::UntrustedAuthority,
///     rule: "strangers-value",
///     arg: "$['recipient']".into(),
///     range: 0..22,
///     source: Source::Call(CallId(2), Name::from_static("Inbox.read")),
///     views: vec![],
///     stops: true,
/// };
/// let verdict =
///     Verdict { decision: Decision::Block, signals: [Signal::UntrustedAuthority].into(), evidence: vec![evidence] };
/// let said = explain(&verdict, &tool);
/// assert_eq!(
///     said.to_string(),
///     "Bank.send_money was stopped\n  - `recipient` decides where it goes or what it acts on, and its value \
///      was named only in what call 2 (Inbox.read) returned, which a stranger may have written \
///      [untrusted-authority: strangers-value]"
/// );
/// let least: Vec<_> = said.smallest_change.iter().map(|change| (change.remedy, change.arg.as_str())).collect();
/// assert_eq!(least, [(Remedy::QuoteFromPrompt, "$['recipient']")]);
/// ```
pub fn explain(verdict: &Verdict, tool: &ToolMetadata) -> Explanation {
    let what = match verdict.decision {
        Decision::Allow => "was let through",
        Decision::Flag => "was let through and would have been stopped",
        Decision::Declassify => "was let through, because the host declassified it",
        Decision::Ask => "waits for a person",
        Decision::Block => "was stopped",
    };
    Explanation {
        tool: tool.name.clone(),
        decision: verdict.decision,
        headline: format!("{} {what}", tool.name),
        reasons: verdict.evidence.iter().map(Reason::from).collect(),
        smallest_change: remedy::smallest(verdict, tool),
        remedies: remedy::remedies(verdict, tool),
    }
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
            "the run read more than its ledger holds, and {arg} may come from {source}, or not all of it could be decoded: raise the ledger's cap to know"
        ),
        "not-decoded" => "the arguments hold more, or more in code, than is looked at".to_owned(),
        "not-in-plan" => "the plan of this run does not name this tool".to_owned(),
        "not-in-step" => {
            format!(
                "{arg} decides where it goes or what it acts on, and no step of the plan says where it comes from"
            )
        }
        "not-from-source" => format!("{arg} is not what the plan's source for it gave"),
        "source-not-called" => {
            format!("{arg} comes, by the plan, from a call that was not made or came to nothing")
        }
        "undecided" => {
            format!(
                "{arg} is one of several values that the plan's source for it gave, and the plan does not say which"
            )
        }
        "any-authority" => {
            format!("{arg} decides where it goes or what it acts on, and the plan lets it come from anywhere")
        }
        "argument-missing" => format!("{arg} is bound by the plan and was left out"),
        "free-text-payee" => format!("{arg} is to be paid, and only free text names it, in {source}"),
        "carried-span" => format!("{arg} repeats text from {source}, which a stranger may have written"),
        "strangers-words" => format!("{arg} says what only {source} said, which a stranger may have written"),
        "written-link" => format!("{arg} is a link that stood so in {source}, and nothing was added to it"),
        "fetched-link" => format!(
            "{arg} passes on a link that stood only in {source}; the run followed it, and it goes to whom the user named"
        ),
        "strangers-link" => format!("{arg} passes on a link that stood only in {source}"),
        "too-many-links" => format!("{arg} has more links than are looked up"),
        "host-label" if evidence.signal == Signal::SecretToSink => {
            "the application labelled the arguments as secret, and this call reaches outside".to_owned()
        }
        "host-label" => "the application labelled the arguments as untrusted".to_owned(),
        "secret-span" => format!("{arg} repeats secret text from {source}"),
        "credential-value" => format!("{arg} holds a credential from {source}"),
        "user-sends" => format!(
            "{arg} repeats secret text from {source}, and the user asked for this and named whom it goes to"
        ),
        "user-typed" => format!("{arg} repeats secret text that the user typed for this destination"),
        "not-asked-for" => format!(
            "nothing in what the user asked for calls for this, and untrusted text was read, last in {source}"
        ),
        "untrusted-and-private" => {
            "untrusted text and private data meet in this run, and this is a way out".to_owned()
        }
        "after-untrusted" => "untrusted text was read before this call".to_owned(),
        other => format!("{arg}: {other}"),
    };
    if !evidence.views.is_empty() {
        text += &format!(", there or here in another spelling ({})", evidence.views.join(", then "));
    }
    text
}

/// The argument's name out of its path.
pub(super) fn argument(path: &str) -> String {
    let name = path.strip_prefix("$['").and_then(|rest| rest.split_once("']"));
    match name {
        Some((name, "")) => format!("`{name}`"),
        Some((name, rest)) => format!("`{name}` (at {rest})"),
        None => "the call".to_owned(),
    }
}

pub(super) fn source(source: &Source) -> String {
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
        &[
            "carried-span",
            "strangers-words",
            "strangers-link",
            "fetched-link",
            "too-many-links",
            "not-decoded",
            "ledger-full",
            "host-label",
        ],
    ),
    (
        Signal::SecretToSink,
        &[
            "secret-span",
            "credential-value",
            "user-typed",
            "user-sends",
            "not-decoded",
            "ledger-full",
            "host-label",
        ],
    ),
    (
        Signal::UntrustedAuthority,
        &[
            "strangers-value",
            "strangers-span",
            "written-link",
            "unknown-value",
            "ledger-full",
            "not-in-step",
            "not-from-source",
            "source-not-called",
            "undecided",
            "any-authority",
            "argument-missing",
            "free-text-payee",
        ],
    ),
    (Signal::UnrequestedEffect, &["not-asked-for", "not-in-plan"]),
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
                    stops: true,
                };
                let text = reason(&evidence);
                assert!(!text.ends_with(&format!(": {rule}")), "{rule} falls through to the default words");
            }
        }
    }

    #[test]
    fn views_are_named_in_order() {
        let evidence = Evidence {
            signal: Signal::SecretToSink,
            rule: "secret-span",
            arg: "$['body']".into(),
            range: 0..1,
            source: Source::Prompt,
            views: vec!["base64", "hex"],
            stops: true,
        };
        assert!(reason(&evidence).ends_with("(base64, then hex)"));
    }

    #[test]
    fn nested_arguments_are_named_with_their_place() {
        assert_eq!(argument("$['to'][0]"), "`to` (at [0])");
        assert_eq!(argument("$"), "the call");
    }
}
