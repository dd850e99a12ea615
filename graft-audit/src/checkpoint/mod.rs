//! Signed statements of a log about itself: so many records, and this is what they hash to
//! ([C2SP tlog-checkpoint](https://c2sp.org/tlog-checkpoint)).

use std::fmt;
use std::str::FromStr;

use graft_core::WeakKey;

use crate::AuditError;
use crate::note::key::{KeyError, KeyName, KeyType, SignerKey, VerifierKey};
use crate::note::{NoteError, SignatureLine, UnverifiedNote, text};
use crate::tree::{MAX_TREE_SIZE, TreeHead};

/// The most extension lines of a checkpoint, and the most bytes of one.
const MAX_EXTENSIONS: usize = 16;
const MAX_EXTENSION: usize = 1024;

/// A checkpoint could not be read, made or believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A signed note about something else, or in another spelling.
    #[error("the note's text is not origin, size and root in the form of a checkpoint")]
    Form,
    /// A checkpoint of another log.
    #[error("the checkpoint is of another log than the key; use the key of its log")]
    WrongOrigin,
    /// No signature of the key that was given.
    #[error("the checkpoint is not signed with this key; it was made anew, or the log's key was changed")]
    NotSigned,
    /// A signature says to be of the key that was given and is not.
    #[error("a signature on the checkpoint is forged: it does not match what is signed")]
    Forged,
    /// More or longer extension lines than fit, or such that are no lines.
    #[error(
        "an extension is a line of 1 to 1,024 bytes without control characters, and there are at most 16"
    )]
    Extension,
    /// More leaves than a tree can have.
    #[error("a tree has at most 2^63 - 1 leaves")]
    TooLarge,
}

/// The secret key that signs a log's checkpoints, with the log's name, which is their origin.
///
/// Wiped from memory when dropped; `Debug` shows nothing of it. It is not the key that seals records: who only
/// checks proofs gets its public half, the [`AuditVerifier`].
///
/// ```
/// use graft_audit::{AuditSigner, TreeHead, UnverifiedCheckpoint};
/// let signer = AuditSigner::generate("example.com/audit".parse()?)?;
/// assert_eq!(format!("{signer:?}"), "AuditSigner(\"example.com/audit\", redacted)");
///
/// let note = signer.sign(&TreeHead::EMPTY, &[])?.to_string();
/// let checkpoint = UnverifiedCheckpoint::parse(&note)?.verify(&signer.verifier())?;
/// assert_eq!(checkpoint.head(), TreeHead::EMPTY);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AuditSigner(SignerKey);

impl AuditSigner {
    /// Keeps a copy of the 32 random bytes of an Ed25519 secret key; wiping the original is the caller's part.
    ///
    /// # Errors
    /// [`WeakKey`] if the bytes are not random.
    pub fn new(name: KeyName, seed: &[u8; 32]) -> Result<Self, WeakKey> {
        Ok(Self(SignerKey::new(name, KeyType::Ed25519, seed)?))
    }

    /// A fresh key out of the operating system's randomness.
    ///
    /// # Errors
    /// [`AuditError::Randomness`] if the system has none to give.
    pub fn generate(name: KeyName) -> Result<Self, AuditError> {
        Ok(Self(SignerKey::generate(name, KeyType::Ed25519)?))
    }

    /// The secret key's bytes, to put them into a key store: the one door to them.
    pub fn expose_secret(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    /// The public half, to hand out.
    pub fn verifier(&self) -> AuditVerifier {
        AuditVerifier(self.0.verifier().clone())
    }

    /// The checkpoint of a tree. Extensions are lines that are signed with it and that nobody else interprets;
    /// witnesses make no statement about them.
    ///
    /// A log must never sign two trees that are not consistent: that is the caller's part.
    ///
    /// # Errors
    /// [`CheckpointError::Extension`], or [`CheckpointError::TooLarge`].
    pub fn sign(&self, head: &TreeHead, extensions: &[&str]) -> Result<Checkpoint, CheckpointError> {
        if head.size > MAX_TREE_SIZE {
            return Err(CheckpointError::TooLarge);
        }
        if extensions.len() > MAX_EXTENSIONS || !extensions.iter().all(|line| is_extension(line)) {
            return Err(CheckpointError::Extension);
        }
        let body = Body {
            origin: self.0.verifier().name().clone(),
            head: *head,
            extensions: extensions.iter().map(|line| (*line).to_owned()).collect(),
        };
        let text = body.to_string();
        let signature = self.0.sign(text.as_bytes());
        let line = SignatureLine::new(self.0.verifier(), signature.to_vec());
        Ok(Checkpoint { body, note: UnverifiedNote::new(text, line) })
    }
}

impl fmt::Debug for AuditSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditSigner({:?}, redacted)", self.0.verifier().name())
    }
}

/// The public key that a log's checkpoints are checked with, and the log's name.
///
/// Its text is `name+id+key`, the verifier key of [C2SP signed-note](https://c2sp.org/signed-note).
///
/// ```
/// use graft_audit::AuditVerifier;
/// let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// let verifier: AuditVerifier = text.parse()?;
/// assert_eq!((verifier.name().as_str(), verifier.to_string().as_str()), ("PeterNeumann", text));
/// # Ok::<(), graft_audit::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AuditVerifier(VerifierKey);

impl AuditVerifier {
    /// The log's name, which is the origin of its checkpoints.
    pub fn name(&self) -> &KeyName {
        self.0.name()
    }
}

impl FromStr for AuditVerifier {
    type Err = KeyError;

    fn from_str(vkey: &str) -> Result<Self, KeyError> {
        Ok(Self(VerifierKey::parse(vkey, KeyType::Ed25519)?))
    }
}

impl fmt::Display for AuditVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AuditVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditVerifier({self})")
    }
}

/// The text of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Body {
    origin: KeyName,
    head: TreeHead,
    extensions: Vec<String>,
}

impl Body {
    fn parse(body: &str) -> Option<Self> {
        let mut lines = body.strip_suffix('\n')?.split('\n');
        let origin = lines.next()?.parse().ok()?;
        let size = text::decimal(lines.next()?)?;
        let root = text::hash(lines.next()?)?;
        let extensions: Vec<_> = lines.by_ref().take(MAX_EXTENSIONS).map(str::to_owned).collect();
        let sound = lines.next().is_none() && extensions.iter().all(|line| is_extension(line));
        sound.then_some(Self { origin, head: TreeHead { size, root }, extensions })
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.head.size, text::print_hash(&self.head.root))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn is_extension(line: &str) -> bool {
    (1..=MAX_EXTENSION).contains(&line.len()) && !line.bytes().any(|byte| byte < b' ')
}

/// A checkpoint as it was read: what it claims, which nobody looked at yet.
///
/// The origin has to be a [`KeyName`], as that of every log of graft is.
#[derive(Clone, PartialEq, Eq)]
pub struct UnverifiedCheckpoint {
    body: Body,
    note: UnverifiedNote,
}

impl UnverifiedCheckpoint {
    /// Reads a checkpoint of at most 64 KiB with at most 32 signatures. It prints as the bytes it was read from.
    ///
    /// # Errors
    /// [`CheckpointError::Note`] or [`CheckpointError::Form`].
    pub fn parse(bytes: impl AsRef<[u8]>) -> Result<Self, CheckpointError> {
        let note = UnverifiedNote::parse(bytes.as_ref())?;
        let body = Body::parse(note.text()).ok_or(CheckpointError::Form)?;
        Ok(Self { body, note })
    }

    /// The log that it says to be of, to find the key by.
    pub fn claimed_origin(&self) -> &KeyName {
        &self.body.origin
    }

    /// The tree that it says the log has.
    pub fn claimed_head(&self) -> TreeHead {
        self.body.head
    }

    /// Believes it if it is of this key's log and signed with this key. Signatures of others are left aside.
    ///
    /// # Errors
    /// [`CheckpointError::WrongOrigin`], [`CheckpointError::NotSigned`] or [`CheckpointError::Forged`].
    pub fn verify(self, log: &AuditVerifier) -> Result<Checkpoint, CheckpointError> {
        if self.body.origin != *log.name() {
            return Err(CheckpointError::WrongOrigin);
        }
        let mut signed = false;
        for line in self.note.signatures_of(&log.0) {
            if !log.0.verifies(self.note.text().as_bytes(), &line.bytes) {
                return Err(CheckpointError::Forged);
            }
            signed = true;
        }
        if !signed {
            return Err(CheckpointError::NotSigned);
        }
        Ok(Checkpoint { body: self.body, note: self.note })
    }
}

impl From<Checkpoint> for UnverifiedCheckpoint {
    /// Forgets that it was verified.
    fn from(checkpoint: Checkpoint) -> Self {
        Self { body: checkpoint.body, note: checkpoint.note }
    }
}

impl fmt::Display for UnverifiedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

impl fmt::Debug for UnverifiedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnverifiedCheckpoint({:?}, {:?})", self.body.origin, self.body.head)
    }
}

/// A checkpoint that its log signed: made by an [`AuditSigner`] or verified. It prints as the signed note.
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint {
    body: Body,
    note: UnverifiedNote,
}

impl Checkpoint {
    /// The log's name.
    pub fn origin(&self) -> &KeyName {
        &self.body.origin
    }

    /// The log's tree.
    pub fn head(&self) -> TreeHead {
        self.body.head
    }

    /// The extension lines, in order.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.body.extensions.iter().map(String::as_str)
    }

    pub(crate) fn note(&self) -> &UnverifiedNote {
        &self.note
    }

    pub(crate) fn note_mut(&mut self) -> &mut UnverifiedNote {
        &mut self.note
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint({:?}, {:?})", self.body.origin, self.body.head)
    }
}

#[cfg(test)]
pub(crate) mod tests;
