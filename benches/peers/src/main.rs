//! How does a call of graft compare with the same call of other libraries, in the same run? And what does it
//! take that no clock shows: allocations, instructions, memory.
//!
//! The first argument says which question: `compare` (the default), `audit`, `counts`, `instructions`,
//! `connections`, `soak` or `stream`. README.md says what each prints.

mod allocations;
#[cfg(feature = "audit")]
mod audit;
#[path = "../../harness/calls/mod.rs"]
mod calls;
#[cfg(feature = "rivals")]
mod compare;
mod connections;
mod counts;
#[path = "../../harness/mod.rs"]
mod harness;
mod process;
#[cfg(feature = "rivals")]
mod secure;
mod sessions;
mod soak;
#[cfg(feature = "rivals")]
mod tarpc_peer;
#[cfg(feature = "rivals")]
mod tonic_peer;

use harness::Failure;

fn main() -> Result<(), Failure> {
    let mode = std::env::args().nth(1).filter(|mode| !mode.starts_with('-'));
    match mode.as_deref() {
        #[cfg(feature = "rivals")]
        None | Some("compare") => compare::run(),
        #[cfg(not(feature = "rivals"))]
        None | Some("compare") => Err("built without the feature `rivals`".into()),
        #[cfg(feature = "audit")]
        Some("audit") => audit::run(),
        #[cfg(not(feature = "audit"))]
        Some("audit") => Err("built without the feature `audit`".into()),
        Some("counts") => counts::run(),
        Some("instructions") => counts::run_one(),
        Some("connections") => connections::run(),
        Some("connections-end") => connections::end(),
        Some("soak") => soak::soak(),
        Some("stream") => soak::stream(),
        Some(_) => Err("no such mode; see README.md".into()),
    }
}
