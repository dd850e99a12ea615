//! What a host can do about a stopped call, cheapest first.

use graft_core::{Evidence, Role, Signal, ToolMetadata, Verdict};
use serde::Serialize;

/// A way out of a stopped call, in the order of what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Leave the argument, or that part of it, out.
    DropArgument,
    /// Use words of the user's own: the value, or the wish for the effect.
    QuoteFromPrompt,
    /// Cut the range out of the argument.
    Redact,
    /// Let a person decide about the call.
    Ask,
    /// Vouch for the value.
    Endorse,
    /// Release the secret to this destination, or the sink as a whole.
    Declassify,
}

impl Remedy {
    /// Every remedy, cheapest first.
    pub const ALL: [Self; 6] =
        [Self::DropArgument, Self::QuoteFromPrompt, Self::Redact, Self::Ask, Self::Endorse, Self::Declassify];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DropArgument => "drop-argument",
            Self::QuoteFromPrompt => "quote-from-prompt",
            Self::Redact => "redact",
            Self::Ask => "ask",
            Self::Endorse => "endorse",
            Self::Declassify => "declassify",
        }
    }
}

/// One thing to do, and to which argument. Holds no bytes of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What to do.
    pub remedy: Remedy,
    /// The argument's path as in [`Evidence::arg`]; `$` for the call as a whole.
    pub arg: String,
    /// The bytes of the leaf that it concerns.
    pub range: (usize, usize),
    /// The same in words, for the host.
    pub text: String,
}

impl Change {
    fn new(remedy: Remedy, evidence: &Evidence) -> Self {
        let range = (evidence.range.start, evidence.range.end);
        let text = text(remedy, evidence);
        Self { remedy, arg: evidence.arg.clone(), range, text }
    }
}

/// For each reason that stops the call, all that would take it away, cheapest first.
pub(super) fn remedies(verdict: &Verdict, tool: &ToolMetadata) -> Vec<Change> {
    let stopping = verdict.evidence.iter().filter(|evidence| evidence.stops);
    let mut all: Vec<Change> = Vec::new();
    for evidence in stopping {
        for remedy in against(evidence, tool) {
            push(&mut all, Change::new(remedy, evidence));
        }
    }
    all.sort_by_key(|change| change.remedy); // stable, so arguments stay in order
    all
}

/// The cheapest change for each reason that stops the call. All of them together let it pass.
pub(super) fn smallest(verdict: &Verdict, tool: &ToolMetadata) -> Vec<Change> {
    let stopping = verdict.evidence.iter().filter(|evidence| evidence.stops);
    let mut all = Vec::new();
    for evidence in stopping {
        if let Some(remedy) = against(evidence, tool).into_iter().min() {
            push(&mut all, Change::new(remedy, evidence));
        }
    }
    all.sort_by_key(|change| change.remedy);
    all
}

/// Adds a change unless it is in the list; an argument is dropped once, whatever spans of it are wrong.
fn push(all: &mut Vec<Change>, change: Change) {
    let same = |other: &Change| {
        other.remedy == change.remedy
            && other.arg == change.arg
            && (other.range == change.range || change.remedy != Remedy::Redact)
    };
    if !all.iter().any(same) {
        all.push(change);
    }
}

/// What takes this reason away.
fn against(evidence: &Evidence, tool: &ToolMetadata) -> Vec<Remedy> {
    use Remedy::{Ask, Declassify, DropArgument, Endorse, QuoteFromPrompt, Redact};
    if evidence.arg == "$" {
        return match evidence.signal {
            Signal::UnrequestedEffect => vec![QuoteFromPrompt, Declassify],
            _ => vec![Declassify], // the run as a whole, or what the host itself said
        };
    }
    let mut all = match evidence.signal {
        Signal::UntrustedAuthority => vec![QuoteFromPrompt, Endorse],
        // Without it the call would have no receiver or nothing to act on.
        Signal::SecretToSink if decides(evidence, tool) => vec![QuoteFromPrompt, Declassify],
        Signal::SecretToSink => vec![Redact, Declassify],
        _ => vec![Redact, Endorse],
    };
    if is_optional(evidence, tool) {
        all.push(DropArgument);
    }
    if matches!(evidence.rule, "unknown-value" | "ledger-full" | "too-many-links") {
        all.push(Ask); // a doubt, which `on_doubt = ask` turns into a question
    }
    if evidence.rule == "too-many-links" {
        all.retain(|remedy| *remedy != Endorse); // there is no one value to vouch for
    }
    all
}

/// Whether the argument decides where the call goes or what it acts on.
fn decides(evidence: &Evidence, tool: &ToolMetadata) -> bool {
    let name = evidence.arg.strip_prefix("$['").and_then(|rest| rest.split_once("']"));
    name.is_some_and(|(name, _)| tool.role(name).is_authority())
}

/// Whether the call could make sense without this: not the one value that says where it goes.
fn is_optional(evidence: &Evidence, tool: &ToolMetadata) -> bool {
    let name = evidence.arg.strip_prefix("$['").and_then(|rest| rest.split_once("']"));
    match name {
        Some((name, "")) => !Role::is_authority(tool.role(name)),
        Some(_) | None => true,
    }
}

fn text(remedy: Remedy, evidence: &Evidence) -> String {
    let arg = super::explain::argument(&evidence.arg);
    let std::ops::Range { start, end } = evidence.range;
    match remedy {
        Remedy::DropArgument => format!("leave {arg} out"),
        Remedy::QuoteFromPrompt if evidence.signal == Signal::UnrequestedEffect => {
            "let the user ask for this in their own words".to_owned()
        }
        Remedy::QuoteFromPrompt => format!("use a value for {arg} that the user named"),
        Remedy::Redact => format!("cut bytes {start} to {end} out of {arg}"),
        Remedy::Ask => "let a person decide: `on_doubt = ask`, then `Grants::approve`".to_owned(),
        Remedy::Endorse => format!("vouch for {arg}: `Grants::endorse`"),
        Remedy::Declassify if evidence.arg == "$" => {
            "begin a new run for this, or name the tool in `declassify_sinks`".to_owned()
        }
        Remedy::Declassify => format!("release what {arg} holds to this destination: `Grants::declassify`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_core::{Decision, Name, Source};

    fn evidence(signal: Signal, rule: &'static str, arg: &str) -> Evidence {
        Evidence {
            signal,
            rule,
            arg: arg.to_owned(),
            range: 3..9,
            source: Source::Unknown,
            views: Vec::new(),
            stops: true,
        }
    }

    #[test]
    fn every_rule_has_a_remedy_and_they_come_cheapest_first() {
        let mut tool = ToolMetadata::new(Name::from_static("mail"));
        tool.args.insert("to".into(), Role::Destination);
        for (signal, rules) in super::super::RULES {
            for rule in rules {
                for arg in ["$", "$['to']", "$['to'][1]", "$['body']", "$[*]"] {
                    let verdict = Verdict {
                        decision: Decision::Block,
                        signals: [signal].into(),
                        evidence: vec![evidence(signal, rule, arg)],
                    };
                    let (all, least) = (remedies(&verdict, &tool), smallest(&verdict, &tool));
                    assert!(all.is_sorted_by_key(|change| change.remedy), "{rule} {arg}");
                    assert_eq!(all.first(), least.first(), "{rule} {arg}");
                    assert!(!least.is_empty(), "{rule} {arg}");
                }
            }
        }
    }

    #[test]
    fn a_destination_is_not_dropped_but_one_of_several_is() {
        let mut tool = ToolMetadata::new(Name::from_static("mail"));
        tool.args.insert("to".into(), Role::Destination);
        let least = |arg| {
            against(&evidence(Signal::UntrustedAuthority, "strangers-value", arg), &tool).into_iter().min()
        };
        assert_eq!(least("$['to']"), Some(Remedy::QuoteFromPrompt));
        assert_eq!(least("$['to'][1]"), Some(Remedy::DropArgument));
    }
}
