//! Does an argument give away a secret?

use graft_core::ledger::SPAN_AUTHORITY;
use graft_core::{Carried, Carry, Evidence, Path, Provenance, Sensitivity, Signal, Source};

use super::{Judge, Weight};

/// A part of an argument that came from secret text.
pub(super) struct SecretPart {
    evidence: Evidence,
    /// Whether the user said the same.
    typed: bool,
}

impl Judge<'_> {
    /// Does this argument give away a secret?
    pub(super) fn secrecy(&mut self, path: &Path<'_>, text: &str) {
        if let (true, Some(source)) = (text.len() >= SPAN_AUTHORITY, self.seen.secret_overflow()) {
            self.label = self.label.clone().with_sensitivity(Sensitivity::Secret);
            let weight = self.secret_weight();
            self.add(weight, Signal::SecretToSink, "ledger-full", path, 0..text.len(), source);
        }
        let secrets: Vec<Carry> =
            self.carried().filter(|carry| carry.what != Carried::Untrusted).cloned().collect();
        for carry in secrets {
            let rule = if carry.what == Carried::Credential { "credential-value" } else { "secret-span" };
            let typed = carry.was_said;
            let evidence = self.carry(Signal::SecretToSink, rule, path, carry);
            self.secret_parts.push(SecretPart { evidence, typed });
        }
    }

    /// What was not looked at counts as secret.
    pub(super) fn unseen_secrets(&mut self, rule: &'static str) {
        self.label = self.label.clone().with_sensitivity(Sensitivity::Secret);
        let weight = self.secret_weight();
        self.add(weight, Signal::SecretToSink, rule, &Path::ROOT, 0..0, Source::Unknown);
    }

    /// Notes whether this destination is the user's own or one that the user typed. True if it is an address that somebody trusted named,
    /// and nothing else: telling a receiver its own address gives nothing away. A URL is matched by host
    /// alone, so its path could hold anything.
    pub(super) fn address(&mut self, text: &str) -> bool {
        let provenance = self.seen.provenance_by_host(text);
        let users = matches!(provenance, Provenance::Trusted(None | Some(Source::Prompt)));
        self.destinations_users = Some(self.destinations_users.unwrap_or(true) && users);
        // Neither is a sentence an address, nor a credential, whoever named them.
        let is_sentence = text.len() >= SPAN_AUTHORITY && text.trim().contains(char::is_whitespace);
        let is_plain = !text.contains(['/', '?', '#']) && !is_sentence;
        is_plain && matches!(provenance, Provenance::Trusted(_)) && !self.seen.holds_credential(text)
    }

    /// What giving away a secret weighs: nothing where the call reaches nobody outside.
    fn secret_weight(&self) -> Option<Weight> {
        self.weight_of(Signal::SecretToSink).filter(|_| self.leaves_process)
    }

    /// What can only be said of a secret once every argument was seen.
    pub(super) fn secrecy_of_run(&mut self) {
        let to_users = self.destinations_users == Some(true);
        let asked = to_users && self.policy.sends_on_request() && self.seen.asked_for(&self.call.tool.intent);
        for SecretPart { mut evidence, typed } in std::mem::take(&mut self.secret_parts) {
            if typed && (to_users || !self.leaves_process) {
                evidence.rule = "user-typed";
                let weight = self.leaves_process.then_some(Weight::Finding);
                self.push(weight, evidence);
                continue;
            }
            self.label = self.label.clone().with_sensitivity(Sensitivity::Secret);
            let weight = self.secret_weight();
            if evidence.rule == "credential-value" {
                self.push(for_good(weight), evidence);
            } else if asked {
                evidence.rule = "user-sends";
                self.push(weight.map(|weight| weight.min(Weight::Finding)), evidence);
            } else {
                self.push(weight, evidence);
            }
        }
        if self.leaves_process && self.call.label().sensitivity() == Sensitivity::Secret {
            let weight = for_good(self.secret_weight());
            self.add(weight, Signal::SecretToSink, "host-label", &Path::ROOT, 0..0, Source::Unknown);
        }
    }
}

/// No person is asked whether it may go.
fn for_good(weight: Option<Weight>) -> Option<Weight> {
    weight.map(|weight| if weight == Weight::Doubt { Weight::Stop } else { weight })
}
