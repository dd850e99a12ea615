//! Links inside text.

use std::ops::Range;

/// Calls `found` with the byte range of each `http://`, `https://` or `www.` link in `text`.
///
/// A link ends at white space or one of `" ' < > )`, less trailing `. , ! ?`.
pub(super) fn links(text: &str, mut found: impl FnMut(Range<usize>)) {
    let mut at = 0;
    while let Some(start) = next_link(text, at) {
        let rest = &text[start..];
        let end = rest.find(|c: char| c.is_whitespace() || "\"'<>)".contains(c)).unwrap_or(rest.len());
        let link = rest[..end].trim_end_matches(['.', ',', '!', '?']);
        found(start..start + link.len());
        at = start + end.max(1);
    }
}

/// Where a link begins, at `from` or later; not in the middle of a word or an address.
fn next_link(text: &str, from: usize) -> Option<usize> {
    const STARTS: [&[u8]; 3] = [b"http://", b"https://", b"www."];
    let bytes = text.as_bytes();
    let begins = |at: usize| {
        STARTS.iter().any(|s| bytes[at..].get(..s.len()).is_some_and(|b| b.eq_ignore_ascii_case(s)))
    };
    (from..bytes.len()).find(|&at| {
        matches!(bytes[at], b'h' | b'H' | b'w' | b'W')
            && begins(at)
            && !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_@.-".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<&str> {
        let mut links_in = Vec::new();
        links(text, |range| links_in.push(&text[range]));
        links_in
    }

    #[test]
    fn links_are_found_without_the_punctuation_around_them() {
        assert_eq!(
            all("See https://A.example/x?y=1. Or (WWW.b.example)!"),
            ["https://A.example/x?y=1", "WWW.b.example"]
        );
        assert_eq!(all("é<http://c.example>é"), ["http://c.example"]);
        assert_eq!(all("xhttp://no www_ me@www.no"), Vec::<&str>::new());
    }
}
