//! `graft audit export`: records for other programs.

use std::process::ExitCode;

use clap::ValueEnum;
use graft_audit::{JsonLines, Member};

use super::args::{ByArgs, FilterArgs, LogArgs};
use super::ending;
use super::rows::{Rows, print_all};
use crate::Format;
use crate::failure::Failure;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    log: LogArgs,
    /// What is printed.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Exported,
    /// What is left out of each record, such as actor,target; its number and its leaf stay.
    #[arg(long, value_name = "MEMBER", value_delimiter = ',')]
    withhold: Vec<Member>,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Exported {
    /// One JSON object a line.
    Jsonl,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.by.record(&args.log, args.withhold.len())?;
    let (log, query) = (args.log.open()?, args.filter.query());
    let search = log.search()?.without_indexes();
    let lines = args.withhold.iter().fold(JsonLines::new(), |lines, &member| lines.withhold(member));
    let Exported::Jsonl = args.format;
    let first_bad = print_all(&mut Rows::new(Format::Json, lines), log.find(&search, 0, &query))?;
    Ok(ending(args.log.path(), first_bad.as_ref()))
}
