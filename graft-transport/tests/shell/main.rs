//! The tokio shell held to account: streams, objects, hand-over, cancellation, the end of connections.

#[path = "../common/mod.rs"]
mod common;
mod raw;
mod support;

mod calls;
mod faults;
mod objects;
mod streams;
