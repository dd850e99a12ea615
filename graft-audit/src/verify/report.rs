//! What a verification found, and how it is said.

use std::fmt;

use crate::format::{CommitDigest, Leaf, LogId, Mode};
use crate::tree::TreeHead;
use crate::{AuditError, Break};

/// How closely a log was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Digests, chain and tree, without a key: damage and disorder show, a log that somebody made anew does not.
    Structure,
    /// The last segment with the host's key: its seals, MACs and events, and with them the place of every record
    /// before. What is in the segments before was not opened.
    LastSegment,
    /// All of it with the key: seals, MACs and the canonical form of every event.
    Sealed,
}

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was closed, and nothing is missing before that.
    Closed,
    /// It was not closed: it is in use, or its writer stopped, or batches were cut off its end.
    Open,
    /// Its last segment says that another follows, and there is none: a crash during a rotation, or whole segments
    /// were cut off.
    Cut,
}

/// What a crash may have left behind the last commit, or somebody's damage to the last batch: the two cannot be told
/// apart. Opening the log for writing sets it aside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Torn {
    /// The segment it is in, the last one.
    pub segment: u64,
    /// Where it begins, in bytes from the start of the segment.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The first place in it that is not as it must be.
    pub first_bad: Break,
}

/// Whether the log begins with its first record, and if not, who says that what is missing was pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// Nothing is missing.
    Whole,
    /// The log itself says so, in this record.
    Recorded {
        /// The sequence of the record `log:prune`.
        by: u64,
    },
    /// All of the log was looked at with its keys, and no record says so: somebody removed them.
    Unrecorded,
    /// The record that would say so may be where no key opened or behind the first bad place: whoever can remove
    /// files may have removed them.
    NotLookedAt,
}

/// A record of which a part was overwritten with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erased {
    /// The record.
    pub seq: u64,
    /// The record that says so, if one was found: without the keys none is.
    pub recorded_by: Option<u64>,
}

/// What the log has to do with a state that was kept elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnchorCheck {
    /// Size and root that were kept.
    pub anchor: TreeHead,
    /// What was found.
    pub found: AnchorFound,
}

/// See [`AnchorCheck`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnchorFound {
    /// The log extends it.
    Extended,
    /// The log ends before it.
    RolledBack,
    /// The log has another history.
    Forked,
    /// The records it ends with were pruned, and the log begins behind it.
    Pruned,
    /// A break lies before it, so that it could not be compared.
    NotReached,
}

/// What verification found. A log with a [`first_bad`](Self::first_bad) place is good up to there.
///
/// Its `Display` is a few short lines for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a report may name a bad record: look at `first_bad` or call `ensure_intact`"]
#[non_exhaustive]
pub struct VerifyReport {
    /// Which log it is; `None` if no segment's header is whole.
    pub log: Option<LogId>,
    /// How its keys come from the log's key.
    pub mode: Mode,
    /// How closely it was looked at.
    pub depth: Depth,
    /// How many segments there are, and how many of them were checked with their key.
    pub segments: u64,
    /// See [`segments`](Self::segments).
    pub opened: u64,
    /// The sequence of the first record that is there: those before were pruned.
    pub first_seq: u64,
    /// Who says so.
    pub front: Front,
    /// How many records there are before the end or the first bad place, pruned ones included, and the root of the
    /// tree over them. Kept elsewhere, it is an anchor.
    pub head: TreeHead,
    /// The leaf of the last of them.
    pub last_leaf: Leaf,
    /// The digest of the last commit.
    pub last_commit: CommitDigest,
    /// How the log ends.
    pub state: State,
    /// What a crash may have left behind the last commit.
    pub torn: Option<Torn>,
    /// Records of which a part was erased, [`MAX_ERASED`](Self::MAX_ERASED) at most.
    pub erased: Vec<Erased>,
    /// How many there are in all.
    pub erased_in_all: u64,
    /// What the anchors say.
    pub anchors: Vec<AnchorCheck>,
    /// The places that are not what they must be, the first one first: one at most unless all were asked for, and
    /// then [`MAX_BREAKS`](Self::MAX_BREAKS) at most.
    pub breaks: Vec<Break>,
    /// How many were found in all.
    pub breaks_in_all: u64,
}

impl VerifyReport {
    /// The most breaks that are kept of each segment.
    pub const MAX_BREAKS: usize = 1000;
    /// The most erased records that are listed.
    pub const MAX_ERASED: usize = 1000;

    /// The first place that is not what it must be.
    pub fn first_bad(&self) -> Option<&Break> {
        self.breaks.first()
    }

    /// How many good records are there.
    pub fn records(&self) -> u64 {
        self.head.size - self.first_seq
    }

    /// The report itself if nothing is bad, a torn end included: a log that is written meanwhile may seem to have
    /// one, and shows it in [`torn`](Self::torn).
    ///
    /// # Errors
    /// [`AuditError::Broken`] with the first bad place.
    pub fn ensure_intact(self) -> Result<Self, AuditError> {
        match (self.breaks.first(), &self.torn) {
            (Some(found), _) => Err(found.clone().into()),
            (None, Some(torn)) => Err(torn.first_bad.clone().into()),
            (None, None) => Ok(self),
        }
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_size(f)?;
        self.write_end(f)?;
        self.write_erased(f)?;
        self.write_depth(f)?;
        self.write_anchors(f)
    }
}

impl VerifyReport {
    fn write_size(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.log {
            Some(log) => write!(f, "log {log}: ")?,
            None => f.write_str("a log without a whole header: ")?,
        }
        let count =
            |count: u64, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
        let records = count(self.records(), "good record", "good records");
        write!(f, "{records} in {}", count(self.segments, "segment", "segments"))?;
        if self.first_seq > 0 {
            let is_said = matches!(self.front, Front::Recorded { .. });
            let gone = if is_said { "pruned" } else { "not there" };
            write!(f, ", {} before them {gone}", self.first_seq)?;
        }
        match self.front {
            Front::Whole | Front::Unrecorded => {}
            Front::Recorded { by } => write!(f, "\npruned: record {by} of the log says so")?,
            Front::NotLookedAt => f.write_str(match self.depth {
                Depth::Structure => {
                    "\nnot vouched for: without the key nobody says that what is missing in front was pruned"
                }
                Depth::LastSegment => {
                    "\nnot looked at: whether the log says that what is missing in front was pruned; the host's key \
                     opens the last segment only, the master key is needed"
                }
                Depth::Sealed => {
                    "\nnot looked at: whether the log says that what is missing in front was pruned; the walk ended \
                     at the first bad place"
                }
            })?,
        }
        write!(f, "\nroot {} at size {}", self.head.root, self.head.size)
    }

    fn write_end(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for found in &self.breaks {
            write!(f, "\nnot intact: {found}")?;
        }
        let unsaid = self.breaks_in_all - self.breaks.len() as u64;
        if unsaid > 0 {
            write!(f, "\nnot intact: {unsaid} more such places")?;
        }
        if let Some(torn) = &self.torn {
            let Torn { segment, offset, length, first_bad } = torn;
            write!(
                f,
                "\ntorn: {length} bytes from byte {offset} of segment {segment} on belong to no whole batch, as after a \
                 crash or with damage to the last one: {first_bad}"
            )?;
        }
        if !self.breaks.is_empty() {
            return Ok(());
        }
        f.write_str(match self.state {
            State::Closed if self.torn.is_some() => "\nclosed cleanly before that",
            State::Closed => "\nclosed cleanly: no record is missing before the close",
            State::Open => "\nnot closed: in use, or its writer stopped, or batches were cut off its end",
            State::Cut => {
                "\nthe last segment says that another follows: a rotation was interrupted, or it was removed"
            }
        })
    }

    fn write_erased(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.erased_in_all == 0 {
            return Ok(());
        }
        let recorded = self.erased.iter().filter(|erased| erased.recorded_by.is_some()).count();
        write!(
            f,
            "\nerased: {} records, of which the log itself says so for {recorded}",
            self.erased_in_all
        )?;
        if self.erased.len() as u64 == self.erased_in_all { Ok(()) } else { f.write_str(" of those listed") }
    }

    fn write_depth(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.depth {
            Depth::Sealed if !self.breaks.is_empty() => {
                "\nchecked with the key: the good records were sealed with it"
            }
            Depth::Sealed => "\nchecked with the key: every record was sealed with it",
            Depth::LastSegment => {
                "\nchecked with the host's key: it opens the last segment, which vouches for the order of the others; \
                 only the master key opens those"
            }
            Depth::Structure => "\nchecked without the key: a log that somebody made anew would pass",
        })
    }

    fn write_anchors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.anchors.is_empty() {
            return f.write_str("\nno anchor: a rollback to a commit boundary cannot be seen");
        }
        for AnchorCheck { anchor, found } in &self.anchors {
            let (size, root) = (anchor.size, anchor.root);
            let found = match found {
                AnchorFound::Extended => "the log extends it",
                AnchorFound::RolledBack => "the log was rolled back behind it",
                AnchorFound::Forked => "the log has another history",
                AnchorFound::Pruned => "older than what is kept, not compared",
                AnchorFound::NotReached => "not reached, not compared",
            };
            write!(f, "\nanchor at size {size}, root {root}: {found}")?;
        }
        Ok(())
    }
}
