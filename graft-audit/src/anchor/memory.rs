//! An anchor that ends with the process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Anchor, AnchorError, Anchored};
use crate::LogId;

/// Keeps states in memory, of any number of logs: for tests, and for what does not outlive a process.
#[derive(Debug, Default)]
pub struct MemoryAnchor(Mutex<HashMap<LogId, Anchored>>);

impl MemoryAnchor {
    /// One that keeps nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Anchor for MemoryAnchor {
    fn load(&self, log: LogId) -> Result<Option<Anchored>, AnchorError> {
        // Nothing under this lock can panic half-way.
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&log).copied())
    }

    fn advance(&self, from: Option<&Anchored>, to: &Anchored) -> Result<(), AnchorError> {
        to.ensure_step(from)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.get(&to.log) != from {
            return Err(AnchorError::Conflict);
        }
        kept.insert(to.log, *to);
        Ok(())
    }
}
