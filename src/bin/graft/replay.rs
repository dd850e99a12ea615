//! `graft replay`: what would the policy have said?

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use graft::SystemClock;
use graft_security::dataflow::files::{
    Registry, ReplayOptions, Report, Run, Runs, SuiteReport, read_policy, replay, verdict_line,
};
use graft_security::dataflow::{DataFlowMode, DataFlowPolicy, OnDoubt};

use crate::failure::Failure;
use crate::{Format, table};

/// Feed recorded runs through ledger and policy, with no call executed.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tools' labels; without it, registry_NAME.json beside each file of runs.
    #[arg(long, value_name = "FILE")]
    registry: Option<PathBuf>,
    /// The policy, TOML or JSON; without it, the default profile.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Overrides the policy's mode; without either, enforce.
    #[arg(long)]
    mode: Option<Mode>,
    /// Overrides what happens with doubtful calls; without either, block.
    #[arg(long, value_name = "WHAT")]
    on_doubt: Option<Doubt>,
    /// How the counts are printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Writes one JSON object a line for each judged call. Holds no values.
    #[arg(long, value_name = "FILE")]
    verdicts: Option<PathBuf>,
    /// Files of recorded runs.
    #[arg(required = true, value_name = "RUNS.jsonl")]
    runs: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Off,
    Shadow,
    Enforce,
}

#[derive(Clone, Copy, ValueEnum)]
enum Doubt {
    Block,
    Ask,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let policy = policy(args)?;
    let mut verdicts = args.verdicts.as_deref().map(Unfinished::create).transpose()?;
    let mut registries = Registries { given: args.registry.as_deref(), read: BTreeMap::new() };
    let mut report = Report::default();
    let mut ids = HashSet::new();
    let mut unknown_fields = 0;
    let clock = SystemClock::new();
    let progress = std::io::stderr().is_terminal();
    for path in &args.runs {
        let file = File::open(path).map_err(|error| Failure::io(path, "read", &error))?;
        let mut runs = Runs::new(path.display().to_string(), BufReader::new(file));
        while let Some(run) = runs.next() {
            let run = run.map_err(Failure::new)?;
            if !ids.insert(run.id.clone()) {
                let at = format!("{}, line {}", path.display(), runs.line());
                return Err(Failure::new(format!(
                    "{at}: the run's `id` was used before; each run has its own"
                )));
            }
            unknown_fields += run.unknown_fields;
            let registry = registries.of(path, &run, runs.line())?;
            let replayed = replay(&run.input, &ReplayOptions { policy: &policy, registry, clock: &clock });
            report.add(&replayed, &run.scoring);
            if let Some(verdicts) = &mut verdicts {
                for judged in &replayed.judged {
                    verdicts.line(&verdict_line(&run.id, judged).to_string())?;
                }
            }
            if progress && ids.len() % 64 == 0 {
                eprint!("\r{} runs", ids.len());
            }
        }
    }
    if progress {
        eprint!("\r\x1b[K");
    }
    if unknown_fields > 0 {
        eprintln!("graft: {unknown_fields} fields of the runs are not of this format and were ignored");
    }
    if let Some(verdicts) = verdicts {
        verdicts.finish()?;
    }
    match args.format {
        Format::Json => println!("{}", report.to_json()),
        Format::Table => print(&report, &policy),
    }
    Ok(ExitCode::SUCCESS)
}

fn policy(args: &Args) -> Result<DataFlowPolicy, Failure> {
    let mut policy = match &args.policy {
        Some(path) => read_policy(&path.display().to_string(), &read(path)?).map_err(Failure::new)?,
        None => DataFlowPolicy::new(DataFlowMode::Enforce),
    };
    if let Some(mode) = args.mode {
        policy = policy.with_mode(match mode {
            Mode::Off => DataFlowMode::Off,
            Mode::Shadow => DataFlowMode::Shadow,
            Mode::Enforce => DataFlowMode::Enforce,
        });
    }
    if let Some(doubt) = args.on_doubt {
        policy = policy.on_doubt(match doubt {
            Doubt::Block => OnDoubt::Block,
            Doubt::Ask => OnDoubt::Ask,
        });
    }
    Ok(policy)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::io(path, "read", &error))
}

/// The registries that the runs name, each read once.
struct Registries<'a> {
    given: Option<&'a Path>,
    read: BTreeMap<PathBuf, Registry>,
}

impl Registries<'_> {
    fn of(&mut self, runs: &Path, run: &Run, line: usize) -> Result<&Registry, Failure> {
        let path = match (self.given, &run.input.registry) {
            (Some(given), _) => given.to_owned(),
            (None, Some(name)) if is_plain(name) => runs.with_file_name(format!("registry_{name}.json")),
            (None, name) => {
                let what = if name.is_none() { "is missing" } else { "must be a plain name" };
                let at = format!("{}, line {line}", runs.display());
                return Err(Failure::new(format!("{at}: `registry` {what}; or give one with --registry")));
            }
        };
        if !self.read.contains_key(&path) {
            let registry =
                Registry::parse(&path.display().to_string(), &read(&path)?).map_err(Failure::new)?;
            let unlabelled: Vec<&str> = registry.unlabelled_sinks().collect();
            if !unlabelled.is_empty() {
                eprintln!(
                    "graft: {}: no argument of these sinks has a role, so they are judged as a whole: {}",
                    path.display(),
                    unlabelled.join(", ")
                );
            }
            self.read.insert(path.clone(), registry);
        }
        Ok(&self.read[&path])
    }
}

/// A name that stays in its folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// A file that appears under its name only once it is complete.
struct Unfinished {
    target: PathBuf,
    part: PathBuf,
    writer: BufWriter<File>,
    finished: bool,
}

impl Unfinished {
    fn create(target: &Path) -> Result<Self, Failure> {
        let mut part = target.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(|error| Failure::io(target, "written", &error))?;
        Ok(Self { target: target.to_owned(), part, writer: BufWriter::new(file), finished: false })
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.writer, "{line}").map_err(|error| Failure::io(&self.target, "written", &error))
    }

    fn finish(mut self) -> Result<(), Failure> {
        let written = self.writer.flush().and_then(|()| std::fs::rename(&self.part, &self.target));
        self.finished = written.is_ok();
        written.map_err(|error| Failure::io(&self.target, "written", &error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

fn print(report: &Report, policy: &DataFlowPolicy) {
    let header = ["suite", "runs", "judged", "honest", "stopped", "asked", "attacks", "stopped", "asked"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    if policy.mode() == DataFlowMode::Shadow {
        rows[0].push("flagged".to_owned());
    }
    let row = |suite: &SuiteReport| {
        let mut cells = vec![suite.suite.clone()];
        let counts = [
            suite.runs,
            suite.judged,
            suite.benign,
            suite.benign_blocked,
            suite.benign_asked,
            suite.attacks,
            suite.attacks_stopped,
            suite.attacks_asked,
        ];
        cells.extend(counts.map(|count| count.to_string()));
        if policy.mode() == DataFlowMode::Shadow {
            cells.push(suite.runs_with_flag.to_string());
        }
        cells
    };
    rows.extend(report.suites().map(row));
    rows.push(row(report.total()));
    table::print(&rows);
    println!(
        "\nmode {}; a judgement took {:.1} µs at the median, {:.1} µs at the 99th percentile",
        policy.mode().as_str(),
        report.cost(50).as_nanos() as f64 / 1e3,
        report.cost(99).as_nanos() as f64 / 1e3,
    );
}
