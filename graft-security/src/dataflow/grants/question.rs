//! The question that a person is shown: the only text of this crate that holds values.

use std::fmt;

use graft_core::{Call, Evidence, Leaf, Path, Source, Verdict};

use crate::dataflow::explain::argument;

/// A question with the values of a live call in it, for the eyes of a person.
///
/// It is not for storing or logging: there is no `Serialize`, no `Display`, no `Clone`, and `Debug` shows none
/// of it. What is stored is the [`super::PendingApproval`]. Characters that a terminal or an eye could be
/// fooled by stand as escapes, and long values are cut in their middle, with what is missing said.
///
/// ```compile_fail
/// fn store(_: impl serde::Serialize) {}
/// fn wrong(question: graft_security::dataflow::Question) { store(question) } // no Serialize
/// ```
/// ```compile_fail
/// fn wrong(question: graft_security::dataflow::Question) { println!("{question}") } // no Display
/// ```
pub struct Question(String);

impl Question {
    /// The one door to the text. Show it to the person who decides, and keep it nowhere.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Question(..)")
    }
}

/// The most reasons and the most arguments that are shown; how many more there are is said.
const MAX_LINES: usize = 48;
/// The characters of a value that are shown: so many of its beginning, and so many of its end.
const HEAD: usize = 300;
const TAIL: usize = 100;

/// Asks a person about `call`, on which the policy's `verdict` is: each value that gave a reason, where it was
/// first seen, who could have written it; then every argument, since all of them are approved together.
pub fn question(verdict: &Verdict, call: &Call<'_>) -> Question {
    let mut reasons = Lines::default();
    for evidence in verdict.evidence.iter().filter(|evidence| evidence.stops) {
        reasons.push(|| reason(evidence, call));
    }
    let mut arguments = Lines::default();
    call.args.visit(&Path::ROOT, &mut |path, leaf| {
        if !matches!(leaf, Leaf::Key(_)) {
            arguments.push(|| format!("{}: {}", visible(&path.to_string()), value(leaf)));
        }
    });
    let mut text = format!("May {} happen, exactly once and exactly so?\n", call.tool.name);
    reasons.write("Why you are asked", &mut text);
    arguments.write("All that it is given", &mut text);
    Question(text)
}

/// Lines without repetition, up to the bound.
#[derive(Default)]
struct Lines {
    shown: Vec<String>,
    more: usize,
}

impl Lines {
    fn push(&mut self, line: impl FnOnce() -> String) {
        if self.shown.len() == MAX_LINES {
            self.more += 1;
            return;
        }
        let line = line();
        if !self.shown.contains(&line) {
            self.shown.push(line);
        }
    }

    fn write(&self, title: &str, out: &mut String) {
        out.push_str(&format!("{title}:\n"));
        self.shown.iter().for_each(|line| out.push_str(&format!("  - {line}\n")));
        if self.more > 0 {
            out.push_str(&format!("  - and {} more that are NOT SHOWN here\n", self.more));
        }
    }
}

fn reason(evidence: &Evidence, call: &Call<'_>) -> String {
    let mut values: Vec<String> = Vec::new();
    call.args.visit(&Path::ROOT, &mut |path, leaf| {
        let is_it = path.without_keys(|name| call.tool.args.contains_key(name)) == evidence.arg;
        let is_name = matches!(leaf, Leaf::Key(_)) && path.depth() == 1;
        if is_it && !is_name && values.len() < 4 {
            let span = leaf.with_text(|text| text.get(evidence.range.clone()).map(quoted));
            values.extend(span.flatten());
        }
    });
    let what = match (evidence.arg.as_str(), values.as_slice()) {
        ("$", _) | (_, []) => "the call as a whole".to_owned(),
        (arg, values) => format!("{} has {}", visible(&argument(arg)), values.join(" or ")),
    };
    let (seen, who) = match &evidence.source {
        Source::Prompt => ("in your own words".to_owned(), "you".to_owned()),
        Source::Operator => ("in the operator's text".to_owned(), "the operator of this agent".to_owned()),
        Source::Call(call, tool) => (
            format!("in what call {call} ({tool}) returned"),
            format!("whoever can write what {tool} returns, possibly a stranger"),
        ),
        Source::Unknown => (
            "nowhere in this run".to_owned(),
            "the model itself, or a stranger in a form that was not recognised".to_owned(),
        ),
    };
    let rule = format!("{}: {}", evidence.signal.as_str(), evidence.rule);
    format!("{what}; first seen {seen}; written by {who} [{rule}]")
}

fn value(leaf: Leaf<'_>) -> String {
    match leaf {
        Leaf::Str(text) | Leaf::Key(text) => quoted(text),
        Leaf::Variant(name) => visible(name),
        Leaf::Bool(flag) => flag.to_string(),
        Leaf::Int(number) => number.to_string(),
        Leaf::Uint(number) => number.to_string(),
        Leaf::Float(number) => number.to_string(),
        Leaf::Bytes(bytes) => {
            format!("{} bytes, as text {}", bytes.len(), quoted(&String::from_utf8_lossy(bytes)))
        }
        Leaf::Empty => "nothing".to_owned(),
        Leaf::EmptyList => "an empty list".to_owned(),
        Leaf::EmptyMap => "an empty map".to_owned(),
    }
}

/// The value in quotes, cut in the middle, and a warning where letters could be mistaken for others.
fn quoted(text: &str) -> String {
    let chars = text.chars().count();
    let mut shown = if chars <= HEAD + TAIL {
        format!("\"{}\"", visible(text))
    } else {
        let head: String = text.chars().take(HEAD).collect();
        let tail: String = text.chars().skip(chars - TAIL).collect();
        let missing = chars - HEAD - TAIL;
        format!("\"{}\" [{missing} characters NOT SHOWN] \"{}\"", visible(&head), visible(&tail))
    };
    if !text.is_ascii() {
        shown += " (it has characters beyond ASCII, which may look like others)";
    }
    shown
}

/// Controls, bidirectional and invisible characters, marks and quotes as escapes.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' => out.push(c),
            // Letters and symbols by category that look like nothing.
            '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' => {
                out.extend(c.escape_unicode());
            }
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_can_steer_or_hide() {
        for hostile in
            "\u{1b} \n \r \u{7} \u{9b} \u{202e} \u{2066} \u{200b} \u{feff} \u{e0041} \u{fe0f} \u{e0100} \u{301} \u{2028} \u{a0} \u{2800} \u{3164} \u{ad}"
                .split(' ')
        {
            let shown = visible(&format!("a{hostile}b"));
            assert!(shown.is_ascii() && shown.len() > 3, "{hostile:?} -> {shown:?}");
        }
        assert_eq!(visible("O'Brien & Müller"), "O'Brien & Müller");
        assert_eq!(visible("a\"b"), "a\\\"b");
    }

    #[test]
    fn a_long_value_shows_both_ends_and_says_what_is_missing() {
        let shown = quoted(&format!("begin{}end", "x".repeat(5000)));
        assert!(
            shown.starts_with("\"begin")
                && shown.ends_with("end\"")
                && shown.contains("4608 characters NOT SHOWN"),
            "{shown}"
        );
        assert!(shown.len() < 600);
        assert!(quoted("аnn@home.example").contains("beyond ASCII"));
    }
}
