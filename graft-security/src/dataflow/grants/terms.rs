//! What a grant covers, and how a call is held against it.

use std::fmt;

use graft_core::{
    Call, CallId, Evidence, Leaf, Leaves, Name, Path, RecordError, RunId, Signal, Source, Timestamp,
    ToolMetadata,
};
use serde::{Deserialize, Serialize};

use super::digest::GrantKey;

/// The most uses of one grant.
pub const MAX_USES: u32 = 1000;

/// Where the value of a grant came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantSource {
    /// The result of this call of the run.
    Call(CallId),
    /// The results of this tool.
    Tool(Name),
    /// What the user typed.
    Prompt,
    /// The operator's text.
    Operator,
    /// Nowhere in the run.
    Nowhere,
}

impl GrantSource {
    fn is(&self, source: &Source) -> bool {
        match (self, source) {
            (Self::Call(call), Source::Call(other, _)) => call == other,
            (Self::Tool(tool), Source::Call(_, other)) => tool == other,
            (Self::Prompt, Source::Prompt)
            | (Self::Operator, Source::Operator)
            | (Self::Nowhere, Source::Unknown) => true,
            _ => false,
        }
    }
}

/// What a grant is to cover. One use unless [`Terms::uses`] says otherwise.
#[derive(Clone)]
pub struct Terms<'a> {
    pub(super) value: &'a str,
    pub(super) source: GrantSource,
    pub(super) tool: &'a ToolMetadata,
    pub(super) args: &'a (dyn Leaves + Sync),
    pub(super) expires: Timestamp,
    pub(super) uses: u32,
}

impl<'a> Terms<'a> {
    /// Lets `value`, which came from `source`, go with calls of `tool` to where `args` say, before `expires`.
    ///
    /// `value` is the exact text of an argument's leaf or of the span of it that evidence names. `args` are the
    /// call's arguments; only those count whose role is a destination, so the others may be missing.
    pub fn new(
        value: &'a str,
        source: GrantSource,
        tool: &'a ToolMetadata,
        args: &'a (dyn Leaves + Sync),
        expires: Timestamp,
    ) -> Self {
        Self { value, source, tool, args, expires, uses: 1 }
    }

    /// The same for up to `uses` calls, at most [`MAX_USES`].
    #[must_use]
    pub fn uses(self, uses: u32) -> Self {
        Self { uses, ..self }
    }
}

impl fmt::Debug for Terms<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Terms(.. from {:?} to {}, {} uses)", self.source, self.tool.name, self.uses)
    }
}

/// The number of a grant within its run; records name it as `declassify:3` or `endorse:3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GrantId(pub u64);

/// Why a grant was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Untrusted input would decide what is granted.
    #[error("untrusted input went into these terms; what it named needs a person's endorsement first")]
    Untrusted,
    /// Its time is over before it began.
    #[error("the grant would have expired already")]
    Expired,
    /// No use, or more than [`MAX_USES`].
    #[error("a grant has 1 to {MAX_USES} uses")]
    Uses,
    /// An empty value would say nothing.
    #[error("a grant is for a value, and this one is empty")]
    Empty,
    /// Too many grants are held.
    #[error("the run holds too many grants; use them or wait until they expire")]
    Full,
    /// It could not be recorded, so it does not count.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Which way a grant lowers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Declassify,
    Endorse,
}

impl Kind {
    fn of(signal: Signal) -> Option<Self> {
        match signal {
            Signal::SecretToSink => Some(Self::Declassify),
            Signal::UntrustedToSink | Signal::UntrustedAuthority => Some(Self::Endorse),
            // They are of the call or the run and not of a value.
            Signal::UnrequestedEffect | Signal::LethalTrifecta | Signal::DerivedTaint => None,
        }
    }

    pub(super) fn code(self, id: GrantId) -> Option<Name> {
        let word = match self {
            Self::Declassify => "declassify",
            Self::Endorse => "endorse",
        };
        Name::new(format!("{word}:{}", id.0)).ok()
    }
}

/// A grant as it is held: digests only.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) id: GrantId,
    pub(super) kind: Kind,
    value: [u8; 32],
    source: GrantSource,
    tool: Name,
    destination: [u8; 32],
    pub(super) expires: Timestamp,
    pub(super) left: u32,
}

impl Grant {
    pub(super) fn new(key: &GrantKey, run: RunId, kind: Kind, terms: Terms<'_>) -> Self {
        Self {
            id: GrantId(0),
            kind,
            value: key.value(run, terms.value),
            destination: key.destination(run, terms.tool, terms.args),
            source: terms.source,
            tool: terms.tool.name.clone(),
            expires: terms.expires,
            left: terms.uses,
        }
    }

    fn covers(&self, claim: &Claim) -> bool {
        Kind::of(claim.signal) == Some(self.kind)
            && self.source.is(&claim.source)
            && !claim.values.is_empty()
            && claim.values.iter().all(|value| value.contains(&self.value))
    }
}

/// One reason against a call, as digests, to be held against the grants.
struct Claim {
    signal: Signal,
    source: Source,
    /// Whether the call may not pass without it.
    stops: bool,
    /// Of each leaf that the evidence may mean: of its whole text and of the span.
    values: Vec<[[u8; 32]; 2]>,
}

/// All that grants have to cover of one call.
pub(super) struct Claims {
    tool: Name,
    destination: [u8; 32],
    claims: Vec<Claim>,
}

/// The most leaves that share the path of one piece of evidence, since keys are not shown in paths; with more
/// nobody can say which it means.
const MAX_ALIKE: usize = 64;

impl Claims {
    /// What of `call` there is `evidence` against.
    pub(super) fn of(key: &GrantKey, call: &Call<'_>, evidence: &[Evidence]) -> Self {
        let run = call.meta.run;
        let mut claims: Vec<(&Evidence, Claim)> = evidence
            .iter()
            .filter(|it| it.stops || it.signal == Signal::SecretToSink && it.rule != "user-typed")
            .map(|it| {
                let source = it.source.clone();
                (it, Claim { signal: it.signal, source, stops: it.stops, values: Vec::new() })
            })
            .collect();
        let mut is_unclear = false;
        call.args.visit(&Path::ROOT, &mut |path, leaf| {
            let shown = path.without_keys(|name| call.tool.args.contains_key(name));
            let is_name = matches!(leaf, Leaf::Key(name)
                if path.depth() == 1 && call.tool.args.contains_key(name));
            if is_name || !claims.iter().any(|(evidence, _)| evidence.arg == shown) {
                return;
            }
            leaf.with_text(|text| {
                let whole = key.value(run, text);
                for (evidence, claim) in claims.iter_mut().filter(|(evidence, _)| evidence.arg == shown) {
                    // Evidence without a range, such as the host's own label, names no value.
                    let span = text.get(evidence.range.clone()).filter(|span| !span.is_empty());
                    let Some(span) = span else { continue };
                    is_unclear |= claim.values.len() == MAX_ALIKE;
                    if !is_unclear {
                        claim.values.push([whole, key.value(run, span)]);
                    }
                }
            });
        });
        let mut claims: Vec<Claim> = claims.into_iter().map(|(_, claim)| claim).collect();
        if is_unclear {
            claims.iter_mut().for_each(|claim| claim.values.clear());
        }
        let destination = key.destination(run, call.tool, call.args);
        Self { tool: call.tool.name.clone(), destination, claims }
    }

    /// The positions of the live `grants` that this call uses, each once, and whether every secret in it is covered;
    /// `None` if a reason that stops it is left over.
    pub(super) fn held_against(&self, grants: &[Grant]) -> Option<(Vec<usize>, bool)> {
        let (mut used, mut secrets) = (Vec::new(), true);
        for claim in &self.claims {
            let fits = |grant: &Grant| {
                grant.tool == self.tool && grant.destination == self.destination && grant.covers(claim)
            };
            match grants.iter().position(fits) {
                Some(at) if used.contains(&at) => {}
                Some(at) => used.push(at),
                None if claim.stops => return None,
                None => secrets = false, // only secrets that do not stop are claims beside
            }
        }
        (!used.is_empty()).then_some((used, secrets))
    }
}
