//! Which records are asked for.

use std::fmt;
use std::str::FromStr;

use graft_core::{Action, CallId, Decision, Ending, Name, RunId, Timestamp, TraceId};

use crate::{StoredEvent, TimeError};

/// Which records are asked for: those that agree with everything that is given. Nothing given is all of them.
///
/// ```
/// use graft_audit::Query;
/// let mut query = Query::default();
/// query.actor = Some("agent:*".parse()?);
/// query.action = Some("tool:dataflow:*".parse()?);
/// let mistyped = "tool:dataflow:block".parse::<graft_audit::ActionPattern>();
/// assert_eq!(
///     mistyped.unwrap_err().to_string(),
///     "no action has this name; the nearest is `tool:dataflow:blocked`"
/// );
/// # Ok::<(), graft_audit::QueryError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// Who.
    pub actor: Option<Pattern>,
    /// What.
    pub action: Option<ActionPattern>,
    /// On what.
    pub target: Option<Pattern>,
    /// What the guard decided.
    pub decision: Option<Decision>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// The run.
    pub run: Option<IdPattern>,
    /// The call. Runs number their calls alike, so it is best given with its run.
    pub call: Option<CallId>,
    /// The trace.
    pub trace: Option<IdPattern>,
}

impl Query {
    /// Whether the record is asked for.
    pub fn matches(&self, stored: &StoredEvent) -> bool {
        let event = &stored.event;
        self.from.is_none_or(|from| from <= event.time)
            && self.until.is_none_or(|until| event.time < until)
            && self.actor.as_ref().is_none_or(|actor| actor.matches(&event.actor))
            && self.action.as_ref().is_none_or(|action| action.matches(event.action))
            && self.target.as_ref().is_none_or(|target| target.matches(&event.target))
            && self.decision.is_none_or(|decision| event.decision == Some(decision))
            && self.ending.is_none_or(|ending| event.ending == ending)
            && self.run.is_none_or(|run| event.run.is_some_and(|RunId(id)| run.matches(&id)))
            && self.call.is_none_or(|call| event.call == Some(call))
            && self.trace.is_none_or(|trace| event.trace.is_some_and(|TraceId(id)| trace.matches(&id)))
    }
}

/// A name, or the beginning of one and a `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What the name begins with: all of it, or what stands before the `*`.
    text: String,
    is_open: bool,
}

impl Pattern {
    /// The name, if it is given in full.
    pub(crate) fn whole(&self) -> Option<&str> {
        (!self.is_open).then_some(&self.text)
    }

    /// Whether the name is, or begins with, what was given.
    pub fn matches(&self, name: &Name) -> bool {
        self.takes(name.as_str())
    }

    fn takes(&self, name: &str) -> bool {
        if self.is_open { name.starts_with(&self.text) } else { name == self.text }
    }
}

impl FromStr for Pattern {
    type Err = QueryError;

    /// # Errors
    /// [`QueryError::Name`] if no name could match.
    fn from_str(text: &str) -> Result<Self, QueryError> {
        let (start, is_open) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        if !(is_open && start.is_empty()) {
            Name::new(start).map_err(|_| QueryError::Name)?;
        }
        Ok(Self { text: start.to_owned(), is_open })
    }
}

/// The actions that a name, or the beginning of one and a `*`, stands for: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionPattern(Vec<Action>);

impl ActionPattern {
    /// The action, if it is one only.
    pub(crate) fn whole(&self) -> Option<Action> {
        if let [action] = self.0[..] { Some(action) } else { None }
    }

    /// Whether the action is one of them.
    pub fn matches(&self, action: Action) -> bool {
        self.0.contains(&action)
    }
}

impl FromStr for ActionPattern {
    type Err = QueryError;

    /// # Errors
    /// [`QueryError::Action`] if there is no such action.
    fn from_str(text: &str) -> Result<Self, QueryError> {
        let pattern = text.parse::<Pattern>();
        let actions = Action::ALL.iter().copied();
        let found: Vec<_> = match &pattern {
            Ok(pattern) => actions.filter(|action| pattern.takes(action.as_str())).collect(),
            Err(_) => Vec::new(),
        };
        if found.is_empty() { Err(QueryError::Action { nearest: nearest(text) }) } else { Ok(Self(found)) }
    }
}

/// An id of 16 bytes, or how it begins: 4 to 32 hexadecimal digits, since listings show the first few.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdPattern {
    id: [u8; 16],
    digits: usize,
}

impl IdPattern {
    /// The id, if it is given in full.
    pub(crate) fn whole(&self) -> Option<[u8; 16]> {
        (self.digits == 32).then_some(self.id)
    }

    /// Whether the id begins with what was given.
    pub fn matches(&self, id: &[u8; 16]) -> bool {
        (0..self.digits).all(|at| nibble(id, at) == nibble(&self.id, at))
    }
}

impl From<[u8; 16]> for IdPattern {
    fn from(id: [u8; 16]) -> Self {
        Self { id, digits: 32 }
    }
}

impl FromStr for IdPattern {
    type Err = QueryError;

    /// # Errors
    /// [`QueryError::Id`] if it is not 4 to 32 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, QueryError> {
        if !(4..=32).contains(&text.len()) {
            return Err(QueryError::Id);
        }
        let mut id = [0; 16];
        for (at, digit) in text.chars().enumerate() {
            let digit = digit.to_digit(16).ok_or(QueryError::Id)? as u8;
            id[at / 2] |= if at % 2 == 0 { digit << 4 } else { digit };
        }
        Ok(Self { id, digits: text.len() })
    }
}

impl fmt::Debug for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdPattern(")?;
        (0..self.digits).try_for_each(|at| write!(f, "{:x}", nibble(&self.id, at)))?;
        f.write_str(")")
    }
}

fn nibble(id: &[u8; 16], at: usize) -> u8 {
    if at.is_multiple_of(2) { id[at / 2] >> 4 } else { id[at / 2] & 15 }
}

/// What was asked cannot be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Not a name.
    #[error(
        "a name is 1 to 128 bytes out of A-Z a-z 0-9 . _ - : / @, and may end in `*` for any that begins so"
    )]
    Name,
    /// Not an action, nor the beginning of one.
    #[error("no action has this name; the nearest is `{nearest}`")]
    Action {
        /// The action whose name is spelt most like it.
        nearest: &'static str,
    },
    /// Not an id.
    #[error("an id is 32 hexadecimal digits, or its first ones, at least 4")]
    Id,
    /// Not a time.
    #[error(transparent)]
    Time(#[from] TimeError),
}

/// The action whose name takes the fewest edits to make from `text`.
fn nearest(text: &str) -> &'static str {
    // A word is seldom mistyped beyond this, and the cost is bounded by it.
    let text: Vec<u8> =
        text.trim_end_matches('*').bytes().take(64).map(|byte| byte.to_ascii_lowercase()).collect();
    let names = Action::ALL.iter().map(|action| action.as_str());
    names.min_by_key(|name| distance(&text, name.as_bytes())).unwrap_or_default()
}

/// How many letters must be put in, taken out or exchanged: Levenshtein's distance, a row at a time.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let exchanged = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::stored;

    /// What makes a query ask for a record as [`stored`] makes it, and for no other.
    type Given = fn(&mut Query);

    const EACH: [(Given, Given); 10] = [
        (|query| query.from = Some(Timestamp(7)), |query| query.from = Some(Timestamp(8))),
        (|query| query.until = Some(Timestamp(8)), |query| query.until = Some(Timestamp(7))),
        (|query| query.actor = "agent:7".parse().ok(), |query| query.actor = "agent:".parse().ok()),
        (
            |query| query.action = "tool:dataflow:*".parse().ok(),
            |query| query.action = "tool:execute:*".parse().ok(),
        ),
        (|query| query.target = "Bank.*".parse().ok(), |query| query.target = "Bank".parse().ok()),
        (|query| query.decision = Some(Decision::Block), |query| query.decision = Some(Decision::Ask)),
        (|query| query.ending = Some(Ending::Denied), |query| query.ending = Some(Ending::Ok)),
        (|query| query.run = "abab".parse().ok(), |query| query.run = Some([0xba; 16].into())),
        (|query| query.call = Some(CallId(3)), |query| query.call = Some(CallId(4))),
        (
            |query| query.trace = "08080808080808080808080808080808".parse().ok(),
            |query| query.trace = "080808080808080808080808080808F8".parse().ok(),
        ),
    ];

    #[test]
    fn a_record_must_agree_with_everything_that_is_given() {
        let stored = stored(7);
        let mut query = Query::default();
        assert!(query.matches(&stored));
        for (agree, differ) in EACH {
            let mut other = query.clone();
            differ(&mut other);
            assert_ne!(other, query);
            assert!(!other.matches(&stored), "{other:?}");
            agree(&mut query);
            assert!(query.matches(&stored), "{query:?}");
        }
    }

    #[test]
    fn what_a_record_does_not_have_matches_nothing() {
        let mut stored = stored(7);
        (stored.event.run, stored.event.call) = (None, None);
        (stored.event.trace, stored.event.decision) = (None, None);
        for (agree, _) in [EACH[5], EACH[7], EACH[8], EACH[9]] {
            let mut query = Query::default();
            agree(&mut query);
            assert!(!query.matches(&stored), "{query:?}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in ["", "a b", "*a", "a**", "ü"] {
            assert_eq!(text.parse::<Pattern>(), Err(QueryError::Name), "{text}");
        }
        assert!("*".parse::<Pattern>().is_ok_and(|any| any.takes("x")));
        for text in ["", "abc", "abcg", "é234", &"0".repeat(33)] {
            assert_eq!(text.parse::<IdPattern>(), Err(QueryError::Id), "{text}");
        }
        for (text, nearest) in [
            ("tool:execute:stat", "tool:execute:start"),
            ("run-begin", "run:begin"),
            ("RUN:END", "run:end"),
            ("label.release", "label:released"),
        ] {
            let refused = text.parse::<ActionPattern>().expect_err("no action");
            assert_eq!(refused, QueryError::Action { nearest }, "{text}");
        }
        assert!("x".repeat(1 << 20).parse::<ActionPattern>().is_err());
    }

    #[test]
    fn the_distance_is_how_many_letters_differ() {
        for (one, other, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
            ("abc", "abc", 0),
        ] {
            assert_eq!(distance(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
        }
    }
}
