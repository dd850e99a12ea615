//! `graft audit prove`: a text that shows that a record is in the log, and nothing of what it says.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use graft_audit::{AuditVerifier, Folder, RecordProofError, UnverifiedCheckpoint, prove_record};

use super::check_proof::public_key;
use super::source::Log;
use crate::failure::Failure;
use crate::{input, output};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The sequence number of the record, as `list` shows it.
    #[arg(value_name = "SEQ")]
    seq: u64,
    /// The folder of the audit log. It is only read, and no key of it is needed.
    #[arg(long, value_name = "FOLDER")]
    log: PathBuf,
    /// The public key that checkpoints of the log are signed with: a file with one line, name+id+key.
    #[arg(long, value_name = "FILE")]
    log_key: PathBuf,
    /// The signed checkpoint that the proof leads to; the newest that the log keeps, unless said otherwise.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

const CHECKPOINT_LIMIT: usize = 128 * 1024;

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let key: AuditVerifier = public_key(&args.log_key)?;
    let path = match &args.checkpoint {
        Some(path) => path.clone(),
        None => newest(&args.log)?,
    };
    let checkpoint = UnverifiedCheckpoint::parse(input::read(&path, CHECKPOINT_LIMIT)?);
    let checkpoint = checkpoint.and_then(|checkpoint| checkpoint.verify(&key));
    let checkpoint = checkpoint.map_err(|error| Failure::file(&path, error))?;
    match prove_record(&Folder::new(&args.log), args.seq, &checkpoint) {
        Ok(bundle) => {
            output::print(bundle.to_string().trim_end_matches('\n'))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(RecordProofError::Log(error)) => Err(Log::new(&args.log, Default::default()).failure(error)),
        Err(error @ (RecordProofError::Bundle(_) | RecordProofError::Incomplete)) => {
            output::note(&format!("{}: {error}", args.log.display()));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(Failure::file(&args.log, error)),
    }
}

/// The checkpoint of the most records: their names are sizes of twenty digits.
fn newest(log: &Path) -> Result<PathBuf, Failure> {
    let folder = log.join("checkpoints");
    let none = || Failure::file(log, "it keeps no checkpoint; make one with `graft audit checkpoint`");
    let entries = std::fs::read_dir(&folder).map_err(|_| none())?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let is_size = |name: &String| name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    names.filter(is_size).max().map(|name| folder.join(name)).ok_or_else(none)
}
