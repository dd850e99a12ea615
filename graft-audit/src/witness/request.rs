//! What a log sends to a witness.

use std::fmt;

use super::WitnessRefusal;
use crate::note::{MAX_NOTE, text};
use crate::tree::TreeHash;
use crate::{BundleError, Checkpoint, ProofError, UnverifiedCheckpoint};

/// The most hashes of a proof that the protocol carries.
const MAX_HASHES: usize = 63;
/// The most bytes of a request: its first line, the hashes and a note.
const MAX_REQUEST: usize = 32 + MAX_HASHES * 45 + MAX_NOTE;

/// The body of an `add-checkpoint` request: `old` and a size, the hashes of the proof from there, an empty line,
/// and the checkpoint. It prints as the bytes it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessRequest {
    pub(super) old: u64,
    pub(super) proof: Vec<TreeHash>,
    pub(super) checkpoint: UnverifiedCheckpoint,
}

impl WitnessRequest {
    /// The request to cosign `checkpoint`, with the proof from the size that the witness saw last (0 if it is
    /// to say which). `proof` comes from [`prove_consistency`](crate::prove_consistency).
    ///
    /// # Errors
    /// [`BundleError::Proof`] if `old` is the larger size, or the proof has more than the 63 hashes of the protocol.
    pub fn new(old: u64, proof: &[TreeHash], checkpoint: &Checkpoint) -> Result<Self, BundleError> {
        let new = checkpoint.head().size;
        if old > new {
            return Err(ProofError::Shrunk { old, new }.into());
        }
        if proof.len() > MAX_HASHES {
            return Err(ProofError::WrongLength { found: proof.len() }.into());
        }
        Ok(Self { old, proof: proof.to_vec(), checkpoint: checkpoint.clone().into() })
    }

    /// Reads a request of at most 67 KiB.
    ///
    /// # Errors
    /// [`WitnessRefusal::Malformed`].
    pub fn parse(bytes: impl AsRef<[u8]>) -> Result<Self, WitnessRefusal> {
        Self::read(bytes.as_ref()).ok_or(WitnessRefusal::Malformed)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let request = std::str::from_utf8(bytes).ok().filter(|request| request.len() <= MAX_REQUEST)?;
        let (head, note) = request.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let old = text::decimal(lines.next()?.strip_prefix("old ")?)?;
        let proof: Vec<_> = lines.by_ref().take(MAX_HASHES).map(text::hash).collect::<Option<_>>()?;
        let checkpoint = UnverifiedCheckpoint::parse(note).ok()?;
        lines.next().is_none().then_some(Self { old, proof, checkpoint })
    }
}

impl fmt::Display for WitnessRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", text::print_hash(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
