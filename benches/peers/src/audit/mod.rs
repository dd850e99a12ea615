//! The audit log beside SQLite and beside what its primitives and the disk take, in one run.

mod disk;
mod durable;
mod log;
mod machine;
mod many;
mod primitives;
mod reading;
mod recorder;
mod sealing;
mod sqlite;
mod threads;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Bench, Failure};
use crate::process::{cpu_time, load_average, option};

/// Bytes of the body of a record, here and in the rivals' rows.
const BODY: usize = 200;
/// What a record may take on the disk, and what the bare writes write.
const ON_DISK: usize = 345;

/// Whether graft seals with ring, and what its rows are called.
const IS_FAST: bool = cfg!(feature = "ring");
const GRAFT: &str = if IS_FAST { "graft, ring" } else { "graft, portable" };

type Group = fn(&mut Bench, &Folder) -> Result<(), Failure>;

/// What `--groups` chooses from, in the order in which they run.
const GROUPS: [(&str, Group); 8] = [
    ("primitives", primitives::run),
    ("sealing", sealing::run),
    ("one", durable::one_writer),
    ("blocking", durable::blocking),
    ("batches", durable::batches),
    ("recorder", recorder::run),
    ("reading", reading::run),
    (MANY, many::run),
];

/// The group that takes minutes and gigabytes, and so runs only if it is named.
const MANY: &str = "many";

/// All groups but `many`, or those of `--groups A,B`.
///
/// # Errors
/// If something cannot be measured. A bar that is missed is none: it is printed.
pub fn run() -> Result<(), Failure> {
    let chosen: String = option("--groups", String::new())?;
    let chosen: Vec<&str> = chosen.split(',').filter(|name| !name.is_empty()).collect();
    if let Some(name) = chosen.iter().find(|name| GROUPS.iter().all(|group| group.0 != **name)) {
        let names = GROUPS.map(|group| group.0).join(", ");
        return Err(format!("there is no group `{name}`, but {names}").into());
    }
    let mut bench = Bench::from_args().with_rounds(5, Duration::from_millis(300)).with_cpu_clock(cpu_time);
    let folder = Folder::create()?;
    bench.note("load average of the machine before the run", load_average()?, None);
    machine::scaling(&mut bench)?;
    for (name, group) in GROUPS {
        if chosen.contains(&name) || (chosen.is_empty() && name != MANY) {
            group(&mut bench, &folder)?;
        }
    }
    bench.finish()
}

/// A folder beside this program or in `--folder`, gone when dropped. It has to be on a disk: where it lies in
/// memory, syncing costs nothing.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let beside = program.parent().ok_or("this program lies in no folder")?;
        let within = option("--folder", beside.to_owned())?;
        let path = within.join(format!("audit-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // what stays is beside the build
    }
}
