//! Counts of a call that need no clock, held to bounds: allocations, and instructions as callgrind counts them.

use std::process::Command;
use std::sync::Arc;

use futures::executor::block_on;

use crate::allocations::counted;
use crate::calls::graft_peer::{Bare, BareOver, Echo, Guarded, GuardedOver, local_channel};
use crate::calls::local::{Direct, small};
use crate::calls::threads::Threads;
use crate::calls::transport::Tcp;
use crate::calls::value::Value;
use crate::calls::{Clients, Contender, Peer};
use crate::harness::Failure;
use crate::sessions::Sessions;

/// What a call of 32 bytes is held to, client and server together, in steady state.
struct Bound {
    call: &'static str,
    /// The most allocations, a little over what was counted where tables grow now and then.
    allocations: f64,
    /// The allocations that the call is to come down to.
    target: Option<f64>,
    /// What callgrind runs (see [`run_one`]), and the most instructions: 5 to 10% over what was counted.
    instructions: Option<(&'static str, u64)>,
}

/// A regression is a count over its bound. Lower a bound when a change lowers the count; another compiler or
/// libc moves the instructions a little.
const BOUNDS: [Bound; 5] = [
    bound("in this process, bare", 2.0, Some(2.0), Some(("bare", 2_150))),
    bound("in this process, guarded", 4.0, None, Some(("guarded", 17_600))),
    bound("between sessions, bare", 8.1, None, Some(("sessions", 10_400))),
    bound("over TCP, bare", 5.1, Some(6.0), None),
    bound("over TCP, guarded", 7.0, Some(8.0), None),
];

const fn bound(
    call: &'static str,
    allocations: f64,
    target: Option<f64>,
    instructions: Option<(&'static str, u64)>,
) -> Bound {
    Bound { call, allocations, target, instructions }
}

/// Prints each count beside its bound. Needs valgrind.
///
/// # Errors
/// If a count is over its bound, or nothing could be counted.
pub fn run() -> Result<(), Failure> {
    let mut over = Vec::new();
    let mut line = |what: &str, counted: f64, bound: f64, target: Option<f64>| {
        let target = target.map(|target| target.to_string()).unwrap_or_default();
        println!("{what:<44} {counted:>12.2} {bound:>10} {target:>8}");
        // To a hundredth, as it is printed.
        if (counted * 100.0).round() > (bound * 100.0).round() {
            over.push(what.to_owned());
        }
    };
    println!("{:<44} {:>12} {:>10} {:>8}", "for each call", "counted", "bound", "target");
    for (bound, count) in BOUNDS.iter().zip(allocations()?) {
        line(&format!("allocations {}", bound.call), count, bound.allocations, bound.target);
    }
    for bound in &BOUNDS {
        if let Some((name, most)) = bound.instructions {
            let title = format!("instructions {}", bound.call);
            line(&title, instructions(name)?, most as f64, None);
        }
    }
    match over.is_empty() {
        true => Ok(()),
        false => Err(format!("over the bound in src/counts.rs: {}", over.join(", ")).into()),
    }
}

/// Allocations, in the order of [`BOUNDS`].
fn allocations() -> Result<[f64; 5], Failure> {
    let [_, bare, guarded] = in_process()?;
    let sessions = of_each(calls(&Bare::over(Arc::new(Sessions::open()?))))?;
    // Only now, for its thread allocates when it starts.
    let threads = Threads::one()?;
    let over_tcp = |one: &dyn Contender| -> Result<f64, Failure> {
        Ok(one.allocations(&counted)?.ok_or("it counts nothing")?)
    };
    let tcp_bare = over_tcp(&Clients::connect(BareOver(Tcp), &threads, 1)?)?;
    let tcp_guarded = over_tcp(&Clients::connect(GuardedOver(Tcp), &threads, 1)?)?;
    Ok([bare, guarded, sessions, tcp_bare, tcp_guarded])
}

/// Allocations of a direct call, of a bare one and of a guarded one in this process.
pub fn in_process() -> Result<[f64; 3], Failure> {
    let direct: Arc<dyn Direct> = Arc::new(Echo);
    let direct = of_each(|| {
        drop(block_on(direct.echo(small())));
        Ok(())
    })?;
    let bare = of_each(calls(&Bare::over(local_channel())))?;
    let guarded = of_each(calls(&Guarded::over(local_channel())?))?;
    Ok([direct, bare, guarded])
}

fn calls(peer: &impl Peer) -> impl FnMut() -> Result<(), Failure> {
    || block_on(peer.call(Value::Text(small()))).map(drop)
}

/// Allocations of a call once everything is warm, without the one of its value.
fn of_each(mut call: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let mut calls = |calls: u32| (0..calls).try_for_each(|_| call());
    calls(90)?;
    Ok(counted(&mut || calls(4000))? as f64 / 4000.0 - 1.0)
}

/// Instructions of a call: those of many calls without those of fewer, so that set-up does not count.
fn instructions(name: &str) -> Result<f64, Failure> {
    let (few, many) = (1000, 3000);
    let difference = collected(name, many)?.saturating_sub(collected(name, few)?);
    Ok(difference as f64 / f64::from(many - few))
}

/// What callgrind collected over this program as it made so many calls.
fn collected(name: &str, calls: u32) -> Result<u64, Failure> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe()?);
    valgrind.args(["instructions", name, &calls.to_string()]);
    let ran = valgrind.output().map_err(|_| "valgrind does not start; .ci/steps/tools installs it")?;
    let said = String::from_utf8_lossy(&ran.stderr);
    let count = said.lines().find_map(|line| line.split_once("Collected :")).map(|(_, count)| count.trim());
    match (ran.status.success(), count) {
        (true, Some(count)) => Ok(count.parse()?),
        _ => Err(format!("callgrind counted nothing of `{name}`").into()),
    }
}

/// `instructions NAME CALLS`: makes so many calls and nothing else, for callgrind.
pub fn run_one() -> Result<(), Failure> {
    let mut args = std::env::args().skip(2);
    let (name, count) = (args.next().unwrap_or_default(), args.next().unwrap_or_default().parse::<u32>()?);
    match name.as_str() {
        "bare" => repeat(calls(&Bare::over(local_channel())), count),
        "guarded" => repeat(calls(&Guarded::over(local_channel())?), count),
        "sessions" => repeat(calls(&Bare::over(Arc::new(Sessions::open()?))), count),
        _ => Err("what is counted is `bare`, `guarded` or `sessions`".into()),
    }
}

fn repeat(mut call: impl FnMut() -> Result<(), Failure>, count: u32) -> Result<(), Failure> {
    (0..count).try_for_each(|_| call())
}
