//! Proofs to hand out: one text that holds all that is needed to check it offline, but for the keys.
//!
//! That of a record is a [C2SP tlog-proof](https://c2sp.org/tlog-proof), with the record's header as its extra
//! data. That between two checkpoints is in a form of its own, made of the same lines.

mod consistency;
#[cfg(test)]
mod tests;

use std::fmt;

pub use consistency::{ConsistencyBundle, UnverifiedConsistency, VerifiedConsistency};

use crate::note::text;
use crate::tree::{MAX_PROOF_HASHES, ProofError, TreeHash, verify_inclusion};
use crate::{
    AuditVerifier, Checkpoint, CheckpointError, Cosigned, KeyName, Leaf, UnverifiedCheckpoint,
    WitnessVerifier,
};

/// The first line of a record's proof.
const INCLUSION: &str = "c2sp.org/tlog-proof@v1";
/// The most bytes of a record's header.
const MAX_HEADER: usize = 16 * 1024;
/// The most bytes of a bundle: two notes, 64 hashes and a header.
const MAX_BUNDLE: usize = 160 * 1024;

/// A bundle could not be read, made or believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// More bytes than are read.
    #[error("the bundle is longer than 160 KiB, or its record's header is longer than 16 KiB")]
    TooLong,
    /// Another kind of file, or another version.
    #[error(
        "the bundle does not begin with a line of a known proof; it is another file or a later version's"
    )]
    UnknownForm,
    /// A line that is not in its one form.
    #[error("line {line} of the bundle is not what stands there in such a proof; it was changed or cut")]
    Line {
        /// Which line, from 1.
        line: usize,
    },
    /// A proof of something, but without the record that it is about.
    #[error("the bundle has no record header in it, so it does not say what it proves")]
    NoHeader,
    /// A checkpoint in it could not be read or believed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Its hashes do not prove it.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Too few witnesses.
    #[error("{found} of the given witnesses cosigned the checkpoint, and {needed} are asked for")]
    Quorum {
        /// How many did, each key counted once.
        found: usize,
        /// How many were asked for.
        needed: usize,
    },
}

/// A proof that a record is in a log, as its log makes it. It prints as the text to hand out, which
/// [`UnverifiedBundle`] reads; its file name is to end in `.tlog-proof`.
///
/// ```
/// use graft_audit::{AuditSigner, Frontier, Leaf, ProofBundle, UnverifiedBundle, prove_inclusion};
/// use sha2::{Digest, Sha256};
/// let headers = [&b"first"[..], b"second", b"third"];
/// let leaves = headers.map(|header| Leaf(Sha256::new().chain_update([0]).chain_update(header).finalize().into()));
/// let mut frontier = Frontier::new();
/// leaves.iter().for_each(|leaf| frontier.push(*leaf));
///
/// let signer = AuditSigner::generate("example.com/audit".parse()?)?;
/// let checkpoint = signer.sign(&frontier.head(), &[])?;
/// let path = prove_inclusion(&mut leaves.as_slice(), 1, 3)?;
/// let text = ProofBundle::new(b"second", 1, &path, &checkpoint)?.to_string();
///
/// let proof = UnverifiedBundle::parse(&text)?.verify(&signer.verifier(), &[], 0)?;
/// assert_eq!((proof.index(), proof.header(), proof.leaf()), (1, &b"second"[..], leaves[1]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofBundle(UnverifiedBundle);

impl ProofBundle {
    /// The proof that the record with this header (at most 16 KiB) is number `index`, from 0, in the tree of
    /// `checkpoint`. `path` comes from [`prove_inclusion`](crate::prove_inclusion).
    ///
    /// # Errors
    /// [`BundleError::Proof`] if it proves something else, [`BundleError::TooLong`] or [`BundleError::NoHeader`].
    pub fn new(
        header: &[u8],
        index: u64,
        path: &[TreeHash],
        checkpoint: &Checkpoint,
    ) -> Result<Self, BundleError> {
        if header.is_empty() {
            return Err(BundleError::NoHeader);
        }
        if header.len() > MAX_HEADER {
            return Err(BundleError::TooLong);
        }
        verify_inclusion(Leaf::of(header), index, &checkpoint.head(), path)?;
        let checkpoint = UnverifiedCheckpoint::from(checkpoint.clone());
        Ok(Self(UnverifiedBundle { header: header.to_vec(), index, path: path.to_vec(), checkpoint }))
    }
}

impl fmt::Display for ProofBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record's proof as it was read. It prints as the bytes it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedBundle {
    header: Vec<u8>,
    index: u64,
    path: Vec<TreeHash>,
    checkpoint: UnverifiedCheckpoint,
}

impl UnverifiedBundle {
    /// Reads a bundle of at most 160 KiB, with the record's header (at most 16 KiB) as its extra data.
    ///
    /// # Errors
    /// [`BundleError`]: everything but `Proof` and `Quorum`.
    pub fn parse(bytes: impl AsRef<[u8]>) -> Result<Self, BundleError> {
        let (lines, note) = split(bytes.as_ref(), INCLUSION)?;
        let mut lines = Lines::new(lines);
        let header =
            lines.next().and_then(|line| line.strip_prefix("extra ")).ok_or(BundleError::NoHeader)?;
        if header.len() > MAX_HEADER.div_ceil(3) * 4 {
            return Err(BundleError::TooLong);
        }
        let header = text::base64(header).filter(|header| !header.is_empty()).ok_or(lines.wrong())?;
        if header.len() > MAX_HEADER {
            return Err(BundleError::TooLong);
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(text::decimal).ok_or(lines.wrong())?;
        let path = lines.hashes()?;
        Ok(Self { header, index, path, checkpoint: UnverifiedCheckpoint::parse(note)? })
    }

    /// The log that it says the record is in, to find the key by.
    pub fn claimed_origin(&self) -> &KeyName {
        self.checkpoint.claimed_origin()
    }

    /// Believes it if the checkpoint is signed by `log` and cosigned by at least `quorum` of `witnesses`, and
    /// the record is in its tree. With a quorum of 0, witnesses are reported and not asked for.
    ///
    /// # Errors
    /// [`BundleError::Checkpoint`], [`BundleError::Quorum`] or [`BundleError::Proof`].
    pub fn verify(
        self,
        log: &AuditVerifier,
        witnesses: &[WitnessVerifier],
        quorum: usize,
    ) -> Result<VerifiedProof, BundleError> {
        let checkpoint = self.checkpoint.verify(log)?;
        let cosigned_by = ensure_quorum(&checkpoint, witnesses, quorum)?;
        verify_inclusion(Leaf::of(&self.header), self.index, &checkpoint.head(), &self.path)?;
        Ok(VerifiedProof { header: self.header, index: self.index, checkpoint, cosigned_by })
    }
}

impl fmt::Display for UnverifiedBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{INCLUSION}\nextra {}\nindex {}", text::print_base64(&self.header), self.index)?;
        print_hashes(&self.path, f)?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// That a record is in a log: what was checked, and by whom it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedProof {
    header: Vec<u8>,
    index: u64,
    checkpoint: Checkpoint,
    cosigned_by: Vec<Cosigned>,
}

impl VerifiedProof {
    /// The record's number, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The record's header, byte by byte as it is in the log.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The header's hash.
    pub fn leaf(&self) -> Leaf {
        Leaf::of(&self.header)
    }

    /// The checkpoint of the tree that the record is in.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Which of the given witnesses saw that checkpoint, each key once.
    pub fn cosigned_by(&self) -> &[Cosigned] {
        &self.cosigned_by
    }
}

fn ensure_quorum(
    checkpoint: &Checkpoint,
    witnesses: &[WitnessVerifier],
    needed: usize,
) -> Result<Vec<Cosigned>, BundleError> {
    let seen = checkpoint.cosigned_by(witnesses)?;
    if seen.len() < needed {
        return Err(BundleError::Quorum { found: seen.len(), needed });
    }
    Ok(seen)
}

/// The lines behind the first, and what follows the empty line that ends them.
fn split<'a>(bytes: &'a [u8], first: &str) -> Result<(&'a str, &'a str), BundleError> {
    if bytes.len() > MAX_BUNDLE {
        return Err(BundleError::TooLong);
    }
    let bundle = std::str::from_utf8(bytes).map_err(|_| BundleError::UnknownForm)?;
    let rest = bundle.strip_prefix(first).and_then(|rest| rest.strip_prefix('\n'));
    let rest = rest.ok_or(BundleError::UnknownForm)?;
    if let Some(rest) = rest.strip_prefix('\n') {
        return Ok(("", rest));
    }
    rest.split_once("\n\n").ok_or(BundleError::Line { line: rest.split('\n').count() + 1 })
}

/// Lines with their number in the bundle, whose first is gone already.
struct Lines<'a> {
    rest: std::str::Split<'a, char>,
    line: usize,
    any: bool,
}

impl<'a> Lines<'a> {
    fn new(lines: &'a str) -> Self {
        Self { rest: lines.split('\n'), line: 1, any: !lines.is_empty() }
    }

    fn next(&mut self) -> Option<&'a str> {
        self.line += 1;
        self.rest.next().filter(|_| self.any)
    }

    fn wrong(&self) -> BundleError {
        BundleError::Line { line: self.line }
    }

    /// All lines that are left.
    fn hashes(&mut self) -> Result<Vec<TreeHash>, BundleError> {
        let mut hashes = Vec::new();
        while let Some(line) = self.next() {
            let hash = text::hash(line).filter(|_| hashes.len() < MAX_PROOF_HASHES);
            hashes.push(hash.ok_or(self.wrong())?);
        }
        Ok(hashes)
    }
}

fn print_hashes(hashes: &[TreeHash], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    hashes.iter().try_for_each(|hash| writeln!(f, "{}", text::print_hash(hash)))
}
