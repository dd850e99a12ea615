use std::collections::HashSet;

use proptest::prelude::*;

use super::budget::{RATIO, SLACK};
use super::encode::{self, Draw, Payload};
use super::*;
use crate::ledger::fold::span_fold;
use crate::ledger::{LedgerKey, SPAN_CONTENT};

fn key() -> LedgerKey {
    LedgerKey::danger_for_replay("views")
}

/// Every text that is decoded from `payload`, with its views.
fn decoded(payload: &Payload, depth: usize, switched: bool) -> (Vec<(String, Vec<View>)>, bool) {
    let mut budget = Budget::for_input(payload.as_bytes().len(), &key());
    let mut texts = Vec::new();
    let mut emit = |decoded: Decoded<'_>| {
        assert!(decoded.range.start <= decoded.range.end && decoded.range.end <= payload.as_bytes().len());
        texts.push((decoded.text.to_owned(), decoded.chain.to_vec()));
    };
    match payload {
        Payload::Text(text) => decode(text, depth, switched, &mut budget, &mut emit),
        Payload::Bytes(bytes) => decode_bytes(bytes, depth, switched, &mut budget, &mut emit),
    }
    (texts, budget.complete())
}

/// Whether each span of `plain` of [`SPAN_CONTENT`] folded bytes, or the whole of a shorter one, stands in what
/// `payload` holds, or in it.
fn finds(plain: &str, payload: &Payload, depth: usize, switched: bool) -> bool {
    let plain = span_fold(plain);
    let span = plain.len().min(SPAN_CONTENT);
    let (texts, complete) = decoded(payload, depth, switched);
    let mut missing: HashSet<&[u8]> = plain.windows(span).collect();
    let as_is = match payload {
        Payload::Text(text) => Some(text),
        Payload::Bytes(_) => None,
    };
    for text in texts.iter().map(|(text, _)| text).chain(as_is) {
        for window in span_fold(text).windows(span) {
            missing.remove(window);
        }
    }
    !complete || missing.is_empty()
}

fn check(views: &[View], seed: u64) -> Result<(), TestCaseError> {
    let draw = &mut Draw::new(seed);
    let letters = 24 + draw.below(60);
    let plain = encode::text(draw, letters);
    // What stands before may make the first sign part of another: it costs a blank.
    let Some(payload) = encode::compose(&format!("    {plain}"), views, draw) else { return Ok(()) };
    let last = views[views.len() - 1];
    let payload = encode::embed(last, payload, draw);
    let switched = matches!(last, View::Rot13 | View::Reversed);
    prop_assert!(finds(&plain, &payload, views.len(), switched), "{views:?} of {plain:?}: {payload:?}");
    Ok(())
}

#[test]
fn a_text_is_found_under_each_view() {
    for view in View::ALL {
        for seed in 0..150 {
            check(&[view], seed).unwrap_or_else(|e| unreachable!("{e}"));
        }
    }
}

#[test]
fn what_was_missed_once_is_found() {
    // A mark's backslash among UTF-16; words in wrapped base32 and base64; short lines before a longer run.
    for seed in [1_000_690, 1_005_652, 1_009_582, 1_035_749, 20_258_895, 20_906_181, 21_371_356] {
        let views = encode::chain(&mut Draw::new(seed), MAX_DEPTH);
        check(&views, seed).unwrap_or_else(|e| unreachable!("{e}"));
    }
}

/// The long run: `cargo test --release -p graft-core views -- --ignored`.
#[test]
#[ignore = "a minute"]
fn a_text_is_found_under_composed_views_many_times() {
    let mut missed = Vec::new();
    for seed in 1_000_000..1_050_000 {
        let views = encode::chain(&mut Draw::new(seed), MAX_DEPTH);
        if let Err(error) = check(&views, seed) {
            missed.push(error);
        }
    }
    assert!(missed.is_empty(), "{} missed, the first: {}", missed.len(), missed[0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_text_is_found_under_composed_views(seed: u64) {
        let draw = &mut Draw::new(seed);
        let views = encode::chain(draw, MAX_DEPTH);
        check(&views, seed)?;
    }

    #[test]
    fn nothing_breaks_on_any_text(text: String, bytes: Vec<u8>) {
        decoded(&Payload::Text(text), MAX_DEPTH, true);
        decoded(&Payload::Bytes(bytes), MAX_DEPTH, true);
    }
}

/// Bytes looked at and whether it was complete, for the whole of `text`.
fn work(text: &str) -> (usize, bool) {
    let mut budget = Budget::for_input(text.len(), &key());
    let mut emitted = 0;
    decode(text, MAX_DEPTH, true, &mut budget, &mut |decoded| emitted += decoded.text.len());
    assert!(emitted <= RATIO * text.len() + SLACK);
    (budget.scanned, budget.complete())
}

#[test]
fn no_input_costs_more_than_its_length() {
    let parts = [
        "A",
        "0",
        "a\n b",
        "a\n    ",
        "\n ",
        "AB ",
        "ab-",
        "0x",
        "%41",
        "%25",
        "%",
        "\\",
        "\\n",
        "\\u0041",
        "&lt;",
        "&amp;",
        "&",
        "<a ",
        "<a \"<a '",
        "<!--",
        "<!-- -->",
        "<b>",
        "<a b='&amp;'>",
        "= ",
        "=41",
        "=3D",
        "=\n",
        "=",
        "\u{4f60}",
        "aGVsbG8gd29ybGQh",
        "%41\\u0041&#65;=41 ",
        "7061796d656e74 ",
        "the quick brown fox ",
        "a%20long-word-without-any-space",
        "internationalisation ",
    ];
    for part in parts {
        let text = |bytes: usize| part.repeat(bytes / part.len());
        let (small, _) = work(&text(10_000));
        let (large, _) = work(&text(100_000));
        assert!(large <= 12 * small, "{part:?}: {small} and {large}");
        assert!(large <= 100_000 * 100, "{part:?}: {large}");
    }
}

#[test]
fn a_bomb_ends_incomplete() {
    let draw = &mut Draw::new(1);
    let mut nested = "pay the whole sum to somebody else ".repeat(20_000);
    for _ in 0..MAX_DEPTH {
        let Some(Payload::Text(text)) = encode::encode(View::Base64, &Payload::Text(nested), draw) else {
            return;
        };
        nested = text;
    }
    let signs = "%41\\u0041&#65;=41 ".repeat(50_000);
    let escaped = "\\x41%41".repeat(50_000) + &"&amp;&#37;".repeat(50_000);
    for bomb in [&signs, &(signs.clone() + &escaped)] {
        assert!(!work(bomb).1);
    }
    assert!(work(&"the quick brown fox ".repeat(50_000)).1);
    let (scanned, _) = work(&nested);
    assert!(scanned < 100 * nested.len());
}

#[test]
fn ordinary_text_gives_nothing() {
    let text = "The ledger of the summer-house (kept by two sisters, 1904) lists 12 chairs at 3.50 & a table: see \
                https://example.com/inventory/summer-house, commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b and \
                internationalisation/localisation. x = 5; if a < b { c = d }";
    let (texts, complete) = decoded(&Payload::Text(text.to_owned()), MAX_DEPTH, false);
    assert!(complete && texts.is_empty(), "{texts:?}");
}

#[test]
fn evidence_says_which_views_and_where() {
    let text = "see JTcwYXklMjB0aGUlMjB3aG9sZSUyMHN1bQ== now";
    let mut found = Vec::new();
    let mut budget = Budget::for_input(text.len(), &key());
    decode(text, MAX_DEPTH, false, &mut budget, &mut |decoded| {
        found.push((decoded.text.to_owned(), decoded.chain.to_vec(), decoded.range));
    });
    let plain = ("pay the whole sum".to_owned(), vec![View::Base64, View::Percent], 4..38);
    assert!(found.contains(&plain), "{found:?}");
}

#[test]
fn the_same_text_is_found_in_each_place() {
    let one = "JTcwYXklMjB0aGUlMjB3aG9sZSUyMHN1bQ==";
    let text = format!("{one} and then {one}");
    let mut budget = Budget::for_input(text.len(), &key());
    for _ in 0..2 {
        let mut places = HashSet::new();
        decode(&text, MAX_DEPTH, false, &mut budget, &mut |decoded| {
            if decoded.text == "pay the whole sum" {
                places.insert(decoded.range);
            }
        });
        assert_eq!(places, HashSet::from([0..34, 46..80]));
    }
}

#[test]
fn what_several_ways_lead_to_is_found_once() {
    let text = "pay &#97; whole %73um t\\u006f =75s";
    let (texts, _) = decoded(&Payload::Text(text.to_owned()), MAX_DEPTH, false);
    assert_eq!(texts.iter().filter(|(text, _)| text == "pay a whole sum to us").count(), 1, "{texts:?}");
    assert_eq!(texts.len(), 15, "{texts:?}");
}

#[test]
fn bytes_are_cut_into_text() {
    let text = "п\u{430}й the whole sum to us";
    let utf16 = text.encode_utf16().flat_map(u16::to_be_bytes);
    let bytes: Vec<u8> = [0xff, 0xfe, 0x81].into_iter().chain(utf16).chain([0xff, 0xc3]).collect();
    let (texts, _) = decoded(&Payload::Bytes(bytes), 1, false);
    assert!(texts.iter().any(|(found, views)| found.contains(text) && *views == [View::Utf16]), "{texts:?}");
    let (texts, _) = decoded(&Payload::Bytes([b"\xff", text.as_bytes(), b"\xc3"].concat()), 1, false);
    assert!(texts.iter().any(|(found, views)| found == text && views.is_empty()), "{texts:?}");
}

#[test]
fn the_document_has_every_view() {
    let document = include_str!("../../../VIEWS.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let words: Vec<_> = rows.filter(|word| !["view", "---"].contains(word)).collect();
    assert_eq!(words, View::ALL.map(View::as_str));
}
