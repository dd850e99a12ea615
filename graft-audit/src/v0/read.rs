//! Reading the events of a log, in order.

use std::io::{BufReader, Read};
use std::iter::FusedIterator;

use super::{AuditError, AuditKey};
use crate::v0::walk::{Step, Walk};

pub use crate::read::StoredEvent;

/// The events of the log that `reader` holds. Each is verified before it is handed out, with all before it;
/// memory is bounded by one record. A wrong key or a bad header is the first item.
///
/// ```
/// use graft_audit::v0::{AuditKey, read};
/// let mut events = read(&b""[..], &AuditKey::generate()?);
/// assert!(events.next().is_some_and(|first| first.is_err()));
/// assert!(events.next().is_none());
/// # Ok::<(), graft_audit::AuditError>(())
/// ```
pub fn read<R: Read>(reader: R, key: &AuditKey) -> Events<R> {
    match Walk::start(BufReader::with_capacity(64 * 1024, reader), Some(key)) {
        Ok(walk) => Events { walk: Some(walk), refused: None },
        Err(error) => Events { walk: None, refused: Some(error) },
    }
}

/// The iterator that [`read`] returns. It ends after the first error: behind a break nothing is verified.
pub struct Events<R> {
    walk: Option<Walk<BufReader<R>>>,
    refused: Option<AuditError>,
}

impl<R: Read> Iterator for Events<R> {
    type Item = Result<StoredEvent, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.refused.take() {
            return Some(Err(error));
        }
        let walk = self.walk.as_mut()?;
        let item = loop {
            match walk.step() {
                Ok(Some(Step { seq, leaf, event: Some(event) })) => {
                    return Some(Ok(StoredEvent { seq, leaf, event }));
                }
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some(Err(error)),
            }
        };
        self.walk = None;
        item
    }
}

impl<R: Read> FusedIterator for Events<R> {}
