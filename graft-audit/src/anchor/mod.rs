//! Where the newest state of a log is kept apart from the log, so that a log which was cut or put back is seen.

mod file;
mod memory;
#[cfg(test)]
mod tests;

use std::io;

pub use file::FileAnchor;
pub use memory::MemoryAnchor;

use crate::tree::{MAX_TREE_SIZE, TreeHead};
use crate::{LogId, WitnessRefusal};

/// The state of a log that somebody may rely on later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Anchored {
    /// The log.
    pub log: LogId,
    /// Its tree.
    pub head: TreeHead,
}

/// A place that keeps the newest state of logs and never an older one: a file on another disk, a row in a
/// database, an object in a store, a witness. Anybody may implement it.
///
/// Whoever opens a log compares it with what is kept here, and fails if the log does not contain it. That is all
/// that shows a log which was cut at a record, or an old copy put back; so the place must be out of the reach of
/// whoever could do that.
///
/// ```
/// use graft_audit::{Anchor, AnchorError, Anchored, LogId, MemoryAnchor, TreeHash, TreeHead};
/// let anchor = MemoryAnchor::new();
/// let at = |size| Anchored { log: LogId([1; 16]), head: TreeHead { size, root: TreeHash([size as u8; 32]) } };
/// assert_eq!(anchor.load(LogId([1; 16]))?, None);
/// anchor.advance(None, &at(5))?;
/// anchor.advance(Some(&at(5)), &at(9))?;
/// assert!(matches!(anchor.advance(Some(&at(5)), &at(7)), Err(AnchorError::Conflict)));
/// assert_eq!(anchor.load(LogId([1; 16]))?, Some(at(9)));
/// # Ok::<(), AnchorError>(())
/// ```
pub trait Anchor: Send + Sync {
    /// What is kept of this log; none if nothing was ever kept.
    ///
    /// # Errors
    /// [`AnchorError`] if that cannot be told. It must never be taken for none.
    fn load(&self, log: LogId) -> Result<Option<Anchored>, AnchorError>;

    /// Puts `to` in the place of `from`, in one step: if something else than `from` is kept, nothing happens.
    /// Returns once it is as durable as it will be. After any other error than `Conflict` either may be kept.
    ///
    /// That `to` contains `from` is the caller's part; an anchor sees sizes and roots alone. An implementation
    /// begins with [`ensure_step`](Anchored::ensure_step).
    ///
    /// # Errors
    /// [`AnchorError::Conflict`] if `from` is not what is kept, [`AnchorError::Backwards`],
    /// [`AnchorError::Fork`] or [`AnchorError::WrongLog`] if `to` cannot follow it, and what the place says.
    fn advance(&self, from: Option<&Anchored>, to: &Anchored) -> Result<(), AnchorError>;
}

impl Anchored {
    /// Checks that this state may follow `from`: of the same log, no smaller, and the same if of one size.
    ///
    /// # Errors
    /// [`AnchorError::WrongLog`], [`AnchorError::Backwards`] or [`AnchorError::Fork`].
    pub fn ensure_step(&self, from: Option<&Self>) -> Result<(), AnchorError> {
        if self.head.size > MAX_TREE_SIZE {
            return Err(AnchorError::Malformed);
        }
        let Some(from) = from else { return Ok(()) };
        if self.log != from.log {
            return Err(AnchorError::WrongLog);
        }
        if self.head.size < from.head.size {
            return Err(AnchorError::Backwards { kept: from.head.size, given: self.head.size });
        }
        if self.head.size == from.head.size && self.head.root != from.head.root {
            return Err(AnchorError::Fork);
        }
        Ok(())
    }
}

/// An anchor could not be read or moved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// Somebody else moved it, or it was put back.
    #[error(
        "the anchor is not where it was left: another writer moved it or it was exchanged; load it again"
    )]
    Conflict,
    /// The new state is an older one.
    #[error("the anchor holds {kept} records and the log has {given}; the log was cut or is an old copy")]
    Backwards {
        /// How many records the kept state has.
        kept: u64,
        /// How many the new one has.
        given: u64,
    },
    /// Two states of one size with two roots.
    #[error("the anchor holds another tree of this size; the log has two histories")]
    Fork,
    /// The anchor of another log.
    #[error("the anchor is that of another log; use the one that was made with this log")]
    WrongLog,
    /// Somebody is moving it at this moment.
    #[error("the anchor is being moved by another writer; try again")]
    Locked,
    /// The bytes are not an anchor's, or a size is above 2^63 - 1.
    #[error(
        "the anchor is damaged or not an anchor; compare the log with another copy before making it anew"
    )]
    Malformed,
    /// The disk.
    #[error("the anchor could not be read or written; look at its disk")]
    Io(#[from] io::Error),
    /// A witness said no.
    #[error(transparent)]
    Refused(#[from] Box<WitnessRefusal>),
    /// What an implementation outside of this crate says.
    #[error("the place of the anchor failed")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}
