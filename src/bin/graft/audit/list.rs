//! `graft audit list` and `query`: one record at a time, so that memory does not grow with the log.

use std::process::ExitCode;

use graft_audit::{JsonLines, Query};

use super::args::{FilterArgs, FormatArgs, LogArgs};
use super::ending;
use super::rows::{Rows, print_all};
use super::source::{Found, records};
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

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    print(args, &args.filter.query(), u64::MAX)
}

pub(super) fn query(args: &QueryArgs) -> Result<ExitCode, Failure> {
    let query = args.list.filter.query();
    if query == Query::default() {
        return Err(Failure::new(
            "nothing is asked for; say which records, as in `--actor NAME`, or use `list`",
        ));
    }
    print(&args.list, &query, args.limit)
}

fn print(args: &Args, query: &Query, limit: u64) -> Result<ExitCode, Failure> {
    let log = &args.log.log;
    let mut left = limit;
    let found = records(log, &args.log.keys()?)?.filter(|found| asked_for(query, found)).take_while(|_| {
        let more = left > 0;
        left = left.saturating_sub(1);
        more
    });
    let first_bad = print_all(&mut Rows::new(args.format.format, JsonLines::new()), found)?;
    Ok(ending(log, first_bad.as_ref()))
}

/// Whether it is to be told: a record that agrees, and whatever does not verify.
pub(super) fn asked_for(query: &Query, found: &Result<Found, Failure>) -> bool {
    match found {
        Ok(Found::Record(stored)) => query.matches(stored),
        Ok(Found::Bad(_)) | Err(_) => true,
    }
}
