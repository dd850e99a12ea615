//! A witness: it signs that a log only grew, and never two histories
//! ([C2SP tlog-witness](https://c2sp.org/tlog-witness)). Bytes go in and come out; HTTP is the host's part.

mod anchor;
mod request;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use graft_core::Timestamp;
use sha2::{Digest, Sha256};

pub use anchor::{Prove, WitnessAnchor};
pub use request::WitnessRequest;

use crate::anchor::{Anchor, AnchorError, Anchored};
use crate::tree::{ProofError, TreeHead, verify_consistency};
use crate::{
    AuditVerifier, Checkpoint, KeyName, LogId, UnverifiedCheckpoint, WitnessSigner, WitnessVerifier,
};

/// Sees the checkpoints of the logs that it was told of, and cosigns those that contain all it saw before.
///
/// What it saw last is kept in an [`Anchor`] for each log. It is moved in one step, and before anything is signed;
/// so whatever comes at once or fails in between, no two cosignatures are of trees that do not contain each
/// other. That holds as long as the anchor does: one that is put back makes the witness forget.
///
/// ```
/// use graft_audit::{AuditSigner, MemoryAnchor, TreeHead, Witness, WitnessRequest, WitnessSigner};
/// use graft_core::Timestamp;
/// let log = AuditSigner::generate("example.com/audit".parse()?)?;
/// let signer = WitnessSigner::generate("example.com/witness".parse()?)?;
/// let keys = [signer.verifier()];
/// let witness = Witness::new(signer).with_log(log.verifier(), Box::new(MemoryAnchor::new()));
///
/// let mut checkpoint = log.sign(&TreeHead::EMPTY, &[])?;
/// let request = WitnessRequest::new(0, &[], &checkpoint)?.to_string();
/// let answer = witness.add_checkpoint(&request, Timestamp(1_700_000_000_000_000_000))?;
/// checkpoint.add_cosignatures(&answer, &keys)?;
/// assert_eq!(checkpoint.cosigned_by(&keys)?[0].unix_seconds, 1_700_000_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Witness {
    signer: WitnessSigner,
    logs: HashMap<KeyName, Log>,
}

struct Log {
    /// Several while a log changes its key.
    keys: Vec<AuditVerifier>,
    id: LogId,
    seen: Box<dyn Anchor>,
}

impl Witness {
    /// A witness that knows no log yet.
    pub fn new(signer: WitnessSigner) -> Self {
        Self { signer, logs: HashMap::new() }
    }

    /// Takes on a log, whose last seen state is kept in `seen` under [`id_of`](Self::id_of) its name.
    ///
    /// For a log that it knows already the key is taken in beside the earlier ones, and `seen` is left aside.
    #[must_use]
    pub fn with_log(mut self, key: AuditVerifier, seen: Box<dyn Anchor>) -> Self {
        let id = Self::id_of(key.name());
        let log = self.logs.entry(key.name().clone()).or_insert(Log { keys: Vec::new(), id, seen });
        log.keys.push(key);
        self
    }

    /// The id under which the state of a log with this name is kept: the first 16 bytes of
    /// `SHA-256("graft-audit witness\0" || name)`.
    pub fn id_of(origin: &KeyName) -> LogId {
        let hash =
            Sha256::new().chain_update(b"graft-audit witness\0").chain_update(origin.as_str()).finalize();
        LogId(crate::format::array(&hash))
    }

    /// The public half of its key, to hand out.
    pub fn verifier(&self) -> WitnessVerifier {
        self.signer.verifier()
    }

    /// The tree of this log that it saw last: none if none yet.
    ///
    /// # Errors
    /// [`WitnessRefusal::UnknownLog`], or [`WitnessRefusal::Store`].
    pub fn last_seen(&self, origin: &KeyName) -> Result<Option<TreeHead>, WitnessRefusal> {
        let log = self.logs.get(origin).ok_or(WitnessRefusal::UnknownLog)?;
        Ok(log.load()?.map(|kept| kept.head))
    }

    /// Answers the body of an `add-checkpoint` request with that of its answer: one line, the cosignature.
    ///
    /// # Errors
    /// [`WitnessRefusal`], which knows its own status and body.
    pub fn add_checkpoint(
        &self,
        request: impl AsRef<[u8]>,
        now: Timestamp,
    ) -> Result<String, WitnessRefusal> {
        // In the order in which the specification asks.
        let request = WitnessRequest::parse(request)?;
        let log = self.logs.get(request.checkpoint.claimed_origin()).ok_or(WitnessRefusal::UnknownLog)?;
        let checkpoint = log.verify(&request.checkpoint)?;
        let new = checkpoint.head();
        if request.old > new.size {
            return Err(WitnessRefusal::OldIsLarger);
        }
        let kept = log.load()?;
        let old = kept.map_or(TreeHead::EMPTY, |kept| kept.head);
        if request.old != old.size {
            return Err(WitnessRefusal::Conflict { size: old.size });
        }
        if old.size == new.size && old.root != new.root && old.size != 0 {
            return Err(WitnessRefusal::Fork { size: old.size });
        }
        verify_consistency(&old, &new, &request.proof).map_err(WitnessRefusal::Inconsistent)?;
        // Also if nothing changes: what was cosigned in between is larger, and this is no longer the last.
        match log.seen.advance(kept.as_ref(), &Anchored { log: log.id, head: new }) {
            Ok(()) => Ok(self.signer.cosign(&checkpoint, now)),
            Err(AnchorError::Conflict) => {
                let size = log.load()?.map_or(0, |kept| kept.head.size);
                Err(WitnessRefusal::Conflict { size })
            }
            Err(error) => Err(WitnessRefusal::Store(error)),
        }
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Witness({:?}, {} logs)", self.signer, self.logs.len())
    }
}

impl Log {
    fn load(&self) -> Result<Option<Anchored>, WitnessRefusal> {
        self.seen.load(self.id).map_err(WitnessRefusal::Store)
    }

    fn verify(&self, checkpoint: &UnverifiedCheckpoint) -> Result<Checkpoint, WitnessRefusal> {
        let verified = self.keys.iter().find_map(|key| checkpoint.clone().verify(key).ok());
        verified.ok_or(WitnessRefusal::NotSigned)
    }
}

/// A witness did not cosign a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessRefusal {
    /// Not a request.
    #[error("the request is not a size, a proof and a checkpoint in their one form")]
    Malformed,
    /// A log that the witness was not told of.
    #[error("the witness does not know this log; tell it the log's key first")]
    UnknownLog,
    /// No signature of a key that it knows of this log, or a forged one.
    #[error("the checkpoint is not signed with a key that the witness knows of this log")]
    NotSigned,
    /// The earlier size of the request is larger than its checkpoint's.
    #[error("the earlier size is larger than the checkpoint's")]
    OldIsLarger,
    /// The request does not begin where the witness stands.
    #[error("the witness last saw {size} records; send the proof from there")]
    Conflict {
        /// How many records it saw last; 0 if it never saw the log.
        size: u64,
    },
    /// Another tree of the size that it saw last.
    #[error("the witness saw another tree of {size} records; the log has two histories")]
    Fork {
        /// How many records.
        size: u64,
    },
    /// The proof does not hold.
    #[error("the proof does not show that the log only grew")]
    Inconsistent(#[source] ProofError),
    /// What it saw last could not be read or kept.
    #[error("the witness could not read or keep what it saw last; nothing was signed")]
    Store(#[source] AnchorError),
}

impl WitnessRefusal {
    /// The status of the HTTP answer, as the specification names it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed | Self::OldIsLarger => 400,
            Self::NotSigned => 403,
            Self::UnknownLog => 404,
            Self::Conflict { .. } | Self::Fork { .. } => 409,
            Self::Inconsistent(_) => 422,
            Self::Store(_) => 500,
        }
    }

    /// The body of the HTTP answer: for status 409 the size that was seen last, of content type
    /// `text/x.tlog.size`; else nothing.
    pub fn body(&self) -> String {
        match self {
            Self::Conflict { size } | Self::Fork { size } => format!("{size}\n"),
            _ => String::new(),
        }
    }
}
