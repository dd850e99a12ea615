//! Default, file, environment, code.

use std::path::PathBuf;
use std::time::Duration;

use graft::config::{Config, CredentialSource, Source, keys};
use graft::dataflow::DataFlowMode;
use graft::{Endpoint, Limits};

use crate::environment;

/// Three values of a key that differ from each other and from its default.
fn samples(key: &str) -> [&'static str; 3] {
    match key {
        "endpoint" | "listen" => ["tcp://a.example:1", "unix:/b", "wss://c.example:3/"],
        "credential" => ["from-the-file", "from-the-environment", "from-code"],
        "tls.roots" | "tls.certificate" | "tls.key" => ["a.pem", "b.pem", "c.pem"],
        "retry.budget" => ["1 %", "2 %", "3 %"],
        "credential_in_clear" => ["true", "false", "true"],
        "retry.attempts" => ["11", "12", "13"],
        // Another mode than the default there are only two of.
        "dataflow.mode" => ["enforce", "shadow", "enforce"],
        "project" => ["unbound", "unbound", "unbound"],
        _ if key.ends_with("backoff_max") => ["101 s", "102 s", "103 s"],
        _ if ["timeout", "backoff_min", "lease", "keepalive"].iter().any(|end| key.ends_with(end)) => {
            ["1 ms", "2 ms", "3 ms"]
        }
        _ => ["1", "2", "3"],
    }
}

/// A line for a key in a file.
fn line(key: &str, value: &str) -> String {
    format!("{key} = \"{value}\"\n")
}

#[test]
fn for_every_key_and_every_set_of_sources_the_last_one_wins_and_names_the_others() {
    for key in keys() {
        let values = samples(&key.name);
        for present in 0..8_u8 {
            let [in_file, in_environment, in_code] = [1, 2, 4].map(|bit| present & bit != 0);
            let mut builder = Config::builder();
            let mut sources = vec![Source::Default];
            let mut shown = vec![key.default.clone()];
            if in_code {
                builder = builder.set(&*key.name, values[2]);
            }
            if in_environment {
                builder = builder.environment(environment(&[(&*key.variable, values[1])]));
                sources.push(Source::Environment(key.variable.clone()));
                shown.push(Some(values[1].to_owned()));
            }
            if in_file {
                builder = builder.file("graft.toml", format!("\n{}", line(&key.name, values[0])));
                sources.insert(1, Source::File { name: "graft.toml".to_owned(), line: Some(2) });
                shown.insert(1, Some(values[0].to_owned()));
            }
            if in_code {
                sources.push(Source::Code);
                shown.push(Some(values[2].to_owned()));
            }
            // The other half of an identity.
            builder = match &*key.name {
                "tls.certificate" if present != 0 => builder.set("tls.key", "k"),
                "tls.key" if present != 0 => builder.set("tls.certificate", "c"),
                _ => builder,
            };
            let config = builder.build().unwrap_or_else(|error| panic!("{} {present}: {error}", key.name));
            let setting = config.settings().iter().find(|setting| setting.key == key.name).unwrap();
            assert_eq!(Some(&setting.source), sources.last(), "{} {present}", key.name);
            let others: Vec<_> = sources.iter().skip(1).rev().skip(1).cloned().collect();
            assert_eq!(setting.overrides, others, "{} {present}", key.name);
            let value = setting.value.clone().map(|value| value.trim_end_matches(" B").to_owned());
            match key.secret {
                true => assert_eq!(value.is_some(), present != 0),
                false if present == 0 => assert_eq!(setting.value, key.default),
                false => assert_eq!(Some(&value), shown.last(), "{} {present}", key.name),
            }
        }
    }
}

#[test]
fn what_is_explained_is_what_the_typed_readers_give() {
    let file = "endpoint = 'tls://a.example:1'\nlisten = 'ws://[::]:0/x'\ncredential = 'c'\n\
        credential_in_clear = true\ntimeout = '1 min'\n\
        project = 'unbound'\n\
        [tls]\nroots = 'r'\ncertificate = 'c'\nkey = 'k'\n\
        [retry]\nattempts = 5\nbudget = '7%'\nbackoff_min = '1 s'\nbackoff_max = '1 s'\n\
        [reconnect]\nbackoff_min = '2 s'\nbackoff_max = '3 s'\n\
        [dataflow]\nmode = 'shadow'\n\
        [limits]\nmax_frame = '64 KiB'\nmax_in_flight = 0x10\nmax_buffered = 1_000\nidle_timeout = '1 h'\n";
    let config = Config::builder().file("f", file).build().unwrap();
    assert_eq!(config.endpoint().to_string(), "tls://a.example:1");
    assert_eq!(config.listen().map(Endpoint::to_string).as_deref(), Some("ws://[::]:0/x"));
    assert_eq!(config.credential().unwrap().load().unwrap().expose(), b"c");
    assert!(config.credential_in_clear());
    assert_eq!(config.timeout(), Duration::from_secs(60));
    let tls = config.tls();
    assert_eq!((tls.roots, tls.identity), (Some("r".as_ref()), Some(("c".as_ref(), "k".as_ref()))));
    let (retry, reconnect) = (config.retry(), config.reconnect());
    assert_eq!((retry.attempts, retry.percent), (5, 7));
    assert_eq!((retry.backoff.min, retry.backoff.max), (Duration::from_secs(1), Duration::from_secs(1)));
    assert_eq!((reconnect.min, reconnect.max), (Duration::from_secs(2), Duration::from_secs(3)));
    assert_eq!(config.dataflow_mode(), DataFlowMode::Shadow);
    let limits = Limits::default().with_max_frame(65_536).with_max_in_flight(16).with_max_buffered(1000);
    assert_eq!(*config.limits(), limits.with_idle_timeout(Duration::from_secs(3600)));
}

#[test]
fn code_pins_limits_all_at_once_and_what_is_to_stay_unset() {
    let limits = Limits::default().with_max_in_flight(7);
    let config = Config::builder()
        .environment(environment(&[("GRAFT_LISTEN", "tcp://a.example:1"), ("GRAFT_LIMITS_MAX_FRAME", "1 B")]))
        .limits(limits)
        .listen(None)
        .credential(CredentialSource::file("f"))
        .build()
        .unwrap();
    assert_eq!((config.listen(), *config.limits()), (None, limits));
    let listen = config.settings().iter().find(|setting| setting.key == "listen").unwrap();
    assert_eq!((&listen.value, &listen.source), (&None, &Source::Code));
}

#[test]
fn a_key_may_be_spelled_in_each_way_that_toml_has() {
    for file in [
        "[limits]\nmax_frame = \"1 KiB\"",
        "limits.max_frame = \"1 KiB\"",
        "limits = { max_frame = \"1 KiB\" }",
        "\"limits\".'max_frame' = 1024",
    ] {
        let config = Config::builder().file("f", file).build().unwrap();
        assert_eq!(config.limits().max_frame(), 1024, "{file}");
    }
}

#[test]
fn variables_that_are_not_meant_are_passed_over() {
    let variables = [
        ("PATH", "/bin"),
        ("GRAFT", "x"),
        ("graft_timeout", "x"),
        ("GRAFT_SERVICE_HOST", "10.0.0.1"),
        ("GRAFT_PORT", "tcp://10.0.0.1:80"),
        ("GRAFT_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("GRAFT_TOKEN", "t"),
        ("GRAFT_CREDENTIAL", "env:GRAFT_TOKEN"),
    ];
    let config = Config::builder().environment(environment(&variables)).build().unwrap();
    assert_eq!(config.credential().unwrap().load().unwrap().expose(), b"t");
    assert_eq!(config.timeout(), Duration::from_secs(30));
}

#[test]
fn the_explanation_is_a_table() {
    let config = Config::builder()
        .file("graft.toml", "timeout = \"10 s\"\ncredential = \"x\"\n")
        .environment(environment(&[("GRAFT_TIMEOUT", "5s")]))
        .timeout(Duration::from_secs(1))
        .tls_roots(PathBuf::from("a\u{1b}[2J"))
        .build()
        .unwrap();
    let table = config.explain().to_string();
    let row = |key: &str| table.lines().find(|line| line.starts_with(key)).unwrap();
    assert!(table.starts_with("key  "));
    assert_eq!(table.lines().count(), 1 + keys().len());
    let detail = "overrides environment `GRAFT_TIMEOUT`, file `graft.toml` line 1";
    assert!(row("timeout ").contains(" 1 s ") && row("timeout ").ends_with(detail), "{table}");
    assert!(row("timeout ").contains(" code "));
    assert!(row("credential").contains("(set, redacted)") && row("credential").ends_with("given in place"));
    assert!(row("listen").contains("(not set)"));
    assert!(row("tls.roots").contains("a\\u{1b}[2J"));
}
