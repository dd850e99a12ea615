//! Just enough of JSON (RFC 8259) to print one object a line, as ASCII without a control character.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

/// An object that is being written, member by member.
pub(super) struct Line<'a, W> {
    out: &'a mut W,
    is_first: bool,
}

impl<'a, W: Write> Line<'a, W> {
    pub(super) fn begin(out: &'a mut W) -> io::Result<Self> {
        out.write_all(b"{")?;
        Ok(Self { out, is_first: true })
    }

    /// Names the value that is written next.
    pub(super) fn member(&mut self, name: &str) -> io::Result<&mut Self> {
        if !std::mem::take(&mut self.is_first) {
            self.out.write_all(b",")?;
        }
        self.text(name)?;
        self.out.write_all(b":")?;
        Ok(self)
    }

    /// Begins an object as a value.
    pub(super) fn object(&mut self) -> io::Result<Line<'_, W>> {
        Line::begin(self.out)
    }

    /// A number, or `true` or `false`, which are spelt alike in Rust.
    pub(super) fn number(&mut self, number: impl Display) -> io::Result<()> {
        write!(self.out, "{number}")
    }

    pub(super) fn number_or_null(&mut self, number: Option<u64>) -> io::Result<()> {
        match number {
            Some(number) => self.number(number),
            None => self.null(),
        }
    }

    pub(super) fn text(&mut self, text: impl Display) -> io::Result<()> {
        let mut quoted = String::with_capacity(64);
        quoted.push('"');
        // Printing to a string cannot fail, and a value that says it did is left as far as it came.
        let _ = write!(Escaped(&mut quoted), "{text}");
        quoted.push('"');
        self.out.write_all(quoted.as_bytes())
    }

    pub(super) fn text_or_null(&mut self, text: Option<impl Display>) -> io::Result<()> {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    pub(super) fn hex(&mut self, bytes: &[u8]) -> io::Result<()> {
        write!(self.out, "\"{}\"", Hex(bytes))
    }

    pub(super) fn words(&mut self, words: impl Iterator<Item = &'static str>) -> io::Result<()> {
        self.out.write_all(b"[")?;
        for (i, word) in words.enumerate() {
            write!(self.out, "{}\"{word}\"", if i == 0 { "" } else { "," })?;
        }
        self.out.write_all(b"]")
    }

    pub(super) fn end(self) -> io::Result<()> {
        self.out.write_all(b"}")
    }

    fn null(&mut self) -> io::Result<()> {
        self.out.write_all(b"null")
    }
}

/// Puts text into a string, with all but printable ASCII as an escape.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                ' '..='~' => self.0.push(c),
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(self.0, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Bytes as hexadecimal digits.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_written_steers_what_shows_it() {
        let hostile = "a\"b\\c\x1b[2J\r\n\u{7f}\u{9b}31m\u{202e}\u{2066}\u{2028}ü\u{1f600}";
        let mut out = Vec::new();
        let mut line = Line::begin(&mut out).expect("writes");
        line.member("t").and_then(|line| line.text(hostile)).and_then(|()| line.end()).expect("writes");
        let expected =
            r#"{"t":"a\"b\\c\u001b[2J\u000d\u000a\u007f\u009b31m\u202e\u2066\u2028\u00fc\ud83d\ude00"}"#;
        assert_eq!(String::from_utf8(out).expect("ASCII"), expected);
    }
}
