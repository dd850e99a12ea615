//! The audit log: records of privileged acts, chained, encrypted and verifiable offline.
//!
//! It refuses to hold argument bytes (an [`Event`](graft_core::Event) has no field for them), to be written in the
//! clear, to take a weak key, to have two writers, to append behind damage, and to acknowledge anything after a
//! write or a sync failed. It cannot see by itself that its end was cut off at a commit: whoever must see that gives it
//! an [`Anchor`]. The bytes are drawn in `FORMAT.md`, proofs and checkpoints in `PROOFS.md`, indexes in `INDEX.md`.
//!
//! ```
//! use graft_audit::{AuditKey, AuditLog, Reader, State, Verifier};
//! use graft_core::{Action, Ending, Event, Name, Recorder, Timestamp};
//! # let folder = std::env::temp_dir().join(format!("graft-audit-example-{}", std::process::id()));
//!
//! let key = AuditKey::generate()?;
//! let log = AuditLog::create(&folder, &key)?;
//! let me = Name::from_static("agent:7");
//! log.record(&Event::new(Timestamp(1), me.clone(), Action::RunBegin, me, Ending::Ok))?;
//! log.close()?;
//!
//! let report = Verifier::new().key(key.clone()).verify(&folder)?.ensure_intact()?;
//! assert_eq!((report.records(), report.state), (1, State::Closed));
//! let stored = Reader::open(&folder, key)?.next().ok_or("one record")??.into_event().ok_or("not erased")?;
//! assert_eq!(stored.event.actor.as_str(), "agent:7");
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod anchor;
mod body;
mod bundle;
mod canonical;
mod checkpoint;
mod cosignature;
mod disk;
mod error;
mod export;
mod fields;
mod format;
#[cfg(test)]
mod golden;
mod index;
mod key;
mod keyring;
mod log;
#[doc(hidden)]
pub mod measure;
mod note;
mod query;
mod read;
#[cfg(test)]
mod reference;
mod report;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod sample_log;
mod scan;
mod seal;
mod sealer;
mod text;
mod time;
mod tree;
mod verify;
mod witness;

pub use anchor::{Anchor, AnchorError, Anchored, FileAnchor, MemoryAnchor};
pub use bundle::{
    BundleError, ConsistencyBundle, ProofBundle, UnverifiedBundle, UnverifiedConsistency,
    VerifiedConsistency, VerifiedProof,
};
pub use checkpoint::{AuditSigner, AuditVerifier, Checkpoint, CheckpointError, UnverifiedCheckpoint};
pub use cosignature::{Cosigned, WitnessSigner, WitnessVerifier};
pub use error::{AuditError, Break, Place, What};
pub use export::{JsonLines, Member, MemberError};
pub use format::{CommitDigest, Leaf, LogId, Mode, PartKind, Salt, segment_name, segment_number};
pub use index::{Indexed, Matches, RecordProofError, Search, SearchNotes, index_log, prove_record};
pub use key::AuditKey;
pub use keyring::KeyRing;
pub use log::{AuditLog, Durability, Head, LogOptions, Pruned, Recovered, UntilDurable};
pub use note::NoteError;
pub use note::key::{KeyError, KeyName};
pub use query::{ActionPattern, IdPattern, Pattern, Query, QueryError};
pub use read::{Entry, Reader, StoredEvent};
pub use report::{Assurance, NO_ANCHOR, Report};
pub use scan::{Files, Folder};
pub use time::{Rfc3339, TimeError};
pub use tree::{
    Frontier, HashSource, MAX_PROOF_HASHES, MAX_TIER, MAX_TREE_SIZE, Node, ProofError, ProveError,
    TIER_WIDTH, TierEntry, TierSource, Tiers, TreeHash, TreeHead, WrongCount, prove_consistency,
    prove_inclusion, root, tier_len, verify_consistency, verify_inclusion,
};
pub use verify::{
    AnchorCheck, AnchorFound, Depth, Erased, Front, Progress, State, Torn, Verifier, VerifyReport,
};
pub use witness::{Prove, Witness, WitnessAnchor, WitnessRefusal, WitnessRequest};
