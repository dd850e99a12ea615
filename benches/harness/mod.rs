//! A small harness: cases of one group run in turns, so that noise of the machine hits the floor and what is
//! compared with it alike, and each figure is the median over rounds.
//!
//! `--quick` runs few short rounds (for CI), `--format json` prints one line of JSON, and `--only WORD` runs
//! the cases whose name has the word, for a look with a profiler. Whatever else stands on
//! the command line, such as cargo's own `--bench`, is ignored.

#![allow(dead_code)] // each bench uses its part of this

pub(crate) mod text;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Whatever ends a bench early.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One bench: what the command line asked for, and what was measured so far.
pub(crate) struct Bench {
    json: bool,
    quick: bool,
    only: Option<String>,
    groups: Vec<Value>,
}

/// One thing to measure. Its body does [`Round::iterations`] operations and says how long they took.
pub(crate) struct Case<'a> {
    name: String,
    /// Bytes that one operation handles, for a rate.
    bytes: usize,
    body: Box<Body<'a>>,
}

type Body<'a> = dyn FnMut(&mut Round) -> Result<(), Failure> + 'a;

/// One turn of one case.
#[derive(Default)]
pub(crate) struct Round {
    iterations: u64,
    took: Duration,
    singles: Vec<Duration>,
}

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
        let start = Instant::now();
        for _ in 0..self.iterations {
            std::hint::black_box(operation()?);
        }
        self.took(start.elapsed());
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

    /// Adds the time that one operation took alone.
    pub(crate) fn single(&mut self, took: Duration) {
        self.took += took;
        self.singles.push(took);
    }

    /// Nanoseconds for an operation: the median if they were timed alone, else the mean; and the 99th
    /// percentile of the former.
    fn figures(&mut self) -> (f64, Option<f64>) {
        self.singles.sort_unstable();
        let at = |percent: usize| self.singles.get(self.singles.len() * percent / 100).map(nanoseconds);
        (at(50).unwrap_or(nanoseconds(&self.took) / self.iterations as f64), at(99))
    }
}

impl<'a> Case<'a> {
    /// A case by name.
    pub(crate) fn new(
        name: impl Into<String>,
        body: impl FnMut(&mut Round) -> Result<(), Failure> + 'a,
    ) -> Self {
        Self { name: name.into(), bytes: 0, body: Box::new(body) }
    }

    /// The same, an operation of which handles this many bytes.
    pub(crate) fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    fn run(&mut self, iterations: u64) -> Result<Round, Failure> {
        let mut round = Round { iterations: iterations.max(1), ..Round::default() };
        (self.body)(&mut round).map_err(|failure| format!("{}: {failure}", self.name))?;
        Ok(round)
    }

    /// Warms up, and finds how many operations fill `time`.
    fn calibrate(&mut self, time: Duration) -> Result<u64, Failure> {
        let mut iterations = 1;
        loop {
            let took = self.run(iterations)?.took.max(Duration::from_nanos(1));
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
        Self { json, quick: args.iter().any(|arg| arg == "--quick"), only, groups: Vec::new() }
    }

    /// Measures cases against the first of them, which is the floor or the rival.
    pub(crate) fn compare(&mut self, title: &str, mut cases: Vec<Case<'_>>) -> Result<(), Failure> {
        cases.retain(|case| self.only.as_ref().is_none_or(|word| case.name.contains(word)));
        if cases.is_empty() {
            return Ok(());
        }
        let (rounds, time) =
            if self.quick { (3, Duration::from_millis(5)) } else { (11, Duration::from_millis(60)) };
        let mut counts = Vec::new();
        for case in &mut cases {
            counts.push(case.calibrate(time)?);
        }
        let mut figures = vec![Vec::new(); cases.len()];
        let mut tails = figures.clone();
        for _ in 0..rounds {
            for (at, case) in cases.iter_mut().enumerate() {
                let (typical, tail) = case.run(counts[at])?.figures();
                figures[at].push(typical);
                tails[at].extend(tail);
            }
        }
        // A ratio is taken within a round, where both sides saw the same weather.
        let ratios = figures.iter().map(|all| {
            let mut ratios: Vec<f64> = all.iter().zip(&figures[0]).map(|(one, floor)| one / floor).collect();
            median(&mut ratios)
        });
        let ratios: Vec<f64> = ratios.collect();
        let rows = cases.iter().zip(figures.iter_mut().zip(&mut tails)).zip(ratios);
        let rows = rows.map(|((case, (all, tails)), ratio)| {
            let typical = median(all);
            // The sorted rounds' middle half.
            let spread = (all[all.len() * 3 / 4] - all[all.len() / 4]) / typical;
            json!({
                "case": case.name, "ns": typical, "p99_ns": (!tails.is_empty()).then(|| median(tails)),
                "spread": spread, "ratio": ratio,
                "mb_per_second": (case.bytes > 0).then(|| case.bytes as f64 * 1e3 / typical),
            })
        });
        let rows: Vec<Value> = rows.collect();
        self.show(title, &rows);
        self.groups.push(json!({ "title": title, "rows": rows }));
        Ok(())
    }

    /// Notes a figure that is not a time.
    pub(crate) fn note(&mut self, what: &str, figure: f64) {
        if !self.json {
            println!("{what:<58} {figure:>10.2}");
        }
        self.groups.push(json!({ "title": what, "figure": figure }));
    }

    /// Ends the bench.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        if self.json {
            println!(
                "{}",
                json!({ "bench": env!("CARGO_CRATE_NAME"), "quick": self.quick, "groups": self.groups })
            );
        }
        Ok(())
    }

    fn show(&self, title: &str, rows: &[Value]) {
        if self.json {
            return;
        }
        println!("\n{title}");
        println!("{:<46} {:>12} {:>12} {:>7} {:>14} {:>8}", "", "ns", "p99 ns", "spread", "rate", "ratio");
        for row in rows {
            let number = |name: &str| row[name].as_f64();
            let ns = number("ns").unwrap_or_default();
            let rate = match number("mb_per_second") {
                Some(rate) => format!("{rate:.1} MB/s"),
                None => format!("{:.0} /s", 1e9 / ns),
            };
            let ratio = number("ratio").unwrap_or_default();
            println!(
                "{:<46} {:>12} {:>12} {:>6.0}% {:>14} {:>8}",
                row["case"].as_str().unwrap_or_default(),
                format!("{ns:.1}"),
                number("p99_ns").map(|tail| format!("{tail:.0}")).unwrap_or_default(),
                number("spread").unwrap_or_default() * 100.0,
                rate,
                if ratio < 0.1 { format!("{ratio:.4}") } else { format!("{ratio:.2}") },
            );
        }
    }
}

fn nanoseconds(time: &Duration) -> f64 {
    time.as_nanos() as f64
}

/// Sorts, and returns the one in the middle; of nothing, not a number.
fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}
