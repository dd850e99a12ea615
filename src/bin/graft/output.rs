//! Standard output, whose reader may leave, and text that came from somebody else's file.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use crate::failure::Failure;

/// Prints `text` and a line end.
pub(crate) fn print(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.or_else(unless_reader_left)
}

/// A reader that has seen enough, as `head` has, is no failure; a full disk is one.
pub(crate) fn unless_reader_left(error: io::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        kind => Err(Failure::new(format!("standard output cannot be written: {kind}"))),
    }
}

/// Says one line on standard error. Nobody may be there to read it, which is no reason to stop.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "graft: {}", plain(text));
}

/// `text` on one line, with whatever could steer a terminal written as an escape.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => plain.push(c),
            _ => plain.extend(c.escape_debug()),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(plain("`a'b\" c\\d ü 中` …"), "`a'b\" c\\d ü 中` …");
        assert_eq!(plain("a\x1b[2J\r\nb\u{202e}c\u{7f}"), "a\\u{1b}[2J\\r\\nb\\u{202e}c\\u{7f}");
    }
}
