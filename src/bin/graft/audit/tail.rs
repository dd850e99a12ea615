//! `graft audit tail`: the last records, and those that come.

use std::collections::VecDeque;
use std::process::ExitCode;

use graft_audit::JsonLines;

use super::args::{FilterArgs, FormatArgs, LogArgs};
use super::ending;
use super::list::asked_for;
use super::rows::{Rows, print_all};
use super::source::{Found, records};
use crate::failure::Failure;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    format: FormatArgs,
    /// How many records.
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    lines: u32,
    #[command(flatten)]
    filter: FilterArgs,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let (log, query) = (&args.log.log, args.filter.query());
    let mut last: VecDeque<Result<Found, Failure>> = VecDeque::new();
    for found in records(log, &args.log.keys()?)?.filter(|found| asked_for(&query, found)) {
        last.push_back(Ok(found?));
        if last.len() > args.lines as usize {
            last.pop_front();
        }
    }
    let first_bad = print_all(&mut Rows::new(args.format.format, JsonLines::new()), last.into_iter())?;
    Ok(ending(log, first_bad.as_ref()))
}
