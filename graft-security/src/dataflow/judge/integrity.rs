//! May a stranger have chosen what an argument says?

use std::collections::HashMap;
use std::ops::Range;

use graft_core::{Carried, Carry, Exfil, Path, Provenance, Role, Signal, Source};

use super::{Judge, Weight};
use crate::dataflow::links::links;

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
        if !spans.is_empty() || is_value && is_short(text) && self.is_untrusted(text) {
            self.taint();
        }
        for Carry { range, source, is_common, .. } in spans {
            let weight = self.weight_of(Signal::UntrustedToSink);
            // What unrelated texts share is listed, and stops nothing.
            let weight = if is_common { weight.map(|_| Weight::Finding) } else { weight };
            self.add(weight, Signal::UntrustedToSink, "carried-span", path, range, source);
        }
        if role == Role::Content && self.call.tool.exfil != Exfil::None {
            self.links(path, text);
        }
    }

    /// A link that only strangers named may not be passed on.
    fn links(&mut self, path: &Path<'_>, text: &str) {
        let on = self.weight_of(Signal::UntrustedToSink).is_some();
        let mut known: HashMap<&str, Provenance> = HashMap::new();
        links(text, |range| {
            if known.len() > MAX_LINKS {
                return;
            }
            let provenance = known
                .entry(&text[range.clone()])
                .or_insert_with_key(|link| self.seen.provenance_by_host(link));
            let (weight, rule, source) = match provenance {
                Provenance::Untrusted(source) => (Weight::Stop, "strangers-link", source.clone()),
                Provenance::Overflow(source) => (Weight::Doubt, "ledger-full", source.clone()),
                Provenance::Trusted(_) | Provenance::Unknown => return,
            };
            self.add(on.then_some(weight), Signal::UntrustedToSink, rule, path, range, source);
        });
        if known.len() > MAX_LINKS {
            let (whole, source) = (0..text.len(), Source::Unknown);
            self.add(
                on.then_some(Weight::Doubt),
                Signal::UntrustedToSink,
                "too-many-links",
                path,
                whole,
                source,
            );
        }
    }

    fn authority(&mut self, path: &Path<'_>, role: Role, text: &str, is_value: bool) {
        let stop = self.weight_of(Signal::UntrustedAuthority);
        let doubt = stop.map(|weight| weight.min(Weight::Doubt));
        let whole = 0..text.len();
        let provenance = match role {
            Role::Destination => self.seen.provenance_by_host(text),
            _ => self.seen.provenance(text),
        };
        let (weight, rule, range, source) = match provenance {
            Provenance::Trusted(_) => return,
            Provenance::Untrusted(source) => (stop, "strangers-value", whole, source),
            // A key may be the tool's own name for a part of its argument, which nobody has to vouch for.
            _ if !is_value => return,
            Provenance::Overflow(source) => (doubt, "ledger-full", whole, source),
            Provenance::Unknown => match self.first_span() {
                Some((range, source)) => (stop, "strangers-span", range, source),
                // An id that nobody named can only be wrong; an address that nobody named can be anyone's.
                None if role == Role::Target => return,
                None => {
                    self.add(
                        doubt,
                        Signal::UntrustedAuthority,
                        "unknown-value",
                        path,
                        whole,
                        Source::Unknown,
                    );
                    return;
                }
            },
        };
        self.taint();
        self.add(weight, Signal::UntrustedAuthority, rule, path, range, source);
    }

    /// The first span of an authority's length that came from strangers alone.
    fn first_span(&self) -> Option<(Range<usize>, Source)> {
        let first = self.carried().find(|carry| carry.what == Carried::Untrusted);
        first.map(|carry| (carry.range.clone(), carry.source.clone()))
    }

    fn is_untrusted(&self, text: &str) -> bool {
        matches!(self.seen.provenance(text), Provenance::Untrusted(_) | Provenance::Overflow(_))
    }
}

/// Long text is followed by its spans; only a short one is worth a look-up as a whole.
fn is_short(text: &str) -> bool {
    text.len() <= 256
}
