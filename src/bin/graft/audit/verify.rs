//! `graft audit verify`: is the log as it was written?

use std::path::PathBuf;
use std::process::ExitCode;

use graft_audit::NO_ANCHOR;
use graft_audit::v0::{Depth, State, VerifyReport};
use serde_json::json;

use super::args::FormatArgs;
use super::{break_json, ending, key, source};
use crate::failure::Failure;
use crate::{Format, output};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The audit log. It is only read.
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// The key of the log: a file of 64 hexadecimal digits that nobody else may read.
    ///
    /// Without it only the structure is checked: damage, loss and disorder show, but a log that
    /// somebody made anew from its first byte does not. May be given several times, for a log whose key was
    /// changed.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let keys = args.key.iter().map(|path| key::read(path)).collect::<Result<Vec<_>, _>>()?;
    let (text, first_bad) = match source::verify(&args.log, &keys)? {
        Ok(report) => (rendered(&report, args.format.format), report.first_bad),
        Err(first_bad) => {
            let text = match args.format.format {
                Format::Table => format!("not intact: {first_bad}\n{NO_ANCHOR}"),
                Format::Json => {
                    json!({ "intact": false, "first_bad": break_json(&first_bad), "anchor": NO_ANCHOR })
                        .to_string()
                }
            };
            (text, Some(first_bad))
        }
    };
    output::print(text)?;
    Ok(ending(&args.log, first_bad.as_ref()))
}

fn rendered(report: &VerifyReport, format: Format) -> String {
    match format {
        Format::Table => format!("{report}\n{NO_ANCHOR}"),
        Format::Json => json!({
            "log": report.log.to_string(),
            "depth": match report.depth { Depth::Structure => "structure", Depth::Sealed => "sealed" },
            "intact": report.first_bad.is_none(),
            "state": match report.state { State::Closed => "closed", State::Open => "open" },
            "records": report.records,
            "openings": report.openings,
            "quarantined": report.quarantined,
            "good_bytes": report.good_bytes,
            "last_leaf": report.last_leaf.to_string(),
            "first_bad": report.first_bad.as_ref().map(break_json),
            "anchor": NO_ANCHOR,
        })
        .to_string(),
    }
}
