//! The fold as it ships against the data of Unicode, over every code point.

#[allow(dead_code, unused_imports, reason = "only the folds are looked at")]
#[path = "../../src/ledger/fold/mod.rs"]
mod fold;

use std::collections::BTreeMap;

use fold::{exact_fold, span_fold};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup as Group, UnicodeGeneralCategory};
use unicode_security::skeleton;

fn every() -> impl Iterator<Item = char> {
    (0..=u32::from(char::MAX)).filter_map(char::from_u32)
}

fn spans(c: char) -> String {
    String::from_utf8(span_fold(&c.to_string())).expect("a fold is text")
}

fn looks(c: char) -> String {
    skeleton(&c.to_string()).collect()
}

fn is_letter(c: char) -> bool {
    matches!(c.general_category_group(), Group::Letter | Group::Number)
}

#[test]
fn every_single_letter_look_alike_folds_equal() {
    let mut groups: BTreeMap<String, Vec<char>> = BTreeMap::new();
    for c in every().filter(|&c| is_letter(c) || c == '|') {
        groups.entry(looks(c)).or_default().push(c);
    }
    let mut equal = 0;
    for group in groups.values() {
        let mut folds: Vec<String> = group.iter().map(|&c| spans(c)).collect();
        folds.retain(|fold| fold.chars().count() == 1);
        equal += folds.len().saturating_sub(1);
        assert!(folds.windows(2).all(|pair| pair[0] == pair[1]), "{group:?} {folds:?}");
    }
    assert!(equal > 4000, "{equal}");
}

#[test]
fn letters_and_numbers_are_kept_and_nothing_else() {
    let mut kept = 0;
    for c in every() {
        let (span, exact) = (spans(c), exact_fold(&c.to_string()));
        let spells_letters = c.nfkd().any(is_letter);
        match c.general_category_group() {
            Group::Letter | Group::Number if span.is_empty() => {
                assert!(c.nfkd().filter(|&c| is_letter(c)).all(is_no_letter_of_its_own), "{c:?}");
            }
            Group::Letter | Group::Number => kept += 1,
            Group::Symbol if spells_letters => assert!(!exact.is_empty(), "{c:?}"),
            Group::Symbol => {
                let is_like =
                    c.nfkd().map(looks).any(|l| l.len() == 1 && l.as_bytes()[0].is_ascii_alphanumeric());
                let is_framed = ('\u{1f150}'..='\u{1f1ff}').contains(&c);
                assert!(span.is_empty() || is_like || is_framed, "{c:?}");
                assert!(exact.is_empty() || is_framed, "{c:?}");
            }
            _ => assert!(span.is_empty() && exact.is_empty(), "{c:?}"),
        }
    }
    assert!(kept > 140_000, "{kept}");
}

/// Without a shape, or with that of a mark of ASCII that it is written in place of, or a stretched line.
fn is_no_letter_of_its_own(c: char) -> bool {
    let looks = looks(c);
    let is_modifier = c.general_category() == GeneralCategory::ModifierLetter;
    let is_mark = is_modifier && looks.chars().all(|look| look.is_ascii_punctuation());
    looks.is_empty() || is_mark || matches!(c, '\u{640}' | '\u{7fa}')
}

#[test]
fn every_normal_form_folds_equal() {
    for c in every() {
        let text = c.to_string();
        let forms =
            [c.nfd().collect(), c.nfkd().collect(), text.nfc().collect(), text.nfkc().collect::<String>()];
        for form in forms.iter().filter(|_| !matches!(c, '\u{1f150}'..='\u{1f1ff}')) {
            assert_eq!(spans(c).as_bytes(), span_fold(form), "{c:?}");
            assert_eq!(exact_fold(&text), exact_fold(form), "{c:?}");
        }
    }
}
