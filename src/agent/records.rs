//! What an agent records of itself, beside its calls.

use std::sync::Arc;

use graft_core::{Action, Ending, Event, Name, RecordError, Recorder, Seq};
use graft_security::dataflow::DataFlowMode;

use super::Agent;

impl Agent {
    /// Records, once, by what all runs of this agent are judged.
    pub(super) fn come_into_force(&self) -> Result<(), RecordError> {
        let set = &self.set;
        let Some(recorder) = &set.recorder else { return Ok(()) };
        let mut is_in_force = self.is_in_force.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if *is_in_force {
            return Ok(());
        }
        if let Some(config) = &set.config {
            config.record(&**recorder, &*set.clock, set.actor.clone(), set.digest_key.as_ref())?;
        }
        let target = Name::from_static("dataflow");
        let mut event = Event::at(&*set.clock, set.actor.clone(), Action::PolicyChange, target, Ending::Ok);
        event.code = Some(self.mode());
        event.policy = Some(self.policy.digest());
        recorder.record(&event)?;
        *is_in_force = true;
        Ok(())
    }

    /// The policy's mode as records say it.
    pub(super) fn mode(&self) -> Name {
        match self.policy.mode() {
            DataFlowMode::Off => Name::from_static("dataflow:off"),
            DataFlowMode::Shadow => Name::from_static("dataflow:shadow"),
            DataFlowMode::Enforce => Name::from_static("dataflow:enforce"),
        }
    }

    pub(super) fn recorder(&self) -> Arc<dyn Recorder> {
        self.set.recorder.clone().unwrap_or_else(|| Arc::new(NoRecorder))
    }
}

/// For agents that were built without a recorder.
struct NoRecorder;

impl Recorder for NoRecorder {
    fn record(&self, _: &Event) -> Result<Seq, RecordError> {
        Ok(Seq(0))
    }
}
