use proptest::prelude::*;

use super::*;
use crate::tree::TreeHash;

// A checkpoint of a public log of certificates, for tests, with the cosignatures of public witnesses: lines of
// type 5 (of the same name), 1 and 4. The log's key as it publishes it.
pub(crate) const ARCHE: &str =
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
pub(crate) const ARCHE_NOTE: &str = "arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
";

pub(crate) fn seed(number: u8) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest([number]).into()
}

pub(crate) fn signer(name: &str, number: u8) -> AuditSigner {
    AuditSigner::new(name.parse().expect("a name"), &seed(number)).expect("random")
}

fn head() -> TreeHead {
    TreeHead { size: 1234, root: TreeHash([0xab; 32]) }
}

/// A note that is signed rightly, whatever its text is.
fn signed(text: &str, signer: &AuditSigner) -> String {
    let line = SignatureLine::new(signer.0.verifier(), signer.0.sign(text.as_bytes()).to_vec());
    UnverifiedNote::new(text.to_owned(), line).to_string()
}

#[test]
fn a_public_logs_checkpoint_is_read_and_verified() {
    let log: AuditVerifier = ARCHE.parse().expect("a key");
    let unverified = UnverifiedCheckpoint::parse(ARCHE_NOTE).expect("a checkpoint");
    assert_eq!(unverified.claimed_origin(), log.name());
    let checkpoint = unverified.verify(&log).expect("signed");
    assert_eq!(checkpoint.head().size, 1_432_088_532);
    assert_eq!(checkpoint.to_string(), ARCHE_NOTE);
    assert_eq!(log.to_string(), ARCHE);
}

#[test]
fn what_is_signed_is_read_and_verified() {
    let log = signer("example.com/log", 1);
    for extensions in [&[][..], &["epoch 7"], &["ä", " a space", "— not a signature"], &["x"; MAX_EXTENSIONS]]
    {
        let made = log.sign(&head(), extensions).expect("sound extensions");
        let read = UnverifiedCheckpoint::parse(made.to_string()).expect("a checkpoint");
        let read = read.verify(&log.verifier()).expect("signed");
        assert_eq!((&read, read.head(), read.origin()), (&made, head(), log.verifier().name()));
        assert_eq!(read.extensions().collect::<Vec<_>>(), extensions);
    }
    let text = log.sign(&head(), &[]).expect("no extensions").to_string();
    assert!(text.starts_with(
        "example.com/log\n1234\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n\n— example.com/log "
    ));
}

#[test]
fn what_is_no_line_is_not_signed() {
    let log = signer("example.com/log", 1);
    for extensions in
        [&[""][..], &["a\nb"], &["a\rb"], &["x"; MAX_EXTENSIONS + 1], &["x".repeat(1025).as_str()]]
    {
        assert_eq!(log.sign(&head(), extensions).err(), Some(CheckpointError::Extension));
    }
    let large = TreeHead { size: 1 << 63, ..head() };
    assert_eq!(log.sign(&large, &[]).err(), Some(CheckpointError::TooLarge));
}

#[test]
fn the_wrong_key_origin_or_signature_is_refused() {
    let (log, other) = (signer("example.com/log", 1), signer("example.com/other", 1));
    let text = log.sign(&head(), &[]).expect("no extensions").to_string();
    let verify = |text: &str, log: &AuditSigner| {
        UnverifiedCheckpoint::parse(text).and_then(|read| read.verify(&log.verifier())).err()
    };
    assert_eq!(verify(&text, &log), None);
    assert_eq!(verify(&text, &other), Some(CheckpointError::WrongOrigin));
    assert_eq!(verify(&text, &signer("example.com/log", 2)), Some(CheckpointError::NotSigned));
    // Renamed, with its signature and with one of the other's.
    let renamed = text.replacen("/log", "/other", 1);
    assert_eq!(verify(&renamed, &other), Some(CheckpointError::NotSigned));
    assert_eq!(verify(&text.replace("/log", "/other"), &other), Some(CheckpointError::NotSigned));
    let body = "example.com/log\n1234\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n";
    assert_eq!(verify(&signed(body, &other), &log), Some(CheckpointError::NotSigned));
    assert_eq!(verify(&signed(body, &log), &log), None);
    assert_eq!(verify(&text.replacen("1234", "1235", 1), &log), Some(CheckpointError::Forged));
    // One good signature does not excuse a wrong one of the same key.
    let line = text.lines().last().expect("a line");
    let elsewhere = log.sign(&TreeHead { size: 1, ..head() }, &[]).expect("no extensions").to_string();
    let both = format!("{text}{}\n", elsewhere.lines().last().expect("a line"));
    assert_eq!(verify(&both, &log), Some(CheckpointError::Forged));
    assert_eq!(verify(&format!("{text}{line}\n"), &log), None);
}

#[test]
fn signed_notes_that_are_no_checkpoints_are_refused_by_name() {
    let log = signer("log", 1);
    let root = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=";
    for (what, body) in [
        ("no lines", "\n".to_owned()),
        ("no root", "log\n12\n".to_owned()),
        ("no origin", format!("\n12\n{root}\n")),
        ("origin with spaces", format!("my log\n12\n{root}\n")),
        ("leading zero", format!("log\n012\n{root}\n")),
        ("sign", format!("log\n+12\n{root}\n")),
        ("hexadecimal", format!("log\n0x12\n{root}\n")),
        ("2^63 leaves", format!("log\n9223372036854775808\n{root}\n")),
        ("2^64 leaves", format!("log\n18446744073709551616\n{root}\n")),
        ("no size", format!("log\n\n{root}\n")),
        ("short root", format!("log\n12\n{}\n", &root[4..])),
        ("long root", format!("log\n12\nAAAA{root}\n")),
        ("bits left over", format!("log\n12\n{}\n", root.replace("6s=", "6t="))),
        ("url alphabet", format!("log\n12\n{}\n", root.replace("q6u", "q_-"))),
        ("space behind the root", format!("log\n12\n{root} \n")),
        ("empty extension", format!("log\n12\n{root}\n\n")),
        ("17 extensions", format!("log\n12\n{root}\n{}", "x\n".repeat(17))),
        ("long extension", format!("log\n12\n{root}\n{}\n", "x".repeat(1025))),
    ] {
        let read = UnverifiedCheckpoint::parse(signed(&body, &log));
        assert_eq!(read.err(), Some(CheckpointError::Form), "{what}");
    }
}

#[test]
fn nothing_of_the_secret_is_shown() {
    let log = signer("log", 1);
    assert_eq!(format!("{log:?}"), "AuditSigner(\"log\", redacted)");
    assert_eq!(log.expose_secret(), &seed(1));
    assert!(AuditSigner::new("log".parse().expect("a name"), &[0; 32]).is_err());
}

proptest! {
    #[test]
    fn one_changed_byte_is_noticed(at in any::<prop::sample::Index>(), by in 1..=255_u8) {
        let log = signer("example.com/log", 1);
        let text = log.sign(&head(), &["more"]).expect("a sound extension").to_string();
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        let read = UnverifiedCheckpoint::parse(&bytes).and_then(|read| read.verify(&log.verifier()));
        prop_assert!(read.is_err());
    }
}
