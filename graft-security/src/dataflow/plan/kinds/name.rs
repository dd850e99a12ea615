//! Names: runs of words that begin with a capital. No standard says what a name is; this errs toward more of
//! them, since a plan that asks for a name has said already whose text may give it.

use std::ops::Range;

use graft_core::{OutputTrust, Trust};

use super::{is_word, runs};

/// The most words of one name, particles included. A longer run of capitals is cut.
const MAX_NAME: usize = 8;

/// What may stand between the words of a name.
const PARTICLES: [&str; 24] = [
    "&", "al", "and", "bin", "da", "das", "de", "del", "den", "der", "des", "di", "do", "du", "e", "el",
    "la", "le", "of", "the", "van", "von", "y", "zu",
];

pub(super) fn names(text: &str, found: &mut dyn FnMut(&[&str])) {
    // A short line with a name in it, such as a title or a key, is a name as a whole too.
    let line = text.trim();
    let mut whole = (OutputTrust::Structured.resolve(line) == Trust::Trusted).then_some(line);
    let found = &mut |parts: &[&str]| match whole.take().filter(|whole| !parts.contains(whole)) {
        Some(whole) => found(&[parts, &[whole]].concat()),
        None => found(parts),
    };
    let is_part = |c: char| is_word(c) || "-'’&".contains(c);
    let mut run: Vec<Range<usize>> = Vec::new();
    for word in runs(text, is_part) {
        let spelled = &text[word.clone()];
        let follows = run.last().is_some_and(|last| {
            let between = &text[last.end..word.start];
            // An initial keeps its full stop.
            let is_initial = text[last.clone()].chars().count() == 1 && between == ". ";
            is_initial || between == " " || between == "\u{a0}"
        });
        let is_particle = PARTICLES.contains(&spelled);
        if !follows || !is_particle && !opens_name(spelled) && !is_digit(spelled) || run.len() == MAX_NAME {
            name(text, &mut run, found);
        }
        if opens_name(spelled) || !run.is_empty() && (is_particle || is_digit(spelled)) {
            run.push(word);
        }
    }
    name(text, &mut run, found);
}

/// Whether a word may be the first of a name: it begins with a capital, or in a script without case.
fn opens_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() && !c.is_lowercase())
}

fn is_digit(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// Emits the name that `run` is, and each part of it that begins and ends with a word of its own: a sentence
/// begins with a capital too, and people go by one of their names.
fn name(text: &str, run: &mut Vec<Range<usize>>, found: &mut dyn FnMut(&[&str])) {
    while run.last().is_some_and(|last| PARTICLES.contains(&&text[last.clone()])) {
        run.pop();
    }
    let mut spelled = Vec::new();
    for len in (1..=run.len()).rev() {
        for part in run.windows(len) {
            let (first, last) = (&text[part[0].clone()], &text[part[len - 1].clone()]);
            if opens_name(first) && !PARTICLES.contains(&last) {
                let part = text[part[0].start..part[len - 1].end].trim_end_matches(['\'', '’', '-', '&']);
                spelled.push(part.strip_suffix("'s").or_else(|| part.strip_suffix("’s")).unwrap_or(part));
            }
        }
    }
    run.clear();
    if !spelled.is_empty() {
        found(&spelled);
    }
}
