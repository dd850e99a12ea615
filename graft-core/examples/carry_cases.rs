//! Checks on generated cases that what a ledger recorded is found in what is about to leave.
//!
//! `cargo run --release -p graft-core --features conformance --example carry_cases -- --cases 10000000`, with
//! `--seed N`, `--reference N` short texts compared with a naive search, and `--format json`. The same seed gives the
//! same cases on any machine. Ends with 1 if anything was missed or found where nothing is.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use graft_core::ledger::conformance::{self as make, Draw, Payload};
use graft_core::ledger::{SPAN_AUTHORITY, SPAN_CONTENT};
use graft_core::{
    Call, CallId, Carried, Carry, Effect, Label, Leaf, LedgerKey, Metadata, Name, Provenance, Role, RunId,
    Seen, Sensitivity, Source, Speaker, TaintLedger, ToolMetadata,
};

/// Cases that share a ledger.
const BATCH: u64 = 128;
/// Folded bytes below which nothing may be found.
const TOO_SHORT: usize = 16;

/// What a batch of cases does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arm {
    /// A span leaves under up to four views.
    Views,
    /// What was never recorded leaves, under views too: no wide span may be found.
    Unrelated,
    /// A span leaves in 2 to 64 calls.
    Chunked,
    /// A span leaves in several fields of one call, and in lists.
    Split,
    /// A stranger's text leaves glued to what the user said.
    Exempt,
    /// A span leaves from a ledger past its limit, or was recorded past its cap.
    Flooded,
}

impl Arm {
    /// Half of the batches take views.
    const TURN: [Self; 10] = [
        Self::Views,
        Self::Unrelated,
        Self::Views,
        Self::Chunked,
        Self::Views,
        Self::Split,
        Self::Views,
        Self::Exempt,
        Self::Views,
        Self::Flooded,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Views => "views",
            Self::Unrelated => "unrelated",
            Self::Chunked => "chunked",
            Self::Split => "split",
            Self::Exempt => "exempt",
            Self::Flooded => "flooded",
        }
    }
}

/// What came of cases.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    cases: u64,
    /// Not found, or found where nothing is.
    misses: u64,
    /// Not all could be decoded, which is judged as if it were found.
    incomplete: u64,
    /// Found where nothing is, but as a single gram alone: 16 folded bytes are two syllables of Hangul.
    narrow: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.misses += other.misses;
        self.incomplete += other.incomplete;
        self.narrow += other.narrow;
    }
}

/// What came of one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Right,
    Wrong,
    Incomplete,
    Narrow,
}

/// A recorded text and the span of it that leaves.
struct Plant {
    secret: bool,
    text: String,
    leak: String,
}

impl Plant {
    /// A text of strangers or a secret one, and a part of it that has to be found.
    fn draw(draw: &mut Draw) -> Self {
        let secret = draw.one_in(2);
        let least = if secret { SPAN_AUTHORITY } else { SPAN_CONTENT };
        loop {
            let letters = least + draw.below(120);
            let text = make::text(draw, letters);
            let chars: Vec<char> = text.chars().collect();
            let from = if draw.one_in(3) { 0 } else { draw.below(chars.len() - least) };
            let take = least + if draw.one_in(2) { 0 } else { draw.below(60) };
            let leak: String = chars[from..].iter().take(take).collect();
            let folded = make::folded(&leak);
            let is_part = make::folded(&text).windows(folded.len().max(1)).any(|part| part == folded);
            if folded.len() >= least && is_part {
                return Self { secret, text, leak };
            }
        }
    }

    fn record(&self, ledger: &TaintLedger, call: u64) {
        let tool = ToolMetadata {
            effect: Effect::ReadOnly,
            sensitivity: if self.secret { Sensitivity::Secret } else { Sensitivity::default() },
            ..ToolMetadata::new(Name::from_static("read"))
        };
        ledger.record_output(CallId(call), &tool, &self.text, &Label::default());
    }

    /// Whether it is what was found, wide enough for where it was found. A span that begins with a gram of two
    /// texts is told as of either.
    fn is(&self, carry: &Carry, call: u64) -> bool {
        let what = if self.secret { Carried::Secret } else { Carried::Untrusted };
        let by_call = matches!(&carry.source, Source::Call(found, _) if found.0 == call);
        carry.what == what && (carry.is_wide || self.secret && by_call)
    }

    /// The same where the ledger may no longer know by which call.
    fn is_of_any(&self, carry: &Carry) -> bool {
        let what = if self.secret { Carried::Secret } else { Carried::Untrusted };
        carry.what == what && (carry.is_wide || self.secret)
    }
}

/// Searches arguments; all that was found, and whether all was decoded.
fn search(seen: &Seen<'_>, args: &[(&str, Payload)]) -> (Vec<Carry>, bool) {
    let mut scan = seen.scan();
    for (arg, value) in args {
        let role = if *arg == "to" { Role::Destination } else { Role::Content };
        match value {
            Payload::Text(text) => scan.add(arg, role, Leaf::Str(text)),
            Payload::Bytes(bytes) => scan.add(arg, role, Leaf::Bytes(bytes)),
        }
    }
    let mut found = Vec::new();
    let complete = scan.finish(&Name::from_static("send"), &mut |carry| found.push(carry));
    (found, complete)
}

fn outcome(right: bool, complete: bool) -> Outcome {
    match (right, complete) {
        (true, _) => Outcome::Right,
        (false, false) => Outcome::Incomplete,
        (false, true) => Outcome::Wrong,
    }
}

/// `text` under random views, in surroundings.
fn encoded(text: &str, draw: &mut Draw) -> Payload {
    loop {
        let views = make::chain(draw, 4);
        // What stands before may take the first sign for its own, which costs a blank.
        if let Some(payload) = make::compose(&format!("    {text}"), &views, draw) {
            return make::embed(views[views.len() - 1], payload, draw);
        }
    }
}

/// `text` in `parts` pieces of random length.
fn cut(text: &str, parts: usize, draw: &mut Draw) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut ends: Vec<usize> = (1..parts).map(|_| draw.below(chars.len() + 1)).collect();
    ends.push(chars.len());
    ends.sort_unstable();
    let starts = std::iter::once(0).chain(ends.clone());
    starts.zip(&ends).map(|(start, end)| chars[start..*end].iter().collect()).collect()
}

/// One batch, which its number and the seed decide.
fn batch(arm: Arm, ledger: &TaintLedger, draw: &mut Draw, note: &mut dyn FnMut(Outcome)) {
    ledger.danger_reset();
    let plants: Vec<_> = (0..BATCH).map(|_| Plant::draw(draw)).collect();
    if arm != Arm::Flooded {
        for (call, plant) in (0..).zip(&plants) {
            plant.record(ledger, call);
        }
    }
    match arm {
        Arm::Chunked => {
            for (call, plant) in (0..).zip(&plants) {
                note(chunked(ledger, plant, call, draw));
            }
        }
        Arm::Exempt => {
            for (call, plant) in (0..).zip(&plants) {
                note(exempt(ledger, plant, call, draw));
            }
        }
        Arm::Flooded => flooded(&plants, draw, note),
        Arm::Views | Arm::Unrelated | Arm::Split => {
            let seen = ledger.read();
            for (call, plant) in (0..).zip(&plants) {
                let args = match arm {
                    Arm::Views => vec![("body", encoded(&plant.leak, draw))],
                    Arm::Unrelated => vec![("body", encoded(&Plant::draw(draw).text, draw))],
                    _ => split(&plant.leak, draw),
                };
                let (found, complete) = search(&seen, &args);
                note(match arm {
                    Arm::Unrelated if found.iter().any(|carry| carry.is_wide) => Outcome::Wrong,
                    Arm::Unrelated if !found.is_empty() => Outcome::Narrow,
                    Arm::Unrelated => outcome(complete, complete),
                    _ => outcome(found.iter().any(|carry| plant.is(carry, call)), complete),
                });
            }
        }
    }
}

/// A text over fields and the elements of lists, which reach a scan as leaves of one argument.
fn split<'a>(text: &str, draw: &mut Draw) -> Vec<(&'a str, Payload)> {
    let parts = 2 + draw.below(12);
    let pieces = cut(text, parts, draw);
    let names = ["to", "subject", "body", "tags"];
    let mut name = 0;
    let args = pieces.into_iter().map(|piece| {
        name = (name + draw.below(2)).min(names.len() - 1);
        (names[name], Payload::Text(piece))
    });
    args.collect()
}

fn chunked(ledger: &TaintLedger, plant: &Plant, call: u64, draw: &mut Draw) -> Outcome {
    let send = ToolMetadata {
        args: [("to".to_owned(), Role::Destination), ("body".to_owned(), Role::Content)].into(),
        ..ToolMetadata::new(Name::from_static("send"))
    };
    let to = format!("box{call}@example.org");
    let parts = 2 + draw.below(63);
    let mut complete = true;
    for piece in cut(&plant.leak, parts, draw) {
        let args = [("to", Payload::Text(to.clone())), ("body", Payload::Text(piece.clone()))];
        let (found, all) = search(&ledger.read(), &args);
        complete &= all;
        if found.iter().any(|carry| plant.is(carry, call)) {
            return Outcome::Right;
        }
        let args = BTreeMap::from([("to", to.clone()), ("body", piece)]);
        let meta = Metadata::new(RunId([7; 16]), CallId(BATCH + call));
        ledger.record_sent(&Call::new(&send, &meta, &args));
    }
    outcome(false, complete)
}

/// The user's text vouches for itself and for nothing beside it.
fn exempt(ledger: &TaintLedger, plant: &Plant, call: u64, draw: &mut Draw) -> Outcome {
    let letters = 10 + draw.below(60);
    let said = make::text(draw, letters);
    ledger.record_trusted(Speaker::User, &said);
    let between = draw.of(&["", " ", ". ", "\n"]);
    let text = match draw.below(3) {
        0 => format!("{said}{between}{}", plant.leak),
        1 => format!("{}{between}{said}", plant.leak),
        _ => format!("{said}{between}{}{between}{said}", plant.leak),
    };
    let (found, complete) = search(&ledger.read(), &[("body", Payload::Text(text))]);
    outcome(found.iter().any(|carry| plant.is(carry, call)), complete)
}

/// What was recorded before the cap is found, by whomever; after it, the ledger says that it does not know.
fn flooded(plants: &[Plant], draw: &mut Draw, note: &mut dyn FnMut(Outcome)) {
    let limit = 4 << 10;
    let cap = limit + draw.below(64 << 10);
    let ledger = TaintLedger::new(key()).with_limit(limit).with_cap(cap);
    for (call, plant) in (0..).zip(plants) {
        plant.record(&ledger, call);
        for _ in 0..draw.below(6) {
            Plant::draw(draw).record(&ledger, BATCH);
        }
    }
    let seen = ledger.read();
    let strict = matches!(seen.provenance("nobody-said-this-7261"), Provenance::Overflow(_));
    for plant in plants {
        let (found, complete) = search(&seen, &[("body", Payload::Text(plant.leak.clone()))]);
        let doubted = if plant.secret { seen.secret_overflow().is_some() } else { strict };
        note(outcome(doubted || found.iter().any(|carry| plant.is_of_any(carry)), complete));
    }
}

/// Short texts over a few letters, where much is alike by chance, against a naive search.
fn reference(draw: &mut Draw, ledger: &TaintLedger) -> Outcome {
    ledger.danger_reset();
    let letters = 2 + draw.below(3);
    let few = |draw: &mut Draw, len: usize| -> String {
        // Blanks, so that nothing looks like base64.
        let one = |n: usize, draw: &mut Draw| {
            if n % 8 == 7 { ' ' } else { draw.of(&['m', 'p', 'r', 't', 'w'][..letters]) }
        };
        (0..len).map(|n| one(n, draw)).collect()
    };
    let len = 20 + draw.below(100);
    let plant = Plant { secret: true, text: few(draw, len), leak: String::new() };
    plant.record(ledger, 0);
    let len = draw.below(60);
    let mut text = few(draw, len);
    if !draw.one_in(4) {
        let from = draw.below(plant.text.len());
        text.extend(plant.text.chars().skip(from).take(draw.below(40)));
        let len = draw.below(20);
        text += &few(draw, len);
    }
    let (found, _) = search(&ledger.read(), &[("body", Payload::Text(text.clone()))]);
    let (recorded, folded) = (make::folded(&plant.text), make::folded(&text));
    let longest = longest_common(&recorded, &folded);
    let right = match longest {
        0..TOO_SHORT => found.is_empty(),
        TOO_SHORT..SPAN_AUTHORITY => true,
        _ => !found.is_empty(),
    };
    outcome(right, true)
}

/// The longest run of bytes that both have, by comparing every start with every start.
fn longest_common(a: &[u8], b: &[u8]) -> usize {
    let at = |i: usize, j: usize| a[i..].iter().zip(&b[j..]).take_while(|(a, b)| a == b).count();
    (0..a.len()).flat_map(|i| (0..b.len()).map(move |j| (i, j))).map(|(i, j)| at(i, j)).max().unwrap_or(0)
}

fn key() -> LedgerKey {
    LedgerKey::danger_for_replay("carry cases")
}

struct Options {
    cases: u64,
    seed: u64,
    reference: u64,
    json: bool,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self { cases: 1_000_000, seed: 1, reference: 200_000, json: false };
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--cases" => options.cases = value.parse()?,
                "--seed" => options.seed = value.parse()?,
                "--reference" => options.reference = value.parse()?,
                "--format" => options.json = value == "json",
                _ => return Err(format!("no option {arg}").into()),
            }
        }
        Ok(options)
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let begin = Instant::now();
    let tallies = Mutex::new(BTreeMap::<&str, Tally>::new());
    let batches = options.cases.div_ceil(BATCH);
    let checks = options.reference.div_ceil(BATCH);
    let next = AtomicU64::new(0);
    let work = || {
        let ledger = TaintLedger::new(key());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= batches + checks {
                return;
            }
            let draw = &mut Draw::new(options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number << 32);
            let arm = (number < batches).then(|| Arm::TURN[(number % Arm::TURN.len() as u64) as usize]);
            let name = arm.map_or("reference", Arm::as_str);
            let mut tally = Tally::default();
            let mut note = |outcome| {
                tally.cases += 1;
                tally.misses += u64::from(outcome == Outcome::Wrong);
                tally.incomplete += u64::from(outcome == Outcome::Incomplete);
                tally.narrow += u64::from(outcome == Outcome::Narrow);
                if outcome == Outcome::Wrong {
                    eprintln!("miss: {name}, batch {number}, case {}", tally.cases - 1);
                }
            };
            match arm {
                Some(arm) => batch(arm, &ledger, draw, &mut note),
                None => (0..BATCH).for_each(|_| note(reference(draw, &ledger))),
            }
            tallies.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().add(tally);
            if number % 4096 == 4095 {
                eprintln!("{} cases, {:.0} s", (number + 1) * BATCH, begin.elapsed().as_secs_f64());
            }
        }
    };
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let tallies = tallies.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = begin.elapsed().as_secs_f64();
    let mut all = Tally::default();
    tallies.values().for_each(|tally| all.add(*tally));
    let rate = all.cases as f64 / seconds;
    if options.json {
        let row = |tally: &Tally| {
            let Tally { cases, misses, incomplete, narrow } = tally;
            serde_json::json!({ "cases": cases, "misses": misses, "incomplete": incomplete, "narrow": narrow })
        };
        let arms: BTreeMap<_, _> = tallies.iter().map(|(name, tally)| (*name, row(tally))).collect();
        let report = serde_json::json!({
            "seed": options.seed, "arms": arms, "all": row(&all), "seconds": seconds, "cases_per_second": rate,
        });
        println!("{report:#}");
    } else {
        println!("{:<10} {:>10} {:>7} {:>10} {:>7}", "arm", "cases", "misses", "incomplete", "narrow");
        for (name, tally) in tallies.iter().map(|(name, tally)| (*name, tally)).chain([("all", &all)]) {
            let Tally { cases, misses, incomplete, narrow } = tally;
            println!("{name:<10} {cases:>10} {misses:>7} {incomplete:>10} {narrow:>7}");
        }
        println!("seed {}, {seconds:.1} s, {rate:.0} cases per second", options.seed);
    }
    Ok(if all.misses == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
