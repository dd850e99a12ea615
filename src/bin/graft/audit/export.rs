//! `graft audit export`: records for other programs, or a page for people.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use graft_audit::{Assurance, JsonLines, LogId, Member, Query, Report};

use super::args::{FilterArgs, LogArgs};
use super::ending;
use super::list::asked_for;
use super::rows::{Rows, print_all};
use super::source::{self, Found, records};
use crate::Format;
use crate::failure::Failure;
use crate::output::unless_reader_left;

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
    filter: FilterArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Exported {
    /// One JSON object a line.
    Jsonl,
    /// A page of HTML that tells what happened, for somebody who did not write the code.
    Report,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match args.format {
        Exported::Jsonl => lines(args),
        Exported::Report if !args.withhold.is_empty() => {
            Err(Failure::new("a report withholds nothing; use `--format jsonl`"))
        }
        Exported::Report => page(args),
    }
}

fn lines(args: &Args) -> Result<ExitCode, Failure> {
    let (log, query) = (&args.log.log, args.filter.query());
    let found = records(log, &args.log.keys()?)?.filter(|found| asked_for(&query, found));
    let lines = args.withhold.iter().fold(JsonLines::new(), |lines, &member| lines.withhold(member));
    let first_bad = print_all(&mut Rows::new(Format::Json, lines), found)?;
    Ok(ending(log, first_bad.as_ref()))
}

fn page(args: &Args) -> Result<ExitCode, Failure> {
    let (log, keys, query) = (&args.log.log, args.log.keys()?, args.filter.query());
    let mut report = Report::new();
    let mut first_bad = None;
    for found in records(log, &keys)?.filter(|found| asked_for(&query, found)) {
        match found? {
            Found::Record(stored) => report.add(&stored),
            Found::Bad(bad) => {
                first_bad.get_or_insert(bad);
            }
        }
    }
    let verified = source::verify(log, &keys)?;
    let (id, mut checked) = match &verified {
        Ok(verified) => (verified.log, verified.to_string()),
        Err(bad) => (LogId([0; 16]), format!("not intact: {bad}")),
    };
    if query != Query::default() {
        checked += "\nthis page tells of the records that were asked for, and of no others";
    }
    first_bad = first_bad.or_else(|| verified.map_or_else(Some, |verified| verified.first_bad));
    let assurance = Assurance { log: id, intact: first_bad.is_none(), checked, anchor: None };
    io::stdout().write_all(report.html(&assurance).as_bytes()).or_else(unless_reader_left)?;
    Ok(ending(log, first_bad.as_ref()))
}
