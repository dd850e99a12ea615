//! Cuts an output into pieces of one trust each: by tool, by field, by record.

use std::collections::BTreeSet;

use super::hash::{KeyedSet, LedgerKey};
use super::views::{Budget, decode_bytes};
use crate::{Leaf, Leaves, OutputTrust, Path, Segment, ToolMetadata, Trust};

/// A piece of an output on its way into the ledger.
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) trust: Trust,
    /// Whether a field or record rule says so, and not the tool as a whole.
    pub(super) by_rule: bool,
    /// Whether it vouches for a destination that strangers named too.
    pub(super) vouches: bool,
    /// Whether it is labelled as text that others wrote.
    pub(super) is_text: bool,
    /// Whether it stands in a field that holds credentials.
    pub(super) credential: bool,
}

/// Calls `emit` with each piece of text in `output`.
pub(super) fn pieces(
    key: &LedgerKey,
    tool: &ToolMetadata,
    is_own: &dyn Fn(&str) -> bool,
    output: &dyn Leaves,
    emit: &mut dyn FnMut(Piece<'_>),
) {
    let (records, own, shared) = Default::default();
    let mut labels = Labels { key, tool, is_own, records, own, shared };
    if !tool.fields.is_empty() {
        output.visit(&Path::ROOT, &mut |path, leaf| labels.learn(path, leaf));
    }
    output.visit(&Path::ROOT, &mut |path, leaf| labels.cut(path, leaf, emit));
}

/// What is known of the records in an output. A record is an object with a field that the tool labels;
/// it is known by the hash of its path.
struct Labels<'a> {
    key: &'a LedgerKey,
    tool: &'a ToolMetadata,
    is_own: &'a dyn Fn(&str) -> bool,
    records: KeyedSet,
    /// Records whose rule (by position) names the user as owner.
    own: BTreeSet<(u64, usize)>,
    /// Records that grant writing to somebody else.
    shared: BTreeSet<(u64, usize)>,
}

const DOMAIN: u64 = 0x7061_7468;

impl Labels<'_> {
    /// Each step of `path` with the hash of the object that it is a step out of, outermost first.
    fn steps<'p>(&self, path: &Path<'p>) -> Vec<(u64, Segment<'p>)> {
        let mut steps = Vec::new();
        let mut rest = path.split_last();
        while let Some((parent, segment)) = rest {
            steps.push((0, segment));
            rest = parent.split_last();
        }
        steps.reverse();
        let mut state = 0;
        for (object, segment) in &mut steps {
            *object = state;
            let hash = match segment {
                Segment::Field(name) | Segment::Key(name) => self.key.text(DOMAIN, name.as_bytes()),
                Segment::Index(index) => self.key.text(DOMAIN + 1, &(*index as u64).to_le_bytes()),
            };
            state = self.key.extend(state, hash);
        }
        steps
    }

    fn learn(&mut self, path: &Path<'_>, leaf: Leaf<'_>) {
        let steps = self.steps(path);
        for (at, &(object, segment)) in steps.iter().enumerate() {
            let Some(name) = segment.name() else { continue };
            if self.tool.fields.contains_key(name) {
                self.records.insert(object);
            }
            for (number, rule) in self.tool.records.iter().enumerate() {
                let is_last = at + 1 == steps.len();
                if is_last && rule.field == name && leaf.with_text(self.is_own) == Some(true) {
                    self.own.insert((object, number));
                }
                let grant = steps.get(at + 1).map(|&(_, segment)| segment);
                if let (Some(field), Some(who)) = (&rule.no_other_writer, grant.and_then(Segment::name))
                    && field == name
                    && !(self.is_own)(who)
                    && matches!(leaf, Leaf::Str(may) | Leaf::Variant(may) if may.contains('w'))
                {
                    self.shared.insert((object, number));
                }
            }
        }
    }

    fn cut(&self, path: &Path<'_>, leaf: Leaf<'_>, emit: &mut dyn FnMut(Piece<'_>)) {
        let steps = self.steps(path);
        let record = steps.iter().position(|(object, _)| self.records.contains(object));
        let is_key = matches!(leaf, Leaf::Key(_));
        if is_key && record.is_some_and(|at| at + 1 == steps.len()) {
            return; // the names of a record's own fields are the tool's, not data
        }
        let rule = record.and_then(|at| self.rule(steps[at]));
        // Text where fields were promised could be any of them.
        let whole = if steps.is_empty() { self.least() } else { self.tool.trust };
        let trust = rule.unwrap_or(whole);
        let is_own = record.is_some_and(|at| self.record_rule(steps[at].0).is_some());
        let vouches = self.said_to_vouch(&steps).unwrap_or(is_own || trust == OutputTrust::Structured);
        let credential = steps.iter().any(|&(_, segment)| {
            segment.name().is_some_and(|name| self.tool.credentials.iter().any(|field| field == name))
        });
        let emit_text = &mut |text: &str| {
            let is_text = trust == OutputTrust::Untrusted;
            let trust = trust.resolve(text).max(self.tool.origin.trust());
            emit(Piece {
                text,
                trust,
                by_rule: rule.is_some(),
                is_text,
                vouches,
                credential: credential && !is_key,
            });
        };
        match leaf {
            // A catalogue printed as text is one fact a line.
            Leaf::Str(text) if trust == OutputTrust::Structured && steps.is_empty() => {
                text.split('\n').for_each(emit_text);
            }
            leaf => {
                if let Leaf::Bytes(bytes) = leaf {
                    let mut budget = Budget::for_input(bytes.len(), self.key);
                    decode_bytes(bytes, 1, false, &mut budget, &mut |decoded| emit_text(decoded.text));
                }
                leaf.with_text(|text| emit_text(text));
            }
        }
    }

    /// The least trust of the tool and its fields.
    fn least(&self) -> OutputTrust {
        self.tool.fields.values().copied().fold(self.tool.trust, Ord::max)
    }

    /// What the record's rules or the field's label say.
    fn rule(&self, (object, segment): (u64, Segment<'_>)) -> Option<OutputTrust> {
        let name = segment.name()?;
        self.record_rule(object).or_else(|| self.tool.fields.get(name).copied())
    }

    /// What the rules say of the whole record.
    fn record_rule(&self, object: u64) -> Option<OutputTrust> {
        let holds =
            |number: usize| self.own.contains(&(object, number)) && !self.shared.contains(&(object, number));
        let rule = self.tool.records.iter().enumerate().find(|&(number, _)| holds(number));
        rule.map(|(_, rule)| rule.trust)
    }

    /// What the host says of the fields on the way to a leaf, the outermost first, or of all.
    fn said_to_vouch(&self, steps: &[(u64, Segment<'_>)]) -> Option<bool> {
        let vouches = &self.tool.vouches;
        let named = steps.iter().find_map(|(_, segment)| vouches.get(segment.name()?));
        named.or_else(|| vouches.get(ToolMetadata::EVERY_FIELD)).copied()
    }
}
