//! `graft replay`: what would the policy have said?

mod progress;
mod verdicts;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use graft::SystemClock;
use graft_security::dataflow::files::{
    MAX_LINE, Plans, Registry, ReplayOptions, Report, Run, Runs, SuiteReport, read_policy, replay,
    verdict_line,
};
use graft_security::dataflow::{DataFlowMode, DataFlowPolicy, OnDoubt};

use crate::failure::Failure;
use crate::{Format, input, output, table};
use progress::Progress;
use verdicts::Verdicts;

/// The longest name of a suite that a table shows, in characters.
const MAX_SUITE: usize = 40;

/// Feed recorded runs through ledger and policy, with no call executed.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tools' labels; without it, registry_NAME.json beside each file of runs.
    #[arg(long, value_name = "FILE")]
    registry: Option<PathBuf>,
    /// Plans of the runs, one JSON object a line; may be given more than once.
    #[arg(long, value_name = "FILE")]
    plans: Vec<PathBuf>,
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
    let verdicts = args.verdicts.as_deref().map(|target| Verdicts::create(target, args.inputs()));
    let mut verdicts = verdicts.transpose()?;
    let mut registries = Registries { given: args.registry.as_deref(), read: BTreeMap::new() };
    let mut plans = Plans::default();
    for path in &args.plans {
        let bytes = input::read(path, MAX_LINE)?;
        plans.read(&path.display().to_string(), &bytes).map_err(Failure::new)?;
    }
    let mut report = Report::default();
    let mut ids = HashSet::new();
    let mut unknown_fields = 0;
    let mut unknown_tools = 0;
    let clock = SystemClock::new();
    let mut progress = Progress::new();
    for path in &args.runs {
        let file = File::open(path).map_err(|error| Failure::io(path, "read", &error))?;
        let mut runs = Runs::new(path.display().to_string(), BufReader::new(file));
        while let Some(run) = runs.next() {
            let mut run = run.map_err(Failure::new)?;
            if !ids.insert(run.id.clone()) {
                let what = "the run's `id` was used before; each run has its own";
                return Err(at(path, runs.line(), what));
            }
            if let Some(plan) = plans.take(&run.id)
                && run.input.plan.replace(plan).is_some()
            {
                let what = "the run has a `plan`, and --plans gives another; keep one";
                return Err(at(path, runs.line(), what));
            }
            unknown_fields += run.unknown_fields;
            let registry = registries.of(path, &run, runs.line())?;
            let replayed = replay(&run.input, &ReplayOptions { policy: &policy, registry, clock: &clock });
            unknown_tools += replayed.unknown_tools;
            report.add(&replayed, &run.scoring);
            if let Some(verdicts) = &mut verdicts {
                for judged in &replayed.judged {
                    verdicts.line(&verdict_line(&run.id, judged).to_string())?;
                }
            }
            progress.show(ids.len());
        }
    }
    drop(progress);
    if let Some(verdicts) = verdicts {
        verdicts.finish()?;
    }
    // Only now: a replay that fails says why, and nothing else.
    registries.note_unlabelled();
    if unknown_fields > 0 {
        let what = if unknown_fields == 1 { "field of the runs is" } else { "fields of the runs are" };
        output::note(&format!("{unknown_fields} {what} not of this format and ignored"));
    }
    if unknown_tools > 0 {
        let what = if unknown_tools == 1 { "call was" } else { "calls were" };
        output::note(&format!("{unknown_tools} {what} of a tool that the registry lacks, and not judged"));
    }
    if plans.left() > 0 {
        let what = if plans.left() == 1 { "plan is" } else { "plans are" };
        output::note(&format!("{} {what} for runs that were not replayed", plans.left()));
    }
    match args.format {
        Format::Json => output::print(report.to_json())?,
        Format::Table => output::print(rendered(&report, policy.mode()))?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn inputs(&self) -> impl Iterator<Item = &Path> {
        self.runs.iter().chain(&self.registry).chain(&self.plans).chain(&self.policy).map(PathBuf::as_path)
    }
}

fn at(path: &Path, line: usize, what: &str) -> Failure {
    Failure::new(format!("{}, line {line}: {what}", path.display()))
}

fn policy(args: &Args) -> Result<DataFlowPolicy, Failure> {
    let mut policy = match &args.policy {
        Some(path) => {
            read_policy(&path.display().to_string(), &input::read(path, MAX_LINE)?).map_err(Failure::new)?
        }
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
            (None, Some(_)) => {
                let what = "`registry` must be letters, digits, `_` and `-`; or give a file with --registry";
                return Err(at(runs, line, what));
            }
            (None, None) => {
                return Err(at(runs, line, "`registry` is missing; add it, or give a file with --registry"));
            }
        };
        if !self.read.contains_key(&path) {
            let bytes = input::read(&path, MAX_LINE)?;
            let registry = Registry::parse(&path.display().to_string(), &bytes).map_err(Failure::new)?;
            self.read.insert(path.clone(), registry);
        }
        Ok(&self.read[&path])
    }

    fn note_unlabelled(&self) {
        for (path, registry) in &self.read {
            let unlabelled: Vec<&str> = registry.unlabelled_sinks().collect();
            if !unlabelled.is_empty() {
                output::note(&format!(
                    "{}: no argument of these sinks has a role, so they are judged as a whole: {}",
                    path.display(),
                    unlabelled.join(", ")
                ));
            }
        }
    }
}

/// A name that stays in its folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// The counts for people.
fn rendered(report: &Report, mode: DataFlowMode) -> String {
    let header = ["suite", "runs", "judged", "honest", "stopped", "asked", "attacks", "stopped", "asked"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    if mode == DataFlowMode::Shadow {
        rows[0].push("flagged".to_owned());
    }
    let row = |suite: &SuiteReport| {
        let mut cells = vec![shown(&suite.suite)];
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
        if mode == DataFlowMode::Shadow {
            cells.push(suite.runs_with_flag.to_string());
        }
        cells
    };
    rows.extend(report.suites().map(row));
    rows.push(row(report.total()));
    if mode == DataFlowMode::Off {
        return format!("{}\nmode off: nothing was judged", table::render(&rows));
    }
    format!(
        "{}\nmode {}; a judgement took {:.1} µs at the median, {:.1} µs at the 99th percentile",
        table::render(&rows),
        mode.as_str(),
        report.cost(50).as_nanos() as f64 / 1e3,
        report.cost(99).as_nanos() as f64 / 1e3,
    )
}

/// The name of a suite as it fits a column. It is text from the runs.
fn shown(suite: &str) -> String {
    let plain = output::plain(suite);
    match plain.char_indices().nth(MAX_SUITE) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain,
    }
}
