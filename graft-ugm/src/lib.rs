//! The Unified Graft Model: an impl block becomes a described interface.

mod check;
mod contract;
mod describe;
mod guard;
mod model;
mod serve;
mod types;
mod value;

pub use check::{ShapeError, check, check_each};
pub use contract::{Contract, ContractError, MethodModel, Param};
pub use describe::{Describe, MapKey, TypeSet};
pub use graft_ugm_macros::{Describe, interface};
pub use guard::{Guard, MethodGuard, Tier, TypeDocs};
pub use model::{Interface, InterfaceBuilder, MethodBuilder, Model};
pub use serve::Described;
pub use types::{EnumType, Field, Fields, MAX_DEPTH, StructType, Type, TypeId, Types, Variant};
pub use value::{Bytes, Decimal, ParseValueError, Uuid};

/// What generated code names. Not an interface for people: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use std::sync::{Arc, OnceLock};

    pub use futures::future::BoxFuture;
    pub use graft_core;
    pub use serde;

    pub use crate as ugm;
    pub use crate::serve::{Never, infallible, labels, method, origin, serve};
}
