//! `graft audit`: what does a log say, and is it still what was written?

mod key;
mod list;
mod time;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use graft_audit::{AuditError, Break, Depth, State, VerifyReport, What, verify, verify_structure};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::{Format, output};

/// List the records of an audit log, or verify it.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print every record of a log, each verified before it is printed.
    ///
    /// Exit status: 0 if all of the log verifies; 1 if it does not, after the records before the first bad
    /// one; 2 if nothing could be read: a missing file, another key, not a log.
    List {
        #[command(flatten)]
        log: LogArgs,
        /// The key that the log was created with: a file of 64 hexadecimal digits.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Check that a log is as it was written, and name the first record that is not.
    ///
    /// Exit status: 0 if the log is intact; 1 if it is not; 2 if it could not be checked: a missing file,
    /// another key, not a log.
    Verify {
        #[command(flatten)]
        log: LogArgs,
        /// The key that the log was created with: a file of 64 hexadecimal digits.
        ///
        /// Without it only the structure is checked: damage, loss and disorder show, but a log that
        /// somebody made anew from its first byte does not.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
pub(crate) struct LogArgs {
    /// The audit log. It is only read.
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// How it is printed; `json` is one object a line.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub(crate) fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List { log, key } => list::run(&log.log, &key::read(key)?, log.format),
        Command::Verify { log, key } => run_verify(log, key.as_deref()),
    }
}

fn run_verify(args: &LogArgs, key: Option<&Path>) -> Result<ExitCode, Failure> {
    let key = key.map(key::read).transpose()?;
    let file = open(&args.log)?;
    let report = match &key {
        Some(key) => verify(file, key),
        None => verify_structure(file),
    };
    let (text, first_bad) = match report {
        Ok(report) => (rendered(&report, args.format), report.first_bad),
        Err(error) => {
            let first_bad = damage(&args.log, error)?;
            let text = match args.format {
                Format::Table => format!("not intact: {first_bad}"),
                Format::Json => json!({ "intact": false, "first_bad": break_json(&first_bad) }).to_string(),
            };
            (text, Some(first_bad))
        }
    };
    output::print(text)?;
    Ok(ending(&args.log, first_bad.as_ref()))
}

fn rendered(report: &VerifyReport, format: Format) -> String {
    match format {
        Format::Table => report.to_string(),
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
        })
        .to_string(),
    }
}

fn break_json(found: &Break) -> Value {
    json!({
        "place": found.place.to_string(),
        "seq": found.seq,
        "offset": found.offset,
        "what": found.what.to_string(),
    })
}

fn open(log: &Path) -> Result<File, Failure> {
    File::open(log).map_err(|error| Failure::io(log, "read", &error))
}

/// The damage that `error` speaks of, or else why the log could not be looked at.
///
/// A file that is no log, or one of a later version, is input of the wrong kind, not a log that was damaged.
fn damage(log: &Path, error: AuditError) -> Result<Break, Failure> {
    match error {
        AuditError::Broken(found)
            if !matches!(
                found.what,
                What::NotALog | What::UnknownVersion { .. } | What::ShortFileHeader { found: 0 }
            ) =>
        {
            Ok(found)
        }
        AuditError::Io(error) => Err(Failure::io(log, "read", &error)),
        other => Err(Failure::file(log, other)),
    }
}

/// The status of a log, and one sentence if it is not a good one. What was found has been printed.
fn ending(log: &Path, first_bad: Option<&Break>) -> ExitCode {
    let Some(found) = first_bad else { return ExitCode::SUCCESS };
    output::note(&format!(
        "{}: the log does not verify from {} on; keep a copy of it before anything writes to it",
        log.display(),
        found.place
    ));
    ExitCode::FAILURE
}
