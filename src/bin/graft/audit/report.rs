//! `graft audit report`: what happened, as one page for people.

use std::io::{self, Write};
use std::process::ExitCode;

use graft_audit::{AnchorFound, Assurance, LogId, Query, Report, Verifier};

use super::args::{AnchorArgs, ByArgs, FilterArgs, LogArgs};
use super::ending;
use super::source::Found;
use crate::failure::Failure;
use crate::output::unless_reader_left;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    anchors: AnchorArgs,
    #[command(flatten)]
    filter: FilterArgs,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.by.record(&args.log, 0)?;
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
    let mut verifier = Verifier::new().keys(log.keys.clone());
    for anchor in args.anchors.heads(&log)? {
        verifier = verifier.anchor(anchor);
    }
    let verified = verifier.verify_files(&log.files).map_err(|error| log.failure(error))?;
    let mut checked = verified.to_string();
    if query != Query::default() {
        checked += "\nthis page tells of the records that were asked for, and of no others";
    }
    let first_bad = first_bad.or_else(|| verified.first_bad().cloned());
    let id = verified.log.unwrap_or(LogId([0; 16]));
    let extended = verified.anchors.iter().all(|check| check.found == AnchorFound::Extended);
    let kept = verified.anchors.iter().map(|check| check.anchor.size).max();
    let anchor = kept.map(|size| match extended {
        true => format!("it extends the state of {size} records that was kept elsewhere"),
        false => format!("IT DOES NOT EXTEND the state of {size} records that was kept elsewhere"),
    });
    let assurance = Assurance { log: id, intact: first_bad.is_none() && extended, checked, anchor };
    io::stdout().write_all(report.html(&assurance).as_bytes()).or_else(unless_reader_left)?;
    Ok(ending(args.log.path(), first_bad.as_ref()))
}
