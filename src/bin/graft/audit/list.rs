//! `graft audit list` and `query`: one record at a time, so that memory does not grow with the log.

use std::process::ExitCode;

use graft_audit::{JsonLines, Query};

use super::args::{FilterArgs, FormatArgs, LogArgs};
use super::ending;
use super::rows::{Rows, print_all};
use crate::failure::Failure;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(clap::Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    list: Args,
    /// No more than this many records.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    limit: u64,
}

/// Reads everything, so that whatever does not verify shows.
pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let (log, query) = (args.log.open()?, args.filter.query());
    let search = log.search()?.without_indexes();
    let mut rows = Rows::new(args.format.format, JsonLines::new());
    let first_bad = print_all(&mut rows, log.find(&search, 0, &query))?;
    Ok(ending(args.log.path(), first_bad.as_ref()))
}

/// Reads no more than it must.
pub(super) fn query(args: &QueryArgs) -> Result<ExitCode, Failure> {
    let Args { log: named, format, filter } = &args.list;
    let query = filter.query();
    if query == Query::default() {
        return Err(Failure::new(
            "nothing is asked for; say which records, as in `--actor NAME`, or use `list`",
        ));
    }
    let log = named.open()?;
    let search = log.search()?;
    let found = log.find(&search, 0, &query).take(usize::try_from(args.limit).unwrap_or(usize::MAX));
    let first_bad = print_all(&mut Rows::new(format.format, JsonLines::new()), found)?;
    Ok(ending(named.path(), first_bad.as_ref()))
}
