//! What this process, or another one, takes of the machine; and the options of a mode.

use std::fs::read_to_string;
use std::str::FromStr;
#[cfg(any(feature = "rivals", feature = "audit"))]
use std::time::Duration;

#[cfg(any(feature = "rivals", feature = "audit"))]
use rustix::time::{ClockId, clock_gettime};

use crate::harness::Failure;

/// Bytes of memory that are resident for a process, given by number or as `self`.
pub fn resident(process: &str) -> Result<u64, Failure> {
    memory(process, "VmRSS:")
}

/// The most bytes of memory that were resident for this process since [`forget_peak`].
#[cfg(feature = "audit")]
pub fn peak() -> Result<u64, Failure> {
    memory("self", "VmHWM:")
}

/// Begins anew to look for the most memory.
#[cfg(feature = "audit")]
pub fn forget_peak() -> Result<(), Failure> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

fn memory(process: &str, name: &str) -> Result<u64, Failure> {
    let status = read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib = kib.ok_or_else(|| format!("there is no {name} in the status"))?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}

/// How many programs ran or waited for a CPU, on average over the last minute. Where it is near the number of
/// CPUs or over it, times say little and CPU times more.
#[cfg(any(feature = "rivals", feature = "audit"))]
pub fn load_average() -> Result<f64, Failure> {
    let averages = read_to_string("/proc/loadavg")?;
    Ok(averages.split_whitespace().next().ok_or("there is no load average")?.parse()?)
}

/// CPU time of all threads of this process so far.
#[cfg(any(feature = "rivals", feature = "audit"))]
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
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
