//! How an end of a connection is set up.

use std::sync::Arc;

use graft_core::{Action, Admit, Clearance, Clock, Ending, Event, Name, RecordError, Recorder};

use crate::Limits;

/// The set-up of a [`Server`](crate::Server) or [`RemoteChannel`](crate::RemoteChannel).
#[derive(Clone)]
pub struct RemoteOptions {
    limits: Limits,
    clock: Arc<dyn Clock>,
    clearance: Clearance,
    dispatch: Dispatch,
    admit: Option<Arc<dyn Admit>>,
    recorder: Option<Arc<dyn Recorder>>,
}

/// Where the calls of a connection begin to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dispatch {
    /// In the connection's own task until they first wait, then in a task of their own. A method that blocks its
    /// thread holds up the connection.
    #[default]
    Inline,
    /// In a task of their own from the beginning; for methods that compute for long without waiting.
    Spawned,
}

impl RemoteOptions {
    /// The default limits and clearance ([`Clearance::CHANNEL`]), deadlines on `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            limits: Limits::default(),
            clock,
            clearance: Clearance::CHANNEL,
            dispatch: Dispatch::default(),
            admit: None,
            recorder: None,
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same with calls begun elsewhere.
    #[must_use]
    pub fn with_dispatch(self, dispatch: Dispatch) -> Self {
        Self { dispatch, ..self }
    }

    /// The same, each call that comes in past `admit` before its arguments are decoded.
    #[must_use]
    pub fn with_admit(self, admit: Arc<dyn Admit>) -> Self {
        Self { admit: Some(admit), ..self }
    }

    /// The same, what comes in being recorded in the receiver's own log: who is let in (once for each that a
    /// connection is used by in turn), who is refused, the intent of a call with effects, and how each call ended. A
    /// call that returns a stream ended, here, when it was answered.
    ///
    /// What cannot be recorded is not carried out, or its reply is withheld. Run, call and trace are what the caller
    /// says; who acts is whom [`Admit`] proved, else `anonymous`. The recorder is called where calls are begun and
    /// answered, so one that waits for a disk holds up the connection unless calls are [`Dispatch::Spawned`].
    #[must_use]
    pub fn with_recorder(self, recorder: Arc<dyn Recorder>) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// The same, raised to carry `secret` values, which is recorded as what `actor` did for `reason`.
    ///
    /// A plain socket neither hides nor authenticates. Raise it only for an authenticated channel (mutual TLS, a
    /// Unix socket of the same user) or the process's own loopback.
    ///
    /// # Errors
    /// [`RecordError`] if the record could not be written; the clearance is then not raised.
    ///
    /// ```
    /// use graft_core::{Action, Clearance, ManualClock, MemoryRecorder, Name};
    /// use graft_transport::RemoteOptions;
    /// let log = MemoryRecorder::default();
    /// let (why, who) = (Name::from_static("own-loopback"), Name::from_static("example"));
    /// let options = RemoteOptions::new(std::sync::Arc::new(ManualClock::default()))
    ///     .danger_raise_clearance(why, who, &log)?;
    /// assert_eq!(options.clearance(), Clearance::DANGER_SECRET);
    /// assert_eq!(log.events()[0].action, Action::ClearanceRaised);
    /// # Ok::<(), graft_core::RecordError>(())
    /// ```
    pub fn danger_raise_clearance(
        self,
        reason: Name,
        actor: Name,
        recorder: &dyn Recorder,
    ) -> Result<Self, RecordError> {
        const TARGET: Name = Name::from_static("channel:remote");
        let mut event = Event::at(&*self.clock, actor, Action::ClearanceRaised, TARGET, Ending::Ok);
        event.code = Some(reason);
        recorder.record(&event)?;
        Ok(Self { clearance: Clearance::DANGER_SECRET, ..self })
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What may cross.
    pub fn clearance(&self) -> Clearance {
        self.clearance
    }

    /// The clock of the deadlines.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(super) fn dispatch(&self) -> Dispatch {
        self.dispatch
    }

    /// What records the calls that come in.
    pub fn recorder(&self) -> Option<&dyn Recorder> {
        self.recorder.as_deref()
    }

    pub(super) fn admit(&self) -> Option<&dyn Admit> {
        self.admit.as_deref()
    }
}

impl std::fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteOptions")
            .field("limits", &self.limits)
            .field("clearance", &self.clearance)
            .field("dispatch", &self.dispatch)
            .finish_non_exhaustive()
    }
}
