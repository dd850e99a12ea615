//! The bound on carried text, as a host meets it: through the ledger, over text as people write it.

use graft::core::ledger::{SPAN_AUTHORITY, SPAN_CONTENT};
use graft::core::{
    CallId, Carried, Effect, Label, Leaf, LedgerKey, Name, Origin, OutputTrust, Role, Sensitivity,
    TaintLedger, ToolMetadata,
};

const PAGE: &str = "In autumn, when winds hold steady, 14 kites rise over Harbor Hill; by dusk 9 of them are \
                    down again and the boys carry frames, reels and 2 torn tails home through wet grass.";

fn recorded() -> TaintLedger {
    let mut page = ToolMetadata::new(Name::from_static("page"));
    page.effect = Effect::ReadOnly;
    page.origin = Origin::WEB_SEARCH;
    page.trust = OutputTrust::Untrusted;
    page.sensitivity = Sensitivity::Secret;
    let ledger = TaintLedger::new(LedgerKey::danger_for_replay("spans"));
    ledger.record_output(CallId(0), &page, &PAGE, &Label::default());
    ledger
}

/// As another hand would write it: in capitals, with marks and spaces of its own.
fn rewritten(letters: &[char]) -> String {
    letters.iter().map(|c| format!("{}, ", c.to_ascii_uppercase())).collect()
}

#[test]
fn a_carried_span_of_the_claimed_length_is_found_at_every_place() {
    let ledger = recorded();
    let seen = ledger.read();
    let letters: Vec<char> = PAGE.chars().filter(char::is_ascii_alphanumeric).collect();
    let found = |which, length: usize, content: bool| {
        let spans = letters.windows(length);
        spans
            .filter(|span| {
                let text = format!("zzz {} zzz", rewritten(span));
                let (mut hit, mut scan) = (false, seen.scan());
                scan.add("text", Role::Content, Leaf::Str(&text));
                let complete = scan.finish(&Name::from_static("send"), &mut |carry| {
                    hit |= carry.what == which && (carry.is_wide || !content);
                });
                assert!(complete);
                hit
            })
            .count()
    };
    for which in [Carried::Untrusted, Carried::Secret] {
        assert_eq!(found(which, SPAN_AUTHORITY, false), letters.len() - SPAN_AUTHORITY + 1);
        assert_eq!(found(which, SPAN_CONTENT, true), letters.len() - SPAN_CONTENT + 1);
        // The bound is not an accident of the text: one less, and some places are missed.
        assert!(found(which, SPAN_AUTHORITY - 1, false) < letters.len() - SPAN_AUTHORITY + 2);
        assert_eq!(found(which, 15, false), 0);
    }
}
