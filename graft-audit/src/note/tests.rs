use proptest::prelude::*;

use super::key::*;
use super::*;

// Key, secret key and note of the package `golang.org/x/mod/sumdb/note` (`note_test.go`).
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_SECRET: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETER_NOTE: &str = "If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
";

// `https://sum.golang.org/latest` on 2024-09-23, as in the tests of sigsum-go, and the key in Go's source.
const SUMDB: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
const SUMDB_NOTE: &str = "go.sum database tree
30055305
mXfgRcJ0bG0j3CPdKwgGWtUzBUbX67saZGRmFuJGGsM=

— sum.golang.org Az3grpgEild5qw7+5dtV13Kf1C2Xurm8q4fhdxvcsDHnqNTaxL2AFjBY+2TyGKevucFcAAlWFJJYle3EJlDCrQ+y3A8=
";

fn line_holds(note: &str, vkey: &str) -> bool {
    let note = UnverifiedNote::parse(note.as_bytes()).expect("a note");
    let key = VerifierKey::parse(vkey, KeyType::Ed25519).expect("a key");
    note.signatures_of(&key).any(|line| key.verifies(note.text().as_bytes(), &line.bytes))
}

#[test]
fn the_notes_of_go_are_read_verified_and_printed_as_they_were() {
    for (note, vkey) in [(PETER_NOTE, PETER), (SUMDB_NOTE, SUMDB)] {
        assert!(line_holds(note, vkey));
        assert!(!line_holds(&note.replacen('o', "0", 1), vkey));
        assert_eq!(UnverifiedNote::parse(note.as_bytes()).expect("a note").to_string(), note);
        assert_eq!(VerifierKey::parse(vkey, KeyType::Ed25519).expect("a key").to_string(), vkey);
    }
    assert!(!line_holds(PETER_NOTE, SUMDB));
}

#[test]
fn what_go_signs_is_signed_alike() {
    let seed = text::base64(PETER_SECRET).expect("base64")[1..].try_into().expect("32 bytes");
    let signer =
        SignerKey::new("PeterNeumann".parse().expect("a name"), KeyType::Ed25519, &seed).expect("random");
    assert_eq!(signer.verifier().to_string(), PETER);
    let text = PETER_NOTE.split_inclusive("\n").take(2).collect::<String>();
    let line = SignatureLine::new(signer.verifier(), signer.sign(text.as_bytes()).to_vec());
    assert_eq!(UnverifiedNote::new(text, line).to_string(), PETER_NOTE);
}

#[test]
fn a_key_with_anything_changed_is_refused() {
    let parse = |vkey: &str| VerifierKey::parse(vkey, KeyType::Ed25519);
    for first in 0..PETER.len() {
        for end in first + 1..=PETER.len() {
            assert!(end - first == PETER.len() || parse(&PETER[first..end]).is_err(), "{first}..{end}");
        }
    }
    for at in 0..PETER.len() {
        let mut bytes = PETER.as_bytes().to_vec();
        bytes[at] += 1;
        assert!(parse(std::str::from_utf8(&bytes).expect("ASCII")).is_err(), "byte {at}");
    }
    let reason = |vkey: &str| parse(vkey).err();
    assert_eq!(reason(&PETER.replace("c74f20a3", "C74F20A3")), Some(KeyError::Form));
    assert_eq!(reason(&PETER.replace("c74f20a3", "c74f20a4")), Some(KeyError::Id));
    assert_eq!(reason(&format!("{PETER}\n")), Some(KeyError::Form));
    assert_eq!(reason(&PETER.replace("Peter", "Peter ")), Some(KeyError::Name));
    // Key types that exist and are not made here, and one for another use.
    assert_eq!(reason(&PETER.replace("+AR", "+Ah")), Some(KeyError::Type { found: 2, expected: 1 }));
    assert_eq!(reason(&PETER.replace("+AR", "+BB")), Some(KeyError::Type { found: 4, expected: 1 }));
    // The neutral element of the curve: every message has a signature under it.
    let mut neutral = [0; 33];
    (neutral[0], neutral[1]) = (1, 1);
    assert_eq!(reason(&format!("a+00000000+{}", text::print_base64(&neutral))), Some(KeyError::Weak));
}

#[test]
fn a_seed_that_is_not_random_is_refused() {
    let name: KeyName = "log".parse().expect("a name");
    for seed in [[0; 32], [0xff; 32], std::array::from_fn(|at| at as u8)] {
        assert!(SignerKey::new(name.clone(), KeyType::Ed25519, &seed).is_err());
    }
}

#[test]
fn names_are_those_of_signed_note() {
    for name in ["a", "example.com/a", "ünïcode", "—", &"x".repeat(255)] {
        assert_eq!(name.parse::<KeyName>().map(|parsed| parsed.to_string()), Ok(name.to_owned()));
    }
    for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{2003}b", "a\u{7f}", "a\0", &"x".repeat(256)] {
        assert_eq!(name.parse::<KeyName>(), Err(KeyError::Name), "{name:?}");
    }
}

#[test]
fn hostile_notes_are_refused_by_name() {
    let line = PETER_NOTE.lines().last().expect("a line");
    let signature = line.rsplit(' ').next().expect("base64");
    let head = "text\n\n";
    let bad = |at| NoteError::Signature { line: at };
    for (what, note, why) in [
        ("empty", String::new(), NoteError::NoSignatures),
        ("no text", format!("\n{line}\n"), NoteError::NoSignatures),
        ("no signature", head.to_owned(), NoteError::NoSignatures),
        ("no empty line", format!("text\n{line}\n"), NoteError::NoSignatures),
        ("truncated", PETER_NOTE[..PETER_NOTE.len() - 1].to_owned(), NoteError::NoSignatures),
        ("empty line behind", format!("{PETER_NOTE}\n"), NoteError::NoSignatures),
        ("text behind", format!("{PETER_NOTE}more\n"), bad(2)),
        ("carriage return", PETER_NOTE.replace('\n', "\r\n"), NoteError::NotText),
        ("zero byte", format!("te\0xt\n\n{line}\n"), NoteError::NotText),
        ("a hyphen for the dash", format!("{head}{}\n", line.replace('—', "-")), bad(1)),
        ("two spaces", format!("{head}{}\n", line.replace("— ", "—  ")), bad(1)),
        ("no name", format!("{head}—  {signature}\n"), bad(1)),
        ("name with plus", format!("{head}— a+b {signature}\n"), bad(1)),
        ("space behind", format!("{head}{line} \n"), bad(1)),
        ("no padding", format!("{head}{}\n", line.replace('=', "")), bad(1)),
        ("bits left over", format!("{head}{}\n", line.replace("AM=", "AN=")), bad(1)),
        ("padding in the middle", format!("{head}— a AAAAAAA=AAAAAAA=\n"), bad(1)),
        ("an id alone", format!("{head}— a AAAAAA==\n"), bad(1)),
        ("33 signatures", format!("{head}{}", format!("{line}\n").repeat(33)), NoteError::TooManySignatures),
        ("too long", format!("{}{PETER_NOTE}", "x".repeat(MAX_NOTE)), NoteError::TooLong),
    ] {
        assert_eq!(UnverifiedNote::parse(note.as_bytes()).err(), Some(why), "{what}");
    }
    assert_eq!(UnverifiedNote::parse(b"te\xffxt\n\n").err(), Some(NoteError::NotText));
    let most = format!("{head}{}", format!("{line}\n").repeat(MAX_SIGNATURES));
    assert_eq!(UnverifiedNote::parse(most.as_bytes()).map(|note| note.to_string()), Ok(most));
}

proptest! {
    #[test]
    fn whatever_is_read_prints_as_it_was(note in "[a\n —+=A0]{0,80}") {
        let note = format!("{note}\n\n— a AAAAAAA=\n");
        if let Ok(parsed) = UnverifiedNote::parse(note.as_bytes()) {
            prop_assert_eq!(parsed.to_string(), note);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = UnverifiedNote::parse(&bytes);
    }
}
