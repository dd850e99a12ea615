//! How an end of a TCP connection is set up.

use std::sync::Arc;

use graft_core::{Action, Clearance, Clock, Ending, Event, Name, RecordError, Recorder};

use crate::Limits;

/// The set-up of a [`TcpServer`](crate::TcpServer) or [`TcpChannel`](crate::TcpChannel).
#[derive(Clone)]
pub struct TcpOptions {
    limits: Limits,
    clock: Arc<dyn Clock>,
    clearance: Clearance,
}

impl TcpOptions {
    /// The default limits and clearance ([`Clearance::CHANNEL`]), deadlines on `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { limits: Limits::default(), clock, clearance: Clearance::CHANNEL }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same, raised to carry `secret` values, which is recorded as what `actor` did for `reason`.
    ///
    /// TCP alone neither hides nor authenticates. Raise it only for the process's own loopback.
    ///
    /// # Errors
    /// [`RecordError`] if the record could not be written; the clearance is then not raised.
    ///
    /// ```
    /// use graft_core::{Action, Clearance, ManualClock, MemoryRecorder, Name};
    /// use graft_transport::TcpOptions;
    /// let log = MemoryRecorder::default();
    /// let (why, who) = (Name::from_static("own-loopback"), Name::from_static("example"));
    /// let options = TcpOptions::new(std::sync::Arc::new(ManualClock::default()))
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
        const TARGET: Name = Name::from_static("channel:tcp");
        let mut event = Event::new(self.clock.now(), actor, Action::ClearanceRaised, TARGET, Ending::Ok);
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

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

impl std::fmt::Debug for TcpOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpOptions")
            .field("limits", &self.limits)
            .field("clearance", &self.clearance)
            .finish_non_exhaustive()
    }
}
