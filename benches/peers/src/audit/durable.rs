//! Records that are on the disk before they count.

use std::sync::Mutex;
use std::time::Duration;

use super::disk::{Bare, Room};
use super::log::{self, Durability, FIRST_CALL};
use super::machine::rate;
use super::sqlite::{Database, Keep, Share, SharedCommits};
use super::threads::{self, Until, on_threads};
use super::{Folder, GRAFT, IS_FAST, ON_DISK};
use crate::harness::{Bar, Bench, Case, Failure};

/// What the rivals are called where the bars speak of them.
const SQLITE: &str = "SQLite";
const BEST_BATCH: &str = "SQLite, best batch";
const BARE: &str = "bare write";
/// Sizes of a transaction of which the best is taken.
const BATCHES: [u64; 6] = [64, 256, 1024, 4096, 16_384, 65_536];

/// The databases that rows are kept in, and what they are called.
fn kinds() -> Vec<(&'static str, Keep)> {
    vec![
        (SQLITE, Keep::Open),
        ("SQLite, sealed rows", Keep::Sealed),
        ("SQLite, sealed and chained", Keep::Chained),
        #[cfg(feature = "sqlcipher")]
        ("SQLCipher", Keep::Cipher),
    ]
}

pub fn one_writer(bench: &mut Bench, folder: &Folder) -> Result<(), Failure> {
    let bare = |name: &str, room| Bare::create(&folder.join(name), room);
    let mut cases = vec![
        bare("allocated", Room::Allocated)?.one_at_a_time(BARE),
        bare("written", Room::Written)?.one_at_a_time("bare write over zeros"),
    ];
    for (name, keep) in kinds() {
        let database = Database::create(&folder.join(format!("one, {name}")), keep)?;
        let connection = database.connect(Share::Alone)?;
        let case = Case::new(name, move |round| round.each(|| database.row()?.insert(&connection)));
        cases.push(if keep == Keep::Open { case.base() } else { case });
    }
    let database = Database::create(&folder.join("one, shared"), Keep::Open)?;
    let connection = database.connect(Share::WithOthers)?;
    let shared = Case::new("SQLite, file open to others", move |round| {
        round.each(|| database.row()?.insert(&connection))
    });
    cases.push(shared);
    let log = log::create(&folder.join("one, graft"), Durability::Fsync)?;
    let event = log::event(FIRST_CALL)?;
    let graft = Case::new(GRAFT, move |round| Ok(round.each(|| log.append(&event))?));
    cases.push(graft.bars([Bar::Faster(1.2, SQLITE), Bar::Times(1.2, BARE)]));
    let version = rusqlite::version();
    bench.compare(
        &format!("durable, one blocking writer, p50 (SQLite {version}, bare writes of {ON_DISK} bytes)"),
        cases,
    )
}

pub fn blocking(bench: &mut Bench, folder: &Folder) -> Result<(), Failure> {
    blocked(bench, folder, 64, 25.0)?;
    blocked(bench, folder, 256, 35.0)
}

fn blocked(bench: &mut Bench, folder: &Folder, writers: usize, times: f64) -> Result<(), Failure> {
    let database = |name: &str| Database::create(&folder.join(format!("{writers}, {name}")), Keep::Open);
    let (each, one, shared) = (database("each")?, database("one")?, database("shared")?);
    let connections = || (0..writers).map(|_| each.connect(Share::WithOthers)).collect::<Result<Vec<_>, _>>();
    let mut connections = connections()?;
    let connection = Mutex::new(one.connect(Share::Alone)?);
    let insert = |_: &mut ()| {
        let row = one.row()?;
        row.insert(&*connection.lock().map_err(|_| "a writer panicked")?)
    };
    // The faster of the two ways that many writers can insert is the rival.
    let time = Duration::from_millis(if bench.is_quick() { 100 } else { 1000 });
    let per_second = |(done, took): (u64, Duration)| done as f64 / took.as_secs_f64();
    let by_each = per_second(on_threads(&mut connections, Until::Past(time), |connection| {
        each.row()?.insert(connection)
    })?);
    let by_one = per_second(on_threads(&mut vec![(); writers], Until::Past(time), insert)?);
    let title = format!("SQLite, {writers} writers, inserts in a second");
    bench.note(&format!("{title}: a connection for each"), by_each, None);
    bench.note(&format!("{title}: one connection behind a mutex"), by_one, None);
    let rival = if by_each > by_one {
        threads::case(SQLITE, connections, |connection| each.row()?.insert(connection))
    } else {
        threads::case(SQLITE, vec![(); writers], insert)
    };
    let committer = SharedCommits::over(shared.connect(Share::Alone)?);
    let clients: Vec<_> = (0..writers).map(|_| committer.client()).collect();
    drop(committer);
    let together = threads::case("SQLite, shared commits", clients, |client| client.insert(shared.row()?));
    let log = log::create(&folder.join(format!("{writers}, graft")), Durability::Fsync)?;
    let event = log::event(FIRST_CALL)?;
    let graft = threads::case(GRAFT, vec![(); writers], |()| Ok(log.append(&event).map(drop)?));
    bench.compare(
        &format!("durable, {writers} blocking writers, time for each record"),
        vec![rival, together.base(), graft.bars([Bar::Faster(times, SQLITE)])],
    )
}

pub fn batches(bench: &mut Bench, folder: &Folder) -> Result<(), Failure> {
    let mut cases = Vec::new();
    let time = Duration::from_millis(if bench.is_quick() { 30 } else { 500 });
    for (name, keep) in kinds() {
        let database = Database::create(&folder.join(format!("batches, {name}")), keep)?;
        let connection = database.connect(Share::Alone)?;
        let mut best = (0, 0.0);
        for rows in BATCHES {
            let rate = rate(time, || database.batch(&connection, rows).map(|()| rows))?;
            if rate > best.1 {
                best = (rows, rate);
            }
        }
        bench.note(&format!("{name}, best batch: rows in a transaction"), best.0 as f64, None);
        let case = Case::new(format!("{name}, best batch"), move |round| {
            let batches = round.iterations().div_ceil(best.0);
            let start = round.start();
            (0..batches).try_for_each(|_| database.batch(&connection, best.0))?;
            round.stop(start, batches * best.0);
            Ok(())
        });
        cases.push(if keep == Keep::Open { case.base() } else { case });
    }
    for (name, records) in [("bare writes of 1,024 records", 1024), ("bare writes of 4,096 records", 4096)] {
        cases.push(Bare::create(&folder.join(name), Room::Allocated)?.batches(name, records));
    }
    let log = log::create(&folder.join("batches, graft"), Durability::Fsync)?;
    let mut event = log::event(FIRST_CALL)?;
    let graft = Case::new(format!("{GRAFT}, submitted, then waited for"), move |round| {
        let start = round.start();
        log::append(&log, &mut event, round.iterations())?;
        round.stop(start, round.iterations());
        Ok(())
    });
    // The portable backend alone takes longer for a seal than the whole of a record may.
    cases.push(if IS_FAST { graft.bars([Bar::Rate(0.9e6), Bar::Faster(4.0, BEST_BATCH)]) } else { graft });
    bench.compare("durable, many records at a time, time for each record", cases)
}
