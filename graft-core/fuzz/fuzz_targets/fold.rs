//! The fold distributes over concatenation, and folding twice is folding once.
#![no_main]

use graft_core::ledger::conformance::folded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|two: (&str, &str)| {
    let (first, second) = two;
    let both = folded(&format!("{first}{second}"));
    assert_eq!(both, [folded(first), folded(second)].concat());
    let text = String::from_utf8(both.clone()).expect("folded text is text");
    assert_eq!(folded(&text), both);
});
