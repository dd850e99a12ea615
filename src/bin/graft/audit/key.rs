//! The key file: 64 hexadecimal digits, and a line end if there is one.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use graft_audit::AuditKey;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The most bytes of a key file: one that is longer is another file.
const LIMIT: usize = 4 * 1024;
const KEY_LEN: usize = 32;

/// The key of a log.
pub(super) fn read(path: &Path) -> Result<AuditKey, Failure> {
    let key = read_bytes(path)?;
    AuditKey::new(key.as_slice()).map_err(|weak| Failure::file(path, weak))
}

/// The bytes of any secret key.
pub(super) fn read_bytes(path: &Path) -> Result<Zeroizing<[u8; KEY_LEN]>, Failure> {
    // Straight into one buffer of a fixed size: a buffered reader or a growing vector would leave copies.
    let mut text = Zeroizing::new([0; LIMIT + 1]);
    let file = File::open(path).map_err(|error| Failure::io(path, "read", &error))?;
    refuse_shared(path, &file)?;
    let read = fill(file, &mut *text);
    let length = read.map_err(|error| Failure::io(path, "read", &error))?;
    if length == 0 {
        return Err(Failure::file(path, "the key file is empty; name the one that the log was created with"));
    }
    if length > LIMIT {
        return Err(Failure::file(path, "it is over 4 KiB, so it is no key; a key file has 64 digits"));
    }
    decode(&text[..length]).ok_or_else(|| {
        Failure::file(path, "it is not a key; a key file has 64 hexadecimal digits and nothing else")
    })
}

/// A key that others can read is no secret.
#[cfg(unix)]
fn refuse_shared(path: &Path, file: &File) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|error| Failure::io(path, "read", &error))?;
    let mode = metadata.permissions().mode() & 0o777;
    // A folder cannot be read, which is said where that is tried.
    if mode & 0o077 == 0 || metadata.is_dir() {
        return Ok(());
    }
    Err(Failure::file(
        path,
        format!("others than its owner may use this key (mode {mode:o}); run `chmod 600` on it"),
    ))
}

/// Who may read a file is not a matter of its mode here.
#[cfg(not(unix))]
fn refuse_shared(_: &Path, _: &File) -> Result<(), Failure> {
    Ok(())
}

/// Reads until `buffer` is full or the file ends.
fn fill(mut file: File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn decode(text: &[u8]) -> Option<Zeroizing<[u8; KEY_LEN]>> {
    let digits = text.strip_suffix(b"\n").unwrap_or(text);
    let digits = digits.strip_suffix(b"\r").unwrap_or(digits);
    if digits.len() != 2 * KEY_LEN {
        return None;
    }
    let mut key = Zeroizing::new([0; KEY_LEN]);
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(key)
}

fn digit(c: u8) -> Option<u8> {
    char::from(c).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "00112233445566778899aabbccddeeffFFEEDDCCBBAA99887766554433221100";

    #[test]
    fn digits_are_read_with_and_without_a_line_end() {
        for end in ["", "\n", "\r\n"] {
            let key = decode(format!("{DIGITS}{end}").as_bytes()).expect("a key");
            assert_eq!((key[1], key[15], key[16], key[31]), (0x11, 0xff, 0xff, 0));
        }
    }

    #[test]
    fn anything_else_is_no_key() {
        let short = &DIGITS[1..];
        for bad in ["", "\n", short, &format!("{DIGITS}0"), &format!("{DIGITS}\n\n"), &format!(" {short}")] {
            assert!(decode(bad.as_bytes()).is_none(), "{bad:?}");
        }
        assert!(decode(DIGITS.replace('a', "g").as_bytes()).is_none());
        assert!(decode(&[7; KEY_LEN]).is_none());
    }
}
