//! `graft audit tail`, `show`, `query` and `export`, and what is asked of them.

use serde_json::Value;

use crate::audit::{SEGMENT, bytes, logged, record_at};
use crate::common::Folder;

const LOG: [&str; 4] = ["--log", "log", "--key", "key"];

/// The command over the log of the folder, and what else it is told.
fn over<'a>(command: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["audit", command][..], &LOG, rest].concat()
}

/// The sequence numbers of the records that a command prints as JSON.
fn numbers(folder: &Folder, command: &str, rest: &[&str]) -> Vec<u64> {
    let out = folder.succeeds(&over(command, &[&["--format", "json"], rest].concat())).out;
    let line =
        |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["seq"].as_u64().expect("a number");
    out.lines().map(line).collect()
}

/// The second record does not verify.
fn damaged(records: u64) -> Folder {
    let folder = logged(records);
    let mut bytes = bytes(&folder);
    let at = record_at(&bytes, 1) + 95;
    bytes[at] ^= 1;
    folder.write(SEGMENT, bytes);
    folder
}

#[test]
fn a_query_prints_what_agrees_with_everything_that_is_given() {
    let folder = logged(6);
    for (asked, expected) in [
        (&["--actor", "agent:*"][..], &[0, 1, 2, 3, 4, 5][..]),
        (&["--actor", "agent"], &[]),
        (&["--action", "tool:dataflow:blocked"], &[1, 3, 5]),
        (&["--action", "run:*", "--target", "AZaz*"], &[0, 2, 4]),
        (&["--decision", "block", "--call", "3"], &[3]),
        (&["--decision", "ask"], &[]),
        (&["--ending", "denied", "--run", "abab"], &[1, 3, 5]),
        (&["--run", "abac"], &[]),
        (&["--trace", "08080808080808080808080808080808", "--limit", "2"], &[1, 3]),
        (&["--from", "2023-11-14T22:13:22Z", "--until", "2023-11-14T22:13:25+00:00"], &[2, 3, 4]),
        (&["--from", "2024-01-01"], &[]),
        (&["--until", "2023-11-14T23:13:21.2+01:00"], &[0, 1]),
    ] {
        assert_eq!(numbers(&folder, "query", asked), expected, "{asked:?}");
        if !asked.contains(&"--limit") {
            assert_eq!(numbers(&folder, "list", asked), expected, "{asked:?}");
            assert_eq!(numbers(&folder, "tail", asked), expected, "{asked:?}");
        }
    }
    folder.refuses(&over("query", &[]), &["nothing is asked for", "--actor NAME", "`list`"]);
}

#[test]
fn what_cannot_be_asked_is_refused_with_what_was_meant() {
    let folder = logged(1);
    for (asked, named) in [
        (["--action", "tool:dataflow:block"], "the nearest is `tool:dataflow:blocked`"),
        (["--action", "tool:excute:*"], "the nearest is `tool:execute:"),
        (["--actor", "a b"], "a name is 1 to 128 bytes"),
        (["--decision", "maybe"], "possible values: allow, flag, declassify, ask, block"),
        (["--ending", "well"], "possible values: pending, ok, denied, failed"),
        (["--run", "xyz"], "an id is 32 hexadecimal digits"),
        (["--call", "x"], "--call"),
        (["--from", "yesterday"], "a time is a date, such as 2026-01-31"),
    ] {
        for command in ["list", "tail", "query", "export"] {
            let ended = folder.graft(&over(command, &asked));
            assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{command} {asked:?}");
            assert!(ended.err.contains(named), "{command} {asked:?}: {}", ended.err);
        }
    }
}

#[test]
fn the_tail_is_the_end_of_the_list() {
    let folder = logged(30);
    assert_eq!(numbers(&folder, "tail", &[]), (20..30).collect::<Vec<_>>());
    assert_eq!(numbers(&folder, "tail", &["-n", "3"]), [27, 28, 29]);
    assert_eq!(numbers(&folder, "tail", &["-n", "100"]), (0..30).collect::<Vec<_>>());
    assert_eq!(numbers(&folder, "tail", &["-n", "2", "--action", "run:begin"]), [26, 28]);
    let (list, tail) =
        (folder.succeeds(&over("list", &[])).out, folder.succeeds(&over("tail", &["-n", "1"])).out);
    assert_eq!(tail.lines().last(), list.lines().last());
    assert_eq!(tail.lines().next(), list.lines().next());
    let ended = folder.graft(&over("tail", &["-n", "100001"]));
    assert_eq!((ended.status, ended.out.as_str()), (2, ""));
}

#[test]
fn one_record_is_shown_with_everything_in_it() {
    let folder = logged(4);
    let out = folder.succeeds(&over("show", &["3"])).out;
    let shown: Vec<(&str, &str)> = out
        .lines()
        .map(|line| line.split_once(' ').expect("two columns"))
        .map(|(a, b)| (a, b.trim()))
        .collect();
    let (run, trace, policy) = ("ab".repeat(16), "08".repeat(16), "07".repeat(32));
    for pair in [
        ("seq", "3"),
        ("time", "2023-11-14T22:13:23.123456789Z"),
        ("action", "tool:dataflow:blocked"),
        ("run", &run),
        ("trace", &trace),
        ("policy", &policy),
        ("intent", "2"),
        ("signals", "untrusted-to-sink,untrusted-authority"),
    ] {
        assert!(shown.contains(&pair), "{pair:?}: {out}");
    }
    assert_eq!(numbers(&folder, "show", &["3"]), [3]);
    let list = folder.succeeds(&over("list", &["--format", "json"])).out;
    assert_eq!(
        list.lines().nth(3),
        folder.succeeds(&over("show", &["3", "--format", "json"])).out.lines().next()
    );
    folder
        .refuses(&over("show", &["4"]), &["log: it has 4 records, numbered from 0, and none with number 4"]);
    assert_eq!(folder.graft(&over("show", &["x"])).status, 2);
}

#[test]
fn an_export_leaves_out_what_is_withheld_and_says_so() {
    let folder = logged(4);
    let all = folder.succeeds(&over("export", &[])).out;
    assert_eq!(all, folder.succeeds(&over("list", &["--format", "json"])).out);
    let out = folder.succeeds(&over("export", &["--withhold", "actor,target", "--withhold", "run"])).out;
    for (all, line) in all.lines().zip(out.lines()) {
        let mut all: Value = serde_json::from_str(all).expect("JSON");
        let line: Value = serde_json::from_str(line).expect("JSON");
        for withheld in ["actor", "target", "run"] {
            all.as_object_mut().expect("an object").remove(withheld);
        }
        all["withheld"] = serde_json::json!(["actor", "target", "run"]);
        assert_eq!(line, all);
    }
    assert!(!out.contains("agent:7") && !out.contains("AZaz") && !out.contains("abab"), "{out}");
    assert_eq!(out.lines().count(), 4);
    let ended = folder.graft(&over("export", &["--withhold", "leaf"]));
    assert_eq!(ended.status, 2);
    assert!(ended.err.contains("what can be withheld is time, actor"), "{}", ended.err);
}

#[test]
fn a_report_is_a_page_that_says_what_it_was_made_from() {
    let folder = logged(6);
    let page = folder.succeeds(&over("report", &[])).out;
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
    for told in [
        "agent:7",
        "Bank.send_money",
        "6 good records",
        graft::audit::NO_ANCHOR,
        "This log is as it was written",
    ] {
        assert!(page.contains(told), "{told}");
    }
    let some = folder.succeeds(&over("report", &["--action", "run:begin"])).out;
    assert!(
        !some.contains("Bank.send_money") && some.contains("that were asked for, and of no others"),
        "{some}"
    );
    let head = graft::audit::Verifier::new().verify(folder.path().join("log")).expect("reads");
    let anchor = graft::audit::FileAnchor::new(folder.path().join("anchor"));
    let id = head.log.expect("a log");
    graft::audit::Anchor::advance(&anchor, None, &graft::audit::Anchored { log: id, head: head.head })
        .expect("is written");
    let held = folder.succeeds(&over("report", &["--anchor", "anchor"])).out;
    assert!(held.contains("it extends the state of 6 records that was kept elsewhere"), "{held}");
    assert!(!held.contains(graft::audit::NO_ANCHOR));
}

#[test]
fn a_damaged_log_is_told_as_far_as_it_verifies_and_marked() {
    let folder = damaged(6);
    for (command, rest) in [("list", &[][..]), ("tail", &[]), ("query", &["--actor", "*"]), ("export", &[])] {
        let ended = folder.graft(&over(command, rest));
        assert_eq!(ended.status, 1, "{command}: {}", ended.out);
        assert!(ended.sentence().contains("log: the log does not verify from "), "{command}: {}", ended.err);
        let mark = if command == "export" { r#""intact":false"# } else { "-- not intact: " };
        assert!(ended.out.contains(mark), "{command}: {}", ended.out);
        assert!(ended.out.contains("AZaz09._-:/@"), "{command}: the good records are not there");
    }
    assert_eq!(folder.graft(&over("show", &["0"])).status, 0);
    assert_eq!(folder.graft(&over("show", &["1"])).status, 1);
    let ended = folder.graft(&over("report", &[]));
    assert!(ended.status == 1 && ended.out.contains("This log does not verify"), "{}", ended.out);
}

#[test]
fn nothing_is_coloured_where_nobody_watches() {
    let folder = logged(4);
    for command in ["list", "tail"] {
        assert!(!folder.succeeds(&over(command, &[])).out.contains('\x1b'), "{command}");
    }
}

#[test]
fn logs_and_keys_that_are_none_are_refused_by_each_command() {
    let folder = logged(1);
    let commands =
        [("list", &[][..]), ("tail", &[]), ("query", &["--actor", "*"]), ("show", &["0"]), ("export", &[])];
    let all = |named: &[&str]| {
        for (command, rest) in commands {
            folder.refuses(&over(command, rest), named);
        }
        folder.refuses(&over("report", &[]), named);
    };
    let (log, key) = (bytes(&folder), folder.read("key"));
    folder.write(SEGMENT, "plain text".repeat(10));
    all(&["log: the header at byte 0 of segment 0 does not begin with `graftlog`"]);
    std::fs::remove_file(folder.path().join(SEGMENT)).expect("removes");
    all(&["log: there is no log, or no folder for one, at this place; check the path"]);
    folder.write(SEGMENT, log);
    folder.write_private("key", "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1ff\n");
    all(&["log: this key is not the key of this log"]);
    folder.write_private("key", key);
    folder.succeeds(&over("list", &[]));
}

#[test]
#[cfg(unix)]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = logged(1);
    for mode in [0o640, 0o604, 0o644, 0o660] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path().join("key"), permissions).expect("it is ours");
        for command in ["list", "tail", "export", "verify"] {
            folder.refuses(
                &over(command, &[]),
                &["key: others than its owner may use this key", "`chmod 600`"],
            );
        }
    }
}

#[test]
fn a_second_key_is_tried_where_the_first_does_not_fit() {
    let folder = logged(2);
    folder.write_private("other", "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1ff\n");
    for first in ["other", "key"] {
        let second = if first == "key" { "other" } else { "key" };
        let ended = folder.succeeds(&[
            "audit", "list", "--log", "log", "--key", first, "--key", second, "--format", "json",
        ]);
        assert_eq!(ended.out.lines().count(), 2);
        folder.succeeds(&["audit", "verify", "--log", "log", "--key", first, "--key", second]);
    }
}

#[test]
fn every_command_says_what_it_does() {
    let folder = Folder::new();
    for command in
        ["list", "tail", "show", "query", "verify", "export", "checkpoint", "rotate-key", "prune", "index"]
    {
        let out = folder.succeeds(&["audit", command, "--help"]).out;
        assert!(out.contains("Usage: graft audit") && out.contains("Exit status: "), "{command}: {out}");
        assert!(out.contains("--log <") && out.contains("--key <"), "{command}: {out}");
    }
}
