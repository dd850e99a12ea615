//! What takes something away: whole segments from the front, and the parts of single records.

use std::io::ErrorKind;

use graft_core::{Action, FieldValue, Seq};

use super::walk::{Stop, Walk};
use super::{AuditLog, Durability, own, recover};
use crate::disk::{Disk, Open};
use crate::format::{array, segment_name};
use crate::{AuditError, Break, Place, What};

/// What [`AuditLog::prune`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// How many segments were removed.
    pub segments: u64,
    /// The first record that is still there.
    pub first: Seq,
}

impl AuditLog {
    /// Removes the segments that hold nothing but records before `before`; never the last one. A checkpoint comes
    /// first, where there is a signer or an anchor, and a durable record `log:prune`; the chain, the files of the
    /// tree and all checkpoints stay, so that older proofs stay good.
    ///
    /// If it is interrupted some of the segments are gone; doing it again removes the others.
    ///
    /// # Errors
    /// As [`append`](Self::append), and [`checkpoint`](Self::checkpoint).
    pub fn prune(&self, before: Seq) -> Result<Pruned, AuditError> {
        let disk = self.shared.writing()?.disk.clone();
        let segments = first_records(&*disk)?;
        let is_old = |pair: &&[(u64, u64)]| pair[1].1 <= before.0;
        let old: Vec<_> = segments.windows(2).take_while(is_old).map(|pair| pair[0].0).collect();
        let first = segments.get(old.len()).map_or(0, |segment| segment.1);
        let pruned = Pruned { segments: old.len() as u64, first: Seq(first) };
        if old.is_empty() {
            return Ok(pruned);
        }
        if self.shared.is_vouched_for() {
            self.checkpoint()?;
        }
        let fields = [("segments", FieldValue::U64(pruned.segments)), ("first", FieldValue::U64(first))];
        let record = own::event(&*self.shared.rules.clock, Action::LogPrune, fields);
        self.append_own(&record, Durability::Fsync)?;
        // Nothing else touches the folder meanwhile.
        let writing = self.shared.writing()?;
        for number in old {
            match writing.disk.remove(&segment_name(number)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
            // One after the other: a crash that kept an older one and lost a newer one would leave a gap.
            writing.disk.sync_folder("")?;
        }
        Ok(pruned)
    }

    /// Overwrites the parts of a record with zeros: what happened is gone, that something did and every proof stay.
    /// A durable record `log:erase` that names it comes first. Doing it again does no harm. If it is interrupted
    /// either nothing is overwritten yet, or opening the log finishes it. What a file system or flash memory keeps of overwritten bytes is beyond the log.
    ///
    /// Records of the log about itself are not to be erased: a verifier misses what they vouch for.
    ///
    /// # Errors
    /// [`AuditError::NoRecord`] if there is none of this sequence, or no more; otherwise as
    /// [`append`](Self::append).
    pub fn erase(&self, seq: Seq) -> Result<(), AuditError> {
        // It is on the disk, and the record that names it comes in a later batch.
        self.wait_durable(seq)?;
        let disk = self.shared.writing()?.disk.clone();
        let (number, from, length) = place(&*disk, seq)?;
        let fields = [("seq", FieldValue::U64(seq.0))];
        let record = own::event(&*self.shared.rules.clock, Action::LogErase, fields);
        self.append_own(&record, Durability::Fsync)?;
        let writing = self.shared.writing()?;
        // One that failed is not forgotten for this one.
        finish_erasing(&*writing.disk)?;
        // From here on it will be done, if not now then when the log is opened again: half a part is damage.
        writing.disk.replace(ERASING, &seq.0.to_be_bytes())?;
        overwrite(&*writing.disk, number, from, length)
    }
}

/// Holds the sequence of a record that is being erased.
const ERASING: &str = "erasing";

/// Finishes what a crash interrupted.
pub(super) fn finish_erasing(disk: &dyn Disk) -> Result<(), AuditError> {
    let seq = match disk.read(ERASING, 8) {
        Ok(bytes) if bytes.len() == 8 => Seq(u64::from_be_bytes(array(&bytes))),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(_) => return Ok(disk.remove(ERASING)?),
    };
    // Its name may be seen and not durable.
    disk.replace(ERASING, &seq.0.to_be_bytes())?;
    match place(disk, seq) {
        Ok((number, from, length)) => overwrite(disk, number, from, length),
        Err(AuditError::NoRecord) => Ok(disk.remove(ERASING)?),
        Err(error) => Err(error),
    }
}

fn overwrite(disk: &dyn Disk, number: u64, from: u64, length: usize) -> Result<(), AuditError> {
    let mut file = disk.open(&segment_name(number), Open::Write)?;
    file.write_all_at(&vec![0; length], from)?;
    file.sync()?;
    disk.remove(ERASING)?;
    Ok(disk.sync_folder("")?)
}

/// The segment of a record, where its parts stand there, and how many bytes they are.
fn place(disk: &dyn Disk, seq: Seq) -> Result<(u64, u64, usize), AuditError> {
    let segments = first_records(disk)?;
    let Some((number, _)) = segments.into_iter().rev().find(|segment| segment.1 <= seq.0) else {
        return Err(AuditError::NoRecord);
    };
    let (from, length) = parts(disk, number, seq)?;
    Ok((number, from, length))
}

/// The segments that are there, each with the sequence of its first record.
fn first_records(disk: &dyn Disk) -> Result<Vec<(u64, u64)>, AuditError> {
    let first = |number| {
        let file = disk.open(&segment_name(number), Open::Read)?;
        Ok((number, recover::header(&*file, number)?.parsed.tree.size()))
    };
    recover::segments(disk)?.into_iter().map(first).collect()
}

/// Where the parts of a record stand in its segment, and how many bytes they are.
fn parts(disk: &dyn Disk, number: u64, seq: Seq) -> Result<(u64, usize), AuditError> {
    let file = disk.open(&segment_name(number), Open::Read)?;
    let header = recover::header(&*file, number)?;
    let mut walk = Walk::new(&*file, None, header.tip(), header.len());
    let mut found = None;
    while found.is_none() {
        let step = walk.batch(|record| {
            if record.header.seq == seq.0 {
                found = Some((record.parts_at, record.header.parts_len()));
            }
        });
        match step {
            Ok(()) => {}
            Err(Ok(Stop::End)) => return Err(AuditError::NoRecord),
            Err(Ok(Stop::Broken(what))) => return Err(broken(number, &walk, what)),
            Err(Err(error)) => return Err(error),
        }
    }
    found.ok_or(AuditError::NoRecord)
}

/// What a walk found, where it stands.
pub(super) fn broken(segment: u64, walk: &Walk<'_>, what: What) -> AuditError {
    let seq = walk.tip.tree.size();
    Break { segment, place: Place::Frame(seq), seq, offset: walk.end, what }.into()
}
