//! `graft audit verify`: is the log as it was written, and as it was when somebody kept its state?

use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use graft_audit::{AnchorCheck, AnchorFound, Depth, NO_ANCHOR, Progress, State, Verifier, VerifyReport};
use serde_json::{Value, json};

use super::args::{AnchorArgs, FormatArgs, keys};
use super::source::Log;
use super::{break_json, ending};
use crate::failure::Failure;
use crate::{Format, output};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder of the audit log. It is only read.
    #[arg(long, value_name = "FOLDER")]
    log: PathBuf,
    /// The key of the log: a file of 64 hexadecimal digits that nobody else may read.
    ///
    /// Without it only the structure is checked: damage, loss and disorder show, but a log that
    /// somebody made anew from its first byte does not. May be given several times, for a log whose key was
    /// changed.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Goes on behind a place that does not verify, and reports each.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    anchors: AnchorArgs,
    /// How many segments are checked at a time; as many as there are processors, unless said otherwise.
    #[arg(long, value_name = "NUMBER")]
    threads: Option<usize>,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let log = Log::new(&args.log, keys(&args.key)?);
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let shown = Shown::new();
    let show = |progress| shown.show(progress);
    let mut verifier =
        Verifier::new().keys(log.keys.clone()).all(args.all).threads(threads.unwrap_or(1)).progress(&show);
    for anchor in args.anchors.heads(&log)? {
        verifier = verifier.anchor(anchor);
    }
    let report = verifier.verify_files(&log.files);
    drop(verifier);
    shown.clear();
    let report = log.judged(report.map_err(|error| log.failure(error))?)?;
    output::print(rendered(&report, args.format.format))?;
    Ok(status(args, &report))
}

fn status(args: &Args, report: &VerifyReport) -> ExitCode {
    let behind = |check: &&AnchorCheck| matches!(check.found, AnchorFound::RolledBack | AnchorFound::Forked);
    let Some(check) = report.anchors.iter().find(behind) else {
        let torn = report.torn.as_ref().map(|torn| &torn.first_bad);
        return ending(&args.log, report.first_bad().or(torn));
    };
    let size = check.anchor.size;
    output::note(&format!(
        "{}: the log does not extend the state of {size} records that was kept elsewhere; keep a copy of it before anything writes to it",
        args.log.display()
    ));
    ExitCode::FAILURE
}

fn rendered(report: &VerifyReport, format: Format) -> String {
    match format {
        Format::Table => report.to_string(),
        Format::Json => json!({
            "log": report.log.map(|log| log.to_string()),
            "depth": match report.depth {
                Depth::Structure => "structure",
                Depth::LastSegment => "last-segment",
                Depth::Sealed => "sealed",
            },
            "intact": report.first_bad().is_none() && report.torn.is_none(),
            "state": match report.state {
                State::Closed => "closed",
                State::Open => "open",
                State::Cut => "cut",
            },
            "first_seq": report.first_seq,
            "records": report.records(),
            "segments": report.segments,
            "size": report.head.size,
            "root": report.head.root.to_string(),
            "last_leaf": report.last_leaf.to_string(),
            "erased": report.erased_in_all,
            "torn": report.torn.as_ref().map(|torn| json!({ "segment": torn.segment, "offset": torn.offset, "length": torn.length })),
            "first_bad": report.first_bad().map(break_json),
            "breaks": report.breaks.iter().map(break_json).collect::<Vec<_>>(),
            "breaks_in_all": report.breaks_in_all,
            "anchors": report.anchors.iter().map(anchor_json).collect::<Vec<_>>(),
            "anchor": report.anchors.is_empty().then_some(NO_ANCHOR),
        })
        .to_string(),
    }
}

fn anchor_json(check: &AnchorCheck) -> Value {
    let found = match check.found {
        AnchorFound::Extended => "extended",
        AnchorFound::RolledBack => "rolled-back",
        AnchorFound::Forked => "forked",
        AnchorFound::Pruned => "pruned",
        AnchorFound::NotReached => "not-reached",
        _ => "unknown",
    };
    json!({ "size": check.anchor.size, "root": check.anchor.root.to_string(), "found": found })
}

/// How far it has come, on a terminal, at most ten times a second.
struct Shown(Option<Mutex<Instant>>);

impl Shown {
    fn new() -> Self {
        Self(stderr().is_terminal().then(|| Mutex::new(Instant::now())))
    }

    fn show(&self, progress: Progress) {
        // Another thread is showing it.
        let Some(mut last) = self.0.as_ref().and_then(|last| last.try_lock().ok()) else { return };
        if last.elapsed() >= Duration::from_millis(100) {
            *last = Instant::now();
            let Progress { segments, of_segments, records, bytes, .. } = progress;
            let _ = write!(
                stderr(),
                "\r{segments} of {of_segments} segments, {records} records, {} MiB",
                bytes >> 20
            );
        }
    }

    fn clear(&self) {
        if self.0.is_some() {
            // Spaces, since not every terminal knows escapes.
            let _ = write!(stderr(), "\r{:1$}\r", "", 76);
        }
    }
}
