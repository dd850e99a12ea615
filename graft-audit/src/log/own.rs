//! The records that the log makes of its own doing.

use graft_core::{Action, Clock, Ending, Event, FieldValue, Fields, Name};

const ACTOR: Name = Name::from_static("graft-audit");
const TARGET: Name = Name::from_static("log");

/// Whether only the log itself records this: verifiers and readers believe what it says of the log.
pub(super) fn is_own(action: Action) -> bool {
    action.as_str().starts_with("log:")
}

/// A record of the log about itself, with these numbers and names.
pub(super) fn event<const N: usize>(
    clock: &dyn Clock,
    action: Action,
    fields: [(&'static str, FieldValue); N],
) -> Event {
    let mut event = Event::at(clock, ACTOR, action, TARGET, Ending::Ok);
    let named = fields.map(|(name, value)| (Name::from_static(name), value));
    let Ok(fields) = Fields::new(named) else { unreachable!("few fields, each with a name of its own") };
    event.fields = fields;
    event
}

/// 64 hexadecimal digits: a digest of what nobody can guess, so no key is needed.
pub(super) fn hex(digest: &[u8; 32]) -> FieldValue {
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    match Name::new(digits) {
        Ok(name) => FieldValue::Name(name),
        Err(_) => unreachable!("digits make a name"),
    }
}
