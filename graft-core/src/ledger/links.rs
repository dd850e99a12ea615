//! Links inside text, and which of them a run may follow.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::hash::{KeyedMap, KeyedSet, LedgerKey};
use super::packed;

const DOMAIN: u64 = 0x6c69_6e6b;

/// The most links of each kind that a run keeps; one that is not kept vouches for nothing.
const MAX_LINKS: usize = 4096;

/// The links that a run saw and followed, each as a keyed hash of the whole.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Links {
    /// Those in what strangers wrote to somebody, with the source.
    #[serde(with = "packed::map")]
    written: KeyedMap<u32>,
    /// Those that were fetched.
    #[serde(with = "packed::set")]
    fetched: KeyedSet,
    /// Those that a call took out before anybody wrote them: the model's own, whoever repeats them later.
    #[serde(with = "packed::set")]
    made: KeyedSet,
}

impl Links {
    /// Keeps the links of a text that strangers wrote.
    pub(super) fn record(&mut self, key: &LedgerKey, text: &str, source: u32) {
        links(text, |range| {
            let link = hash(key, &text[range]);
            // Past the bound nobody knows any more whose a link is.
            let is_strangers = self.made.len() < MAX_LINKS && !self.made.contains(&link);
            if is_strangers && self.written.len() < MAX_LINKS {
                self.written.entry(link).or_insert(source);
            }
        });
    }

    /// Notes that a call carries the link with this [`hash`]: if nobody wrote it before, it is the model's own.
    pub(super) fn record_made(&mut self, link: u64) {
        if self.made.len() < MAX_LINKS && !self.written.contains_key(&link) {
            self.made.insert(link);
        }
    }

    /// Notes that the link with this [`hash`] was fetched.
    pub(super) fn record_fetch(&mut self, link: u64) {
        if self.fetched.len() < MAX_LINKS {
            self.fetched.insert(link);
        }
    }

    pub(super) fn written(&self, key: &LedgerKey, link: &str) -> Option<u32> {
        self.written.get(&hash(key, link)).copied()
    }

    pub(super) fn was_fetched(&self, key: &LedgerKey, link: &str) -> bool {
        !self.fetched.is_empty() && self.fetched.contains(&hash(key, link))
    }
}

/// A link is the same with another scheme of the web, another case of its host or a last slash behind it.
/// Nothing else may differ: in whatever may, a caller could write down what it wants to get out.
pub(super) fn hash(key: &LedgerKey, link: &str) -> u64 {
    let link = link.trim();
    let bare = ["https://", "http://"].iter().find_map(|scheme| {
        let (front, rest) = link.split_at_checked(scheme.len())?;
        front.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let bare = bare.unwrap_or(link);
    let (host, rest) = bare.split_at(bare.find(['/', '?', '#']).unwrap_or(bare.len()));
    let host = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(host.to_ascii_lowercase()),
        false => Cow::Borrowed(host),
    };
    let rest = if rest == "/" { "" } else { rest };
    key.extend(key.text(DOMAIN, host.as_bytes()), key.text(DOMAIN, rest.as_bytes()))
}

/// Calls `found` with the byte range of each `http://`, `https://` or `www.` link in `text`.
///
/// A link ends at white space or one of `" ' < > )`, less trailing `. , ! ?`.
pub fn links(text: &str, mut found: impl FnMut(Range<usize>)) {
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
    let bytes = text.as_bytes();
    let ends_with = |at: usize, start: &[u8]| {
        let found = at.checked_sub(start.len()).filter(|&found| found >= from)?;
        bytes[found..at].eq_ignore_ascii_case(start).then_some(found)
    };
    let mut at = from;
    while let Some(mark) = next_mark(bytes, at) {
        let start = match bytes[mark] {
            b':' if bytes[mark..].starts_with(b"://") => {
                ends_with(mark, b"https").or_else(|| ends_with(mark, b"http"))
            }
            b'.' => ends_with(mark, b"www"),
            _ => None,
        };
        let stands_alone =
            |&at: &usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_@.-".contains(c));
        if let Some(start) = start.filter(stands_alone) {
            return Some(start);
        }
        at = mark + 1;
    }
    None
}

/// The next colon or dot: every link has one near its beginning, and text has few.
fn next_mark(bytes: &[u8], from: usize) -> Option<usize> {
    // Without a branch for each byte, so that it is done for many of them at once.
    let has_mark = |some: &[u8]| some.iter().fold(false, |any, byte| any | is_mark(byte));
    let (chunks, rest) = bytes[from..].as_chunks::<32>();
    let chunk = chunks.iter().position(|chunk| has_mark(chunk)).map(|at| (&chunks[at][..], from + 32 * at));
    let (within, start) = chunk.unwrap_or((rest, bytes.len() - rest.len()));
    within.iter().position(is_mark).map(|at| start + at)
}

fn is_mark(byte: &u8) -> bool {
    matches!(byte, b':' | b'.')
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
    fn a_link_is_followed_whole_or_not_at_all() {
        let key = LedgerKey::danger_for_replay("test");
        let mut seen = Links::default();
        seen.record(&key, "see https://A.example/Kites?x=1 or www.b.example.", 3);
        for same in ["https://a.example/Kites?x=1", "HTTP://A.example/Kites?x=1", " a.example/Kites?x=1"] {
            assert_eq!(seen.written(&key, same), Some(3), "{same}");
        }
        assert_eq!(seen.written(&key, "http://WWW.b.example/"), Some(3));
        for other in [
            "https://a.example/kites?x=1",
            "https://a.example/Kites",
            "https://a.example/Kites?x=1&y=2",
            "https://a.example/Kites?x=1/",
            "ftp://a.example/Kites?x=1",
            "https://a.example",
            "www.b.example/x",
            "b.example",
        ] {
            assert_eq!(seen.written(&key, other), None, "{other}");
        }
    }

    #[test]
    fn links_past_the_bound_are_not_followed() {
        let key = LedgerKey::danger_for_replay("test");
        let mut seen = Links::default();
        (0..=MAX_LINKS).for_each(|n| seen.record(&key, &format!("www.x.example/{n}"), 0));
        assert!(seen.written(&key, "www.x.example/0").is_some());
        assert!(seen.written(&key, &format!("www.x.example/{MAX_LINKS}")).is_none());
    }

    proptest::proptest! {
        #[test]
        fn the_next_mark_is_the_first(text in "[a.:é ]{0,4}[a-zé ]{0,90}[a.:é]{0,3}", from in 0..90_usize) {
            let from = from.min(text.len());
            let first = text.as_bytes()[from..].iter().position(is_mark).map(|at| from + at);
            proptest::prop_assert_eq!(next_mark(text.as_bytes(), from), first);
        }
    }

    #[test]
    fn links_are_found_without_the_punctuation_around_them() {
        assert_eq!(
            all("See https://A.example/x?y=1. Or (WWW.b.example)!"),
            ["https://A.example/x?y=1", "WWW.b.example"]
        );
        assert_eq!(all("é<http://c.example>é"), ["http://c.example"]);
        assert_eq!(all("xhttp://no www_ me@www.no"), Vec::<&str>::new());
        let far = format!("{}.: www {}HTTPS://a.example/b:c", "x".repeat(70), "é".repeat(40) + " ");
        assert_eq!(all(&far), ["HTTPS://a.example/b:c"]);
    }
}
