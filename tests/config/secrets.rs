//! A planted secret is in nothing that is printed.

use graft::config::{Config, ConfigBuilder, CredentialError, CredentialSource, keys};
use graft::core::Credential;

use crate::environment;

const CANARY: &str = "hunter2-canary";

fn clean(what: &str, text: String) {
    assert!(!text.contains(CANARY), "{what}: {text}");
}

/// Everything that can be printed of what comes out, good or bad.
fn nothing_gets_out(what: &str, builder: ConfigBuilder) {
    clean(what, format!("{builder:?}"));
    match builder.build() {
        Ok(config) => {
            clean(what, format!("{config:?} {config:#?}"));
            clean(what, format!("{} {:?}", config.explain(), config.explain()));
            clean(what, format!("{:?}", config.settings()));
            clean(
                what,
                format!("{:?} {:?}", config.credential(), config.credential().map(CredentialSource::load)),
            );
        }
        Err(error) => clean(what, format!("{error} {error:?} {error:#?} {:?}", error.key())),
    }
}

#[test]
fn a_secret_in_its_own_place_is_redacted_in_each_source() {
    let name = "GRAFT_CREDENTIAL";
    let file = format!("credential = \"{CANARY}\"");
    let all = Config::builder()
        .file("f", &*file)
        .environment(environment(&[(name, CANARY)]))
        .set("credential", CANARY);
    let by_reference = environment(&[(name, "env:GRAFT_TOKEN"), ("GRAFT_TOKEN", CANARY)]);
    for (what, builder) in [
        ("file", Config::builder().file("f", &*file)),
        ("environment", Config::builder().environment(environment(&[(name, CANARY)]))),
        ("code as text", Config::builder().set("credential", CANARY)),
        ("code", Config::builder().credential(CredentialSource::value(Credential::new(CANARY)))),
        ("all", all),
        ("variable", Config::builder().environment(by_reference.clone())),
    ] {
        nothing_gets_out(what, builder);
    }
    let config = Config::builder().environment(by_reference.clone()).build().unwrap();
    assert_eq!(config.credential().unwrap().load().unwrap().expose(), CANARY.as_bytes());
    clean("environment", format!("{by_reference:?}"));
    // A reference is a word too that somebody may have taken for the place of the secret itself.
    nothing_gets_out("name", Config::builder().set("credential", "env:hunter2_canary"));
    nothing_gets_out("path", Config::builder().set("credential", format!("file:/{CANARY}")));
}

#[test]
fn a_secret_in_a_wrong_place_is_in_no_error() {
    for key in keys().into_iter().filter(|key| !key.name.starts_with("tls.")) {
        let forms = [
            CANARY.to_owned(),
            format!("tcp://user:{CANARY}@a.example:1"),
            format!("wss://a.example/x?token={CANARY}"),
            format!("{CANARY}://a.example:1"),
            format!("10 {CANARY}"),
            format!("env:{CANARY}"),
        ];
        for form in forms {
            nothing_gets_out(&key.name, Config::builder().set(&*key.name, &*form));
            nothing_gets_out(
                &key.name,
                Config::builder().environment(environment(&[(&*key.variable, &*form)])),
            );
            nothing_gets_out(&key.name, Config::builder().file("f", format!("{} = \"{form}\"", key.name)));
            nothing_gets_out(&key.name, Config::builder().file("f", format!("{} = [\"{form}\"]", key.name)));
            nothing_gets_out(&key.name, Config::builder().file("f", format!("{} = {form}", key.name)));
        }
    }
    for text in [
        format!("{CANARY} = 1"),
        format!("\"{CANARY}\" = 1"),
        format!("[{CANARY}]"),
        format!("[{CANARY}.{CANARY}]\n{CANARY} = 1"),
        format!("[limits]\n{CANARY} = 1"),
        format!("[limits.max_frame.{CANARY}]"),
        format!("limits = \"{CANARY}\""),
        format!("credential: {CANARY}"),
        format!("credential = \"{CANARY}"),
        format!("credential = {CANARY}"),
        format!("credential = \"\\{CANARY}\""),
        format!("credential = \"{CANARY}\"\ncredential = \"{CANARY}\""),
        format!("\"{CANARY}\" = 1\n\"{CANARY}\" = 1"),
        format!("timeout = {{ {CANARY} = \"{CANARY}\" }}"),
        CANARY.to_owned(),
    ] {
        nothing_gets_out(&text, Config::builder().file("f", &*text));
    }
    nothing_gets_out("variable", Config::builder().environment(environment(&[("GRAFT_CREDENTAIL", CANARY)])));
    nothing_gets_out("key", Config::builder().set(CANARY, CANARY));
}

#[test]
fn a_credential_is_loaded_from_where_it_lies_or_refused_without_its_name() {
    let folder = std::env::temp_dir().join(format!("graft-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(CANARY);
    let load = |contents: &[u8]| {
        std::fs::write(&path, contents).unwrap();
        CredentialSource::file(&path).load()
    };
    for (contents, credential) in
        [("a b", "a b"), ("c\n", "c"), ("d\r\n", "d"), ("e\n\n", "e\n"), (" f\r", " f\r")]
    {
        assert_eq!(load(contents.as_bytes()).unwrap().expose(), credential.as_bytes());
    }
    assert_eq!(load(&[0xff, 0]).unwrap().expose(), [0xff, 0]);
    assert!(load(&[7; 8192]).is_ok());
    assert!(load(&[&[7; 8192][..], b"\r\n"].concat()).is_ok());
    let mut errors = vec![
        load(b"").unwrap_err(),
        load(b"\n").unwrap_err(),
        load(&[7; 8193]).unwrap_err(),
        load(&[7; 1 << 20]).unwrap_err(),
        CredentialSource::variable(CANARY).load().unwrap_err(),
    ];
    std::fs::remove_dir_all(&folder).unwrap();
    errors.push(CredentialSource::file(&path).load().unwrap_err());
    use CredentialError::{Empty, File, NoVariable, TooLong};
    assert!(matches!(errors[..], [Empty, Empty, TooLong, TooLong, NoVariable, File(_)]), "{errors:?}");
    for error in errors {
        clean("error", format!("{error} {error:?}"));
    }
    let empty = environment(&[("T", "")]);
    let config =
        Config::builder().environment(empty).credential(CredentialSource::variable("T")).build().unwrap();
    assert!(matches!(config.credential().unwrap().load(), Err(Empty)));
}
