//! The few forms that lines of notes, checkpoints and proofs are made of, each with one spelling.

use data_encoding::BASE64;

use crate::tree::{MAX_TREE_SIZE, TreeHash};

/// A number without sign and leading zeros, at most [`MAX_TREE_SIZE`].
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    let number = text.parse().ok().filter(|_| digits && shortest)?;
    (number <= MAX_TREE_SIZE).then_some(number)
}

/// Base64 as in RFC 4648 section 4, with its padding and with nothing in the bits that are left over.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64.decode(text.as_bytes()).ok()?;
    // The decoder takes padding in the middle, as of texts put end to end.
    (BASE64.encode(&bytes) == text).then_some(bytes)
}

/// The hash in a line of its own.
pub(crate) fn hash(text: &str) -> Option<TreeHash> {
    // Judged first, so that a long line is not decoded.
    let bytes = (text.len() == 44).then(|| base64(text)).flatten()?;
    Some(TreeHash(bytes.try_into().ok()?))
}

pub(crate) fn print_hash(hash: &TreeHash) -> String {
    BASE64.encode(&hash.0)
}

pub(crate) fn print_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("9223372036854775807"), Some(MAX_TREE_SIZE));
        for other in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1_0",
            "0x1",
            "9223372036854775808",
            "18446744073709551616",
            "١",
        ] {
            assert_eq!(decimal(other), None, "{other:?}");
        }
    }

    #[test]
    fn bytes_have_one_spelling() {
        assert_eq!(base64("aGk="), Some(b"hi".to_vec()));
        assert_eq!(base64(""), Some(Vec::new()));
        for other in ["aGk", "aGl=", "aGk=\n", "aGk==", "aGk=aGk=", "a-_=", " aGk=", "aG k="] {
            assert_eq!(base64(other), None, "{other:?}");
        }
        let zero = "A".repeat(43) + "=";
        assert_eq!(hash(&zero), Some(TreeHash([0; 32])));
        assert_eq!([hash(&zero[1..]), hash(&"A".repeat(44)), hash(&("A".repeat(42) + "B="))], [None; 3]);
    }
}
