//! Explanations: what is said of a verdict, to whom, and whether the change that is proposed lets the call pass.

use graft_core::{Decision, Role, Signal, ToolMetadata};
use graft_security::dataflow::{DataFlowPolicy, OnDoubt, Remedy, Response, explain};

use super::stage::{Args, DIARY, FRIEND, NOBODY, PAGE, STRANGER, Stage, args, mail, policy};

fn strict() -> DataFlowPolicy {
    policy().respond(Signal::UntrustedToSink, Response::Stop).on_doubt(OnDoubt::Block)
}

fn tool() -> ToolMetadata {
    let mut tool = mail();
    tool.args.insert("id".into(), Role::Target);
    tool
}

/// Does to the arguments what each change says.
fn apply(stage: &Stage, call: &Args) -> (Args, Vec<Remedy>) {
    let tool = tool();
    let said = explain(&stage.assess(&tool, call).verdict, &tool);
    let mut changed = call.clone();
    let mut cuts: Vec<_> = Vec::new();
    for change in &said.smallest_change {
        let name = change.arg.trim_start_matches("$['").trim_end_matches("']").to_owned();
        match change.remedy {
            Remedy::DropArgument => drop(changed.remove(&name)),
            Remedy::QuoteFromPrompt => drop(changed.insert(name, FRIEND.to_owned())),
            Remedy::Redact => cuts.push((name, change.range)),
            Remedy::Ask | Remedy::Endorse | Remedy::Declassify => {} // more than these calls need
        }
    }
    cuts.sort_by_key(|(_, range)| std::cmp::Reverse(range.0));
    for (name, (start, end)) in cuts {
        if let Some(value) = changed.get_mut(&name) {
            value.replace_range(start..end, "");
        }
    }
    (changed, said.smallest_change.iter().map(|change| change.remedy).collect())
}

#[test]
fn the_smallest_change_lets_the_call_pass() {
    let mut changes = 0;
    for stage in [Stage::new(strict()), Stage::new(strict()).read_diary()] {
        for to in [FRIEND, STRANGER, NOBODY, "https://collect.example/x", DIARY] {
            for body in ["", PAGE, DIARY, "see www.collect.example", &format!("{PAGE} {DIARY}")] {
                for id in ["", STRANGER, "4711"] {
                    let call = args(&[("to", to), ("body", body), ("id", id)]);
                    let before = stage.assess(&tool(), &call).verdict;
                    let (changed, remedies) = apply(&stage, &call);
                    assert_eq!(before.lets_through(), remedies.is_empty(), "{call:?}");
                    let after = stage.assess(&tool(), &changed).verdict;
                    assert!(after.lets_through(), "{call:?} -> {changed:?}: {after:?}");
                    changes += usize::from(!remedies.is_empty());
                }
            }
        }
    }
    assert!(changes > 50, "{changes}");
}

#[test]
fn an_explanation_names_path_range_source_and_rule_as_json_and_no_value() {
    let stage = Stage::new(strict()).read_diary();
    let verdict = stage.assess(&tool(), &args(&[("to", STRANGER), ("body", DIARY)])).verdict;
    let said = explain(&verdict, &tool());
    let json = serde_json::to_value(&said).expect("serialises");
    let reason = |rule: &str| {
        let reasons = json["reasons"].as_array().expect("a list");
        reasons.iter().find(|reason| reason["rule"] == rule).expect(rule).clone()
    };
    let value = reason("strangers-value");
    assert_eq!(value["arg"], "$['to']");
    assert_eq!(value["range"], serde_json::json!([0, STRANGER.len()]));
    assert_eq!(value["source"], serde_json::json!({"call": [0, "page"]}));
    assert_eq!((&value["signal"], &value["stops"]), (&"untrusted-authority".into(), &true.into()));
    assert_eq!(value["views"], serde_json::json!([]));
    assert_eq!(reason("secret-span")["source"], serde_json::json!({"call": [1, "diary"]}));
    assert_eq!(reason("untrusted-and-private")["stops"], false, "a finding");
    assert_eq!((&json["tool"], &json["decision"]), (&"mail".into(), &"block".into()));
    let least: Vec<_> =
        said.smallest_change.iter().map(|change| (change.remedy.as_str(), change.arg.as_str())).collect();
    assert_eq!(least, [("drop-argument", "$['body']"), ("quote-from-prompt", "$['to']")]);
    let all: Vec<_> = said.remedies.iter().map(|change| change.remedy).collect();
    assert!(all.is_sorted() && all.contains(&Remedy::Declassify) && all.contains(&Remedy::Endorse));

    let shown = format!("{json} {said} {said:?} {} {}", said.for_user(), said.for_operator());
    for value in [STRANGER, "eve", DIARY, "vault", "painting"] {
        assert!(!shown.contains(value), "{shown}");
    }
}

#[test]
fn user_and_operator_are_told_what_each_can_use() {
    let stage = Stage::new(policy());
    let asked = explain(&stage.assess(&mail(), &args(&[("to", NOBODY), ("body", PAGE)])).verdict, &mail());
    assert_eq!(asked.decision, Decision::Ask);
    let user = asked.for_user();
    assert!(user.ends_with("It happens if you approve it."), "{user}");
    assert!(
        !user.contains("unknown-value") && !user.contains("repeats text"),
        "rules and findings are not for users"
    );
    let operator = asked.for_operator();
    assert!(operator.contains("[untrusted-authority: unknown-value]") && operator.contains("repeats text"));
    assert!(operator.contains("\n  * let a person decide"), "{operator}");
    let stage = Stage::new(policy().on_doubt(OnDoubt::Block));
    let blocked = explain(&stage.assess(&mail(), &args(&[("to", STRANGER)])).verdict, &mail());
    assert!(blocked.for_user().contains("ask for it in your own words"));
    let allowed = explain(&stage.assess(&mail(), &args(&[("to", FRIEND)])).verdict, &mail());
    assert_eq!(allowed.for_user(), "The agent's call mail was let through.");
    assert!(allowed.remedies.is_empty() && allowed.smallest_change.is_empty());
}
