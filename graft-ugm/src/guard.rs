//! The part of an interface that guards, documents and operators read, and that callers need not agree on.

use std::collections::BTreeMap;

use graft_core::ToolMetadata;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ContractError;

/// Where a method's code may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// In the host's own process. Assumed where nothing is declared.
    #[default]
    None,
    /// In the process, without ambient rights.
    Sandboxed,
    /// In a process of its own.
    Isolated,
    /// In a container.
    Docker,
}

impl Tier {
    /// The word that files and attributes carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sandboxed => "sandboxed",
            Self::Isolated => "isolated",
            Self::Docker => "docker",
        }
    }
}

/// Documentation, labels, roles, scopes and tiers of an interface.
///
/// Changing any of it leaves the [`InterfaceId`](graft_core::InterfaceId) as it is, and changes the
/// [digest](crate::Interface::guard_digest) of this part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// What the interface is for.
    pub doc: String,
    /// One for each method, in the contract's order.
    pub methods: Vec<MethodGuard>,
    /// One for each type, in the contract's order.
    pub types: Vec<TypeDocs>,
}

/// What guards and readers know of one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodGuard {
    /// What the method is for.
    pub doc: String,
    /// Effect, roles, labels, intent and scopes.
    pub tool: ToolMetadata,
    /// Where its code may run.
    pub tier: Tier,
    /// Since the method is deprecated: what to use instead; may be empty.
    pub deprecated: Option<String>,
}

impl MethodGuard {
    /// Nothing but the cautious defaults of `tool`.
    pub fn new(tool: ToolMetadata) -> Self {
        Self { doc: String::new(), tool, tier: Tier::default(), deprecated: None }
    }
}

/// The doc comments of a type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeDocs {
    /// That of the type itself.
    pub doc: String,
    /// Those of its members: `field`, `Variant` or `Variant.field`; positions count from 0.
    pub members: BTreeMap<String, String>,
}

impl Guard {
    /// The most bytes of a guard part that comes from elsewhere; most of them are documentation.
    pub const MAX_LEN: usize = 1024 * 1024;

    /// The canonical bytes; `MODEL.md` draws them.
    pub fn to_bytes(&self) -> Vec<u8> {
        crate::contract::canonical(self)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`ContractError::TooLong`], [`ContractError::Malformed`] or [`ContractError::NotCanonical`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContractError> {
        crate::contract::parse(bytes, Self::MAX_LEN)
    }

    /// SHA-256 over a prefix that names this use and [`Guard::to_bytes`].
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"graft guard v0\0");
        hash.update(self.to_bytes());
        hash.finalize().into()
    }
}
