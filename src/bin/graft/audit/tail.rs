//! `graft audit tail`: the last records, and those that come.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Duration;

use graft_audit::{AuditError, JsonLines, Query, Reader};

use super::args::{FilterArgs, FormatArgs, LogArgs};
use super::ending;
use super::rows::{Rows, print_all};
use super::source::{Found, Log};
use crate::failure::Failure;
use crate::output::unless_reader_left;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    format: FormatArgs,
    /// How many records.
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    lines: u32,
    /// Goes on with the records that come, until it is interrupted.
    #[arg(short = 'f', long)]
    follow: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// How often a log is looked at for what came.
const EVERY: Duration = Duration::from_millis(200);

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let (log, query) = (args.log.open()?, args.filter.query());
    let search = log.search()?;
    // What comes while this is read is not lost and not told twice: it is followed from here.
    let size = search.size().map_err(|error| log.failure(error))?;
    // Without a filter, what lies before is not read.
    let is_any = query == Query::default();
    let from = if is_any { size.saturating_sub(args.lines.into()) } else { 0 };
    let mut last: VecDeque<Result<Found, Failure>> = VecDeque::new();
    for found in log.find(&search, from, &query) {
        let found = found?;
        if matches!(&found, Found::Record(stored) if stored.seq.0 >= size) {
            break;
        }
        last.push_back(Ok(found));
        if last.len() > args.lines as usize {
            last.pop_front();
        }
    }
    let mut rows = Rows::new(args.format.format, JsonLines::new());
    let first_bad = print_all(&mut rows, last.into_iter())?;
    if args.follow && first_bad.is_none() {
        return follow(args, &log, &query, size, &mut rows);
    }
    Ok(ending(args.log.path(), first_bad.as_ref()))
}

/// Prints what comes from record `next` on; ends when nobody reads on, or with the log's first bad place.
fn follow(args: &Args, log: &Log, query: &Query, next: u64, rows: &mut Rows) -> Result<ExitCode, Failure> {
    let reader = Reader::open(args.log.path(), log.keys.clone()).and_then(|reader| reader.from(next));
    let mut reader = reader.map_err(|error| log.failure(error))?;
    loop {
        for entry in &mut reader {
            match entry {
                Ok(entry) => {
                    let Some(stored) = entry.into_event().filter(|stored| query.matches(stored)) else {
                        continue;
                    };
                    if rows.print(&Found::Record(stored)).is_err() {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                Err(AuditError::Broken(bad)) => {
                    let found = Found::Bad(bad.clone());
                    rows.print(&found).and_then(|()| rows.flush()).or_else(unless_reader_left)?;
                    return Ok(ending(args.log.path(), Some(&bad)));
                }
                Err(error) => return Err(log.failure(error)),
            }
        }
        if rows.flush().is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(EVERY);
    }
}
