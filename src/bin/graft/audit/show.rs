//! `graft audit show`: one record and everything that is in it.

use std::fmt::Write;
use std::process::ExitCode;

use graft_audit::{AuditError, JsonLines, Rfc3339, StoredEvent};
use graft_core::{FieldValue, Seq};

use super::args::{FormatArgs, LogArgs};
use super::ending;
use super::rows::{or_dash, signal_words};
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
    let log = args.log.open()?;
    let search = log.search()?;
    match search.record(Seq(args.seq)) {
        Ok(Some(stored)) => {
            output::print(text(&stored, args.format.format)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(None) => {
            let size = search.size().map_err(|error| log.failure(error))?;
            let (path, seq) = (args.log.path(), args.seq);
            if seq < size {
                return Err(Failure::file(
                    path,
                    format!("what record {seq} said is not there: it was erased, pruned, or no key opens it"),
                ));
            }
            let noun = if size == 1 { "record" } else { "records" };
            Err(Failure::file(
                path,
                format!("it has {size} {noun}, numbered from 0, and none with number {seq}"),
            ))
        }
        Err(AuditError::Broken(found)) => Ok(ending(args.log.path(), Some(&found))),
        Err(error) => Err(log.failure(error)),
    }
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
