//! Records on standard output: as a table for people, with colours on a terminal, or as lines of JSON.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use graft_audit::{Break, JsonLines, Rfc3339, StoredEvent};
use graft_core::{Ending, Signals};
use serde_json::json;

use super::break_json;
use super::source::Found;
use crate::Format;
use crate::failure::Failure;
use crate::output::unless_reader_left;

/// Where records are printed to.
pub(super) struct Rows {
    out: BufWriter<StdoutLock<'static>>,
    format: Format,
    json: JsonLines,
    coloured: bool,
}

impl Rows {
    /// Nothing is printed yet.
    pub(super) fn new(format: Format, json: JsonLines) -> Self {
        let out = io::stdout().lock();
        // https://no-color.org
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        let coloured = wanted && out.is_terminal();
        Self { out: BufWriter::new(out), format, json, coloured }
    }

    /// The heads of the columns; lines of JSON have none.
    pub(super) fn header(&mut self) -> io::Result<()> {
        match self.format {
            Format::Table => self.row(&COLUMNS.map(str::to_owned), ""),
            Format::Json => Ok(()),
        }
    }

    pub(super) fn print(&mut self, found: &Found) -> io::Result<()> {
        match (found, self.format) {
            (Found::Record(stored), Format::Table) => self.row(&cells(stored), colour(stored.event.ending)),
            (Found::Record(stored), Format::Json) => self.json.write(stored, &mut self.out),
            (Found::Bad(found), Format::Table) => {
                let end = self.paint(RED)?;
                writeln!(self.out, "-- not intact: {found}{end}")
            }
            (Found::Bad(found), Format::Json) => {
                writeln!(self.out, "{}", json!({ "intact": false, "first_bad": break_json(found) }))
            }
        }
    }

    /// What was printed is seen now, and not when there is more.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn row(&mut self, cells: &[String; 12], colour: &'static str) -> io::Result<()> {
        let end = self.paint(colour)?;
        let padded = cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(self.out, "{}{end}", padded.collect::<Vec<_>>().join("  ").trim_end())
    }

    /// Begins a colour, if there are any, and returns what ends it.
    fn paint(&mut self, colour: &'static str) -> io::Result<&'static str> {
        if !self.coloured || colour.is_empty() {
            return Ok("");
        }
        self.out.write_all(colour.as_bytes())?;
        Ok("\x1b[0m")
    }
}

const RED: &str = "\x1b[31m";

fn colour(ending: Ending) -> &'static str {
    match ending {
        Ending::Ok => "",
        Ending::Pending => "\x1b[2m",
        Ending::Failed => "\x1b[33m",
        Ending::Denied => RED,
    }
}

/// Prints everything `found`, until it ends or nobody reads on, and returns the first bad place.
pub(super) fn print_all(
    rows: &mut Rows,
    found: impl Iterator<Item = Result<Found, Failure>>,
) -> Result<Option<Break>, Failure> {
    let mut first_bad = None;
    let mut printed = rows.header();
    for found in found {
        let found = found?;
        printed = printed.and_then(|()| rows.print(&found));
        if printed.is_err() {
            break;
        }
        if let Found::Bad(bad) = found {
            first_bad.get_or_insert(bad);
        }
    }
    printed.and_then(|()| rows.flush()).or_else(unless_reader_left)?;
    Ok(first_bad)
}

const COLUMNS: [&str; 12] = [
    "seq", "time", "actor", "action", "target", "ending", "run", "call", "decision", "signals", "code",
    "intent",
];

/// Widths that common records fit. A cell that is longer moves those behind it: the whole log would have to
/// be read, and twice, to know better.
const WIDTHS: [usize; 12] = [6, 24, 16, 26, 24, 7, 8, 4, 10, 18, 23, 6];

/// Numbers, fixed words and `Name`s, whose alphabet is letters, digits and `._-:/@`: nothing in a log can
/// steer a terminal or break a line. The reader refuses a record whose texts are not names, even one that
/// was sealed with the right key.
fn cells(stored: &StoredEvent) -> [String; 12] {
    let event = &stored.event;
    [
        stored.seq.0.to_string(),
        format!("{:.3}", Rfc3339(event.time)),
        event.actor.to_string(),
        event.action.as_str().to_owned(),
        event.target.to_string(),
        event.ending.as_str().to_owned(),
        or_dash(event.run.map(|run| run.to_string()[..8].to_owned())),
        or_dash(event.call),
        or_dash(event.decision.map(|decision| decision.as_str())),
        or_dash(signal_words(event.signals)),
        or_dash(event.code.as_ref()),
        or_dash(event.intent.map(|intent| intent.0)),
    ]
}

pub(super) fn signal_words(signals: Signals) -> Option<String> {
    let words: Vec<_> = signals.iter().map(|signal| signal.as_str()).collect();
    (!words.is_empty()).then(|| words.join(","))
}

pub(super) fn or_dash(cell: Option<impl Display>) -> String {
    cell.map_or_else(|| "-".to_owned(), |cell| cell.to_string())
}
