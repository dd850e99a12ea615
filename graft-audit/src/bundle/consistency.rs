//! The proof between two checkpoints of one log.

use std::fmt;

use super::{BundleError, Lines, ensure_quorum, print_hashes, split};
use crate::tree::{TreeHash, verify_consistency};
use crate::{
    AuditVerifier, Checkpoint, CheckpointError, Cosigned, KeyName, UnverifiedCheckpoint, WitnessVerifier,
};

/// The first line. Behind it come the hashes, an empty line, the earlier checkpoint, an empty line, the later one.
const CONSISTENCY: &str = "graft-audit/consistency-proof@v1";

/// A proof that a log's later checkpoint contains all of an earlier one, as the log makes it. It prints as the
/// text to hand out, which [`UnverifiedConsistency`] reads.
///
/// ```
/// use graft_audit::{AuditSigner, ConsistencyBundle, Frontier, Leaf, UnverifiedConsistency, prove_consistency};
/// let signer = AuditSigner::generate("example.com/audit".parse()?)?;
/// let leaves = [1, 2, 3].map(|n| Leaf([n; 32]));
/// let mut frontier = Frontier::new();
/// frontier.push(leaves[0]);
/// let old = signer.sign(&frontier.head(), &[])?;
/// leaves[1..].iter().for_each(|leaf| frontier.push(*leaf));
/// let new = signer.sign(&frontier.head(), &[])?;
///
/// let proof = prove_consistency(&mut leaves.as_slice(), 1, 3)?;
/// let text = ConsistencyBundle::new(&proof, &old, &new)?.to_string();
/// let verified = UnverifiedConsistency::parse(&text)?.verify(&signer.verifier(), &[], 0)?;
/// assert_eq!((verified.earlier().head().size, verified.later().head().size), (1, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyBundle(UnverifiedConsistency);

impl ConsistencyBundle {
    /// The proof from `old` to `new`. `proof` comes from [`prove_consistency`](crate::prove_consistency).
    ///
    /// # Errors
    /// [`BundleError::Proof`] if it proves something else, [`BundleError::Checkpoint`] if they are of two logs.
    pub fn new(proof: &[TreeHash], old: &Checkpoint, new: &Checkpoint) -> Result<Self, BundleError> {
        if old.origin() != new.origin() {
            return Err(CheckpointError::WrongOrigin.into());
        }
        verify_consistency(&old.head(), &new.head(), proof)?;
        let [old, new] = [old, new].map(|checkpoint| UnverifiedCheckpoint::from(checkpoint.clone()));
        Ok(Self(UnverifiedConsistency { proof: proof.to_vec(), old, new }))
    }
}

impl fmt::Display for ConsistencyBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A proof between two checkpoints as it was read. It prints as the bytes it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedConsistency {
    proof: Vec<TreeHash>,
    old: UnverifiedCheckpoint,
    new: UnverifiedCheckpoint,
}

impl UnverifiedConsistency {
    /// Reads a bundle of at most 160 KiB.
    ///
    /// # Errors
    /// [`BundleError`]: everything but `Proof` and `Quorum`.
    pub fn parse(bytes: impl AsRef<[u8]>) -> Result<Self, BundleError> {
        let (lines, notes) = split(bytes.as_ref(), CONSISTENCY)?;
        let proof = Lines::new(lines).hashes()?;
        // No checkpoint has an empty line in its text or among its signatures, so the second one ends it.
        let mut breaks = notes.match_indices("\n\n").map(|(at, _)| at);
        let end = breaks.nth(1).ok_or(BundleError::Checkpoint(CheckpointError::Form))?;
        let old = UnverifiedCheckpoint::parse(&notes[..=end])?;
        Ok(Self { proof, old, new: UnverifiedCheckpoint::parse(&notes[end + 2..])? })
    }

    /// The log that the later checkpoint says to be of, to find the key by.
    pub fn claimed_origin(&self) -> &KeyName {
        self.new.claimed_origin()
    }

    /// Believes it if `log` signed both checkpoints, at least `quorum` of `witnesses` cosigned the later one,
    /// and that one contains the earlier one.
    ///
    /// # Errors
    /// [`BundleError::Checkpoint`], [`BundleError::Quorum`] or [`BundleError::Proof`]: with
    /// [`ProofError::Fork`](crate::ProofError::Fork) in it, the log signed two histories.
    pub fn verify(
        self,
        log: &AuditVerifier,
        witnesses: &[WitnessVerifier],
        quorum: usize,
    ) -> Result<VerifiedConsistency, BundleError> {
        let (old, new) = (self.old.verify(log)?, self.new.verify(log)?);
        let cosigned_by = ensure_quorum(&new, witnesses, quorum)?;
        verify_consistency(&old.head(), &new.head(), &self.proof)?;
        Ok(VerifiedConsistency { old, new, cosigned_by })
    }
}

impl fmt::Display for UnverifiedConsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{CONSISTENCY}")?;
        print_hashes(&self.proof, f)?;
        write!(f, "\n{}\n{}", self.old, self.new)
    }
}

/// That a later checkpoint contains all of an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedConsistency {
    old: Checkpoint,
    new: Checkpoint,
    cosigned_by: Vec<Cosigned>,
}

impl VerifiedConsistency {
    /// The earlier checkpoint.
    pub fn earlier(&self) -> &Checkpoint {
        &self.old
    }

    /// The later checkpoint.
    pub fn later(&self) -> &Checkpoint {
        &self.new
    }

    /// Which of the given witnesses saw the later one, each key once.
    pub fn cosigned_by(&self) -> &[Cosigned] {
        &self.cosigned_by
    }
}
