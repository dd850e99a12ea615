//! The rows of the tables, and what each contender is held to in them.

use super::threads::Threads;
use super::value::What;
use super::{Contender, Counted, Load};
use crate::harness::{Bar, Bench, Case, Failure};

/// The most connections that a row needs.
pub const CONNECTIONS: usize = 16;

/// Who is put under load, floor first.
pub type Contenders<'a> = Vec<Box<dyn Contender + 'a>>;

const SMALL: Load = Load { connections: 1, in_flight: 1, what: What::SMALL };

/// The cases of a load, the graft ones held to bars; whoever is not graft is a base.
fn cases<'a>(
    contenders: &'a Contenders<'_>,
    load: Load,
    bars: impl Fn(&str) -> Vec<Bar>,
) -> Result<Vec<Case<'a>>, Failure> {
    let case = |one: &'a dyn Contender| {
        let case = one.case(load)?.bars(bars(one.name()));
        Ok(if one.name().starts_with("graft") { case } else { case.base() })
    };
    contenders.iter().map(|one| case(&**one)).collect()
}

/// Calls of 32 bytes: one at a time, 64 in flight, and 16 connections with 16 in flight on each.
pub fn small(
    bench: &mut Bench,
    over: &str,
    threads: &Threads,
    contenders: &Contenders<'_>,
) -> Result<(), Failure> {
    let on = format!("{over}, {}", threads.name);
    bench.compare(
        &format!("32 bytes over {on}: one call at a time, p50"),
        cases(contenders, SMALL, |name| match name {
            "graft, bare" => vec![Bar::Times(1.35, "raw")],
            "graft, guarded" => vec![Bar::Times(1.5, "raw")],
            _ => vec![],
        })?,
    )?;
    bench.compare(
        &format!("32 bytes over {on}: 64 calls in flight on one connection, time for each"),
        cases(contenders, Load { in_flight: 64, ..SMALL }, |name| match name {
            "graft, bare" => {
                vec![Bar::Faster(3.0, "tarpc"), Bar::Faster(15.0, "tonic"), Bar::CpuNs(1600.0)]
            }
            "graft, guarded" => vec![Bar::Faster(2.0, "tarpc"), Bar::CpuNs(2200.0)],
            _ => vec![],
        })?,
    )?;
    bench.compare(
        &format!(
            "32 bytes over {on}: {CONNECTIONS} connections with 16 calls in flight on each, time for each"
        ),
        cases(contenders, Load { connections: CONNECTIONS, in_flight: 16, ..SMALL }, |name| match name {
            "graft, bare" => vec![Bar::Faster(3.0, "tarpc")],
            "graft, guarded" => vec![Bar::Faster(1.8, "tarpc")],
            _ => vec![],
        })?,
    )
}

/// Round trips of 1 MiB, as bytes and as text.
pub fn large(
    bench: &mut Bench,
    over: &str,
    threads: &Threads,
    contenders: &Contenders<'_>,
) -> Result<(), Failure> {
    for (what, kind) in [(What::Blob(1 << 20), "bytes"), (What::Text(1 << 20), "text")] {
        let title = format!("1 MiB of {kind} over {over}, {}: one call at a time, p50", threads.name);
        let all = cases(contenders, Load { what, ..SMALL }, |name| match name {
            "graft, bare" => vec![Bar::Times(1.1, "raw")],
            _ => vec![],
        })?;
        // They go there and back.
        bench.compare(&title, all.into_iter().map(|case| case.bytes(2 << 20)).collect())?;
    }
    Ok(())
}

/// A structure beside text whose encoding is as long, each for itself, over graft and over the rivals.
pub fn structure(
    bench: &mut Bench,
    over: &str,
    threads: &Threads,
    contenders: &Contenders<'_>,
) -> Result<(), Failure> {
    let text = What::as_long_as_the_order();
    for (in_flight, how) in [(1, "one call at a time, p50"), (64, "64 calls in flight, time for each")] {
        let load = |what| Load { in_flight, what, ..SMALL };
        let base =
            contenders.iter().find(|one| one.name() == "graft, bare").ok_or("there is no bare graft")?;
        let mut all = vec![base.case(load(text))?.named("graft, bare, text")];
        for one in contenders.iter().filter(|one| one.name() != "raw") {
            let case = one.case(load(What::Order))?.named(format!("{}, structure", one.name()));
            let is_bare = one.name() == "graft, bare";
            all.push(if is_bare { case.bars([Bar::Times(1.15, "graft, bare, text")]) } else { case });
        }
        let bytes = text.bytes() + 1;
        let title = format!("a structure of {bytes} bytes over {over}, {}: {how}", threads.name);
        bench.compare(&title, all)?;
    }
    Ok(())
}

/// Allocations of a call of 32 bytes, client and server together.
pub fn allocations(
    bench: &mut Bench,
    over: &str,
    threads: &Threads,
    contenders: &Contenders<'_>,
    counted: Counted<'_>,
) -> Result<(), Failure> {
    for one in contenders {
        let most = match one.name() {
            "graft, bare" => Some(6.0),
            "graft, guarded" => Some(8.0),
            _ => None,
        };
        if let Some(count) = one.allocations(counted)? {
            let title = format!("allocations of a call over {over}, {}: {}", threads.name, one.name());
            bench.note(&title, count, most);
        }
    }
    Ok(())
}
