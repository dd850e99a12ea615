//! `graft audit list`: one record at a time, so that memory does not grow with the log.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use graft_audit::{AuditKey, Break, StoredEvent};
use graft_core::Signals;
use serde_json::json;

use super::time::rfc3339;
use super::{break_json, damage, ending, open};
use crate::Format;
use crate::failure::Failure;
use crate::output::unless_reader_left;

pub(super) fn run(log: &Path, key: &AuditKey, format: Format) -> Result<ExitCode, Failure> {
    let mut lines = graft_audit::read(open(log)?, key).map(|stored| match stored {
        Ok(stored) => Ok(Line::Record(stored)),
        Err(error) => damage(log, error).map(Line::Stop),
    });
    // Before anything is printed: a log that cannot be read at all has no list.
    let first = lines.next().transpose()?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut printed = header(&mut out, format);
    let mut first_bad = None;
    for line in first.map(Ok).into_iter().chain(lines) {
        let line = line?;
        printed = printed.and_then(|()| line.print(&mut out, format));
        if printed.is_err() {
            break;
        }
        if let Line::Stop(found) = line {
            first_bad = Some(found);
        }
    }
    printed.and_then(|()| out.flush()).or_else(unless_reader_left)?;
    Ok(ending(log, first_bad.as_ref()))
}

/// One line of the list.
enum Line {
    Record(StoredEvent),
    /// Where the log stops verifying: the last line.
    Stop(Break),
}

impl Line {
    fn print(&self, out: &mut impl Write, format: Format) -> io::Result<()> {
        match (self, format) {
            (Self::Record(stored), Format::Table) => row(out, &cells(stored)),
            (Self::Record(stored), Format::Json) => record_json(out, stored),
            (Self::Stop(found), Format::Table) => {
                writeln!(out, "-- not intact: {found}\n-- what stands behind it is not listed")
            }
            (Self::Stop(found), Format::Json) => {
                writeln!(out, "{}", json!({ "intact": false, "first_bad": break_json(found) }))
            }
        }
    }
}

const COLUMNS: [&str; 12] = [
    "seq", "time", "actor", "action", "target", "ending", "run", "call", "decision", "signals", "code",
    "intent",
];

/// Widths that common records fit. A cell that is longer moves those behind it: the whole log would have to
/// be read, and twice, to know better.
const WIDTHS: [usize; 12] = [6, 24, 16, 26, 24, 7, 8, 4, 10, 18, 23, 6];

fn header(out: &mut impl Write, format: Format) -> io::Result<()> {
    match format {
        Format::Table => row(out, &COLUMNS.map(str::to_owned)),
        Format::Json => Ok(()),
    }
}

fn row(out: &mut impl Write, cells: &[String; 12]) -> io::Result<()> {
    let padded = cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:<width$}"));
    writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())
}

/// Numbers, fixed words and `Name`s, whose alphabet is letters, digits and `._-:/@`: nothing in a log can
/// steer a terminal or break a line. The reader refuses a record whose texts are not names, even one that
/// was sealed with the right key.
fn cells(stored: &StoredEvent) -> [String; 12] {
    let event = &stored.event;
    let signals = signal_words(event.signals);
    [
        stored.seq.0.to_string(),
        rfc3339(event.time),
        event.actor.to_string(),
        event.action.as_str().to_owned(),
        event.target.to_string(),
        event.ending.as_str().to_owned(),
        or_dash(event.run.map(|run| run.to_string()[..8].to_owned())),
        or_dash(event.call),
        or_dash(event.decision.map(|decision| decision.as_str())),
        or_dash((!signals.is_empty()).then(|| signals.join(","))),
        or_dash(event.code.as_ref()),
        or_dash(event.intent.map(|intent| intent.0)),
    ]
}

fn signal_words(signals: Signals) -> Vec<&'static str> {
    signals.iter().map(|signal| signal.as_str()).collect()
}

fn or_dash(cell: Option<impl Display>) -> String {
    cell.map_or_else(|| "-".to_owned(), |cell| cell.to_string())
}

fn record_json(out: &mut impl Write, stored: &StoredEvent) -> io::Result<()> {
    let event = &stored.event;
    let policy =
        event.policy.map(|digest| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let record = json!({
        "seq": stored.seq.0,
        "leaf": stored.leaf.to_string(),
        "time": rfc3339(event.time),
        "actor": event.actor,
        "action": event.action.as_str(),
        "target": event.target,
        "ending": event.ending.as_str(),
        "run": event.run.map(|run| run.to_string()),
        "call": event.call.map(|call| call.0),
        "trace": event.trace.map(|trace| trace.to_string()),
        "intent": event.intent.map(|intent| intent.0),
        "decision": event.decision.map(|decision| decision.as_str()),
        "signals": signal_words(event.signals),
        "code": event.code,
        "policy": policy,
    });
    writeln!(out, "{record}")
}
