//! The audit log: chained, encrypted, verifiable offline.
