//! The files in `tests/golden`, which a reader in any language can be held against.

use graft_audit::v0::{AuditKey, Leaf, State, StoredEvent, read, verify};

const LOG: &[u8] = include_bytes!("../golden/v0.bin");
/// The key in hexadecimal on the first line, then each record with its leaf.
const EVENTS: &str = include_str!("../golden/v0.events.txt");

fn golden_key() -> AuditKey {
    let hex = EVENTS.lines().next().and_then(|line| line.strip_prefix("key ")).expect("the key comes first");
    let bytes: Vec<_> =
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex")).collect();
    AuditKey::new(bytes).expect("strong")
}

/// One line for each field, in stored order; `-` for what is absent.
fn print(stored: &StoredEvent) -> String {
    fn or_dash(value: Option<impl ToString>) -> String {
        value.map_or("-".to_owned(), |value| value.to_string())
    }
    let event = &stored.event;
    let signals: Vec<_> = event.signals.iter().map(|signal| signal.as_str()).collect();
    let fields = [
        ("leaf", stored.leaf.to_string()),
        ("seq", stored.seq.0.to_string()),
        ("time", event.time.0.to_string()),
        ("monotonic", event.monotonic.0.to_string()),
        ("actor", event.actor.to_string()),
        ("action", event.action.as_str().to_owned()),
        ("target", event.target.to_string()),
        ("ending", event.ending.as_str().to_owned()),
        ("run", or_dash(event.run)),
        ("call", or_dash(event.call)),
        ("trace", or_dash(event.trace)),
        ("intent", or_dash(event.intent.map(|seq| seq.0))),
        ("decision", or_dash(event.decision.map(|decision| decision.as_str()))),
        ("signals", if signals.is_empty() { "-".to_owned() } else { signals.join(" ") }),
        ("code", or_dash(event.code.as_ref())),
        ("policy", or_dash(event.policy.map(Leaf))),
    ];
    fields.iter().fold(String::new(), |lines, (name, value)| lines + name + " " + value + "\n")
}

#[test]
fn the_golden_log_reads_as_its_listing() {
    let key = EVENTS.lines().next().unwrap_or_default();
    let records = read(LOG, &golden_key()).map(|stored| print(&stored.expect("verifies")));
    let listing = records.fold(format!("{key}\n"), |listing, record| listing + "\n" + &record);
    assert_eq!(listing, EVENTS);
}

#[test]
fn the_golden_log_verifies_and_is_closed() {
    let report = verify(LOG, &golden_key()).expect("reads").ensure_intact().expect("intact");
    assert_eq!((report.records, report.openings, report.quarantined), (3, 2, 3));
    assert_eq!(report.state, State::Closed);
    assert_eq!(report.good_bytes, LOG.len() as u64);
}
