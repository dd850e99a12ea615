//! What the person at the terminal sees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use graft::audit::{AuditLog, Durability, LogOptions};
use graft::audit::{Reader, State, Verifier};
use graft::core::{Action, Signal, ToolMetadata, Verdict};
use graft::dataflow::{DataFlowMode, SourceKind, explain};
use graft::{Agent, AuditKey, Name, Recorder};

use crate::Failure;
use crate::script::{Driver, Event, Script};

/// A call that was stopped, and why.
pub struct Stopped {
    by_attacker: bool,
    why: String,
}

impl Stopped {
    pub fn new(tool: &str, by_attacker: bool, verdict: &Verdict) -> Result<Self, Failure> {
        Ok(Self { by_attacker, why: explain(verdict, &ToolMetadata::new(Name::new(tool)?)).to_string() })
    }
}

/// How often each signal tripped so far.
pub fn flags(agent: &Agent) -> Vec<(Signal, u64)> {
    let count = |signal| SourceKind::ALL.iter().map(|kind| agent.signal_counts().of(signal, *kind)).sum();
    Signal::ALL.map(|signal| (signal, count(signal))).to_vec()
}

/// The signals that tripped since.
pub fn new_flags(before: &[(Signal, u64)], agent: &Agent) -> Vec<&'static str> {
    let now = flags(agent);
    let rose = before.iter().zip(&now).filter(|(before, now)| now.1 > before.1);
    rose.map(|(_, now)| now.0.as_str()).collect()
}

/// What became of one run.
pub struct RunReport {
    id: String,
    benign: bool,
    needs_person: bool,
    pub calls: usize,
    pub stopped: Vec<Stopped>,
    attacks_made: usize,
    returned: BTreeMap<u64, String>,
    /// Calls whose result was not the one that the data file recorded.
    differs: Vec<u64>,
    /// The signals that tripped in it.
    pub flagged: Vec<&'static str>,
}

impl RunReport {
    pub fn new(script: &Script) -> Self {
        Self {
            id: script.id.clone(),
            benign: script.benign,
            needs_person: script.needs_person,
            calls: 0,
            stopped: Vec::new(),
            attacks_made: 0,
            returned: BTreeMap::new(),
            differs: Vec::new(),
            flagged: Vec::new(),
        }
    }

    pub fn returned(&mut self, n: u64, driver: Driver, seen: String) {
        self.attacks_made += usize::from(driver == Driver::Attacker);
        self.returned.insert(n, seen);
    }

    /// Compares what came back with what the file recorded, as far as nothing was stopped before it.
    pub fn compare(&mut self, events: &[Event]) {
        if !self.stopped.is_empty() {
            return;
        }
        for event in events {
            if let Event::Result { n, text } = event
                && self.returned.get(n).is_some_and(|seen| seen != text)
            {
                self.differs.push(*n);
            }
        }
    }

    fn attack_got_through(&self) -> bool {
        self.attacks_made > 0
    }

    fn honest_call_stopped(&self) -> bool {
        self.stopped.iter().any(|stopped| !stopped.by_attacker)
    }

    pub fn print(&self) {
        let outcome = match (self.benign, self.attack_got_through(), self.honest_call_stopped()) {
            (true, _, false) => "passed".to_owned(),
            (true, _, true) if self.needs_person => "stopped: needs a person, as its file says".to_owned(),
            (true, _, true) => "HONEST RUN STOPPED".to_owned(),
            (false, true, _) if self.attacks_made == 1 => "ATTACK GOT THROUGH (1 call)".to_owned(),
            (false, true, _) => format!("ATTACK GOT THROUGH ({} calls)", self.attacks_made),
            (false, false, _) => "attack stopped".to_owned(),
        };
        println!("{:<28} {:>2} calls  {outcome}", self.id, self.calls);
        if self.stopped.is_empty() && !self.flagged.is_empty() {
            println!("  noticed: {}", self.flagged.join(", "));
        }
        for stopped in &self.stopped {
            println!("  {}", stopped.why.replace('\n', "\n  "));
        }
        if !self.differs.is_empty() {
            println!("  calls {:?} returned something else than the file recorded", self.differs);
        }
    }
}

/// All runs together.
pub struct Summary {
    mode: DataFlowMode,
    runs: Vec<RunReport>,
    log_verifies: bool,
}

impl Summary {
    pub fn new(mode: DataFlowMode) -> Self {
        Self { mode, runs: Vec::new(), log_verifies: false }
    }

    pub fn add(&mut self, run: RunReport) {
        self.runs.push(run);
    }

    /// Prints the table, then closes and verifies the log.
    pub fn finish(&mut self, took: Duration, mut costs: Vec<Duration>, log: Log) -> Result<(), Failure> {
        costs.sort_unstable();
        let at = |percent: usize| {
            let at = (costs.len() * percent).div_ceil(100).saturating_sub(1);
            costs.get(at).map_or("-".to_owned(), |cost| format!("{:.1} µs", cost.as_nanos() as f64 / 1e3))
        };
        let calls: usize = self.runs.iter().map(|run| run.calls).sum();
        let count = |wanted: &dyn Fn(&RunReport) -> bool| self.runs.iter().filter(|run| wanted(run)).count();
        let honest = count(&|run| run.benign);
        let attacks = count(&|run| !run.benign);
        println!();
        for (what, value) in [
            (
                "honest runs passed",
                format!("{} of {honest}", count(&|run| run.benign && !run.honest_call_stopped())),
            ),
            ("honest runs that need a person", self.stopped_for_a_person().to_string()),
            ("attacks stopped", format!("{} of {attacks}", attacks - self.attacks_through())),
            ("a judgement, median", at(50)),
            ("a judgement, 99th percentile", at(99)),
            ("calls a second, each recorded", format!("{:.0}", calls as f64 / took.as_secs_f64())),
        ] {
            println!("{what:<32} {value:>12}");
        }
        println!();
        self.log_verifies = log.finish()?;
        Ok(())
    }

    fn attacks_through(&self) -> usize {
        self.runs.iter().filter(|run| run.attack_got_through()).count()
    }

    fn stopped_for_a_person(&self) -> usize {
        self.runs.iter().filter(|run| run.honest_call_stopped() && run.needs_person).count()
    }

    pub fn exit_code(&self) -> ExitCode {
        let through = self.attacks_through();
        let honest_stopped =
            self.runs.iter().any(|run| run.benign && run.honest_call_stopped() && !run.needs_person);
        let differs = self.runs.iter().any(|run| !run.differs.is_empty());
        if !self.log_verifies || differs {
            return ExitCode::from(1);
        }
        if self.mode != DataFlowMode::Enforce {
            println!("mode {}: {through} attacks got through, as they do in this mode", self.mode.as_str());
            return ExitCode::from(3);
        }
        ExitCode::from(u8::from(through > 0 || honest_stopped))
    }
}

/// The audit log of this process.
pub struct Log {
    log: Arc<AuditLog>,
    key: AuditKey,
    path: PathBuf,
    keep: bool,
}

impl Log {
    /// Creates the log at `path`, with its key beside it, or one that is removed at the end.
    pub fn create(path: Option<&Path>) -> Result<Self, Failure> {
        let key = AuditKey::generate()?;
        let keep = path.is_some();
        let scratch = || std::env::temp_dir().join(format!("guarded_agent-{}.graft-log", std::process::id()));
        let path = path.map_or_else(scratch, Path::to_owned);
        let at = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        if keep {
            let key_path = path.with_extension("key");
            if key_path == path {
                return Err("the log's name must not end in `.key`, which its key's does".into());
            }
            write_key(&key_path, &key).map_err(|error| at(&key_path, &error))?;
        }
        let log = LogOptions::new().durability(Durability::Buffered).create(&path, &key);
        let log = log.map_err(|error| at(&path, &error))?;
        Ok(Self { log: Arc::new(log), key, path, keep })
    }

    pub fn recorder(&self) -> Arc<dyn Recorder> {
        self.log.clone()
    }

    pub fn flush(&self) -> Result<(), Failure> {
        Ok(self.log.flush()?)
    }

    /// Closes and verifies the log, and says what is in it.
    fn finish(self) -> Result<bool, Failure> {
        let log = Arc::into_inner(self.log).ok_or("somebody still writes to the log")?;
        log.close()?;
        let report = Verifier::new().key(self.key.clone()).verify(&self.path)?;
        let mut actions: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in Reader::open(&self.path, self.key)? {
            if let Some(stored) = entry?.into_event() {
                *actions.entry(stored.event.action.as_str()).or_default() += 1;
            }
        }
        let flagged = actions.get(Action::DataflowFlagged.as_str()).copied().unwrap_or(0);
        let blocked = actions.get(Action::DataflowBlocked.as_str()).copied().unwrap_or(0);
        let intact = report.first_bad().is_none() && report.state == State::Closed;
        let verdict = if intact { "verifies" } else { "DOES NOT VERIFY" };
        println!(
            "audit log {verdict}: {} records, {blocked} of them stopped flows, {flagged} flagged ones",
            report.records()
        );
        if self.keep {
            println!("kept as {}, its key beside it", self.path.display());
        } else {
            std::fs::remove_dir_all(&self.path)?;
        }
        Ok(intact)
    }
}

fn write_key(path: &Path, key: &AuditKey) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let hex: String = key.expose_secret().iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(options.open(path)?, "{hex}")?;
    Ok(())
}
