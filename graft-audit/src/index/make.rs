//! Makes the indexes of a log out of its segments.

use std::io::{self, Write};
use std::path::Path;

use graft_core::{Event, Timestamp};

use super::record::event;
use super::{Builder, IndexFile, Location, Summary, index_name};
use crate::disk::{Disk, DiskFile, FolderDisk, Open};
use crate::format::Salt;
use crate::keyring::{KeyRing, Opener};
use crate::scan::{Files, Folder, Item, Opened, SegmentScan, open_segment};
use crate::seal::SegmentKeys;
use crate::tree::Frontier;
use crate::verify::segment_numbers;
use crate::{AuditError, Leaf};

/// What [`index_log`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Indexed {
    /// Segments whose index was made.
    pub made: u64,
    /// Segments whose index was there and speaks of all of it.
    pub kept: u64,
    /// Segments that have none, because no key opens them or something in them is not as it was written.
    pub without: u64,
}

/// Makes the index of every segment of the log in `folder` that has none, or one that does not speak of all of it.
///
/// An index lets [`Search`](crate::Search) find single records without reading the log. It takes about two fifths
/// of the segment's room on the disk, and everything in it is sealed. Segments are read in memory bounded by one
/// batch, and an index is made in at most 68 MiB. The log may be written meanwhile.
///
/// # Errors
/// [`AuditError::Missing`]; [`AuditError::WrongKey`] if no key opens any segment; [`AuditError::Io`] from the
/// disk; [`AuditError::Randomness`].
pub fn index_log(folder: impl AsRef<Path>, keys: &KeyRing) -> Result<Indexed, AuditError> {
    let files = Folder::new(&folder);
    let numbers = segment_numbers(&files)?;
    if numbers.is_empty() {
        return Err(AuditError::Missing);
    }
    let disk = FolderDisk::open(folder.as_ref())?;
    let (mut opener, mut indexed, mut any) = (Opener::new(keys, &files)?, Indexed::default(), false);
    for number in numbers {
        let opened = match open_segment(&files, number) {
            // Pruned since the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        let found = opened.ok().and_then(|opened| {
            let found = opener.find(&opened).ok()??;
            Some((opened, found.keys))
        });
        let Some((opened, keys)) = found else {
            indexed.without += 1;
            continue;
        };
        any = true;
        match make(&files, &disk, &opened, &keys)? {
            Made::New => indexed.made += 1,
            Made::Kept => indexed.kept += 1,
            Made::Without => indexed.without += 1,
        }
    }
    if any { Ok(indexed) } else { Err(AuditError::WrongKey) }
}

enum Made {
    New,
    Kept,
    Without,
}

fn make(files: &dyn Files, disk: &dyn Disk, opened: &Opened, keys: &SegmentKeys) -> Result<Made, AuditError> {
    if let Ok(old) = IndexFile::open(files, keys)?
        && is_all(files, keys, &old)?
    {
        return Ok(Made::Kept);
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| AuditError::Randomness)?;
    let mut builder = Builder::new(keys, Salt(salt));
    let Some(covered) = read(files, opened, keys, &mut builder)? else { return Ok(Made::Without) };
    let name = index_name(keys.number());
    let fresh = format!("{name}.new");
    let mut out =
        io::BufWriter::with_capacity(256 * 1024, Out { file: disk.open(&fresh, Open::Truncated)?, at: 0 });
    builder.finish(covered, &mut out)?;
    let mut out = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    // Not for the index's own sake, which can be made again, but so that no crash leaves a name without its bytes.
    out.file.sync()?;
    disk.rename(&fresh, &name)?;
    Ok(Made::New)
}

/// Whether nothing was committed behind what the index speaks of.
fn is_all(files: &dyn Files, keys: &SegmentKeys, index: &IndexFile<'_>) -> io::Result<bool> {
    let Some((tip, is_end)) = index.tip(keys)? else { return Ok(false) };
    if is_end {
        return Ok(true);
    }
    let mut scan = SegmentScan::resume(files, keys.number(), index.summary().end, &tip, Some(keys));
    Ok(!matches!(scan.next()?, Item::Batch(batch) if batch.commit.is_some()))
}

/// Adds every record of a segment up to its last commit; `None` if something is not as it was written.
fn read(
    files: &dyn Files,
    opened: &Opened,
    keys: &SegmentKeys,
    builder: &mut Builder,
) -> io::Result<Option<Summary>> {
    let mut scan = SegmentScan::new(files, &opened.header, opened.len, Some(keys));
    let mut covered = Covered {
        tree: opened.header.tree.clone(),
        last_leaf: opened.header.previous_leaf,
        end: opened.len as u64,
    };
    let first = covered.tree.size();
    // What is wrong with a batch comes behind it, so it is added once that is known.
    let mut staged: Option<Staged> = None;
    let mut is_broken = false;
    loop {
        match scan.next()? {
            Item::Break(found) => {
                is_broken = true;
                let good = staged.take().filter(|staged| staged.end <= found.offset);
                good.into_iter().for_each(|staged| covered.add(builder, staged));
            }
            Item::Batch(mut batch) if !is_broken => {
                staged.take().into_iter().for_each(|staged| covered.add(builder, staged));
                let end = batch.offset + batch.bytes_len() as u64;
                if !builder.has_room(batch.len(), end) {
                    break;
                }
                staged = batch.commit.map(|_| Staged::default());
                for place in 0..batch.len() {
                    let (Some(record), Some(staged)) = (batch.record(place), &mut staged) else { break };
                    // Both are bounded by `has_room`.
                    let location = Location { record: record.offset as u32, batch: 0 };
                    let leaf = record.leaf;
                    let Ok(event) = event(record) else { return Ok(None) };
                    staged.records.push((location, leaf, event));
                }
                staged.iter_mut().for_each(|staged| (staged.start, staged.end) = (batch.offset as u32, end));
            }
            Item::Batch(_) => {}
            Item::End => {
                // What a crash left behind the last commit is no part of the log; anything else is damage.
                let tail = scan.so_far()?.tail;
                if is_broken && tail.is_none_or(|tail| tail.offset != covered.end) {
                    return Ok(None);
                }
                staged.into_iter().for_each(|staged| covered.add(builder, staged));
                break;
            }
        }
    }
    let Covered { tree, last_leaf, end } = covered;
    let (records, entries, none) = (0, 0, Timestamp(0));
    Ok(Some(Summary { first, records, entries, end, earliest: none, latest: none, last_leaf, tree }))
}

/// Where the log stands behind what was added.
struct Covered {
    tree: Frontier,
    last_leaf: Leaf,
    end: u64,
}

/// A batch that was read and not added yet.
#[derive(Default)]
struct Staged {
    start: u32,
    end: u64,
    records: Vec<(Location, Leaf, Option<Event>)>,
}

impl Covered {
    fn add(&mut self, builder: &mut Builder, staged: Staged) {
        for (location, leaf, event) in staged.records {
            builder.add(Location { batch: staged.start, ..location }, event.as_ref());
            self.tree.push(leaf);
            self.last_leaf = leaf;
        }
        self.end = staged.end;
    }
}

/// Writes a file from its beginning on.
struct Out {
    file: Box<dyn DiskFile>,
    at: u64,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(bytes, self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
