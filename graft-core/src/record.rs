//! Records of privileged acts: metadata only, by type.

use serde::{Deserialize, Serialize};

use crate::{CallId, Clock, Decision, Fields, Monotonic, Name, RunId, Signals, Timestamp, TraceId};

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// What was done. The strings and numbers are stable; a row is added with the code that produces it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Action {
            $($(#[$doc])* $variant,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable string.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The number in stored records.
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number,)* }
            }

            /// The action with this number, if this version knows it.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

actions! {
    /// A run began.
    RunBegin = 1, "run:begin";
    /// A run ended.
    RunEnd = 2, "run:end";
    /// A call with effects is about to happen: the intent.
    ToolExecuteStart = 3, "tool:execute:start";
    /// A call returned: the outcome.
    ToolExecuteEnd = 4, "tool:execute:end";
    /// A call did not return a value: the outcome of a stopped or failed one.
    ToolExecuteError = 5, "tool.execute.error";
    /// Shadow: a flow that `enforce` would have stopped.
    DataflowFlagged = 6, "tool:dataflow:flagged";
    /// Enforce: a flow that was stopped.
    DataflowBlocked = 7, "tool:dataflow:blocked";
    /// A flow into a sink that the host declassified, or of a value: one use of a grant.
    DataflowDeclassified = 8, "tool:dataflow:declassified";
    /// A channel was raised to carry secrets.
    ClearanceRaised = 9, "channel:clearance:raised";
    /// A value left through one of the doors of `Labeled`.
    LabelReleased = 10, "label:released";
    /// A run went on from a snapshot.
    RunResume = 11, "run:resume";
    /// A person answered a question about a call: yes is `ok`, no is `denied`.
    ApprovalAnswered = 20, "tool:execute:approval";
    /// A call went through on a person's approval, which that used up.
    ApprovalUsed = 21, "tool:dataflow:approved";
    /// The host granted a declassification or an endorsement; the code says which.
    GrantMade = 22, "tool:dataflow:granted";
    /// A flow that the host endorsed: one use of a grant.
    DataflowEndorsed = 23, "tool:dataflow:endorsed";
    /// A receiver let somebody in: the actor is who was proved, the fields say by whom and how.
    AuthGranted = 24, "auth:granted";
    /// A receiver refused a call: the code says why, the fields by whom, how who calls was proved, and what scope
    /// lacked.
    AuthDenied = 25, "auth:denied";
    /// A configuration was taken to go by, or was refused: the code says why.
    ConfigLoad = 26, "config:load";
    /// A policy came into force, instead of none or of another: the code says its mode.
    PolicyChange = 27, "policy:change";
    /// A receiver is about to carry out a call with effects: its own intent.
    ServeStart = 28, "tool:serve:start";
    /// A receiver has answered a call, or refused it before anybody was asked who calls: its own outcome.
    ServeEnd = 29, "tool:serve:end";
    /// The log was opened for writing.
    LogOpen = 40, "log:open";
    /// An opening set aside what a crash had torn.
    LogRecover = 41, "log:recover";
    /// The log went on in a new segment.
    LogRotate = 42, "log:rotate";
    /// The log went on under a new key.
    LogRotateKey = 43, "log:rotate-key";
    /// The log's tree was signed.
    LogCheckpoint = 44, "log:checkpoint";
    /// The oldest segments were removed.
    LogPrune = 45, "log:prune";
    /// Parts of records are about to be erased.
    LogErase = 46, "log:erase";
    /// Records were read out.
    LogExport = 47, "log:export";
    /// Records were lost, as many as the fields say.
    LogGap = 48, "log:gap";
    /// The clock of the host was set back.
    LogClock = 49, "log:clock";
}

/// How it ended, as far as the record knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// Not yet known: an intent.
    Pending,
    /// It happened.
    Ok,
    /// It was refused.
    Denied,
    /// It failed.
    Failed,
}

impl Ending {
    /// The word in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// One act, as it is handed to a [`Recorder`]. Every text in it is a [`Name`], so argument bytes do not fit.
///
/// ```compile_fail
/// # use graft_core::{Action, Ending, Event, Name, Timestamp};
/// # let me = Name::from_static("me");
/// let mut event = Event::new(Timestamp(0), me.clone(), Action::RunBegin, me, Ending::Ok);
/// event.target = "please send all the money".into(); // no text becomes a name unchecked
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, by the host's clock.
    pub time: Timestamp,
    /// When, by the host's monotonic clock: what tells that the other was set back.
    pub monotonic: Monotonic,
    /// Who.
    pub actor: Name,
    /// What.
    pub action: Action,
    /// On what: a method, a channel, a run.
    pub target: Name,
    /// How it ended.
    pub ending: Ending,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The call it belongs to.
    pub call: Option<CallId>,
    /// The trace it belongs to.
    pub trace: Option<TraceId>,
    /// The record of the intent that this one completes.
    pub intent: Option<Seq>,
    /// What the guard decided.
    pub decision: Option<Decision>,
    /// What the guard noticed.
    pub signals: Signals,
    /// A stable code, such as that of a fault.
    pub code: Option<Name>,
    /// SHA-256 of the policy that decided.
    pub policy: Option<[u8; 32]>,
    /// The host's own fields.
    pub fields: Fields,
}

impl Event {
    /// What happens now by `clock`.
    ///
    /// ```
    /// use graft_core::{Action, Ending, Event, ManualClock, Monotonic, Name, Timestamp};
    /// # use std::time::Duration;
    /// let (clock, me) = (ManualClock::default(), Name::from_static("me"));
    /// clock.advance(Duration::from_nanos(5));
    /// let event = Event::at(&clock, me.clone(), Action::RunBegin, me, Ending::Ok);
    /// assert_eq!((event.time, event.monotonic), (Timestamp(5), Monotonic(5)));
    /// ```
    pub fn at(clock: &dyn Clock, actor: Name, action: Action, target: Name, ending: Ending) -> Self {
        let monotonic = clock.monotonic().into();
        Self { monotonic, ..Self::new(clock.now(), actor, action, target, ending) }
    }

    /// An event with nothing but when by the wall clock, who, what, on what and how it ended.
    pub fn new(time: Timestamp, actor: Name, action: Action, target: Name, ending: Ending) -> Self {
        Self {
            time,
            monotonic: Monotonic(0),
            actor,
            action,
            target,
            ending,
            run: None,
            call: None,
            trace: None,
            intent: None,
            decision: None,
            signals: Signals::NONE,
            code: None,
            policy: None,
            fields: Fields::NONE,
        }
    }
}

/// The position of a record in its log, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// Takes records. Whoever cannot record does not act: the callers of this trait fail closed.
pub trait Recorder: Send + Sync {
    /// Records one event and returns its position.
    ///
    /// # Errors
    /// [`RecordError`] if it is not certain that the event was kept.
    fn record(&self, event: &Event) -> Result<Seq, RecordError>;
}

/// The event was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event could not be recorded; look at the log's disk and open the log again")]
pub struct RecordError;

/// Keeps events in memory, for tests.
///
/// ```
/// use graft_core::{Action, Ending, Event, MemoryRecorder, Name, Recorder, Seq, Timestamp};
/// let log = MemoryRecorder::default();
/// let me = Name::from_static("me");
/// let event = Event::new(Timestamp(0), me.clone(), Action::RunBegin, me, Ending::Ok);
/// assert_eq!(log.record(&event), Ok(Seq(0)));
/// assert_eq!(log.events(), [event]);
/// ```
#[derive(Debug, Default)]
pub struct MemoryRecorder {
    events: std::sync::Mutex<Vec<Event>>,
}

impl MemoryRecorder {
    /// What was recorded so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

impl Recorder for MemoryRecorder {
    fn record(&self, event: &Event) -> Result<Seq, RecordError> {
        let mut events = self.events.lock().map_err(|_| RecordError)?;
        events.push(event.clone());
        Ok(Seq(events.len() as u64 - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_and_numbers_are_one_to_one() {
        for action in Action::ALL {
            assert_eq!(Action::from_number(action.number()), Some(*action));
            assert!(Name::new(action.as_str()).is_ok());
        }
        assert_eq!(Action::from_number(0), None);
    }
}
