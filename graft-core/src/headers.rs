//! What travels beside a call as text: W3C baggage and trace state, and the host's own.

use std::fmt;

/// Named text beside a call, such as `baggage` (<https://www.w3.org/TR/baggage/>) and `tracestate`.
///
/// Names are tokens of RFC 9110 section 5.6.2, compared without regard to case and kept in lower case; values
/// are visible ASCII, spaces and tabs. At most [`Headers::MAX`] of them, together at most
/// [`Headers::MAX_BYTES`]. They cross every channel, so they hold nothing that is sensitive.
///
/// ```
/// use graft_core::Headers;
/// let mut headers = Headers::default();
/// headers.set("Baggage", "tenant=7")?;
/// assert_eq!(headers.find("bAGGAGE"), Some("tenant=7"));
/// assert!(headers.set("two words", "x").is_err());
/// # Ok::<(), graft_core::HeaderError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

/// A header that cannot travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is empty or not a token.
    #[error("a header's name is a token: letters, digits and !#$%&'*+-.^_`|~")]
    Name,
    /// The value has a character that is not visible ASCII, a space or a tab.
    #[error("a header's value is visible ASCII, spaces and tabs")]
    Value,
    /// There are too many, or they are too long together.
    #[error("a call carries at most 32 headers of 4 KiB together")]
    TooMany,
}

impl Headers {
    /// The most headers of a call.
    pub const MAX: usize = 32;
    /// The most bytes of names and values together.
    pub const MAX_BYTES: usize = 4096;

    /// Sets `name`, in place of a value that it had.
    ///
    /// # Errors
    /// [`HeaderError`]; nothing is changed then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(HeaderError::Name);
        }
        if !value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
            return Err(HeaderError::Value);
        }
        let others = self.iter().filter(|(other, _)| !other.eq_ignore_ascii_case(name));
        let (count, bytes) =
            others.fold((0, 0), |(n, sum), (name, value)| (n + 1, sum + name.len() + value.len()));
        if count >= Self::MAX || bytes + name.len() + value.len() > Self::MAX_BYTES {
            return Err(HeaderError::TooMany);
        }
        let all = &mut self.0;
        match all.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
            Some((_, old)) => value.clone_into(old),
            None => all.push((name.to_ascii_lowercase(), value.to_owned())),
        }
        Ok(())
    }

    /// The value of `name`.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Each name, in lower case, with its value, in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Shows the names only.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2>
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_name_in_any_case() {
        let mut headers = Headers::default();
        headers.set("TraceState", "a=1").expect("fits");
        headers.set("tracestate", "b=2").expect("fits");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("tracestate", "b=2")]);
        assert_eq!(headers.find("TRACESTATE"), Some("b=2"));
    }

    #[test]
    fn what_is_over_a_bound_changes_nothing() {
        let mut headers = Headers::default();
        for n in 0..Headers::MAX {
            headers.set(&format!("h{n}"), "").expect("fits");
        }
        assert_eq!(headers.set("one-more", ""), Err(HeaderError::TooMany));
        headers.set("h0", &"x".repeat(3900)).expect("fits");
        assert_eq!(headers.set("h1", &"x".repeat(200)), Err(HeaderError::TooMany));
        assert_eq!((headers.iter().count(), headers.find("h1")), (Headers::MAX, Some("")));
    }

    #[test]
    fn neither_lines_nor_text_beyond_ascii_pass() {
        let mut headers = Headers::default();
        for value in ["a\r\nb", "é", "\0", "\u{7f}"] {
            assert_eq!(headers.set("x", value), Err(HeaderError::Value));
        }
        for name in ["", "a b", "a:b", "ä", "a\n"] {
            assert_eq!(headers.set(name, ""), Err(HeaderError::Name));
        }
        assert!(headers.is_empty());
    }
}
