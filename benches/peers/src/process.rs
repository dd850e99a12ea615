//! What this process, or another one, takes of the machine; and the options of a mode.

use std::fs::read_to_string;
use std::str::FromStr;

use crate::harness::Failure;

/// Bytes of memory that are resident for a process, given by number or as `self`.
pub fn resident(process: &str) -> Result<u64, Failure> {
    let status = read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib =
        line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("there is no VmRSS in the status")?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}

/// How many programs ran or waited for a CPU, on average over the last minute. Where it is near the number of
/// CPUs or over it, times say little and CPU times more.
#[cfg(any(feature = "rivals", feature = "audit"))]
pub fn load_average() -> Result<f64, Failure> {
    let averages = read_to_string("/proc/loadavg")?;
    Ok(averages.split_whitespace().next().ok_or("there is no load average")?.parse()?)
}

/// How many files this process may have open.
pub fn open_files() -> Result<u64, Failure> {
    let limits = read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft =
        line.and_then(|line| line.split_whitespace().next()).ok_or("there is no limit of open files")?;
    Ok(if soft == "unlimited" { u64::MAX } else { soft.parse()? })
}

/// The value behind `name` on the command line.
pub fn option<T: FromStr>(name: &str, otherwise: T) -> Result<T, Failure> {
    match std::env::args().skip_while(|arg| arg != name).nth(1) {
        Some(value) => value.parse().map_err(|_| format!("what follows {name} is not a value of it").into()),
        None => Ok(otherwise),
    }
}
