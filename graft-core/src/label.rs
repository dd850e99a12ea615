//! Labels and their lattice: who may see a value, and who could have written it.
//!
//! A label only ever rises by [`Label::join`]. What lowers one lives in [`crate::labeled`].

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Name;

/// Who may see a value. What carries no tag is `internal`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensitivity {
    /// Anyone.
    Public,
    /// The host's own people and the providers that it opted in.
    #[default]
    Internal,
    /// Never leaves the process except through a declassification that names the peer.
    Secret,
}

impl Sensitivity {
    /// The word that files, wires and records carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Secret => "secret",
        }
    }
}

/// Whether a stranger could have written a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// The user, the operator or the host's own systems wrote it.
    Trusted,
    /// Anyone else may have.
    Untrusted,
}

/// Where a value came from: an open set of names with a closed rule for which are trusted.
///
/// Trusted are exactly `user`, `operator` and `tool` (the host's own tools). Every other name,
/// known or not, is untrusted.
///
/// ```
/// use graft_core::{Origin, Trust};
/// assert_eq!(Origin::USER.trust(), Trust::Trusted);
/// assert_eq!(Origin::WEB_SEARCH.trust(), Trust::Untrusted);
/// assert_eq!(Origin::new("fax")?.trust(), Trust::Untrusted);
/// # Ok::<(), graft_core::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(Name);

impl Origin {
    /// What the user said.
    pub const USER: Self = Self(Name::from_static("user"));
    /// What the operator of the agent said.
    pub const OPERATOR: Self = Self(Name::from_static("operator"));
    /// A tool of the host's own.
    pub const TOOL: Self = Self(Name::from_static("tool"));
    /// Output of a tool that an MCP server supplied.
    pub const MCP_DERIVED: Self = Self(Name::from_static("mcp-derived"));
    /// Pages and search results.
    pub const WEB_SEARCH: Self = Self(Name::from_static("web-search"));
    /// A skill that nobody vouched for.
    pub const SKILL_UNTRUSTED: Self = Self(Name::from_static("skill-untrusted"));
    /// Messages that came in through a channel such as mail or chat.
    pub const CHANNEL_INBOUND: Self = Self(Name::from_static("channel-inbound"));
    /// Recall of memory into which any of the above was written.
    pub const MEMORY_RECALL: Self = Self(Name::from_static("memory-recall"));

    /// An origin of the host's own naming. It is untrusted unless it is one of the three trusted names.
    ///
    /// # Errors
    /// If `name` is not a legal [`Name`].
    pub fn new(name: impl Into<String>) -> Result<Self, crate::NameError> {
        Name::new(name).map(Self)
    }

    /// The origin's name.
    pub fn name(&self) -> &Name {
        &self.0
    }

    /// What the closed rule says of this origin.
    pub fn trust(&self) -> Trust {
        match self.0.as_str() {
            "user" | "operator" | "tool" => Trust::Trusted,
            _ => Trust::Untrusted,
        }
    }
}

/// The origins that went into a value.
///
/// Holds at most [`Origins::MAX`] names; a larger union becomes `any origin`, which contains every
/// other: it gets coarser and never forgets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Vec<Origin>>", into = "Option<Vec<Origin>>")]
pub struct Origins(OriginsRepr);

impl From<Origins> for Option<Vec<Origin>> {
    fn from(origins: Origins) -> Self {
        origins.names().map(|names| names.cloned().collect())
    }
}

impl From<Option<Vec<Origin>>> for Origins {
    fn from(names: Option<Vec<Origin>>) -> Self {
        let Some(names) = names else { return Self::any() };
        names.into_iter().fold(Self::default(), |all, origin| all.union(&Self::of(origin)))
    }
}

/// One form for each set, so that equal sets are equal values. The usual ones take no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum OriginsRepr {
    #[default]
    None,
    One(Origin),
    /// At least two.
    Many(Arc<BTreeSet<Origin>>),
    Any,
}

impl Origins {
    /// The most names that a set keeps apart.
    pub const MAX: usize = 16;

    /// The set of one.
    pub fn of(origin: Origin) -> Self {
        Self(OriginsRepr::One(origin))
    }

    /// The set that contains every origin.
    pub fn any() -> Self {
        Self(OriginsRepr::Any)
    }

    /// The names, in order; `None` for the set that contains every origin.
    pub fn names(&self) -> Option<impl Iterator<Item = &Origin>> {
        let (one, many) = match &self.0 {
            OriginsRepr::None => (None, None),
            OriginsRepr::One(origin) => (Some(origin), None),
            OriginsRepr::Many(set) => (None, Some(set)),
            OriginsRepr::Any => return None,
        };
        Some(one.into_iter().chain(many.into_iter().flat_map(|set| set.iter())))
    }

    /// Whether every origin of `other` is in `self`.
    #[inline]
    pub fn contains_all(&self, other: &Self) -> bool {
        use OriginsRepr::{Any, Many, None, One};
        match (&self.0, &other.0) {
            (Any, _) | (_, None) => true,
            (_, Any) | (None, _) | (One(_), Many(_)) => false,
            (One(a), One(b)) => a == b,
            (Many(a), One(b)) => a.contains(b),
            (Many(a), Many(b)) => b.is_subset(a),
        }
    }

    fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.absorb(other);
        all
    }

    /// Takes the union. Where one side holds the other, nothing is allocated.
    #[inline]
    fn absorb(&mut self, other: &Self) {
        if !self.contains_all(other) {
            self.unite(other);
        }
    }

    fn unite(&mut self, other: &Self) {
        if other.contains_all(self) {
            self.clone_from(other);
            return;
        }
        // Neither contains the other, so there are at least two names and neither is `any`.
        let names = self.names().into_iter().flatten().chain(other.names().into_iter().flatten());
        let set: BTreeSet<Origin> = names.cloned().collect();
        *self = if set.len() > Self::MAX { Self::any() } else { Self(OriginsRepr::Many(Arc::new(set))) };
    }
}

/// Sensitivity, trust and origins of a value: a point in a join-semilattice.
///
/// `join` is associative, commutative, idempotent and monotone; property tests hold all four.
///
/// ```
/// use graft_core::{Label, Origin, Sensitivity, Trust};
/// let page = Label::untrusted(Origin::WEB_SEARCH);
/// let balance = Label::of(Origin::TOOL).with_sensitivity(Sensitivity::Secret);
/// let both = page.join(&balance);
/// assert_eq!(both.sensitivity(), Sensitivity::Secret);
/// assert_eq!(both.trust(), Trust::Untrusted);
/// assert!(page.flows_to(&both) && !both.flows_to(&page));
/// ```
#[doc(alias = "TaintLabel")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    sensitivity: Sensitivity,
    trust: Trust,
    origins: Origins,
}

/// The name by which other systems know [`Label`].
pub type TaintLabel = Label;

impl Default for Label {
    /// `internal`, trusted, of no origin: what an untagged value of the host's own carries.
    fn default() -> Self {
        Self { sensitivity: Sensitivity::Internal, trust: Trust::Trusted, origins: Origins::default() }
    }
}

impl Label {
    /// The label below all others: public, trusted, of no origin.
    pub fn bottom() -> Self {
        Self { sensitivity: Sensitivity::Public, trust: Trust::Trusted, origins: Origins::default() }
    }

    /// `internal`, from `origin`, with the trust that the closed rule gives that origin.
    pub fn of(origin: Origin) -> Self {
        let trust = origin.trust();
        Self { sensitivity: Sensitivity::Internal, trust, origins: Origins::of(origin) }
    }

    /// `internal` and untrusted, whatever the origin.
    pub fn untrusted(origin: Origin) -> Self {
        Self { trust: Trust::Untrusted, ..Self::of(origin) }
    }

    /// The same with `sensitivity` joined in. It cannot lower.
    #[must_use]
    pub fn with_sensitivity(mut self, sensitivity: Sensitivity) -> Self {
        self.sensitivity = self.sensitivity.max(sensitivity);
        self
    }

    /// The same with `trust` joined in. It cannot raise an untrusted label to trusted.
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = self.trust.max(trust);
        self
    }

    /// The least label above both.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.raise(other);
        both
    }

    /// Joins `by` in. There is no way back.
    #[inline]
    pub fn raise(&mut self, by: &Self) {
        self.sensitivity = self.sensitivity.max(by.sensitivity);
        self.trust = self.trust.max(by.trust);
        self.origins.absorb(&by.origins);
    }

    /// Whether a value with this label may stand where `other` is expected: `self` is at or below `other`.
    pub fn flows_to(&self, other: &Self) -> bool {
        self.sensitivity <= other.sensitivity
            && self.trust <= other.trust
            && other.origins.contains_all(&self.origins)
    }

    /// Who may see the value.
    pub fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }

    /// Whether a stranger could have written it.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Where it came from.
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Builds a label from its parts; only the doors in [`crate::labeled`] and [`crate::tool`] call it.
    pub(crate) fn from_parts(sensitivity: Sensitivity, trust: Trust, origins: Origins) -> Self {
        Self { sensitivity, trust, origins }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trust = match self.trust {
            Trust::Trusted => "trusted",
            Trust::Untrusted => "untrusted",
        };
        write!(f, "{}, {trust}", self.sensitivity.as_str())?;
        match self.origins.names() {
            None => write!(f, ", from any origin"),
            Some(names) => {
                for (i, origin) in names.enumerate() {
                    write!(f, "{}{}", if i == 0 { ", from " } else { " + " }, origin.name())?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn label() -> impl Strategy<Value = Label> {
        let origins = proptest::collection::btree_set(0..24_u8, 0..20).prop_map(|set| {
            set.into_iter().fold(Origins::default(), |all, n| {
                all.union(&Origins::of(Origin::new(format!("o{n}")).expect("a legal name")))
            })
        });
        let sensitivity =
            prop_oneof![Just(Sensitivity::Public), Just(Sensitivity::Internal), Just(Sensitivity::Secret)];
        let trust = prop_oneof![Just(Trust::Trusted), Just(Trust::Untrusted)];
        (sensitivity, trust, origins).prop_map(|(s, t, o)| Label::from_parts(s, t, o))
    }

    proptest! {
        #[test]
        fn join_is_associative(a in label(), b in label(), c in label()) {
            prop_assert_eq!(a.join(&b).join(&c), a.join(&b.join(&c)));
        }

        #[test]
        fn join_is_commutative_and_idempotent(a in label(), b in label()) {
            prop_assert_eq!(a.join(&b), b.join(&a));
            prop_assert_eq!(a.join(&a), a);
        }

        #[test]
        fn join_is_the_least_upper_bound_and_monotone(a in label(), b in label(), c in label()) {
            prop_assert!(a.flows_to(&a.join(&b)) && b.flows_to(&a.join(&b)));
            if a.flows_to(&b) {
                prop_assert_eq!(a.join(&b), b.clone());
                prop_assert!(a.join(&c).flows_to(&b.join(&c)));
            }
            if a.flows_to(&c) && b.flows_to(&c) {
                prop_assert!(a.join(&b).flows_to(&c));
            }
        }

        #[test]
        fn flows_to_is_a_partial_order(a in label(), b in label(), c in label()) {
            prop_assert!(a.flows_to(&a));
            if a.flows_to(&b) && b.flows_to(&a) { prop_assert_eq!(&a, &b); }
            if a.flows_to(&b) && b.flows_to(&c) { prop_assert!(a.flows_to(&c)); }
        }

        #[test]
        fn encoding_round_trips(a in label()) {
            let bytes = postcard::to_stdvec(&a).expect("encodes");
            prop_assert_eq!(postcard::from_bytes::<Label>(&bytes).expect("decodes"), a);
        }

        #[test]
        fn the_builders_never_lower(a in label()) {
            for s in [Sensitivity::Public, Sensitivity::Internal, Sensitivity::Secret] {
                prop_assert!(a.flows_to(&a.clone().with_sensitivity(s)));
            }
            prop_assert!(a.flows_to(&a.clone().with_trust(Trust::Trusted)));
        }
    }

    #[test]
    fn only_three_origins_are_trusted() {
        for trusted in [Origin::USER, Origin::OPERATOR, Origin::TOOL] {
            assert_eq!(trusted.trust(), Trust::Trusted);
        }
        for untrusted in [
            Origin::MCP_DERIVED,
            Origin::WEB_SEARCH,
            Origin::SKILL_UNTRUSTED,
            Origin::CHANNEL_INBOUND,
            Origin::MEMORY_RECALL,
            Origin::new("User").expect("a legal name"),
        ] {
            assert_eq!(untrusted.trust(), Trust::Untrusted, "{untrusted:?}");
        }
    }
}
