//! A small harness: cases of one group run in turns, so that noise of the machine hits the floor and what is
//! compared with it alike, and each figure is the median over rounds.
//!
//! `--quick` runs few short rounds (for CI), `--format json` prints one line of JSON, and `--only WORD` runs
//! the cases whose name has the word, for a look with a profiler. Whatever else stands on
//! the command line, such as cargo's own `--bench`, is ignored.

#![allow(dead_code)] // each bench uses its part of this

mod bars;
pub(crate) mod text;

use std::time::{Duration, Instant};

pub(crate) use bars::Bar;
use bars::Turns;
use serde_json::{Value, json};

/// Whatever ends a bench early.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One bench: what the command line asked for, and what was measured so far.
pub(crate) struct Bench {
    json: bool,
    quick: bool,
    only: Option<String>,
    /// How often each case runs, and for how long.
    rounds: (usize, Duration),
    cpu_clock: Option<fn() -> Duration>,
    groups: Vec<Value>,
    /// Bars that were met, and a line for each that was missed.
    met: usize,
    missed: Vec<String>,
}

/// One thing to measure. Its body does [`Round::iterations`] operations and says how long they took.
pub(crate) struct Case<'a> {
    name: String,
    /// Bytes that one operation handles, for a rate.
    bytes: usize,
    /// Whether the others are shown in relation to it too. The first case always is one.
    is_base: bool,
    bars: Vec<Bar>,
    body: Box<Body<'a>>,
}

type Body<'a> = dyn FnMut(&mut Round) -> Result<(), Failure> + 'a;

/// One turn of one case.
#[derive(Default)]
pub(crate) struct Round {
    iterations: u64,
    /// How many operations were done, where that is not `iterations`.
    done: u64,
    took: Duration,
    singles: Vec<Duration>,
    cpu_clock: Option<fn() -> Duration>,
    cpu: Duration,
}

/// Time and CPU time of this process since [`Round::start`].
pub(crate) struct Stopwatch(Instant, Option<Duration>);

impl Round {
    /// How many operations to do.
    pub(crate) fn iterations(&self) -> u64 {
        self.iterations
    }

    /// Adds the time that operations took together; preparation between them does not count.
    pub(crate) fn took(&mut self, took: Duration) {
        self.took += took;
    }

    /// Times all operations together: for what is too short to be timed alone.
    pub(crate) fn together<T, E>(&mut self, mut operation: impl FnMut() -> Result<T, E>) -> Result<(), E> {
        let start = self.start();
        for _ in 0..self.iterations {
            std::hint::black_box(operation()?);
        }
        self.stop(start, self.iterations);
        Ok(())
    }

    /// Times each operation alone, for percentiles. The two looks at the clock count, some 50 ns.
    pub(crate) fn each<T, E>(&mut self, mut operation: impl FnMut() -> Result<T, E>) -> Result<(), E> {
        for _ in 0..self.iterations {
            let start = Instant::now();
            std::hint::black_box(operation()?);
            self.single(start.elapsed());
        }
        Ok(())
    }

    /// Makes room for the times of so many operations.
    pub(crate) fn expect(&mut self, operations: u64) {
        self.singles.reserve(operations as usize);
    }

    /// Adds the time that one operation took alone.
    pub(crate) fn single(&mut self, took: Duration) {
        self.took += took;
        self.singles.push(took);
    }

    /// Adds so many operations that took so long together, where that many are not what was asked for.
    pub(crate) fn did(&mut self, operations: u64, took: Duration) {
        self.took += took;
        self.done += operations;
    }

    /// Starts a clock for many operations.
    pub(crate) fn start(&self) -> Stopwatch {
        let cpu = self.cpu_clock.map(|clock| clock());
        Stopwatch(Instant::now(), cpu)
    }

    /// Adds what passed since `start`, in which so many operations were done.
    pub(crate) fn stop(&mut self, start: Stopwatch, operations: u64) {
        self.took += start.0.elapsed();
        if let (Some(clock), Some(before)) = (self.cpu_clock, start.1) {
            self.cpu += clock().saturating_sub(before);
        }
        self.done += operations;
    }

    /// Nanoseconds of CPU time for an operation, where they were measured.
    fn cpu(&self) -> Option<f64> {
        (self.cpu > Duration::ZERO).then(|| nanoseconds(&self.cpu) / self.done as f64)
    }

    /// Nanoseconds for an operation: the median if they were timed alone, else the mean; and the 99th
    /// percentile of the former.
    fn figures(&mut self) -> (f64, Option<f64>) {
        self.singles.sort_unstable();
        let at = |percent: usize| self.singles.get(self.singles.len() * percent / 100).map(nanoseconds);
        let operations = if self.done > 0 { self.done } else { self.iterations };
        (at(50).unwrap_or(nanoseconds(&self.took) / operations as f64), at(99))
    }
}

impl<'a> Case<'a> {
    /// A case by name.
    pub(crate) fn new(
        name: impl Into<String>,
        body: impl FnMut(&mut Round) -> Result<(), Failure> + 'a,
    ) -> Self {
        Self { name: name.into(), bytes: 0, is_base: false, bars: Vec::new(), body: Box::new(body) }
    }

    /// The same, an operation of which handles this many bytes.
    pub(crate) fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// The same under another name.
    pub(crate) fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Whether this is its name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// The same, to which the others are compared.
    pub(crate) fn base(self) -> Self {
        Self { is_base: true, ..self }
    }

    /// The same, held to these bars. One that speaks of a case that does not run is left out.
    pub(crate) fn bars(self, bars: impl Into<Vec<Bar>>) -> Self {
        Self { bars: bars.into(), ..self }
    }

    fn run(&mut self, iterations: u64, cpu_clock: Option<fn() -> Duration>) -> Result<Round, Failure> {
        let mut round = Round { iterations: iterations.max(1), cpu_clock, ..Round::default() };
        (self.body)(&mut round).map_err(|failure| format!("{}: {failure}", self.name))?;
        Ok(round)
    }

    /// Warms up, and finds how many operations fill `time`.
    fn calibrate(&mut self, time: Duration) -> Result<u64, Failure> {
        self.run(1, None)?; // for what is made once
        let mut iterations = 1;
        loop {
            let took = self.run(iterations, None)?.took.max(Duration::from_nanos(1));
            let fitting = iterations as f64 * time.as_secs_f64() / took.as_secs_f64();
            if took * 4 >= time {
                return Ok((fitting as u64).max(1));
            }
            iterations = (fitting as u64).clamp(iterations + 1, iterations * 16);
        }
    }
}

impl Bench {
    /// Begins a bench by what the command line says.
    pub(crate) fn from_args() -> Self {
        let args: Vec<String> = std::env::args().collect();
        let json = args.windows(2).any(|pair| pair == ["--format", "json"])
            || args.iter().any(|arg| arg == "--format=json");
        let only = args.iter().skip_while(|arg| *arg != "--only").nth(1).cloned();
        let quick = args.iter().any(|arg| arg == "--quick");
        let rounds = if quick { (3, Duration::from_millis(5)) } else { (11, Duration::from_millis(60)) };
        Self { json, quick, only, rounds, cpu_clock: None, groups: Vec::new(), met: 0, missed: Vec::new() }
    }

    /// The same with so many rounds of so long for each case, unless it is to be quick.
    pub(crate) fn with_rounds(self, rounds: usize, time: Duration) -> Self {
        if self.quick { self } else { Self { rounds: (rounds, time), ..self } }
    }

    /// The same, which also measures CPU time, on a clock that shows what this process has used.
    pub(crate) fn with_cpu_clock(self, clock: fn() -> Duration) -> Self {
        Self { cpu_clock: Some(clock), ..self }
    }

    /// Whether it is to be quick.
    pub(crate) fn is_quick(&self) -> bool {
        self.quick
    }

    /// Measures cases against the first of them, which is the floor or the rival, and against the other bases.
    pub(crate) fn compare(&mut self, title: &str, mut cases: Vec<Case<'_>>) -> Result<(), Failure> {
        cases.retain(|case| self.only.as_ref().is_none_or(|word| case.name.contains(word)));
        let Some(first) = cases.first_mut() else { return Ok(()) };
        first.is_base = true;
        let (rounds, time) = self.rounds;
        let mut counts = Vec::new();
        for case in &mut cases {
            counts.push(case.calibrate(time)?);
        }
        let mut turns: Vec<Turns> = cases.iter().map(|_| Turns::default()).collect();
        for _ in 0..rounds {
            for (at, case) in cases.iter_mut().enumerate() {
                turns[at].add(case.run(counts[at], self.cpu_clock)?);
            }
        }
        let rows: Vec<Value> = (0..cases.len()).map(|at| bars::row(&cases, &turns, at)).collect();
        if !self.json {
            bars::show(title, &rows);
        }
        for bar in rows.iter().flat_map(|row| row["bars"].as_array().into_iter().flatten()) {
            self.judge(title, bar);
        }
        self.groups.push(json!({ "title": title, "rows": rows }));
        Ok(())
    }

    fn judge(&mut self, title: &str, bar: &Value) {
        if bar["met"] == true {
            self.met += 1;
        } else {
            self.missed.push(format!("{title}: {}", bar["says"].as_str().unwrap_or_default()));
        }
    }

    /// Notes a figure that is not a time, and whether it is at most what it is held to.
    pub(crate) fn note(&mut self, what: &str, figure: f64, at_most: Option<f64>) {
        let met = at_most.map(|most| figure <= most);
        let says = match (at_most, met) {
            (Some(most), Some(true)) => format!("at most {most}: met"),
            (Some(most), _) => format!("at most {most}: missed"),
            _ => String::new(),
        };
        if !self.json {
            println!("{what:<74} {figure:>10.2}  {says}");
        }
        if met.is_some() {
            self.judge(what, &json!({ "met": met, "says": format!("{figure:.2}, {says}") }));
        }
        self.groups.push(json!({ "title": what, "figure": figure, "at_most": at_most, "met": met }));
    }

    /// Ends the bench.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let bars = self.met + self.missed.len();
        if self.json {
            println!(
                "{}",
                json!({
                    "bench": env!("CARGO_CRATE_NAME"), "quick": self.quick, "groups": self.groups,
                    "bars": bars, "missed": self.missed,
                })
            );
        } else if bars > 0 {
            println!("\n{} of {bars} bars met", self.met);
            self.missed.iter().for_each(|line| println!("  missed: {line}"));
        }
        Ok(())
    }
}

fn nanoseconds(time: &Duration) -> f64 {
    time.as_nanos() as f64
}
