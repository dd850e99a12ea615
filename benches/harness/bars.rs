//! What is made of the rounds of a group: medians, ratios to the bases, and whether the bars are met.

use serde_json::{Value, json};

use super::{Case, Round};

/// What a case is held to.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    /// Takes at most so many times as long as the case of this name.
    Times(f64, &'static str),
    /// Does at least so many times as much in a second as the case of this name.
    Faster(f64, &'static str),
    /// Takes at most so many nanoseconds more than the case of this name.
    Over(f64, &'static str),
    /// Takes at most so many nanoseconds.
    Ns(f64),
    /// Does at least so much in a second.
    Rate(f64),
    /// Takes at most so many nanoseconds of CPU time.
    CpuNs(f64),
}

/// What the rounds of one case gave, in nanoseconds for an operation.
#[derive(Default)]
pub(super) struct Turns {
    typical: Vec<f64>,
    tails: Vec<f64>,
    cpu: Vec<f64>,
}

impl Turns {
    pub(super) fn add(&mut self, mut round: Round) {
        let (typical, tail) = round.figures();
        self.typical.push(typical);
        self.tails.extend(tail);
        self.cpu.extend(round.cpu());
    }

    /// The median of `with` over both sides of each round, which saw the same weather: of the times, and of the
    /// CPU times if they were measured.
    fn beside(&self, base: &Self, with: fn(f64, f64) -> f64) -> [f64; 2] {
        [(&self.typical, &base.typical), (&self.cpu, &base.cpu)]
            .map(|(own, base)| median(own.iter().zip(base).map(|(one, other)| with(*one, *other))))
    }

    fn ratio(&self, base: &Self) -> f64 {
        self.beside(base, |one, other| one / other)[0]
    }
}

/// The figures of the case at `at`.
pub(super) fn row(cases: &[Case<'_>], turns: &[Turns], at: usize) -> Value {
    let (case, own) = (&cases[at], &turns[at]);
    let typical = median(own.typical.iter().copied());
    let mut sorted = own.typical.clone();
    sorted.sort_by(f64::total_cmp);
    // The middle half of the rounds.
    let spread = (sorted[sorted.len() * 3 / 4] - sorted[sorted.len() / 4]) / typical;
    let optional = |all: &[f64]| (!all.is_empty()).then(|| median(all.iter().copied()));
    let ratios = cases.iter().zip(turns).filter(|(case, _)| case.is_base);
    let ratios: serde_json::Map<String, Value> =
        ratios.map(|(base, turns)| (base.name.clone(), json!(own.ratio(turns)))).collect();
    let bars: Vec<Value> = case.bars.iter().filter_map(|bar| judged(*bar, cases, turns, at)).collect();
    json!({
        "case": case.name, "ns": typical, "p99_ns": optional(&own.tails), "cpu_ns": optional(&own.cpu),
        "spread": spread, "ratio": own.ratio(&turns[0]), "ratios": ratios, "bars": bars,
        "mb_per_second": (case.bytes > 0).then(|| case.bytes as f64 * 1e3 / typical),
    })
}

/// The bar with its figure and whether it is met; nothing if what it speaks of was not measured. What the figure
/// is by CPU time stands beside it, since another program on the machine changes that little.
fn judged(bar: Bar, cases: &[Case<'_>], turns: &[Turns], at: usize) -> Option<Value> {
    let own = &turns[at];
    let base = |name| cases.iter().position(|case| case.name == name).map(|at| &turns[at]);
    let by_cpu = |cpu: f64| if cpu.is_nan() { String::new() } else { format!(" ({cpu:.2} by CPU time)") };
    let (figure, met, says) = match bar {
        Bar::Times(most, name) => {
            let ratio = own.ratio(base(name)?);
            (ratio, ratio <= most, format!("{ratio:.2} times {name}, target at most {most}"))
        }
        Bar::Faster(least, name) => {
            let [ratio, cpu] = own.beside(base(name)?, |one, other| other / one);
            let says = format!("{ratio:.2} times as much as {name}{}, target at least {least}", by_cpu(cpu));
            (ratio, ratio >= least, says)
        }
        Bar::Over(most, name) => {
            let [over, cpu] = own.beside(base(name)?, |one, other| one - other);
            (over, over <= most, format!("{over:.0} ns over {name}{}, target at most {most}", by_cpu(cpu)))
        }
        Bar::Ns(most) => {
            let (typical, cpu) = (median(own.typical.iter().copied()), median(own.cpu.iter().copied()));
            (typical, typical <= most, format!("{typical:.0} ns{}, target at most {most}", by_cpu(cpu)))
        }
        Bar::Rate(least) => {
            let [rate, cpu] = [&own.typical, &own.cpu].map(|all| 1e9 / median(all.iter().copied()));
            let by_cpu = if cpu.is_nan() { String::new() } else { format!(" ({cpu:.0} by CPU time)") };
            (rate, rate >= least, format!("{rate:.0} in a second{by_cpu}, target at least {least}"))
        }
        Bar::CpuNs(most) if !own.cpu.is_empty() => {
            let cpu = median(own.cpu.iter().copied());
            (cpu, cpu <= most, format!("{cpu:.0} ns of CPU time, target at most {most}"))
        }
        Bar::CpuNs(_) => return None,
    };
    let says = format!("{}: {says}: {}", cases[at].name, if met { "met" } else { "missed" });
    Some(json!({ "figure": figure, "met": met, "says": says }))
}

/// Prints a group as a table; `x NAME` is the time as a multiple of that of `NAME`.
pub(super) fn show(title: &str, rows: &[Value]) {
    println!("\n{title}");
    let bases: Vec<&String> = rows
        .first()
        .and_then(|row| row["ratios"].as_object())
        .into_iter()
        .flat_map(|all| all.keys())
        .collect();
    let has_cpu = rows.iter().any(|row| row["cpu_ns"].is_number());
    let cpu = |text: String| if has_cpu { format!("{text:>11}") } else { String::new() };
    print!(
        "{:<46} {:>12} {:>12} {:>7} {:>14}{}",
        "",
        "ns",
        "p99 ns",
        "spread",
        "rate",
        cpu("CPU ns".to_owned())
    );
    match bases[..] {
        [_] => println!(" {:>8}", "ratio"),
        _ => println!(
            "{}",
            bases.iter().map(|name| format!(" {:>8}", format!("x {name}"))).collect::<String>()
        ),
    }
    for row in rows {
        let number = |name: &str| row[name].as_f64();
        let ns = number("ns").unwrap_or_default();
        let rate = match number("mb_per_second") {
            Some(rate) => format!("{rate:.1} MB/s"),
            None => format!("{:.0} /s", 1e9 / ns),
        };
        let ratios = bases.iter().map(|name| {
            let ratio = row["ratios"][name.as_str()].as_f64().unwrap_or_default();
            format!(" {:>8}", if ratio < 0.1 { format!("{ratio:.4}") } else { format!("{ratio:.2}") })
        });
        println!(
            "{:<46} {:>12} {:>12} {:>6.0}% {:>14}{}{}",
            row["case"].as_str().unwrap_or_default(),
            format!("{ns:.1}"),
            number("p99_ns").map(|tail| format!("{tail:.0}")).unwrap_or_default(),
            number("spread").unwrap_or_default() * 100.0,
            rate,
            cpu(number("cpu_ns").map(|cpu| format!("{cpu:.0}")).unwrap_or_default()),
            ratios.collect::<String>(),
        );
    }
    for bar in rows.iter().flat_map(|row| row["bars"].as_array().into_iter().flatten()) {
        println!("  {}", bar["says"].as_str().unwrap_or_default());
    }
}

/// The one in the middle; of nothing, not a number.
fn median(all: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}
