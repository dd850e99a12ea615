//! Version 0, until what replaces it is whole.
#![allow(missing_docs)]

mod format;
mod frames;
mod log;
mod read;
mod seal;
#[cfg(test)]
mod simulated;
mod storage;
mod verify;
mod walk;
mod writer;

pub use crate::error::{AuditError, Break, Place, What};
pub use crate::format::{Leaf, LogId};
pub use crate::key::AuditKey;
pub use log::{AuditLog, LogOptions};
pub use read::{Events, StoredEvent, read};
pub use verify::{Depth, State, VerifyReport, verify, verify_structure};
pub use writer::{Durability, Recovered};
