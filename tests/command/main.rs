//! The `graft` command as a person runs it: the real binary, real files, its output and its status.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod audit;
mod audit_change;
mod audit_input;
mod audit_proof;
mod audit_read;
mod common;
mod explain_config;
mod replay;
mod replay_input;
mod scoring;
