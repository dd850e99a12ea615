//! What the user asked for, as the beginnings of the prompt's words.

use std::borrow::Cow;

use super::MAX_STEM;

/// Lower case, white space as single blanks.
pub(super) fn fold_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        if !c.is_whitespace() {
            line.push(c);
        } else if !line.ends_with(' ') {
            line.push(' ');
        }
    }
    line
}

/// As [`fold_line`], without a copy of what needs none: a word of small letters.
pub(super) fn folded_stem(stem: &str) -> Cow<'_, str> {
    let is_folded = stem.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if is_folded { Cow::Borrowed(stem) } else { Cow::Owned(fold_line(stem)) }
}

/// Every beginning, of up to [`MAX_STEM`] characters, of every word of the text and what follows it.
pub(super) fn prefixes(text: &str, mut emit: impl FnMut(&str)) {
    let line = fold_line(text);
    let mut in_word = false;
    for (at, c) in line.char_indices() {
        let is_word = c.is_alphanumeric() || c == '_';
        if is_word && !in_word {
            let rest = &line[at..];
            for (end, c) in rest.char_indices().take(MAX_STEM) {
                emit(&rest[..end + c.len_utf8()]);
            }
        }
        in_word = is_word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_stem_folds_as_a_line_does(stem in "[a-z-]{0,12}|[a-zA-Z éÉ\\t-]{0,12}") {
            proptest::prop_assert_eq!(&*folded_stem(&stem), fold_line(&stem));
        }
    }
}
