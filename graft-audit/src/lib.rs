//! The audit log: records of privileged acts, chained, encrypted and verifiable offline.
//!
//! It refuses to hold argument bytes (an [`Event`](graft_core::Event) has no field for them), to be written
//! in the clear, to take a weak key, to have two writers, to append behind damage, and to acknowledge
//! anything after a write or a sync failed. It cannot see that whole records were cut off the end; whoever
//! must see that keeps [`AuditLog::last_leaf`] elsewhere. The bytes are drawn in `FORMAT.md`; they are of
//! version 0, which promises nothing to later versions.
//!
//! ```
//! use graft_audit::v0::{AuditLog, State, read, verify};
//! use graft_audit::AuditKey;
//! use graft_core::{Action, Ending, Event, Name, Recorder, Timestamp};
//! # let folder = std::env::temp_dir().join(format!("graft-audit-example-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("acts.graft-log");
//!
//! let key = AuditKey::generate()?;
//! let log = AuditLog::create(&path, &key)?;
//! let me = Name::from_static("agent:7");
//! log.record(&Event::new(Timestamp(1), me.clone(), Action::RunBegin, me, Ending::Ok))?;
//! let last_leaf = log.close()?;
//!
//! let report = verify(std::fs::File::open(&path)?, &key)?.ensure_intact()?;
//! assert_eq!((report.records, report.state, report.last_leaf), (1, State::Closed, last_leaf));
//! let stored = read(std::fs::File::open(&path)?, &key).next().ok_or("one record")??;
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
#[allow(dead_code)] // until logs are read with it
mod fields;
#[allow(dead_code)] // until logs are read with it
mod format;
#[cfg(test)]
mod golden;
mod index;
mod key;
mod keyring;
pub mod log;
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
#[allow(dead_code)] // until the log is written with it
mod scan;
#[allow(dead_code)] // until the log is written with it
mod seal;
#[allow(dead_code)] // until logs are read with it
mod sealer;
mod text;
mod time;
mod tree;
#[doc(hidden)]
pub mod v0;
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
pub use v0::{AuditLog, Durability, Events, LogOptions, Recovered, read};
pub use verify::{AnchorCheck, AnchorFound, Depth, Erased, Progress, State, Torn, Verifier, VerifyReport};
pub use witness::{Prove, Witness, WitnessAnchor, WitnessRefusal, WitnessRequest};
