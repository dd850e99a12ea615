//! Does an argument give away a secret?

use graft_core::ledger::SPAN_AUTHORITY;
use graft_core::{Carried, Carry, Evidence, Path, Provenance, Sensitivity, Signal, Source};

use super::{Judge, Weight};

impl Judge<'_> {
    /// Does this argument give away a secret?
    pub(super) fn secrecy(&mut self, path: &Path<'_>, text: &str) {
        if let (true, Some(source)) = (text.len() >= SPAN_AUTHORITY, self.seen.secret_overflow()) {
            self.label = self.label.clone().with_sensitivity(Sensitivity::Secret);
            let doubt = self.secret_weight().map(|weight| weight.min(Weight::Doubt));
            self.add(doubt, Signal::SecretToSink, "ledger-full", path, 0..text.len(), source);
        }
        let secrets: Vec<Carry> =
            self.carried().filter(|carry| carry.what != Carried::Untrusted).cloned().collect();
        for Carry { what, range, source, was_said, .. } in secrets {
            let rule = if what == Carried::Credential { "credential-value" } else { "secret-span" };
            let evidence = self.evidence(Signal::SecretToSink, rule, path, range, source);
            if was_said { self.typed.push(evidence) } else { self.leak(evidence) }
        }
    }

    /// Notes whether the user typed this destination. True if it is an address that somebody trusted named,
    /// and nothing else: telling a receiver its own address gives nothing away. A URL is matched by host
    /// alone, so its path could hold anything.
    pub(super) fn address(&mut self, text: &str) -> bool {
        let provenance = self.seen.provenance_by_host(text);
        let typed = provenance == Provenance::Trusted(Some(Source::Prompt));
        self.destinations_typed = Some(self.destinations_typed.unwrap_or(true) && typed);
        !text.contains(['/', '?', '#']) && matches!(provenance, Provenance::Trusted(_))
    }

    fn leak(&mut self, evidence: Evidence) {
        self.label = self.label.clone().with_sensitivity(Sensitivity::Secret);
        let weight = self.secret_weight();
        self.push(weight, evidence);
    }

    /// What giving away a secret weighs: nothing where the call reaches nobody outside.
    fn secret_weight(&self) -> Option<Weight> {
        self.weight_of(Signal::SecretToSink).filter(|_| self.leaves_process)
    }

    /// What can only be said of a secret once every argument was seen.
    pub(super) fn secrecy_of_run(&mut self) {
        for mut evidence in std::mem::take(&mut self.typed) {
            if !self.leaves_process {
                continue; // the user's own words to the user's own tool
            }
            if self.destinations_typed == Some(true) {
                evidence.rule = "user-typed";
                self.push(Some(Weight::Finding), evidence);
            } else {
                self.leak(evidence);
            }
        }
        if self.leaves_process && self.call.label().sensitivity() == Sensitivity::Secret {
            let weight = self.secret_weight();
            self.add(weight, Signal::SecretToSink, "host-label", &Path::ROOT, 0..0, Source::Unknown);
        }
    }
}
