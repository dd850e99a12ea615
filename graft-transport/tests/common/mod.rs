//! What the tests over real sockets share.
#![allow(dead_code)] // each test file uses its part

use std::sync::Arc;
use std::time::Duration;

use graft_core::{Clock, Timestamp};
use graft_transport::TcpOptions;
use tokio::time::Instant;

/// The time of the tokio runtime where there is one, so that it stands still when that does.
pub(crate) struct Machine(Instant);

impl Machine {
    pub(crate) fn clock() -> Arc<dyn Clock> {
        Arc::new(Self(*START))
    }
}

static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Duration {
        Instant::now().saturating_duration_since(self.0)
    }
}

pub(crate) fn options() -> TcpOptions {
    TcpOptions::new(Machine::clock())
}
