//! The tokio shell held to account: streams, objects, hand-over, cancellation, the end of connections.

#[path = "../common/mod.rs"]
mod common;
mod raw;
mod support;

mod again;
mod calls;
mod faults;
mod health;
mod objects;
mod streams;
