//! Writes the fold table of graft-core, `src/ledger/fold/table.rs`, to the standard output, or with
//! `--classes` what the table makes equal.
//!
//! The sources are the data of Unicode as the crates of this workspace's lock file carry it, and the case
//! pairs of the standard library.

mod classes;
mod table;

fn main() {
    let folds = classes::Folds::new();
    match std::env::args().nth(1).as_deref() {
        None => print!("{}", table::source(&folds)),
        Some("--classes") => print!("{}", folds.report()),
        Some(_) => {
            eprintln!("usage: fold-table [--classes]");
            std::process::exit(2);
        }
    }
}
