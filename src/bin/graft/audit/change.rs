//! What writes to a log: `checkpoint`, `rotate-key`, `prune` and `index`. The log says so itself, in a record.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use graft_audit::{AuditError, AuditSigner, FileAnchor, KeyName, index_log};
use graft_audit::{AuditLog, LogOptions};
use graft_core::Seq;
use serde_json::json;

use super::args::{FormatArgs, LogArgs};
use super::key;
use super::source::Log;
use crate::failure::Failure;
use crate::{Format, output};

/// A log that is opened for writing.
#[derive(clap::Args)]
pub(crate) struct WriteArgs {
    /// The folder of the audit log. Nobody else may have it open for writing.
    #[arg(long, value_name = "FOLDER")]
    log: PathBuf,
    /// The key of the log: a file of 64 hexadecimal digits that nobody else may read.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The anchor file of the log, which it must extend and which is moved.
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(clap::Args)]
pub(crate) struct CheckpointArgs {
    #[command(flatten)]
    log: WriteArgs,
    /// The secret key that signs: a file of 64 hexadecimal digits that nobody else may read.
    #[arg(long, value_name = "FILE")]
    signer: PathBuf,
    /// The name of the log in its checkpoints, such as example.com/audit.
    #[arg(long)]
    name: KeyName,
}

#[derive(clap::Args)]
pub(crate) struct RotateKeyArgs {
    #[command(flatten)]
    log: WriteArgs,
    /// The key that the log goes on with; the old one still opens what was written until now.
    #[arg(long, value_name = "FILE")]
    new_key: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    log: WriteArgs,
    /// The first record that is to stay; whole files before it are removed, so that a few more may stay.
    #[arg(long, value_name = "SEQ")]
    before: u64,
}

#[derive(clap::Args)]
pub(crate) struct IndexArgs {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    format: FormatArgs,
}

impl WriteArgs {
    fn open(&self, signer: Option<AuditSigner>) -> Result<AuditLog, Failure> {
        let mut options = LogOptions::new();
        if let Some(anchor) = &self.anchor {
            options = options.anchor(Arc::new(FileAnchor::new(anchor)));
        }
        if let Some(signer) = signer {
            options = options.signer(signer);
        }
        let log =
            options.open(&self.log, &key::read(&self.key)?).map_err(|error| failure(&self.log, error))?;
        for recovered in log.recovered() {
            output::note(&format!("{}: {recovered:?}", self.log.display()));
        }
        Ok(log)
    }

    fn close(&self, log: AuditLog) -> Result<ExitCode, Failure> {
        log.close().map_err(|error| failure(&self.log, error))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn failure(path: &Path, error: AuditError) -> Failure {
    Log::new(path, Default::default()).failure(error)
}

/// Prints the signed note.
pub(super) fn checkpoint(args: &CheckpointArgs) -> Result<ExitCode, Failure> {
    let seed = key::read_bytes(&args.signer)?;
    let signer =
        AuditSigner::new(args.name.clone(), &seed).map_err(|weak| Failure::file(&args.signer, weak))?;
    let public = signer.verifier();
    let log = args.log.open(Some(signer))?;
    let head = log.checkpoint().map_err(|error| failure(&args.log.log, error))?;
    let path = args.log.log.join(format!("checkpoints/{:020}", head.size));
    let note = crate::input::read(&path, 128 * 1024)?;
    let note = String::from_utf8_lossy(&note);
    match args.log.format.format {
        Format::Table => output::print(note.trim_end_matches('\n'))?,
        Format::Json => output::print(json!({
            "size": head.size, "root": head.root.to_string(), "checkpoint": note, "log_key": public.to_string(),
        }))?,
    }
    drop(log);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn rotate_key(args: &RotateKeyArgs) -> Result<ExitCode, Failure> {
    let new = key::read(&args.new_key)?;
    let log = args.log.open(None)?;
    log.rotate_key(&new).map_err(|error| failure(&args.log.log, error))?;
    let size = log.head().size;
    match args.log.format.format {
        Format::Table => output::print(format!(
            "from record {size} on the log is under the new key; keep the old one to read what is before"
        ))?,
        Format::Json => output::print(json!({ "from": size }))?,
    }
    args.log.close(log)
}

pub(super) fn prune(args: &PruneArgs) -> Result<ExitCode, Failure> {
    let log = args.log.open(None)?;
    let pruned = log.prune(Seq(args.before)).map_err(|error| failure(&args.log.log, error))?;
    let (segments, first) = (pruned.segments, pruned.first.0);
    match args.log.format.format {
        Format::Table => {
            output::print(format!("{segments} segments removed; the first record that is there is {first}"))?
        }
        Format::Json => output::print(json!({ "segments": segments, "first": first }))?,
    }
    args.log.close(log)
}

pub(super) fn index(args: &IndexArgs) -> Result<ExitCode, Failure> {
    let log = args.log.open()?;
    let done = index_log(args.log.path(), &log.keys).map_err(|error| log.failure(error))?;
    match args.format.format {
        Format::Table => output::print(format!(
            "{} indexes made, {} were there, {} segments have none",
            done.made, done.kept, done.without
        ))?,
        Format::Json => {
            output::print(json!({ "made": done.made, "kept": done.kept, "without": done.without }))?
        }
    }
    Ok(ExitCode::SUCCESS)
}
