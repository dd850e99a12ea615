//! Each thing that is refused, in each source that can say it.

use std::ffi::OsString;

use graft::config::{Config, ConfigBuilder, ConfigError, ConfigErrorKind, MAX_FILE, Source, keys};
use graft::{Endpoint, Limits};
use proptest::prelude::*;

use crate::environment;

fn refused(builder: ConfigBuilder) -> ConfigError {
    let error = builder.build().expect_err("refused");
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

fn in_file(text: &str) -> ConfigError {
    refused(Config::builder().file("graft.toml", text))
}

fn in_environment(name: &str, value: &str) -> ConfigError {
    refused(Config::builder().environment(environment(&[(name, value)])))
}

fn line_of(error: &ConfigError) -> Option<usize> {
    match error.place() {
        Source::File { name, line } if name == "graft.toml" => *line,
        other => panic!("{other}"),
    }
}

#[test]
fn mistakes_in_a_file_are_named_with_their_line() {
    use ConfigErrorKind::*;
    for (text, kind, line, key) in [
        ("timeot = '1 s'", UnknownKey, 1, Some("timeout")),
        ("\n[limits]\nmax_frme = 1", UnknownKey, 3, Some("limits.max_frame")),
        ("[limit]", UnknownKey, 1, Some("listen")),
        ("[limit]\nmax_frame = 1", UnknownKey, 1, Some("limits.max_frame")),
        ("[tls.keys]\nx = 1", UnknownKey, 1, Some("tls.key")),
        ("max_frame = 1", UnknownKey, 1, Some("limits.max_frame")),
        ("\"\" = 1", UnknownKey, 1, Some("listen")),
        ("timeout = '1 s'\ntimeout = '1 s'", RepeatedKey, 2, None),
        ("[tls]\n[tls]", RepeatedKey, 2, None),
        ("limits.max_frame = 1\n[limits]\nmax_frame = 1", RepeatedKey, 2, None),
        ("[limits]\nmax_frame = 1\n[tls]\nkey = 'k'\n[limits]", RepeatedKey, 5, None),
        ("'limits.max_frame' = 1\n[limits]\nmax_frame = 1", RepeatedKey, 3, Some("limits.max_frame")),
        ("timeout", NotToml, 1, None),
        ("\ntimeout = 1 s", NotToml, 2, None),
        ("\n\n[limits", NotToml, 3, None),
        ("timeout = 10", BadValue, 1, Some("timeout")),
        ("limits = 1", BadValue, 1, Some("limits")),
        ("[[limits]]", BadValue, 1, Some("limits")),
        ("[timeout]\nx = 1", BadValue, 1, Some("timeout")),
        ("\ntimeout = ['1 s']", BadValue, 2, Some("timeout")),
        ("timeout = true", BadValue, 1, Some("timeout")),
        ("timeout = 2026-01-01", BadValue, 1, Some("timeout")),
        ("retry.attempts = 1.5", BadValue, 1, Some("retry.attempts")),
        ("retry.attempts = -1", BadValue, 1, Some("retry.attempts")),
        ("retry.attempts = 99999999999999999999", BadValue, 1, Some("retry.attempts")),
    ] {
        let error = in_file(text);
        assert_eq!((error.kind(), line_of(&error), error.key()), (kind, Some(line), key), "{text}: {error}");
    }
}

#[test]
fn every_key_refuses_what_it_does_not_take_in_each_source_and_says_what_it_takes() {
    for key in keys() {
        let bad: &[&str] = match &*key.name {
            name if name.starts_with("tls.") => &["", "a\0", "-----BEGIN PRIVATE KEY----- x", "a\nb"],
            "credential" => &["", "env:", "env:A B", "file:"],
            "endpoint" | "listen" => &["", "a.example:1", "tcp://a.example", "tcp://u:p@a.example:1"],
            _ => &["", "x", "-1", "1 MB", "4 x", "101 %", "99999999999999999999 d"],
        };
        for bad in bad {
            let (takes, place) = (key.takes, Source::Environment(key.variable.clone()));
            let errors = [
                in_environment(&key.variable, bad),
                in_file(&format!("{} = \"{}\"", key.name, bad.replace('\0', "\\u0000").replace('\n', "\\n"))),
                refused(Config::builder().set(&*key.name, *bad)),
            ];
            for error in &errors {
                assert_eq!(error.kind(), ConfigErrorKind::BadValue, "{} {bad}", key.name);
                assert_eq!(error.key(), Some(&*key.name));
                let start = format!("{}: `{}` must be {takes}", error.place(), key.name);
                assert!(error.to_string().starts_with(&start), "{error}");
            }
            assert_eq!((errors[0].place(), errors[2].place()), (&place, &Source::Code));
            assert_eq!(line_of(&errors[1]), Some(1));
        }
    }
}

#[test]
fn a_limit_says_when_a_number_is_only_too_large() {
    let error = in_environment("GRAFT_LIMITS_MAX_FRAME", "4 GiB").to_string();
    assert!(error.ends_with("this is more than the limit can be"), "{error}");
    let error = in_environment("GRAFT_LIMITS_MAX_IN_FLIGHT", "4 KiB").to_string();
    assert!(error.ends_with("`limits.max_in_flight` must be a whole number"), "{error}");
}

#[test]
fn mistakes_in_the_environment_are_named_by_their_variable() {
    for (name, nearest) in [
        ("GRAFT_TIMEOTU", "GRAFT_TIMEOUT"),
        ("GRAFT_LIMITS_MAX_FRAMES", "GRAFT_LIMITS_MAX_FRAME"),
        ("GRAFT_TLS_ROOT", "GRAFT_TLS_ROOTS"),
        ("GRAFT_", "GRAFT_LISTEN"),
    ] {
        let error = in_environment(name, "hunter2");
        assert_eq!(error.kind(), ConfigErrorKind::UnknownKey);
        let text = format!("environment `{name}`: no such key; the nearest is `{nearest}`");
        assert_eq!(error.to_string(), text);
    }
    let twice = environment(&[("GRAFT_TIMEOUT", "1 s"), ("GRAFT_TIMEOUT", "1 s")]);
    let error = refused(Config::builder().environment(twice));
    assert_eq!((error.kind(), error.key()), (ConfigErrorKind::RepeatedKey, Some("timeout")));
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text_are_refused_without_panic() {
    use std::os::unix::ffi::OsStringExt;
    let bytes = || OsString::from_vec(vec![b'a', 0xff]);
    for key in keys() {
        let variables = [(OsString::from(&key.variable), bytes())].into_iter().collect();
        let error = refused(Config::builder().environment(variables));
        assert_eq!((error.kind(), error.key()), (ConfigErrorKind::BadValue, Some(&*key.name)));
    }
    let name = OsString::from_vec(b"GRAFT_\xff\n".to_vec());
    let error = refused(Config::builder().environment([(name, bytes())].into_iter().collect()));
    assert_eq!(error.kind(), ConfigErrorKind::UnknownKey);
}

#[test]
fn mistakes_in_code_are_refused_too() {
    let error = refused(Config::builder().set("timeot", "1 s"));
    assert_eq!(error.to_string(), "code: no such key; the nearest is `timeout`");
    for builder in [
        Config::builder().set("timeout", "1 s").set("timeout", "1 s"),
        Config::builder().set("project", "unbound").project(Default::default()),
        Config::builder().set("limits.max_frame", "1 B").limits(Limits::default()),
    ] {
        assert_eq!(refused(builder).kind(), ConfigErrorKind::RepeatedKey);
    }
}

#[test]
fn a_mistake_is_one_even_where_another_source_overrides_it() {
    let builder = Config::builder()
        .file("graft.toml", "timeout = 'soon'")
        .environment(environment(&[("GRAFT_TIMEOUT", "1 s")]))
        .set("timeout", "1 s");
    assert_eq!(line_of(&refused(builder)), Some(1));
    let builder =
        Config::builder().environment(environment(&[("GRAFT_TIMEOUT", "soon")])).set("timeout", "1 s");
    assert_eq!(*refused(builder).place(), Source::Environment("GRAFT_TIMEOUT".to_owned()));
}

#[test]
fn values_that_do_not_go_together_are_refused_at_the_one_that_holds() {
    for (builder, key) in [
        (Config::builder().set("endpoint", "tcp://a.example:0"), "endpoint"),
        (Config::builder().endpoint("wss://a.example:0/".parse().unwrap()), "endpoint"),
        (Config::builder().listen(Endpoint::Local), "listen"),
        (Config::builder().set("tls.certificate", "c"), "tls.certificate"),
        (Config::builder().set("tls.key", "k"), "tls.key"),
        (Config::builder().retry_attempts(0), "retry.attempts"),
        (Config::builder().set("retry.backoff_min", "3 s"), "retry.backoff_min"),
        (Config::builder().set("reconnect.backoff_min", "31 s"), "reconnect.backoff_min"),
    ] {
        let error = refused(builder);
        assert_eq!((error.kind(), error.key()), (ConfigErrorKind::BadValue, Some(key)));
        assert_eq!(*error.place(), Source::Code, "{error}");
    }
    // It is the default of the least that is at fault with the most from the file.
    let error = refused(Config::builder().file("f", "retry.backoff_max = '1 ms'"));
    assert_eq!(error.to_string(), "default: `retry.backoff_min` must be at most `retry.backoff_max`");
}

#[test]
fn files_that_are_too_long_or_not_there_are_refused() {
    let long = format!("#{}", "x".repeat(MAX_FILE));
    assert_eq!(in_file(&long).kind(), ConfigErrorKind::Unreadable);
    assert!(Config::builder().file("f", &long[..MAX_FILE]).build().is_ok());
    let folder = env!("CARGO_MANIFEST_DIR");
    for (path, why) in [("no/such/file", "it is not there"), (folder, "it is a folder")] {
        let error = Config::builder().read_file(path).expect_err(path);
        assert_eq!(error.kind(), ConfigErrorKind::Unreadable);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn hostile_files_are_refused_and_not_stumbled_over() {
    for text in [
        format!("{}x = 1", "a.".repeat(30_000)),
        format!("timeout = {}", "[".repeat(60_000)),
        format!("timeout = {}", "{a=".repeat(20_000)),
        "limits = {".to_owned(),
        "[limits]\n\u{0}".to_owned(),
        "\u{feff}timeout = 1".to_owned(),
    ] {
        in_file(&text);
    }
}

proptest! {
    #[test]
    fn no_text_is_stumbled_over(
        text in "((\\[{0,2}|\")(timeout|limits|tls|max_frame|retry|x)(\\.|\"|]{0,2})?( ?= ?|\n)?(\\PC{0,3}|'1 s'|[0-9a-z+_-]{1,5})\n?){0,6}",
    ) {
        if let Err(error) = Config::builder().file("graft.toml", text).build() {
            prop_assert!(line_of(&error).is_some());
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
