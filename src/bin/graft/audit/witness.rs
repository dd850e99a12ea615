//! `graft audit witness`: sees a log's checkpoints, and cosigns those that take nothing back.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use graft_audit::{FileAnchor, KeyName, Witness, WitnessRefusal, WitnessSigner};
use graft_core::Timestamp;

use super::check_proof::public_key;
use super::key;
use crate::failure::Failure;
use crate::{input, output};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The request: the body of an `add-checkpoint` of C2SP tlog-witness.
    #[arg(value_name = "FILE")]
    request: PathBuf,
    /// The public key of the log: a file with one line, name+id+key.
    #[arg(long, value_name = "FILE")]
    log_key: PathBuf,
    /// The witness's secret key: a file of 64 hexadecimal digits that nobody else may read.
    #[arg(long, value_name = "FILE")]
    signer: PathBuf,
    /// The witness's name, such as example.com/witness.
    #[arg(long)]
    name: KeyName,
    /// Where the witness keeps what it saw last; out of the reach of whoever writes the log. Made if it is not there.
    #[arg(long, value_name = "FILE")]
    seen: PathBuf,
}

const REQUEST_LIMIT: usize = 1024 * 1024;

/// The answer is the cosignature, a line to put behind the checkpoint's own signatures.
pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let request = input::read(&args.request, REQUEST_LIMIT)?;
    let log = public_key(&args.log_key)?;
    let seed = key::read_bytes(&args.signer)?;
    let signer =
        WitnessSigner::new(args.name.clone(), &seed).map_err(|weak| Failure::file(&args.signer, weak))?;
    let witness = Witness::new(signer).with_log(log, Box::new(FileAnchor::new(&args.seen)));
    match witness.add_checkpoint(request, now()) {
        Ok(line) => {
            output::print(line.trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(WitnessRefusal::Malformed) => Err(Failure::file(&args.request, WitnessRefusal::Malformed)),
        Err(WitnessRefusal::Store(error)) => Err(Failure::file(&args.seen, error)),
        Err(refusal) => {
            output::note(&format!("{}: not cosigned: {refusal}", args.request.display()));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
