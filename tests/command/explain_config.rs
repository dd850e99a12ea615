//! `graft explain-config`: the values that hold, and what is said of a configuration that is none.

use serde_json::Value;

use crate::common::{Ended, Folder};

const CANARY: &str = "hunter2-canary";

/// Runs the command with these environment variables alone.
fn explain(folder: &Folder, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = folder.command(&[&["explain-config"], arguments].concat());
    let output = command.env_clear().envs(variables.iter().copied()).output().expect("starts");
    Ended {
        status: output.status.code().expect("not killed"),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

fn folder(text: &str) -> Folder {
    let folder = Folder::new();
    folder.write("graft.toml", text);
    folder
}

#[test]
fn the_table_says_what_holds_and_why() {
    let folder = folder("endpoint = \"tcp://a.example:1\"\ntimeout = \"10 s\"\n");
    let ended = explain(&folder, &["--file", "graft.toml"], &[("GRAFT_TIMEOUT", "5s"), ("HOME", "/")]);
    assert_eq!((ended.status, &*ended.err), (0, ""));
    let row = |key: &str| {
        let line = ended.out.lines().find(|line| line.split(' ').next() == Some(key)).expect(key);
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(row("key"), ["key", "value", "source", "detail"]);
    assert_eq!(row("endpoint"), ["endpoint", "tcp://a.example:1", "file `graft.toml` line 1"]);
    let overrides = "overrides file `graft.toml` line 2";
    assert_eq!(row("timeout"), ["timeout", "5 s", "environment `GRAFT_TIMEOUT`", overrides]);
    assert_eq!(row("listen"), ["listen", "(not set)", "default"]);
    assert_eq!(row("project"), ["project", "unbound", "default"]);
    assert_eq!(row("limits.max_frame"), ["limits.max_frame", "4 MiB", "default"]);
}

#[test]
fn json_says_the_same() {
    let folder = folder("credential = \"x\"\ntimeout = \"10 s\"\n");
    let arguments = ["--file", "graft.toml", "--format", "json"];
    let ended = explain(&folder, &arguments, &[("GRAFT_TIMEOUT", "5s")]);
    let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(lines.len(), graft::config::keys().len());
    let line = |key: &str| lines.iter().find(|line| line["key"] == key).expect(key);
    let file = serde_json::json!({ "kind": "file", "name": "graft.toml", "line": 2 });
    assert_eq!(line("timeout")["value"], "5 s");
    assert_eq!(line("timeout")["source"]["name"], "GRAFT_TIMEOUT");
    assert_eq!(line("timeout")["overrides"], serde_json::json!([file]));
    assert_eq!(line("credential")["value"], "(set, redacted)");
    assert_eq!((&line("credential")["secret"], &line("listen")["value"]), (&Value::Bool(true), &Value::Null));
}

#[test]
fn no_secret_is_printed_from_any_source() {
    let folder = folder(&format!("credential = \"{CANARY}\"\n"));
    folder.write("secret", CANARY);
    folder.write("bad.toml", format!("credential = \"{CANARY}\ntimeout = \"{CANARY}\""));
    folder.write("worse.toml", format!("\"{CANARY}\" = 1"));
    for file in ["graft.toml", "bad.toml", "worse.toml"] {
        for variables in [
            &[][..],
            &[("GRAFT_CREDENTIAL", CANARY)],
            &[("GRAFT_CREDENTIAL", "file:secret")],
            &[("GRAFT_CREDENTIAL", "env:GRAFT_TOKEN"), ("GRAFT_TOKEN", CANARY)],
            &[("GRAFT_TOKEN", CANARY)],
            &[("GRAFT_ENDPOINT", "tcp://x:hunter2-canary@a.example:1")],
            &[("GRAFT_TIMEOUT", CANARY)],
        ] {
            for format in ["table", "json"] {
                let ended = explain(&folder, &["--file", file, "--format", format], variables);
                assert!(!ended.out.contains(CANARY) && !ended.err.contains(CANARY), "{file} {variables:?}");
            }
        }
    }
}

#[test]
fn what_is_no_configuration_is_refused_in_one_sentence() {
    let folder = folder("timeout = \"10 s\"\n");
    folder.write("bad.toml", "\n[limits]\nmax_frme = 1\n");
    folder.write("binary.toml", [0xff, 0xfe]);
    std::fs::create_dir(folder.path().join("folder")).expect("creates");
    for (file, variables, named) in [
        ("bad.toml", &[][..], "file `bad.toml` line 3: no such key; the nearest is `limits.max_frame`"),
        ("binary.toml", &[], "file `binary.toml`: it is not UTF-8"),
        ("folder", &[], "it is a folder"),
        ("gone.toml", &[], "it is not there"),
        ("graft.toml", &[("GRAFT_TIMEOTU", "1 s")], "environment `GRAFT_TIMEOTU`: no such key"),
        ("graft.toml", &[("GRAFT_TIMEOUT", "")], "environment `GRAFT_TIMEOUT`: `timeout` must be a duration"),
        ("graft.toml", &[("GRAFT_\u{1b}[2J", "")], "no such key"),
    ] {
        let ended = explain(&folder, &["--file", file], variables);
        assert_eq!((ended.status, &*ended.out), (2, ""), "{named}");
        assert!(ended.sentence().contains(named), "{}", ended.err);
    }
}
