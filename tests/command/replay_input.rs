//! What `graft replay` says of files that are not what they should be.

use crate::common::{Folder, POLICY, REGISTRY, RUN, edited, replayable};

const MIB: usize = 1 << 20;

/// Replays `runs.jsonl`, which must be refused; verdicts are asked for, so that a partial file would show.
fn refused(folder: &Folder, more: &[&str], named: &[&str]) {
    folder.refuses(&[&["replay", "runs.jsonl", "--verdicts", "verdicts.jsonl"], more].concat(), named);
}

fn runs_refused(runs: impl AsRef<[u8]>, named: &[&str]) {
    let folder = replayable();
    folder.write("runs.jsonl", runs);
    refused(&folder, &[], &[&["runs.jsonl"], named].concat());
}

fn registry_refused(registry: impl AsRef<[u8]>, named: &[&str]) {
    let folder = replayable();
    folder.write("registry_post.json", registry);
    refused(&folder, &[], &[&["registry_post.json"], named].concat());
}

fn policy_refused(name: &str, policy: impl AsRef<[u8]>, named: &[&str]) {
    let folder = replayable();
    folder.write(name, policy);
    refused(&folder, &["--policy", name], &[&[name], named].concat());
}

/// A plan for [`RUN`].
const PLAN: &str = r#"{"version":1,"id":"a","plan":{"steps":[{"tool":"send","args":{"to":{"from":"read","with":{"box":1},"path":"$..mail","kind":"email","pick":"first"}}}],"reason":"r"}}"#;

fn plans_refused(plans: impl AsRef<[u8]>, named: &[&str]) {
    let folder = replayable();
    folder.write("plans.jsonl", plans);
    refused(&folder, &["--plans", "plans.jsonl"], &[&["plans.jsonl"], named].concat());
}

#[test]
fn bad_plans() {
    let folder = replayable();
    folder.write("plans.jsonl", PLAN);
    folder.succeeds(&["replay", "runs.jsonl", "--plans", "plans.jsonl"]);
    for (from, to, named) in [
        (r#""version":1"#, r#""version":2"#, "it is of version 2"),
        (r#""id":"a""#, r#""id":[]"#, "`id` must be text"),
        (r#""steps":["#, r#""sinks":[],"steps":["#, "a `plan` has either `sinks` or `steps`"),
        (r#""tool":"send""#, r#""tool":"se\u001b[2Jnd""#, "`plan.steps[0].tool` is not the name of a tool"),
        (r#""from":"read""#, r#""form":"read""#, "`plan.steps[0].args.to.form` is not a field"),
        (
            "$..mail",
            "mail",
            "`plan.steps[0].args.to.path` is not a path into a result: a path begins with `$`",
        ),
        (r#""kind":"email""#, r#""kind":"fax""#, "`plan.steps[0].args.to.kind` must be one of `email`"),
        (r#""pick":"first""#, r#""pick":"best""#, "`plan.steps[0].args.to.pick` must be one of `only`"),
        (r#""reason":"r""#, r#""reasons":"r""#, "`plan.reasons` is not a field of this format"),
    ] {
        plans_refused(format!("\n{}", edited(PLAN, from, to)), &["line 2: ", named]);
    }
    plans_refused("", &["the file has no plans"]);
    plans_refused(&PLAN[..60], &["line 1: the JSON ends too early"]);
    plans_refused(format!("{PLAN}\n{PLAN}"), &["line 2: there is a plan for this `id` already; keep one"]);
    plans_refused(b"{\"id\":\"\xff\"}", &["line 1: it is not UTF-8"]);
    plans_refused("[".repeat(400_000), &["nested over 128 levels deep"]);
    folder.write("more.jsonl", PLAN);
    let twice = ["--plans", "plans.jsonl", "--plans", "more.jsonl"];
    refused(&folder, &twice, &["more.jsonl, line 1: there is a plan for this `id` already"]);
    folder.refuses(
        &["replay", "runs.jsonl", "--plans", "gone.jsonl", "--verdicts", "v"],
        &["gone.jsonl", "it is not there"],
    );
    folder.write("runs.jsonl", edited(RUN, r#""id":"a""#, r#""id":"a","plan":{"sinks":[]}"#));
    refused(&folder, &["--plans", "plans.jsonl"], &["runs.jsonl, line 1: the run has a `plan`", "keep one"]);
    runs_refused(
        edited(RUN, r#""id":"a""#, r#""id":"a","plan":{"sinks":7}"#),
        &["line 1: `plan.sinks` must be a list"],
    );
    policy_refused(
        "policy.toml",
        "mode = \"off\"\nstrict_plan = \"yes\"",
        &["line 2: `strict_plan` must be true or false"],
    );
}

#[test]
fn what_the_cases_start_from_is_good() {
    let folder = replayable();
    folder.write("policy.toml", POLICY);
    let ended = folder.succeeds(&["replay", "runs.jsonl", "--policy", "policy.toml", "--verdicts", "v"]);
    assert_eq!(ended.err, "");
    assert_eq!(folder.names(), ["policy.toml", "registry_post.json", "runs.jsonl", "v"]);
}

#[test]
fn missing_files_and_folders() {
    let folder = replayable();
    let missing = |arguments: &[&str], name: &str| {
        folder.refuses(arguments, &[name, "it is not there", "check the path"]);
    };
    missing(&["replay", "gone.jsonl", "--verdicts", "v"], "gone.jsonl");
    missing(&["replay", "runs.jsonl", "gone.jsonl", "--verdicts", "v"], "gone.jsonl");
    missing(&["replay", "runs.jsonl", "--registry", "gone.json", "--verdicts", "v"], "gone.json");
    missing(&["replay", "runs.jsonl", "--policy", "gone.toml", "--verdicts", "v"], "gone.toml");
    std::fs::create_dir(folder.path().join("folder")).expect("creates");
    for what in ["--registry", "--policy"] {
        refused(&folder, &[what, "folder"], &["folder: it cannot be read: it is a folder"]);
    }
    refused(&folder, &["folder"], &["folder", "folder"]);
    std::fs::remove_file(folder.path().join("registry_post.json")).expect("removes");
    refused(&folder, &[], &["registry_post.json", "it is not there"]);
}

#[test]
fn empty_files() {
    runs_refused("", &["the file has no runs", "one JSON object a line"]);
    runs_refused("\n \n", &["the file has no runs"]);
    registry_refused("", &["the file is empty", "`tools`"]);
    policy_refused("policy.toml", "\n", &["the file is empty", "`mode`"]);
    policy_refused("policy.json", "", &["the file is empty", "`mode`"]);
}

#[test]
fn truncated_files() {
    // Not every length: each is a process of its own. The readers' own tests take every one.
    for end in (1..RUN.len()).step_by(29) {
        runs_refused(&RUN[..end], &["line 1: the JSON ends too early", "may be cut off"]);
    }
    for end in (1..REGISTRY.len()).step_by(41) {
        let line = REGISTRY[..end].matches('\n').count() + 1;
        registry_refused(&REGISTRY[..end], &[&format!("line {line}: the JSON ends too early")]);
    }
    runs_refused(format!("{RUN}\n{}", &RUN[..100]), &["line 2: the JSON ends too early"]);
    policy_refused("policy.toml", "version = 1\nmode = \"enf", &["line 2", "invalid basic string"]);
    policy_refused("policy.json", "{\"mode\":\n\"enf", &["line 2: the JSON ends too early"]);
}

#[test]
fn other_versions() {
    let newer = r#""version":2"#;
    runs_refused(edited(RUN, r#""version":1"#, newer), &["line 1: it is of version 2", "reads version 1"]);
    registry_refused(edited(REGISTRY, r#""version":1"#, newer), &["it is of version 2", "reads version 1"]);
    policy_refused("policy.toml", edited(POLICY, "version = 1", "version = 2"), &["it is of version 2"]);
    policy_refused("policy.json", r#"{"version":2,"mode":"off"}"#, &["it is of version 2"]);
}

#[test]
fn wrong_types_in_runs() {
    for (from, to, named) in [
        (r#""version":1"#, r#""version":"1""#, "`version` must be a whole number"),
        (r#""id":"a""#, r#""id":1"#, "`id` must be text"),
        (r#""id":"a","#, "", "`id` is missing"),
        (r#""user_prompt":"#, r#""user_prompt":[],"x":"#, "`user_prompt` must be text"),
        (r#""system":"s""#, r#""system":1"#, "`system` must be text"),
        (r#""registry":"post""#, r#""registry":{}"#, "`registry` must be text"),
        (r#""registry":"post""#, r#""registry":"../post""#, "`registry` must be letters"),
        (r#""registry":"post","#, "", "`registry` is missing"),
        (r#""events":["#, r#""events":7,"x":["#, "`events` must be a list"),
        (r#"{"kind":"say","text":"w"}"#, "3", "`events[2]` must be an object"),
        (r#""kind":"say""#, r#""kind":["say"]"#, "`events[2].kind` must be text"),
        (r#""kind":"say""#, r#""kind":"sing""#, "`events[2].kind` must be one of"),
        (r#""text":"w""#, r#""text":{}"#, "`events[2].text` must be text"),
        (r#""n":0,"tool":"read","args""#, r#""n":-1,"tool":"read","args""#, "`events[0].n` must be a whole"),
        (r#""tool":"read","args""#, r#""tool":1,"args""#, "`events[0].tool` must be text"),
        (r#"{"box":1}"#, "[1]", "`events[0].args` must be an object"),
        (r#""moot_if_blocked":0"#, r#""moot_if_blocked":"0""#, "`events[4].moot_if_blocked` must be a whole"),
        (r#""n":0,"tool":"read","text""#, r#""n":"0","text""#, "`events[1].n` must be a whole number"),
        (r#""tool":"read","text""#, r#""tool":0,"text""#, "`events[1].tool` must be text"),
        (r#""text":"Dear"#, r#""text":5,"x":"Dear"#, "`events[1].text` must be text"),
        (r#""format":"text""#, r#""format":1"#, "`events[1].format` must be text"),
        (r#""format":"text""#, r#""format":"xml""#, "`events[1].format` must be one of"),
    ] {
        // In the second line: the line is that of the run, not of the JSON in it.
        let good = edited(RUN, r#""id":"a""#, r#""id":"b""#);
        runs_refused(format!("{good}\n{}", edited(RUN, from, to)), &["runs.jsonl, line 2: ", named]);
    }
    runs_refused("7\n", &["line 1: ", "must be an object"]);
    runs_refused(edited(RUN, "\"s\"", "hush"), &["line 1: it is not JSON"]);
}

#[test]
fn wrong_types_in_registries() {
    for (from, to, named) in [
        (r#""version":1"#, r#""version":true"#, "`version` must be a whole number"),
        (r#""suite":"letters""#, r#""suite":1"#, "`suite` must be text"),
        (r#"["me@home.example"]"#, "{}", "`self` must be a list"),
        (r#"["me@home.example"]"#, "[7]", "`self[0]` must be text"),
        (r#""tools":"#, r#""tools":[],"x":"#, "`tools` must be an object"),
        (r#""tools":"#, r#""fools":"#, "`tools` is missing"),
        (r#""read":{"#, r#""gone":1,"read":{"#, "`tools.gone` must be an object"),
        (r#""description":"d""#, r#""description":1"#, "`tools.read.description` must be text"),
        (r#""trust":"untrusted""#, r#""trust":1"#, "`tools.read.trust` must be one of `trusted`"),
        (r#""sensitivity":"internal""#, r#""sensitivity":"hush""#, "`tools.read.sensitivity` must be one of"),
        (r#""side_effect":"read-only""#, r#""side_effect":[]"#, "`tools.read.side_effect` must be one of"),
        (r#""exfil":"none""#, r#""exfil":"fax""#, "`tools.read.exfil` must be one of `none`"),
        (r#""origin":"channel-inbound""#, r#""origin":1"#, "`tools.read.origin` must be text"),
        (r#"{"box":"query"}"#, r#"["box"]"#, "`tools.read.args` must be an object"),
        (r#"{"box":"query"}"#, r#"{"box":1}"#, "`tools.read.args.box` must be one of"),
        (r#"{"x":"structured"}"#, r#"{"x":1}"#, "`tools.read.fields.x` must be one of"),
        (r#"["pin"]"#, r#""pin""#, "`tools.read.credentials` must be a list"),
        (r#"["read"]"#, "[1]", "`tools.read.intent[0]` must be text"),
        (r#""field":"f""#, r#""field":1"#, "`tools.read.records[0].field` must be text"),
        (r#""is_self":true"#, r#""is_self":1"#, "`tools.read.records[0].is_self` must be true"),
        (r#""trust":"trusted","no"#, r#""trust":1,"no"#, "`tools.read.records[0].trust` must be one of"),
        (r#""no_other_writer":"w""#, r#""no_other_writer":1"#, "no_other_writer` must be text"),
        (r#""why":""}],"#, r#""why":1}],"#, "`tools.read.records[0].why` must be text"),
        (r#""why":""},"#, r#""why":1},"#, "`tools.read.why` must be text"),
        (r#""credentials""#, r#""credental\u001b[2J\ns""#, "is not a field of this format"),
        (r#""send":{"#, r#""se\u001b[2Jnd":{"#, "cannot be used"),
        (r#""exfil":"message""#, r#""exfil":message"#, ", line 5: it is not JSON"),
    ] {
        registry_refused(edited(REGISTRY, from, to), &[named]);
    }
    registry_refused("[]", &["must be an object"]);
    registry_refused(format!("{{\"tools\":{{\"{}\":{{}}}}}}", "x".repeat(100_000)), &["cannot be used"]);
}

#[test]
fn wrong_types_in_policies() {
    for (from, to, line, named) in [
        ("version = 1", "version = \"1\"", 1, "`version` must be a whole number"),
        ("\"enforce\"", "7", 2, "`mode` must be one of `off`, `shadow`, `enforce`"),
        ("\"default\"", "\"modern\"", 3, "`profile` must be one of `default`, `classic`"),
        ("\"ask\"", "true", 4, "`on_doubt` must be one of `block`, `ask`"),
        ("true", "\"yes\"", 5, "`guard_trifecta` must be true or false"),
        ("[\"a.b\"]", "\"a.b\"", 6, "`declassify_sinks` must be a list of tool names"),
        ("[\"internal\"]", "[1]", 7, "`sensitive_tiers` must be a list"),
        ("secret-to-sink", "secrets", 9, "`secret-to-sink`"),
        ("\"find\"", "\"warn\"", 9, "`off`, `find`, `stop`"),
        ("profile", "profiles", 3, "unknown field `profiles`, expected one of"),
    ] {
        policy_refused("policy.toml", edited(POLICY, from, to), &[&format!("line {line}: "), named]);
    }
    for (json, named) in [
        (r#"{"mode":1}"#, "line 1: `mode` must be one of"),
        ("{\"mode\":\"off\",\n\"profile\":1}", "line 2: `profile` must be one of"),
        (r#"{"mode":"off","a\u001b[2J\n":1}"#, "unknown field"),
        (r#"["off"]"#, "must be an object"),
        (r#"{"profile":"default"}"#, "`mode` is missing; it is one of"),
        (r#"{"mode":off}"#, "line 1: it is not JSON"),
    ] {
        policy_refused("policy.json", json, &[named]);
    }
}

#[test]
fn duplicates() {
    runs_refused(format!("{RUN}\n\n{RUN}\n"), &["line 3: the run's `id` was used before", "has its own"]);
    let folder = replayable();
    folder.write("more.jsonl", RUN);
    refused(&folder, &["more.jsonl"], &["more.jsonl, line 1: the run's `id` was used before"]);
    let again = edited(RUN, r#""n":2"#, r#""n":1"#);
    runs_refused(again, &["line 1: `events[4].n` is the number of an earlier call"]);
    let returned = edited(RUN, r#"{"kind":"say","text":"w"}"#, r#"{"kind":"result","n":0,"text":""}"#);
    runs_refused(returned, &["line 1: `events[2].n`", "has returned already"]);
    runs_refused(
        edited(RUN, r#""id":"a""#, r#""id":"a","id":"b""#),
        &["line 1: ", "same key twice; keep one"],
    );
    let tools = edited(REGISTRY, r#""send":{"#, r#""read":{},"send":{"#);
    registry_refused(tools, &["same key twice; keep one"]);
    policy_refused(
        "policy.toml",
        edited(POLICY, "version = 1", "mode = \"off\""),
        &["line 2: duplicate key"],
    );
    policy_refused("policy.json", r#"{"mode":"off","mode":"off"}"#, &["line 1: ", "same key twice"]);
}

#[test]
fn invalid_utf8() {
    let bad = |text: &str, from: &str| {
        let (before, after) = text.split_once(from).expect(from);
        [before.as_bytes(), b"\xff", after.as_bytes()].concat()
    };
    let named = "it is not UTF-8; save it as UTF-8";
    runs_refused([b"\n", &bad(RUN, "minutes")[..]].concat(), &["line 2: ", named]);
    registry_refused(bad(REGISTRY, "message"), &["line 5: ", named]);
    policy_refused("policy.toml", bad(POLICY, "enforce"), &["line 2: ", named]);
    policy_refused("policy.json", b"{\"mode\":\"\xff\"}", &["line 1: ", named]);
}

#[test]
fn lines_and_files_over_the_limit() {
    let long = "x".repeat(16 * MIB);
    runs_refused(format!("{RUN}\n{long}{RUN}\n"), &["line 2: the line is longer than 16 MiB; split the run"]);
    registry_refused(edited(REGISTRY, "\"d\"", &format!("\"{long}\"")), &["it is over 16 MiB"]);
    policy_refused("policy.toml", format!("{POLICY}# {long}"), &["it is over 16 MiB"]);
    policy_refused(
        "policy.toml",
        format!("{POLICY}# {}", &long[..MIB]),
        &["over 256 KiB; a policy is short"],
    );
}

#[test]
fn nesting_of_400_kilobytes() {
    for open in ["[", "{\"a\":"] {
        let deep = open.repeat(400_000 / open.len());
        let named = "nested over 128 levels deep; flatten it";
        runs_refused(edited(RUN, "{\"box\":1}", &deep), &["line 1: ", named]);
        registry_refused(edited(REGISTRY, "\"d\"", &deep), &["line 2: ", named]);
        policy_refused("policy.json", &deep[..200_000], &["line 1: ", named]);
        policy_refused("policy.json", &deep, &["over 256 KiB"]);
    }
    policy_refused("policy.toml", format!("mode = {}", "[".repeat(200_000)), &["line 1: "]);
}
