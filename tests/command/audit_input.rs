//! What `graft audit` says of files that are no log or no key.

use graft::AuditKey;

use crate::audit::{LIST, SEGMENT, STRUCTURE, VERIFY, bytes, hex, logged};
use crate::common::Folder;

/// Each of the commands refuses the log.
fn log_refused(folder: &Folder, named: &[&str]) {
    for arguments in [&VERIFY[..], &STRUCTURE, &LIST] {
        folder.refuses(arguments, named);
    }
}

fn key_refused(folder: &Folder, named: &[&str]) {
    for arguments in [&VERIFY, &LIST] {
        folder.refuses(arguments, &[&["key: "], named].concat());
    }
}

#[test]
fn missing_files_and_folders() {
    let folder = logged(1);
    std::fs::remove_dir_all(folder.path().join("log")).expect("removes");
    log_refused(&folder, &["log: there is no log, or no folder for one, at this place; check the path"]);
    std::fs::create_dir(folder.path().join("log")).expect("creates");
    log_refused(&folder, &["log: there is no log, or no folder for one, at this place; check the path"]);
    std::fs::remove_dir(folder.path().join("log")).expect("removes");
    folder.write("log", "a file");
    log_refused(&folder, &["log: it is a file; a log is a folder, name that"]);
    let folder = logged(1);
    std::fs::remove_file(folder.path().join("key")).expect("removes");
    key_refused(&folder, &["it cannot be read: it is not there; check the path"]);
    std::fs::create_dir(folder.path().join("key")).expect("creates");
    key_refused(&folder, &["it is a folder"]);
}

#[test]
fn files_that_are_no_log() {
    let folder = logged(1);
    for text in [&*"plain text".repeat(10), &"x".repeat(400_000), &"[".repeat(400_000)] {
        folder.write(SEGMENT, text);
        log_refused(&folder, &["log: the header at byte 0 of segment 0 does not begin with `graftlog`"]);
    }
    let folder = logged(1);
    let mut bytes = bytes(&folder);
    bytes[9] = 7;
    folder.write(SEGMENT, bytes);
    log_refused(&folder, &["log: the header at byte 0 of segment 0 says version 7", "use the graft that"]);
}

#[test]
fn files_that_are_no_key() {
    let folder = logged(1);
    let good = folder.read("key");
    let digits = good.trim_end();
    let form = "it is not a key; a key file has 64 hexadecimal digits and nothing else";
    folder.write_private("key", "");
    key_refused(&folder, &["the key file is empty"]);
    for bad in
        [&digits[1..], "\n", &format!("{digits}0"), &format!("0x{digits}"), &format!("{digits}\n{digits}")]
    {
        folder.write_private("key", bad);
        key_refused(&folder, &[form]);
    }
    for bad in [&b"\xff\xfe\n"[..], &[7; 32], &[0xff; 64], "é".repeat(32).as_bytes()] {
        folder.write_private("key", bad);
        key_refused(&folder, &[form]);
    }
    folder.write_private("key", format!("{digits}{}", " ".repeat(4 * 1024)));
    key_refused(&folder, &["it is over 4 KiB"]);
    folder.write_private("key", "[".repeat(400_000));
    key_refused(&folder, &["it is over 4 KiB"]);
    folder.write_private("key", "00".repeat(32));
    key_refused(&folder, &["the key repeats itself: use at least 32 random bytes"]);
}

#[test]
fn another_key_is_named_and_no_key_is_repeated() {
    let folder = logged(1);
    let other = hex(&AuditKey::generate().expect("randomness"));
    folder.write_private("key", &other);
    for arguments in [&VERIFY, &LIST] {
        let sentence = folder.refuses(arguments, &["log: this key is not the key of this log; use the one"]);
        assert!(!sentence.contains(&other[..8]), "{sentence}");
    }
    folder.write_private("key", &other[..62]);
    for arguments in [&VERIFY, &LIST] {
        assert!(!folder.refuses(arguments, &["key"]).contains(&other[..8]));
    }
}

#[test]
fn a_key_may_be_written_in_either_case_with_any_line_end() {
    let folder = logged(1);
    let good = folder.read("key");
    for same in [good.trim_end().to_owned(), good.to_uppercase(), good.replace('\n', "\r\n")] {
        folder.write_private("key", same);
        folder.succeeds(&VERIFY);
    }
}
