//! May a stranger have chosen what an argument says?

use std::collections::HashMap;

use graft_core::ledger::{SPAN_AUTHORITY, links};
use graft_core::{Carried, Carry, Exfil, Path, Provenance, Role, Signal, Source};

use super::{Judge, MAX_EVIDENCE, Weight};

/// The most different links of one argument that are looked up; more are a doubt.
const MAX_LINKS: usize = 256;

impl Judge<'_> {
    /// May a stranger have chosen this argument?
    pub(super) fn integrity(&mut self, path: &Path<'_>, role: Role, text: &str, is_value: bool) {
        if role.is_authority() {
            self.authority(path, role, text, is_value);
            return;
        }
        let untrusted = self.carried().filter(|carry| carry.what == Carried::Untrusted && carry.is_wide);
        let spans: Vec<Carry> = untrusted.cloned().collect();
        if !spans.is_empty() {
            self.taint();
        } else if is_value && is_short(text) {
            self.words(path, text);
        }
        for carry in spans {
            let weight = self.weight_of(Signal::UntrustedToSink);
            // What unrelated texts share is listed, and stops nothing.
            let weight = if carry.is_common { weight.map(|_| Weight::Finding) } else { weight };
            let evidence = self.carry(Signal::UntrustedToSink, "carried-span", path, carry);
            self.push(weight, evidence);
        }
        if role == Role::Content && self.call.tool.exfil != Exfil::None {
            self.links(path, text);
        }
    }

    /// Did a stranger ask for what this call looks up? Then the answer vouches for nothing: whoever chooses the
    /// question chooses the answer. Numbers and dates are in too many texts to say who asked.
    pub(super) fn question(&mut self, text: &str) {
        let is_word = is_short(text) && text.contains(char::is_alphabetic);
        if is_word && matches!(self.seen.provenance(text), Provenance::Untrusted(_) | Provenance::Overflow(_))
        {
            self.taint();
        }
    }

    /// A value that only strangers named decides nothing here, but a person who is asked wants to see it.
    fn words(&mut self, path: &Path<'_>, text: &str) {
        match self.seen.provenance(text) {
            Provenance::Untrusted(source) => {
                self.taint();
                let on = self.weight_of(Signal::UntrustedToSink).is_some();
                if on && self.context.len() < MAX_EVIDENCE {
                    let whole = 0..text.len();
                    let words =
                        self.evidence(Signal::UntrustedToSink, "strangers-words", path, whole, source);
                    self.context.push(words);
                }
            }
            Provenance::Overflow(_) => self.taint(),
            Provenance::Trusted(_) | Provenance::Unknown => {}
        }
    }

    /// A link that only strangers named may not be passed on.
    fn links(&mut self, path: &Path<'_>, text: &str) {
        // Under a strict plan the rule stands by itself, and the addresses that the plan let be visited pass.
        let strict = self.bound().filter(|_| self.policy.is_strict_plan());
        let on = strict.is_some() || self.weight_of(Signal::UntrustedToSink).is_some();
        let weight = if strict.is_some() { Weight::Stop } else { Weight::Doubt };
        let mut known: HashMap<&str, Provenance> = HashMap::new();
        links(text, |range| {
            if known.len() > MAX_LINKS {
                return;
            }
            let provenance = known.entry(&text[range.clone()]).or_insert_with_key(|link| match strict {
                Some(plan) if plan.visited(link) => Provenance::Trusted(None),
                _ => self.seen.provenance_by_host(link),
            });
            let is_fetched =
                |judge: &Self| judge.follows_links() && judge.seen.was_fetched(&text[range.clone()]);
            let (rule, source) = match provenance {
                Provenance::Untrusted(source) if strict.is_none() && is_fetched(self) => {
                    let link =
                        self.evidence(Signal::UntrustedToSink, "fetched-link", path, range, source.clone());
                    self.fetched_links.push(link);
                    return;
                }
                Provenance::Untrusted(source) => ("strangers-link", source.clone()),
                Provenance::Overflow(source) => ("ledger-full", source.clone()),
                Provenance::Trusted(_) | Provenance::Unknown => return,
            };
            let evidence = self.evidence(Signal::UntrustedToSink, rule, path, range, source);
            if strict.is_some() {
                self.object(weight, evidence)
            } else {
                self.push(on.then_some(weight), evidence)
            }
        });
        if known.len() > MAX_LINKS {
            let (whole, source) = (0..text.len(), Source::Unknown);
            let evidence = self.evidence(Signal::UntrustedToSink, "too-many-links", path, whole, source);
            if strict.is_some() {
                self.object(weight, evidence)
            } else {
                self.push(on.then_some(weight), evidence)
            }
        }
    }

    fn authority(&mut self, path: &Path<'_>, role: Role, text: &str, is_value: bool) {
        let weight = self.weight_of(Signal::UntrustedAuthority);
        let whole = 0..text.len();
        let provenance = match role {
            Role::Destination => self.seen.destination(text),
            // Short numbers are in too many texts to say that a stranger meant this one.
            Role::Target if text.contains(char::is_alphabetic) => self.seen.vouched(text),
            _ => self.seen.provenance(text),
        };
        let (rule, range, source) = match provenance {
            Provenance::Trusted(_) => return,
            Provenance::Untrusted(_)
                if role == Role::Destination
                    && let Some(source) = self.followed(text) =>
            {
                self.taint();
                let finding = weight.map(|weight| weight.min(Weight::Finding));
                self.add(finding, Signal::UntrustedAuthority, "written-link", path, whole, source);
                return;
            }
            Provenance::Untrusted(source) => ("strangers-value", whole, source),
            // A key may be the tool's own name for a part of its argument, which nobody has to vouch for.
            _ if !is_value => return,
            Provenance::Overflow(source) => ("ledger-full", whole, source),
            Provenance::Unknown => match self.first_span() {
                Some(carry) => {
                    self.taint();
                    let evidence = self.carry(Signal::UntrustedAuthority, "strangers-span", path, carry);
                    self.push(weight, evidence);
                    return;
                }
                // An id that nobody named can only be wrong; an address that nobody named can be anyone's.
                None if role == Role::Target => return,
                None => ("unknown-value", whole, Source::Unknown),
            },
        };
        if source != Source::Unknown {
            self.taint();
        }
        self.add(weight, Signal::UntrustedAuthority, rule, path, range, source);
    }

    fn follows_links(&self) -> bool {
        self.policy.is_following_links()
    }

    /// Where this link was written, if the call only reads what it leads to. Its writer chose all of it, so that
    /// asking for it tells nobody more than that somebody asked, and what comes back is a stranger's text.
    fn followed(&self, link: &str) -> Option<Source> {
        let tool = self.call.tool;
        let only_reads = tool.exfil == Exfil::Url && !tool.effect.changes_state();
        if only_reads && self.follows_links() { self.seen.written_link(link) } else { None }
    }

    /// A link that was fetched may go on to whom the user named, as where it was read.
    pub(super) fn fetched_links(&mut self) {
        let to_users = self.destinations_users == Some(true);
        for mut link in std::mem::take(&mut self.fetched_links) {
            let on = self.weight_of(Signal::UntrustedToSink).is_some();
            let weight = if to_users { Weight::Finding } else { Weight::Doubt };
            if !to_users {
                link.rule = "strangers-link";
            }
            self.push(on.then_some(weight), link);
        }
    }

    /// The first span of an authority's length that came from strangers alone.
    fn first_span(&self) -> Option<Carry> {
        // Of a span that reaches into other arguments, what is in this one has to be long enough by itself.
        let is_here = |carry: &&Carry| !carry.goes_on || carry.range.len() >= SPAN_AUTHORITY;
        self.carried().filter(|carry| carry.what == Carried::Untrusted).find(is_here).cloned()
    }
}

/// Long text is followed by its spans; only a short one is worth a look-up as a whole.
fn is_short(text: &str) -> bool {
    text.len() <= 256
}
