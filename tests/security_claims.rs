//! SECURITY.md held to its word: what it names exists, and what it claims of the whole path is so.
// The example service is as public as a host's own, and has a method that panics.
#![allow(missing_docs, unreachable_pub, clippy::panic)]

#[path = "security_claims/document.rs"]
mod document;
#[cfg(feature = "tcp")]
#[path = "security_claims/path.rs"]
mod path;
#[path = "security_claims/spans.rs"]
mod spans;
