//! What both ends of a call must agree on, and its canonical bytes.

use graft_core::{InterfaceId, MethodId, Name};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Type, TypeId, Types};

/// Names, method ids, parameters, results and errors of an interface, and the types they speak of.
///
/// Two contracts are the same if and only if their bytes are, so [`Contract::id`] names one.
/// [`InterfaceBuilder`](crate::InterfaceBuilder) makes one from Rust types and
/// [`Contract::from_bytes`] reads one; both give the canonical order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    pub(crate) name: Name,
    pub(crate) methods: Vec<MethodModel>,
    pub(crate) types: Types,
}

/// The contract of one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodModel {
    /// What code calls it.
    pub name: String,
    /// What the wire calls it.
    pub id: MethodId,
    /// What it takes, in the order in which the values travel.
    pub params: Vec<Param>,
    /// What it returns.
    pub ok: TypeId,
    /// Its own error, if it has one.
    pub err: Option<TypeId>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// What code calls it.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
}

impl Contract {
    /// The most bytes of a contract that comes from elsewhere.
    pub const MAX_LEN: usize = 64 * 1024;
    /// The most types of a contract that comes from elsewhere.
    pub const MAX_TYPES: usize = 4096;

    /// The interface's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The methods, by name in byte order.
    pub fn methods(&self) -> &[MethodModel] {
        &self.methods
    }

    /// The method with this id.
    pub fn method(&self, id: MethodId) -> Option<&MethodModel> {
        self.methods.iter().find(|method| method.id == id)
    }

    /// The types that methods speak of.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// The canonical bytes; `MODEL.md` draws them.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical(self)
    }

    /// SHA-256 over a prefix that names this use and [`Contract::to_bytes`].
    pub fn id(&self) -> InterfaceId {
        let mut hash = Sha256::new();
        hash.update(b"graft contract v0\0");
        hash.update(self.to_bytes());
        InterfaceId(hash.finalize().into())
    }

    /// Reads canonical bytes that may come from anyone. What it accepts, [`Contract::to_bytes`] prints
    /// as it was.
    ///
    /// # Errors
    /// [`ContractError`] says which rule the bytes break.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContractError> {
        let contract: Self = parse(bytes, Self::MAX_LEN)?;
        contract.check()?;
        Ok(contract)
    }

    fn check(&self) -> Result<(), ContractError> {
        if self.types.len() > Self::MAX_TYPES {
            return Err(ContractError::TooLong);
        }
        if self.methods.windows(2).any(|pair| pair[0].name >= pair[1].name) {
            return Err(ContractError::MethodOrder);
        }
        for method in &self.methods {
            if method.id != MethodId::of(self.name.as_str(), &method.name) {
                return Err(ContractError::MethodId);
            }
        }
        self.check_order()?;
        self.check_parts()
    }

    /// Types are numbered as a walk from the first method meets them, and each is met.
    fn check_order(&self) -> Result<(), ContractError> {
        let mut met = 0;
        let roots = self.methods.iter().flat_map(|method| {
            method.params.iter().map(|param| param.ty).chain([method.ok]).chain(method.err)
        });
        for root in roots {
            let mut open = vec![root];
            while let Some(id) = open.pop() {
                if id.0 < met {
                    continue;
                }
                let ty = self.types.type_of(id).ok_or(ContractError::UnknownType)?;
                if id.0 != met {
                    return Err(ContractError::TypeOrder);
                }
                met += 1;
                let from = open.len();
                open.extend(ty.parts());
                open[from..].reverse();
            }
        }
        if usize::try_from(met) == Ok(self.types.len()) { Ok(()) } else { Err(ContractError::TypeOrder) }
    }

    fn check_parts(&self) -> Result<(), ContractError> {
        let is_port = |id: TypeId| self.types.type_of(id).is_some_and(Type::is_port);
        if self.methods.iter().filter_map(|method| method.err).any(is_port) {
            return Err(ContractError::Port);
        }
        for (_, ty) in self.types.iter() {
            if ty.parts().any(is_port) {
                return Err(ContractError::Port);
            }
            match ty {
                Type::List(part) | Type::Array(part, _) if self.types.is_zero_sized(*part) => {
                    return Err(ContractError::ZeroSizeElement);
                }
                Type::Map(key, _) if !self.types.type_of(*key).is_some_and(Type::is_key) => {
                    return Err(ContractError::MapKey);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Postcard's bytes. The model's parts have no map whose order could vary and no list of unknown length.
pub(crate) fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    // A `Vec` takes every byte, and no part of the model refuses to be serialised.
    postcard::to_stdvec(value).expect("the model serialises")
}

/// Reads what [`canonical`] prints, and nothing else. The bound holds what decoding may allocate.
pub(crate) fn parse<T: Serialize + DeserializeOwned>(bytes: &[u8], max: usize) -> Result<T, ContractError> {
    if bytes.len() > max {
        return Err(ContractError::TooLong);
    }
    let value: T = postcard::from_bytes(bytes).map_err(|_| ContractError::Malformed)?;
    if canonical(&value) == bytes { Ok(value) } else { Err(ContractError::NotCanonical) }
}

/// Why bytes are not a contract or a guard part. Holds nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// More bytes than [`Contract::MAX_LEN`] or [`Guard::MAX_LEN`](crate::Guard::MAX_LEN), or more types than
    /// [`Contract::MAX_TYPES`].
    #[error("a contract has at most 64 KiB and 4096 types, a guard part at most 1 MiB")]
    TooLong,
    /// Not the encoding of one.
    #[error("the bytes are not what they should describe")]
    Malformed,
    /// Another encoding than the canonical one.
    #[error("the bytes are not in canonical form")]
    NotCanonical,
    /// Methods out of order or twice.
    #[error("methods must be ordered by name, each once")]
    MethodOrder,
    /// A method id that is not the hash of its name.
    #[error("a method's id must be the hash of interface and method name")]
    MethodId,
    /// A type id beyond the graph.
    #[error("a type id points outside the contract")]
    UnknownType,
    /// Types that are not numbered as they are met, or that nothing uses.
    #[error("types must be numbered in the order in which they are met")]
    TypeOrder,
    /// A list, array or map of values that take no bytes.
    #[error("elements of a list or array must take at least one byte")]
    ZeroSizeElement,
    /// A map whose key is neither text nor an integer.
    #[error("the key of a map must be text or an integer")]
    MapKey,
    /// A stream or a handle inside a value or as an error.
    #[error("a stream or a handle is a parameter or the result itself, never a part of a value or an error")]
    Port,
}
