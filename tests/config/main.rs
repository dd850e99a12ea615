//! The configuration: which source wins, what is refused, and that no secret gets out.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

#[cfg(feature = "_tls")]
#[path = "../../graft-transport/tests/net/certificates.rs"]
#[allow(dead_code)] // the tests of the streams use the rest
mod certificates;
#[cfg(feature = "tcp")]
mod connect;
#[cfg(feature = "tcp")]
mod lost;
#[cfg(feature = "files")]
mod mistakes;
#[cfg(feature = "files")]
mod order;
#[cfg(feature = "files")]
mod secrets;
mod table;
#[cfg(feature = "_tls")]
mod tls;

use graft::config::Environment;

fn environment<N: AsRef<str>, V: AsRef<str>>(variables: &[(N, V)]) -> Environment {
    variables.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect()
}
