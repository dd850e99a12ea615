//! `graft audit export`: records for other programs, or a page for people.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use graft_audit::{Assurance, JsonLines, LogId, Member, Query, Report, Verifier};
use graft_core::Name;

use super::args::{FilterArgs, LogArgs};
use super::ending;
use super::rows::{Rows, print_all};
use super::source::Found;
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
    /// Who exports: a name that is recorded in the log first, with the last `--key`. Nobody else may have the log
    /// open for writing.
    #[arg(long = "as", value_name = "NAME", value_parser = |name: &str| Name::new(name))]
    by: Option<Name>,
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
    if args.format == Exported::Report && !args.withhold.is_empty() {
        return Err(Failure::new("a report withholds nothing; use `--format jsonl`"));
    }
    if let Some(by) = &args.by {
        let log = args.log.open_to_write()?;
        let recorded = log.record_export(by.clone(), args.withhold.len() as u64).and_then(|_| log.close());
        recorded.map_err(|error| args.log.failure(error))?;
    }
    match args.format {
        Exported::Jsonl => lines(args),
        Exported::Report => page(args),
    }
}

fn lines(args: &Args) -> Result<ExitCode, Failure> {
    let (log, query) = (args.log.open()?, args.filter.query());
    let search = log.search()?.without_indexes();
    let lines = args.withhold.iter().fold(JsonLines::new(), |lines, &member| lines.withhold(member));
    let first_bad = print_all(&mut Rows::new(Format::Json, lines), log.find(&search, 0, &query))?;
    Ok(ending(args.log.path(), first_bad.as_ref()))
}

fn page(args: &Args) -> Result<ExitCode, Failure> {
    let (log, query) = (args.log.open()?, args.filter.query());
    let search = log.search()?.without_indexes();
    let mut report = Report::new();
    let mut first_bad = None;
    for found in log.find(&search, 0, &query) {
        match found? {
            Found::Record(stored) => report.add(&stored),
            Found::Bad(bad) => {
                first_bad.get_or_insert(bad);
            }
        }
    }
    let verified = Verifier::new().keys(log.keys.clone()).verify_files(&log.files);
    let verified = verified.map_err(|error| log.failure(error))?;
    let mut checked = verified.to_string();
    if query != Query::default() {
        checked += "\nthis page tells of the records that were asked for, and of no others";
    }
    let first_bad = first_bad.or_else(|| verified.first_bad().cloned());
    let id = verified.log.unwrap_or(LogId([0; 16]));
    let assurance = Assurance { log: id, intact: first_bad.is_none(), checked, anchor: None };
    io::stdout().write_all(report.html(&assurance).as_bytes()).or_else(unless_reader_left)?;
    Ok(ending(args.log.path(), first_bad.as_ref()))
}
