//! A log of a million records: what it takes on the disk, to verify it, and to open it again after a crash.

use std::fs;
use std::path::Path;
use std::time::Instant;

use graft::core::CallId;
use graft_audit::{AuditSigner, KeyRing, Query, Search, TreeHead, Verifier, index_log, prove_record};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::log::{self, AuditLog};
use super::sqlite::{Database, Keep, Share};
use super::{Folder, GRAFT, IS_FAST, ON_DISK, machine};
use crate::harness::{Bar, Bench, Case, Failure};
use crate::process::option;

/// Bytes of a segment by default, and small ones, which spread evenly over two threads.
const SEGMENT: u64 = 64 << 20;
const SMALL_SEGMENT: u64 = 8 << 20;

pub fn run(bench: &mut Bench, folder: &Folder) -> Result<(), Failure> {
    let records: u64 = option("--records", if bench.is_quick() { 50_000 } else { 1_000_000 })?;
    let path = folder.join("million");
    let log = log::filled(&path, SEGMENT, records)?;
    log::check(&path)?;
    opening(bench, folder, &path, records)?;
    let head = log.close()?;
    let each = log::bytes(&path)? as f64 / records as f64;
    bench.note("bytes on the disk of a record, all files of its log", each, Some(ON_DISK as f64));
    let small = folder.join("small segments");
    log::filled(&small, SMALL_SEGMENT, records)?.close()?;
    verifying(bench, &path, &small, records)?;
    finding(bench, &path, records)?;
    proving(bench, &path, TreeHead { size: head.size, root: head.root })
}

/// Proves one record after the other, each somewhere else; what is made is checked as it is made.
fn proving(bench: &mut Bench, path: &Path, head: TreeHead) -> Result<(), Failure> {
    let signer = AuditSigner::generate("example.com/log".parse()?)?;
    let checkpoint = signer.sign(&head, &[])?;
    let files = graft_audit::Folder::new(path);
    let mut at = 0;
    let prove = Case::new("graft", |round| {
        round.each(|| {
            at = (at + 611_953) % head.size;
            prove_record(&files, at, &checkpoint).map(drop).map_err(Failure::from)
        })
    });
    let title = format!("a proof of one of {} records, p50", head.size);
    bench.compare(&title, vec![prove.bars([Bar::Ns(1e6)])])
}

/// Makes the index of a log, and asks it for one call after the other, each somewhere else.
pub fn finding(bench: &mut Bench, path: &Path, records: u64) -> Result<(), Failure> {
    let mut keys = KeyRing::default();
    keys.add(log::key()?);
    index_log(path, &keys)?;
    let files = graft_audit::Folder::new(path);
    let search = Search::open(&files, &keys)?;
    let (mut query, mut at) = (Query::default(), 0);
    let find = Case::new("graft", |round| {
        round.each(|| {
            at = (at + 611_953) % records;
            query.call = Some(CallId(log::FIRST_CALL + at));
            let found = search.find(&query).next().ok_or("the call was not found")??;
            if found.event.call == query.call { Ok(()) } else { Err("another call was found".into()) }
        })
    });
    let title = format!("one of {records} records by its call, through the index, p50");
    bench.compare(&title, vec![find.bars([Bar::Ns(2e6)])])
}

/// An operation is one record, and verifying does all of them: as many walks as the round's records take.
fn verify<'a>(name: String, path: &'a Path, records: u64, verifier: Verifier<'a>) -> Case<'a> {
    Case::new(name, move |round| {
        let walks = round.iterations().div_ceil(records);
        let start = round.start();
        for _ in 0..walks {
            let report = verifier.verify(path)?.ensure_intact()?;
            // The log adds records of its own, such as those of its segments.
            if report.head.size < records {
                return Err("not all records were verified".into());
            }
        }
        round.stop(start, walks * records);
        Ok(())
    })
}

fn verifying(bench: &mut Bench, path: &Path, small: &Path, records: u64) -> Result<(), Failure> {
    let scale = machine::scaling(bench)?;
    let one = || Ok::<_, Failure>(Verifier::new().key(log::key()?));
    let name = |what: &str| format!("{GRAFT}, {what}");
    let with_key = if IS_FAST { "graft, ring, with the key" } else { "graft, portable, with the key" };
    // 1.9, where two threads gain 2 in work that shares nothing; to a hundredth, as it is printed.
    let gain = Bar::Faster((95.0 * scale.min(2.0)).round() / 100.0, with_key);
    let rate = if IS_FAST { vec![Bar::Rate(1.7e6)] } else { vec![] };
    let hash = Case::new("SHA-256 of the bytes, nothing else", move |round| {
        let walks = round.iterations().div_ceil(records);
        let start = round.start();
        for _ in 0..walks {
            hash(path)?;
        }
        round.stop(start, walks * records);
        Ok(())
    });
    bench.compare(
        &format!("verifying {records} records from files in memory, time for each"),
        vec![
            hash,
            verify("graft, structure only".to_owned(), path, records, Verifier::new())
                .bars([Bar::Rate(3.4e6)]),
            verify(with_key.to_owned(), path, records, one()?).bars(rate),
            verify(name("with the key, two threads"), path, records, one()?.threads(2)).bars([gain]),
            verify(name("two threads, small segments"), small, records, one()?.threads(2)),
        ],
    )
}

fn hash(folder: &Path) -> Result<(), Failure> {
    for file in segments(folder)? {
        std::io::copy(&mut fs::File::open(file)?, &mut Hash(Sha256::new()))?;
    }
    Ok(())
}

struct Hash(Sha256);

impl std::io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The files of its segments, by number.
fn segments(folder: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A log and a database are left as a crash leaves them, by copying what is open; each opening has its own copy.
fn opening(bench: &mut Bench, folder: &Folder, path: &Path, records: u64) -> Result<(), Failure> {
    let database = Database::create(&folder.join("rows"), Keep::Open)?;
    let connection = database.connect(Share::WithOthers)?;
    for _ in 0..records.div_ceil(10_000) {
        database.batch(&connection, 10_000)?;
    }
    let (copy, rows) = (folder.join("crashed"), folder.join("crashed rows"));
    let key = log::key()?;
    bench.compare(
        &format!("opening {records} records after a crash, p50"),
        vec![
            Case::new("SQLite", |round| {
                for _ in 0..round.iterations() {
                    copy_of_database(&folder.join("rows"), &rows)?;
                    let start = Instant::now();
                    let last =
                        Connection::open(&rows)?
                            .query_row("SELECT max(seq) FROM records", (), |row| row.get::<_, i64>(0))?;
                    round.single(start.elapsed());
                    std::hint::black_box(last);
                }
                Ok(())
            }),
            Case::new("graft", |round| {
                for _ in 0..round.iterations() {
                    copy_of_log(path, &copy)?;
                    let start = Instant::now();
                    let log = AuditLog::open(&copy, &key)?;
                    round.single(start.elapsed());
                    if log.head().size < records || log.recovered().is_empty() {
                        return Err("the log was not recovered".into());
                    }
                }
                Ok(())
            })
            .bars([Bar::Ns(300e6)]),
        ],
    )
}

fn copy_of_database(from: &Path, to: &Path) -> Result<(), Failure> {
    for end in ["", "-wal"] {
        let with_end = |path: &Path| format!("{}{end}", path.display());
        fs::copy(with_end(from), with_end(to))?;
    }
    let _ = fs::remove_file(format!("{}-shm", to.display())); // that of the copy before, if there was one
    Ok(())
}

/// Whole segments are linked, since nobody writes to them; the last one gets the first part of a batch behind
/// its end, which no commit follows.
fn copy_of_log(from: &Path, to: &Path) -> Result<(), Failure> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    copy_folder(from, to)?;
    let last = segments(to)?.pop().ok_or("the log has no segment")?;
    let mut bytes = fs::read(&last)?;
    fs::remove_file(&last)?;
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    bytes.resize(bytes.len().max(end + (64 << 10)), 0);
    bytes[end..end + (64 << 10)].fill(0x42);
    Ok(fs::write(&last, bytes)?)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_folder(&from, &to)?;
        } else if from.extension().is_some_and(|extension| extension == "seg") {
            fs::hard_link(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
