//! `graft audit`: what does a log say, and is it still what was written?

mod args;
mod change;
mod check_proof;
mod export;
mod key;
mod list;
mod prove;
mod report;
mod rows;
mod show;
mod source;
mod tail;
mod verify;
mod witness;

use std::path::Path;
use std::process::ExitCode;

use graft_audit::Break;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output;

/// Read an audit log, or verify it.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print the records of a log, each verified before it is printed.
    ///
    /// Exit status: 0 if all of the log verifies; 1 if it does not, which the list marks where it is; 2 if
    /// nothing could be read: a missing log, another key, not a log.
    List(list::Args),
    /// Print the last records of a log.
    ///
    /// Exit status: as that of `list`.
    Tail(tail::Args),
    /// Print one record and everything that is in it.
    ///
    /// Exit status: 0 if the record is there and verifies; 1 if the log does not verify up to it; 2 if there
    /// is no such record or nothing could be read.
    Show(show::Args),
    /// Print the records that are asked for.
    ///
    /// Exit status: as that of `list`; also 0 if no record agrees.
    Query(list::QueryArgs),
    /// Check that a log is as it was written, and name the first record that is not.
    ///
    /// Exit status: 0 if the log is intact; 1 if it is not; 2 if it could not be checked: a missing log,
    /// another key, not a log.
    Verify(verify::Args),
    /// Print the records for other programs.
    ///
    /// Exit status: as that of `list`.
    Export(export::Args),
    /// Print a page of HTML that tells what happened, for somebody who did not write the code.
    ///
    /// Exit status: as that of `list`; also 1 if the log does not extend what it is held against.
    Report(report::Args),
    /// Print a proof that a record is in the log, for somebody who has neither the log nor its key.
    ///
    /// Exit status: 0 if it was made; 1 if the log is not the one of the checkpoint; 2 if there is no such record
    /// or nothing could be read.
    Prove(prove::Args),
    /// Check a proof offline, with nothing but public keys.
    ///
    /// Exit status: 0 if it proves what it says; 1 if it does not; 2 if it could not be checked: a missing
    /// file, not a proof, not a key.
    CheckProof(check_proof::Args),
    /// Answer a log's request as its witness: cosign a checkpoint that contains all that was cosigned before.
    ///
    /// Exit status: 0 if it was cosigned; 1 if the witness refuses, as it does when the log was rolled back or has
    /// two histories; 2 if it could not be looked at.
    Witness(witness::Args),
    /// Sign the state of a log, keep that beside it and print it.
    ///
    /// Exit status: 0 if it was done, else 2.
    Checkpoint(change::CheckpointArgs),
    /// Let a log go on under a new key. Nothing is sealed anew.
    ///
    /// Exit status: 0 if it was done, else 2.
    RotateKey(change::RotateKeyArgs),
    /// Remove the oldest records of a log; proofs of them stay good.
    ///
    /// Exit status: 0 if it was done, else 2.
    Prune(change::PruneArgs),
    /// Make the indexes of a log, through which `query`, `show` and `tail` find records without reading all of it.
    ///
    /// Everything in them is sealed under the log's key. Exit status: 0 if it was done, else 2.
    Index(change::IndexArgs),
}

pub(crate) fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List(args) => list::run(args),
        Command::Tail(args) => tail::run(args),
        Command::Show(args) => show::run(args),
        Command::Query(args) => list::query(args),
        Command::Verify(args) => verify::run(args),
        Command::Export(args) => export::run(args),
        Command::Report(args) => report::run(args),
        Command::Prove(args) => prove::run(args),
        Command::Checkpoint(args) => change::checkpoint(args),
        Command::RotateKey(args) => change::rotate_key(args),
        Command::Prune(args) => change::prune(args),
        Command::Index(args) => change::index(args),
        Command::CheckProof(args) => check_proof::run(args),
        Command::Witness(args) => witness::run(args),
    }
}

fn break_json(found: &Break) -> Value {
    json!({
        "segment": found.segment,
        "place": found.place.to_string(),
        "seq": found.seq,
        "offset": found.offset,
        "what": found.what.to_string(),
    })
}

/// The status of a log, and one sentence if it is not a good one. What was found has been printed.
fn ending(log: &Path, first_bad: Option<&Break>) -> ExitCode {
    let Some(found) = first_bad else { return ExitCode::SUCCESS };
    output::note(&format!(
        "{}: the log does not verify from {} on; keep a copy of it before anything writes to it",
        log.display(),
        found.place
    ));
    ExitCode::FAILURE
}
