//! What can go wrong, without a path, a key byte or a word of any record in it.

use std::{fmt, io};

use crate::{Leaf, LogId};

/// A log could not be created, opened, appended to or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The disk, or whatever the bytes come from.
    #[error("the log could not be read or written; look at its disk, then open it again")]
    Io(#[from] io::Error),
    /// There is nothing to open.
    #[error("there is no log, or no folder for one, at this place; check the path")]
    Missing,
    /// There is something already.
    #[error("there is a file at this place already; open it, or choose another place")]
    Exists,
    /// Another writer, in this process or another.
    #[error("the log is open for writing elsewhere; close it there first")]
    Locked,
    /// The key's commitment is not the one in the file's header, and the header is whole.
    #[error("this key is not the key of this log; use the one that it was created with")]
    WrongKey,
    /// The bytes are not what a log's must be.
    #[error(transparent)]
    Broken(#[from] Break),
    /// The event does not fit a record. Nothing was written and the log goes on.
    #[error("the event does not fit a record; record it with fewer fields")]
    TooLarge,
    /// Only the log itself records actions of the log. Nothing was written and the log goes on.
    #[error("only the log itself records what was done to it; record this under another action")]
    OwnAction,
    /// A write or a sync failed before, so nothing more is acknowledged.
    #[error("a write to the log failed earlier; open the log again before recording more")]
    Stopped,
    /// The disk did not answer within the host's patience. The event may get into the log later.
    #[error("the log's disk did not answer in time; the event may be recorded later, look at the disk")]
    Busy,
    /// The disk takes nothing, and the host chose that records are then held in memory. It is tried again.
    #[error("the log's disk takes nothing at the moment; what is recorded is held in memory until it does")]
    Held,
    /// There is no record of this sequence.
    #[error("the log has no record of this sequence yet; use one that it gave")]
    NoRecord,
    /// The key file of a log in mode *sealed* is not there or not that of the last segment.
    #[error(
        "the file `ratchet` of this log is missing, damaged or of another segment; restore it, or begin a new log"
    )]
    NoRatchet,
    /// The log does not extend what its anchor holds, or the anchor could not be read or moved.
    #[error(transparent)]
    Anchor(#[from] crate::AnchorError),
    /// A checkpoint could not be signed.
    #[error(transparent)]
    Checkpoint(crate::CheckpointError),
    /// There is nobody to vouch for the log.
    #[error("the log was opened without a signer and without an anchor; open it with one")]
    NoSigner,
    /// The system gave no randomness, and without it there is no key.
    #[error("the operating system gave no randomness; nothing was written, try again")]
    Randomness,
}

/// The first place at which a log is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} at byte {offset} of segment {segment} {what}")]
pub struct Break {
    /// The number of the segment.
    pub segment: u64,
    /// What stands there, as far as its own bytes can be believed.
    pub place: Place,
    /// The sequence number that a record at this place has: how many good records stand before.
    pub seq: u64,
    /// Where it begins, in bytes from the start of the segment.
    pub offset: u64,
    /// What is wrong with it, and what was expected.
    pub what: What,
}

/// A part of a segment. Its `Display` reads as the start of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The end of the log.
    End,
    /// The header of a segment.
    Segment,
    /// The header of a batch.
    Batch,
    /// The commit of a batch.
    Commit,
    /// The record with this sequence number.
    Record(u64),
    /// A frame whose kind cannot be told; the record with this sequence number would come next.
    Frame(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the end of the log"),
            Self::Segment => f.write_str("the header"),
            Self::Batch => f.write_str("the header of a batch"),
            Self::Commit => f.write_str("a commit"),
            Self::Record(seq) => write!(f, "record {seq}"),
            Self::Frame(seq) => write!(f, "the frame where record {seq} is next"),
        }
    }
}

/// What is wrong. Its `Display` reads as the rest of a sentence that a [`Place`] begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum What {
    /// The first eight bytes are another file's.
    #[error("does not begin with `graftlog`; this is not an audit log, or its first bytes are damaged")]
    NotALog,
    /// A later format, or damage to the version.
    #[error("says version {found}, expected 1; use the graft that wrote it")]
    UnknownVersion {
        /// The version in the file.
        found: u16,
    },
    /// The header does not agree with its own digest or check.
    #[error("has a damaged header: it does not match its own digest")]
    DamagedHeader,
    /// The header is whole, the bytes that it speaks for are not.
    #[error("has a damaged body: the stored bytes do not match the digest in its header")]
    DamagedBody,
    /// The file ends within the frame.
    #[error("is torn: {found} bytes of it are there, expected {expected}; opening the log sets them aside")]
    TornTail {
        /// The bytes that are there.
        found: u64,
        /// The bytes of the whole frame, or of its header where not even that is there.
        expected: u64,
    },
    /// The sequence number is another: records were removed, repeated or moved.
    #[error("has sequence number {found}, expected {expected}; records were removed, repeated or moved")]
    OutOfOrder {
        /// The number in the file.
        found: u64,
        /// The number that follows from the frames before.
        expected: u64,
    },
    /// The chain does not reach from the frame before to this one.
    #[error("follows {found}, expected {expected}; a record was exchanged or comes from another log")]
    WrongPrevious {
        /// The previous leaf in the file.
        found: Leaf,
        /// The leaf of the frame before.
        expected: Leaf,
    },
    /// A length that no frame of this kind has.
    #[error("has a length of {found} bytes, which no frame of its kind has")]
    BadLength {
        /// The length in the file, in bytes.
        found: u32,
    },
    /// A batch has no commit, and another follows.
    #[error("stands where the commit of the batch before is expected; frames were removed")]
    NoCommit,
    /// A batch is longer than any that a log has.
    #[error("makes its batch longer than the 4 MiB that a batch has at most")]
    LongBatch,
    /// The commit speaks for another number of records in all.
    #[error("speaks for {found} records in the log, expected {expected}; records were removed or repeated")]
    WrongSize {
        /// The number in the commit.
        found: u64,
        /// The number that follows from the records before it.
        expected: u64,
    },
    /// The commit speaks for another number of records in its batch.
    #[error("speaks for {found} records in its batch, expected {expected}; records were removed or repeated")]
    WrongCount {
        /// The number in the commit.
        found: u64,
        /// The number that are there.
        expected: u64,
    },
    /// The chain of commits does not reach from the one before to this one.
    #[error("does not follow the commit before it; a batch was removed, exchanged or comes from another log")]
    WrongCommit,
    /// The batch begins with another salt than it ends with.
    #[error("has another salt than the header of its batch; a batch was put together from two")]
    WrongSalt,
    /// The root of the tree is not that of the records.
    #[error("has another root than the records before it; a record was exchanged")]
    WrongRoot,
    /// Something stands behind the commit that ends the segment.
    #[error("stands behind the commit that ends its segment; it was put there later")]
    BehindEnd,
    /// The header of a segment does not go on where the one before ends.
    #[error(
        "does not go on where the segment before ends; one of the two was cut, exchanged or comes from elsewhere"
    )]
    Seam,
    /// The segment is of another log than those before.
    #[error("is of another log: {found}, expected {expected}")]
    OtherLog {
        /// The log it is of.
        found: LogId,
        /// The log of the other segments.
        expected: LogId,
    },
    /// The segment is another one than its file name says.
    #[error("is of segment {found}, expected that of the file's name; the files were exchanged")]
    OtherSegment {
        /// The number in the header.
        found: u64,
    },
    /// The segment is of another mode than those before.
    #[error("is of another mode than the segments before; somebody wrote it anew")]
    OtherMode,
    /// A name like a segment's is that of something else: a link, a folder, a pipe, a device.
    #[error("is not there: what has its name is no regular file; put the segment in its place")]
    NotAFile,
    /// A segment between two others is not there.
    #[error("is not there, and segments with higher numbers are; put it back from a copy")]
    MissingSegment,
    /// None of the keys is the key of this segment, and one should be.
    #[error("was written with a key that is not among those given; add that key, or somebody else wrote it")]
    NoKey,
    /// A part was overwritten, and no record says so.
    #[error("was erased, and no `log:erase` record behind it says so")]
    ErasedUnrecorded,
    /// What is missing in front was not pruned by the log.
    #[error(
        "is the first that is there, with {first} records before it, and no `log:prune` record of the log says that they \
         were pruned; put the segments back from a copy"
    )]
    PruneUnrecorded {
        /// The sequence of the first record that is there.
        first: u64,
    },
    /// The log ends before a size that an anchor knows.
    #[error(
        "comes before the {anchored} records that an anchor knows: the log was rolled back, or its end cut off"
    )]
    RolledBack {
        /// The size in the anchor.
        anchored: u64,
    },
    /// The log does not extend what an anchor knows.
    #[error("does not extend the first {anchored} records that an anchor knows: the history was rewritten")]
    Forked {
        /// The size in the anchor.
        anchored: u64,
    },
    /// A suite of algorithms that this version does not have.
    #[error("was made with suite {found}, which version 1 does not have; use the graft that wrote it")]
    UnknownSuite {
        /// The suite's number.
        found: u8,
    },
    /// A mode that this version does not have.
    #[error("is of mode {found}, which version 1 does not have; use the graft that wrote it")]
    UnknownMode {
        /// The mode's number.
        found: u8,
    },
    /// A kind of part that this version does not have.
    #[error("has a part of kind {found}, which version 1 does not have; use the graft that wrote it")]
    UnknownPart {
        /// The kind's number.
        found: u8,
    },
    /// Flags of a commit that this version does not have.
    #[error("has flags {found}, which version 1 does not have; use the graft that wrote it")]
    UnknownMark {
        /// The flags.
        found: u8,
    },
    /// Bytes that are zero in this version.
    #[error("has bytes set that version 1 leaves at zero; use the graft that wrote it")]
    Reserved,
    /// Numbers that do not go together, behind a good check.
    #[error("says what no log can say; what wrote it was not this graft")]
    Impossible,
    /// A whole frame where none of its kind may stand.
    #[error(
        "stands where no frame of its kind may: records need an opening before them, and a close ends them"
    )]
    Misplaced,
    /// Chain and digests hold, the seal does not.
    #[error("was not sealed with this log's key; somebody without the key wrote it")]
    Forged,
    /// The seal holds and what is in it is not the one canonical form of an event.
    #[error("does not hold an event in canonical form; what wrote it was not this graft")]
    NotCanonical,
    /// A form of body that this version does not have.
    #[error("holds a body of form {found}, expected 1; use the graft that wrote it")]
    UnknownForm {
        /// The form's number.
        found: u8,
    },
    /// An action that this version's table does not have.
    #[error("holds action {found}, which this version does not know; use the graft that wrote it")]
    UnknownAction {
        /// The action's number.
        found: u16,
    },
    /// An ending, a decision or a signal that this version does not have.
    #[error(
        "holds a {field} of number {found}, which this version does not know; use the graft that wrote it"
    )]
    UnknownWord {
        /// Which of the three.
        field: &'static str,
        /// Its number.
        found: u8,
    },
}

impl What {
    /// Whether a crash in the middle of a write leaves this behind. Only what cannot be told from a torn
    /// write is ever set aside when a log is opened.
    pub(crate) fn may_be_torn(&self) -> bool {
        matches!(self, Self::TornTail { .. } | Self::DamagedHeader | Self::DamagedBody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_reads_as_one_sentence() {
        let what = What::OutOfOrder { found: 6, expected: 5 };
        let found = Break { segment: 2, place: Place::Record(5), seq: 5, offset: 1234, what };
        assert_eq!(
            AuditError::from(found).to_string(),
            "record 5 at byte 1234 of segment 2 has sequence number 6, expected 5; records were removed, repeated or moved"
        );
    }
}
