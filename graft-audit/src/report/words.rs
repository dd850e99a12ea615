//! What records say, in the words of somebody who did not write the code.

use graft_core::{Action, Decision, Ending, Event, FaultCode, Signal};

/// What was done, as the rest of a sentence that begins with who did it.
pub(super) fn action(action: Action) -> &'static str {
    match action {
        Action::RunBegin => "began a run",
        Action::RunEnd => "ended a run",
        Action::RunResume => "went on with a run that had been saved",
        Action::ToolExecuteStart => "set out to make a call that changes something",
        Action::ToolExecuteEnd => "made a call, and it returned",
        Action::ToolExecuteError => "made a call that was stopped or failed",
        Action::DataflowFlagged => "made a call that the policy would have stopped, had it been enforced",
        Action::DataflowBlocked => "tried to make a call, and the policy stopped it",
        Action::DataflowDeclassified => "passed something on by a permission that was given beforehand",
        Action::DataflowEndorsed => "made a call by a permission that was given beforehand",
        Action::ApprovalAnswered => "was asked whether a call may happen, and answered",
        Action::ApprovalUsed => "made a call that a person had approved",
        Action::GrantMade => "gave a permission in advance",
        Action::ClearanceRaised => "let a connection carry secrets",
        Action::LabelReleased => "took a value out from under protection",
        Action::AuthGranted => "proved who they are, and was let in",
        Action::AuthDenied => "asked for something without the right to it",
        Action::ConfigLoad => "put a configuration into force",
        Action::PolicyChange => "put a policy into force",
        Action::ServeStart => "was asked to carry out a call that changes something",
        Action::ServeEnd => "answered somebody's call",
        Action::LogOpen => "opened this log for writing",
        Action::LogRecover => "set aside what a crash had left of unfinished records",
        Action::LogRotate => "went on with this log in a new file",
        Action::LogRotateKey => "went on with this log under a new key",
        Action::LogCheckpoint => "signed the state of this log",
        Action::LogPrune => "removed the oldest records of this log, as its rules say",
        Action::LogErase => "erased what some records had said",
        Action::LogExport => "read records out of this log",
        Action::LogGap => "reported that records could not be kept",
        Action::LogClock => "reported that the clock had been set back",
        other => other.as_str(),
    }
}

/// Why a call was stopped, as far as the guard noticed something.
pub(super) fn signal(signal: Signal) -> &'static str {
    match signal {
        Signal::UntrustedToSink => "text from a source that nobody vouches for was about to be passed on",
        Signal::SecretToSink => "something secret was about to leave the program",
        Signal::UntrustedAuthority => {
            "where it would go, or what it would do, was chosen by a text that has no say in that"
        }
        Signal::UnrequestedEffect => "the user had asked for nothing of the kind",
        Signal::LethalTrifecta => "strangers' text, private data and a way out had come together in the run",
        Signal::DerivedTaint => {
            "the run had read strangers' text, and the policy lets nothing out after that"
        }
    }
}

/// What the guard decided.
pub(super) fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "it was let through",
        Decision::Flag => "it was let through, and would have been stopped had the policy been enforced",
        Decision::Declassify => "it was let through because a permission had been given",
        Decision::Ask => "a person had to decide",
        Decision::Block => "the policy stopped it",
    }
}

/// Why something was denied: each reason that the record gives.
pub(super) fn reasons(event: &Event) -> Vec<&'static str> {
    let mut reasons: Vec<_> = event.signals.iter().map(signal).collect();
    if reasons.is_empty() {
        let code = event.code.as_ref().map(|code| code.as_str());
        let fault = FaultCode::ALL.iter().find(|fault| Some(fault.as_str()) == code);
        reasons.extend(fault.map(|fault| fault.text()));
    }
    if reasons.is_empty() {
        reasons.extend(event.decision.map(decision));
    }
    if event.action == Action::ApprovalAnswered && event.ending == Ending::Denied {
        reasons.insert(0, "a person said no");
    }
    if reasons.is_empty() {
        reasons.push("the record gives no reason");
    }
    reasons
}

#[cfg(test)]
mod tests {
    use graft_core::Signals;

    use super::*;
    use crate::sample::stored;

    #[test]
    fn every_action_has_words_of_its_own() {
        let mut told: Vec<_> = Action::ALL.iter().map(|&done| action(done)).collect();
        for (done, words) in Action::ALL.iter().zip(&told) {
            assert!(words.contains(' ') && !words.contains(':'), "{}: say it in words", done.as_str());
        }
        told.sort_unstable();
        told.dedup();
        assert_eq!(told.len(), Action::ALL.len());
    }

    #[test]
    fn a_denial_without_signals_is_told_by_its_code_or_decision() {
        let mut event = stored(1).event;
        assert_eq!(reasons(&event), [signal(Signal::UntrustedToSink), signal(Signal::UntrustedAuthority)]);
        event.signals = Signals::NONE;
        assert_eq!(reasons(&event), [FaultCode::DataflowPolicyBlocked.text()]);
        event.code = None;
        assert_eq!(reasons(&event), ["the policy stopped it"]);
        event.decision = None;
        assert_eq!(reasons(&event), ["the record gives no reason"]);
        event.action = Action::ApprovalAnswered;
        assert_eq!(reasons(&event)[0], "a person said no");
    }
}
