//! The sealed part of a record: an event in its one canonical form, without its fields.

use graft_core::{
    Action, CallId, Decision, Ending, Event, Fields, Monotonic, Name, RunId, Seq, Signal, Signals, Timestamp,
    TraceId,
};
use serde::{Deserialize, Serialize};

use crate::What;
use crate::canonical::Canonical;

/// The form of body that this code writes: the first byte of each.
const FORM: u8 = 1;
/// Who acts in the records that the log makes of its own doing.
const OWN_ACTOR: &str = "graft-audit";

/// The fields in stored order. Words are stored as numbers of our own, so that a renamed or reordered enum
/// in the core cannot change what a stored record says.
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    form: u8,
    time: u64,
    monotonic: u64,
    #[serde(borrow)]
    actor: &'a str,
    action: u16,
    target: &'a str,
    ending: u8,
    run: Option<[u8; 16]>,
    call: Option<u64>,
    trace: Option<[u8; 16]>,
    intent: Option<u64>,
    decision: Option<u8>,
    signals: &'a [u8],
    code: Option<&'a str>,
    policy: Option<[u8; 32]>,
}

/// Writes `event`, but for its fields, to the start of `buffer` and returns its length, or `None` if it does not fit.
pub(crate) fn encode(event: &Event, buffer: &mut [u8]) -> Option<usize> {
    let mut numbers = [0; Signal::ALL.len()];
    for (number, signal) in numbers.iter_mut().zip(event.signals.iter()) {
        *number = signal_number(signal);
    }
    let body = Body {
        form: FORM,
        time: event.time.0,
        monotonic: event.monotonic.0,
        actor: event.actor.as_str(),
        action: event.action.number(),
        target: event.target.as_str(),
        ending: ending_number(event.ending),
        run: event.run.map(|run| run.0),
        call: event.call.map(|call| call.0),
        trace: event.trace.map(|trace| trace.0),
        intent: event.intent.map(|intent| intent.0),
        decision: event.decision.map(decision_number),
        signals: &numbers[..event.signals.len()],
        code: event.code.as_ref().map(Name::as_str),
        policy: event.policy,
    };
    postcard::to_slice(&body, buffer).ok().map(|written| written.len())
}

/// Reads what [`encode`] wrote, and nothing else: other spellings of the same event are refused.
pub(crate) fn decode(bytes: &[u8]) -> Result<Event, What> {
    let body = read(bytes)?;
    let name = |text: &str| Name::new(text).map_err(|_| What::NotCanonical);
    Ok(Event {
        time: Timestamp(body.time),
        monotonic: Monotonic(body.monotonic),
        actor: name(body.actor)?,
        action: Action::from_number(body.action).ok_or(What::UnknownAction { found: body.action })?,
        target: name(body.target)?,
        ending: known("ending", &ENDINGS, ending_number, body.ending)?,
        run: body.run.map(RunId),
        call: body.call.map(CallId),
        trace: body.trace.map(TraceId),
        intent: body.intent.map(Seq),
        decision: body.decision.map(|n| known("decision", &DECISIONS, decision_number, n)).transpose()?,
        signals: signals(body.signals)?,
        code: body.code.map(name).transpose()?,
        policy: body.policy,
        fields: Fields::NONE,
    })
}

/// What the log itself recorded of its own doing and brought to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own(pub(crate) Action);

/// Whether [`decode`] would take these bytes, and the action in them if the record is the log's own: whoever may
/// append events does not speak for the log. Allocates nothing.
pub(crate) fn check(bytes: &[u8]) -> Result<Option<Own>, What> {
    let body = read(bytes)?;
    let names = [Some(body.actor), Some(body.target), body.code];
    if !names.into_iter().flatten().all(Name::is_legal) {
        return Err(What::NotCanonical);
    }
    let action = Action::from_number(body.action).ok_or(What::UnknownAction { found: body.action })?;
    let ending = known("ending", &ENDINGS, ending_number, body.ending)?;
    if let Some(decision) = body.decision {
        known("decision", &DECISIONS, decision_number, decision)?;
    }
    signals(body.signals)?;
    Ok((body.actor == OWN_ACTOR && ending == Ending::Ok).then_some(Own(action)))
}

fn read(bytes: &[u8]) -> Result<Body<'_>, What> {
    let mut fields = Canonical::new(bytes);
    let form = fields.byte()?;
    if form != FORM {
        return Err(What::UnknownForm { found: form });
    }
    let body = Body {
        form,
        time: fields.number()?,
        monotonic: fields.number()?,
        actor: fields.text()?,
        action: u16::try_from(fields.number()?).map_err(|_| What::NotCanonical)?,
        target: fields.text()?,
        ending: fields.byte()?,
        run: fields.optional(Canonical::array)?,
        call: fields.optional(Canonical::number)?,
        trace: fields.optional(Canonical::array)?,
        intent: fields.optional(Canonical::number)?,
        decision: fields.optional(Canonical::byte)?,
        signals: fields.bytes()?,
        code: fields.optional(Canonical::text)?,
        policy: fields.optional(Canonical::array)?,
    };
    fields.end()?;
    Ok(body)
}

/// The signals with these numbers, which ascend.
fn signals(numbers: &[u8]) -> Result<Signals, What> {
    let signals = numbers.iter().map(|&n| known("signal", &Signal::ALL, signal_number, n)).collect();
    if numbers.is_sorted_by(|one, next| one < next) { signals } else { Err(What::NotCanonical) }
}

const ENDINGS: [Ending; 4] = [Ending::Pending, Ending::Ok, Ending::Denied, Ending::Failed];

const fn ending_number(ending: Ending) -> u8 {
    match ending {
        Ending::Pending => 0,
        Ending::Ok => 1,
        Ending::Denied => 2,
        Ending::Failed => 3,
    }
}

const DECISIONS: [Decision; 5] =
    [Decision::Allow, Decision::Flag, Decision::Declassify, Decision::Ask, Decision::Block];

pub(crate) const fn decision_number(decision: Decision) -> u8 {
    match decision {
        Decision::Allow => 0,
        Decision::Flag => 1,
        Decision::Declassify => 2,
        Decision::Ask => 3,
        Decision::Block => 4,
    }
}

const fn signal_number(signal: Signal) -> u8 {
    match signal {
        Signal::UntrustedToSink => 0,
        Signal::SecretToSink => 1,
        Signal::UntrustedAuthority => 2,
        Signal::UnrequestedEffect => 3,
        Signal::LethalTrifecta => 4,
        Signal::DerivedTaint => 5,
    }
}

/// The word with this number.
fn known<T: Copy>(field: &'static str, all: &[T], number: fn(T) -> u8, found: u8) -> Result<T, What> {
    all.iter().copied().find(|&word| number(word) == found).ok_or(What::UnknownWord { field, found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(event: &Event) -> Vec<u8> {
        let mut buffer = vec![0; 4096];
        let length = encode(event, &mut buffer).expect("fits");
        buffer.truncate(length);
        buffer
    }

    fn least() -> Event {
        let me = Name::from_static("a");
        Event::new(Timestamp(0), me.clone(), Action::RunBegin, me, Ending::Pending)
    }

    #[test]
    fn the_stored_form_is_the_documented_one() {
        let mut event = least();
        event.time = Timestamp(300);
        event.monotonic = Monotonic(7);
        event.intent = Some(Seq(5));
        event.signals = [Signal::DerivedTaint].into();
        event.decision = Some(Decision::Block);
        assert_eq!(
            printed(&event),
            [1, 0xac, 0x02, 7, 1, b'a', 1, 1, b'a', 0, 0, 0, 0, 1, 5, 1, 4, 1, 5, 0, 0]
        );
    }

    #[test]
    fn what_a_later_version_may_write_is_named() {
        let bytes = printed(&least());
        let with = |at: usize, byte: u8| {
            let mut other = bytes.clone();
            other[at] = byte;
            decode(&other).expect_err("unknown")
        };
        assert_eq!(with(0, 2), What::UnknownForm { found: 2 });
        assert_eq!(with(5, 99), What::UnknownAction { found: 99 });
        assert_eq!(with(8, 4), What::UnknownWord { field: "ending", found: 4 });
        let mut event = least();
        event.signals = [Signal::DerivedTaint].into();
        event.decision = Some(Decision::Allow);
        let mut bytes = printed(&event);
        bytes[16] = 6;
        let signal = decode(&bytes).expect_err("unknown");
        assert_eq!(signal, What::UnknownWord { field: "signal", found: 6 });
        bytes[14] = 5;
        assert_eq!(decode(&bytes).expect_err("unknown"), What::UnknownWord { field: "decision", found: 5 });
    }

    #[test]
    fn other_spellings_of_the_same_event_are_refused() {
        let bytes = printed(&least());
        let rest = [&bytes[..], &[0]].concat();
        let mut long_zero = bytes.clone();
        long_zero.splice(1..2, [0x80, 0x00]);
        let mut sentence = bytes.clone();
        sentence[4] = b' ';
        let mut two = least();
        two.signals = [Signal::UntrustedToSink, Signal::DerivedTaint].into();
        let (in_order, end) = (printed(&two), bytes.len() - 2);
        let (mut swapped, mut twice) = (in_order.clone(), in_order.clone());
        swapped[end..end + 2].reverse();
        twice[end + 1] = in_order[end];
        assert_eq!(decode(&in_order), Ok(two));
        for bad in [&rest[..], &long_zero, &sentence, &bytes[..bytes.len() - 1], &swapped, &twice, &[]] {
            assert_eq!(decode(bad), Err(What::NotCanonical), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic_and_what_it_takes_prints_the_same(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            keep in 0..20_usize,
        ) {
            // Starting from a good body reaches deeper than noise alone.
            let good = printed(&least());
            let mixed = [&good[..keep.min(good.len())], &bytes].concat();
            for input in [bytes, mixed] {
                let slow: Result<Body<'_>, _> = crate::canonical::from_canonical(&input);
                if input.first() == Some(&FORM) {
                    prop_assert_eq!(read(&input).is_ok(), slow.is_ok());
                }
                let own = |event: Event| {
                    let is_own = event.actor.as_str() == OWN_ACTOR && event.ending == Ending::Ok;
                    is_own.then_some(Own(event.action))
                };
                prop_assert_eq!(check(&input), decode(&input).map(own));
                if let Ok(event) = decode(&input) {
                    prop_assert_eq!(printed(&event), input);
                }
            }
        }
    }
}
