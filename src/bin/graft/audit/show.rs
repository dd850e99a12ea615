//! `graft audit show`: one record and everything that is in it.

use std::fmt::Write;
use std::process::ExitCode;

use graft_audit::{JsonLines, Rfc3339, StoredEvent};
use graft_core::FieldValue;

use super::args::{FormatArgs, LogArgs};
use super::ending;
use super::rows::{or_dash, signal_words};
use super::source::{Found, records};
use crate::failure::Failure;
use crate::{Format, output};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The sequence number of the record, as `list` shows it.
    #[arg(value_name = "SEQ")]
    seq: u64,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let log = &args.log.log;
    let mut count = 0;
    for found in records(log, &args.log.keys()?)? {
        match found? {
            Found::Record(stored) if stored.seq.0 == args.seq => {
                output::print(text(&stored, args.format.format)?)?;
                return Ok(ExitCode::SUCCESS);
            }
            Found::Record(_) => count += 1,
            Found::Bad(bad) => return Ok(ending(log, Some(&bad))),
        }
    }
    let noun = if count == 1 { "record" } else { "records" };
    Err(Failure::file(
        log,
        format!("it has {count} {noun}, numbered from 0, and none with number {}", args.seq),
    ))
}

fn text(stored: &StoredEvent, format: Format) -> Result<String, Failure> {
    match format {
        Format::Table => Ok(lines(stored)),
        Format::Json => {
            let mut line = Vec::new();
            let written = JsonLines::new().write(stored, &mut line);
            written.map_err(|error| Failure::new(format!("the record cannot be written: {error}")))?;
            line.pop(); // the line end, which printing adds
            String::from_utf8(line).map_err(Failure::new)
        }
    }
}

fn lines(stored: &StoredEvent) -> String {
    let event = &stored.event;
    let policy = event.policy.map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let rows = [
        ("seq", stored.seq.0.to_string()),
        ("leaf", stored.leaf.to_string()),
        ("time", Rfc3339(event.time).to_string()),
        ("actor", event.actor.to_string()),
        ("action", event.action.as_str().to_owned()),
        ("target", event.target.to_string()),
        ("ending", event.ending.as_str().to_owned()),
        ("run", or_dash(event.run)),
        ("call", or_dash(event.call)),
        ("trace", or_dash(event.trace)),
        ("intent", or_dash(event.intent.map(|intent| intent.0))),
        ("decision", or_dash(event.decision.map(|decision| decision.as_str()))),
        ("signals", or_dash(signal_words(event.signals))),
        ("code", or_dash(event.code.as_ref())),
        ("policy", or_dash(policy)),
        ("monotonic", event.monotonic.0.to_string()),
    ];
    let mut lines = String::new();
    for (name, value) in rows {
        let _ = writeln!(lines, "{name:<9}  {value}");
    }
    for (name, value) in event.fields.iter() {
        let _ = match value {
            FieldValue::Bool(truth) => writeln!(lines, "field {name}  {truth}"),
            FieldValue::U64(number) => writeln!(lines, "field {name}  {number}"),
            FieldValue::I64(number) => writeln!(lines, "field {name}  {number}"),
            FieldValue::Name(text) => writeln!(lines, "field {name}  {text}"),
            FieldValue::Digest(digest) => writeln!(lines, "field {name}  digest {digest}"),
        };
    }
    lines.truncate(lines.trim_end().len());
    lines
}
