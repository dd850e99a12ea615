//! A witness as the place where a log's newest state is kept.

use std::fmt;
use std::sync::Arc;

use graft_core::Clock;

use super::{Witness, WitnessRefusal, WitnessRequest};
use crate::anchor::{Anchor, AnchorError, Anchored};
use crate::tree::TreeHash;
use crate::{AuditSigner, LogId};

/// Makes the proof that a log's tree of the second size begins with the one of the first: none if it cannot.
pub type Prove = dyn Fn(u64, u64) -> Option<Vec<TreeHash>> + Send + Sync;

/// Keeps one log's state through a witness, which does not take a log's word for it: each step is proved to
/// it, so a forked log cannot move its own anchor.
///
/// Each step signs a checkpoint with the log's key for it; the cosignature is not kept.
pub struct WitnessAnchor {
    log: LogId,
    witness: Arc<Witness>,
    signer: AuditSigner,
    clock: Arc<dyn Clock>,
    prove: Box<Prove>,
}

impl WitnessAnchor {
    /// The anchor of the log with this id and signer, whose name the witness knows.
    ///
    /// `prove` is called within [`advance`](Anchor::advance), so it must not wait for whoever calls that.
    pub fn new(
        log: LogId,
        witness: Arc<Witness>,
        signer: AuditSigner,
        clock: Arc<dyn Clock>,
        prove: Box<Prove>,
    ) -> Self {
        Self { log, witness, signer, clock, prove }
    }
}

impl Anchor for WitnessAnchor {
    fn load(&self, log: LogId) -> Result<Option<Anchored>, AnchorError> {
        if log != self.log {
            return Err(AnchorError::WrongLog);
        }
        let seen = self.witness.last_seen(self.signer.verifier().name()).map_err(refused)?;
        Ok(seen.map(|head| Anchored { log, head }))
    }

    fn advance(&self, from: Option<&Anchored>, to: &Anchored) -> Result<(), AnchorError> {
        to.ensure_step(from)?;
        // The request names a size alone; that the root is the same is what the proof shows.
        if self.load(to.log)?.as_ref() != from {
            return Err(AnchorError::Conflict);
        }
        let old = from.map_or(0, |from| from.head.size);
        let inconsistent = || refused(WitnessRefusal::Inconsistent(crate::ProofError::Fork));
        let proof = (self.prove)(old, to.head.size).ok_or_else(inconsistent)?;
        let other = |error: Box<dyn std::error::Error + Send + Sync>| AnchorError::Other(error);
        let checkpoint = self.signer.sign(&to.head, &[]).map_err(|error| other(error.into()))?;
        let request = WitnessRequest::new(old, &proof, &checkpoint).map_err(|error| other(error.into()))?;
        match self.witness.add_checkpoint(request.to_string(), self.clock.now()) {
            Ok(_) => Ok(()),
            Err(WitnessRefusal::Conflict { .. }) => Err(AnchorError::Conflict),
            Err(why) => Err(refused(why)),
        }
    }
}

impl fmt::Debug for WitnessAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WitnessAnchor({:?})", self.log)
    }
}

fn refused(why: WitnessRefusal) -> AnchorError {
    AnchorError::Refused(Box::new(why))
}
