//! `graft audit check-proof`: is what a proof says so, by the signatures of its log and of witnesses?

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use graft_audit::{
    AuditVerifier, BundleError, Checkpoint, Cosigned, KeyError, Rfc3339, UnverifiedBundle,
    UnverifiedConsistency, VerifiedConsistency, VerifiedProof, WitnessVerifier,
};
use graft_core::Timestamp;
use serde_json::{Value, json};

use super::args::FormatArgs;
use crate::failure::Failure;
use crate::{Format, input, output};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The proof: that a record is in a log, or that a later checkpoint contains all of an earlier one.
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The public key of the log: a file with one line, name+id+key.
    #[arg(long, value_name = "FILE")]
    log_key: PathBuf,
    /// The public key of a witness: a file with one line, name+id+key. May be given several times.
    #[arg(long, value_name = "FILE")]
    witness_key: Vec<PathBuf>,
    /// How many of these witnesses have to have cosigned it: all, unless said otherwise.
    #[arg(long, value_name = "NUMBER")]
    quorum: Option<usize>,
    #[command(flatten)]
    format: FormatArgs,
}

/// The most bytes of a file with a public key, or with a proof: one that is longer is another file.
const KEY_LIMIT: usize = 4 * 1024;
const PROOF_LIMIT: usize = 1024 * 1024;

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let log: AuditVerifier = public_key(&args.log_key)?;
    let witnesses = args.witness_key.iter().map(|path| public_key(path)).collect::<Result<Vec<_>, _>>()?;
    let quorum = args.quorum.unwrap_or(witnesses.len());
    if quorum > witnesses.len() {
        return Err(Failure::new(format!(
            "a quorum of {quorum} takes as many keys; give each with `--witness-key`"
        )));
    }
    let bytes = input::read(&args.proof, PROOF_LIMIT)?;
    match check(&bytes, &log, &witnesses, quorum) {
        Ok(proved) => {
            output::print(proved.print(args.format.format))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if is_no_proof(&error) => Err(Failure::file(&args.proof, error)),
        Err(error) => {
            if args.format.format == Format::Json {
                output::print(json!({ "proved": false, "why": error.to_string() }))?;
            }
            output::note(&format!("{}: it proves nothing: {error}", args.proof.display()));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// A public key of either kind.
pub(super) fn public_key<K: FromStr<Err = KeyError>>(path: &Path) -> Result<K, Failure> {
    let bytes = input::read(path, KEY_LIMIT)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    text.strip_suffix('\n').unwrap_or(text).parse().map_err(|error| Failure::file(path, error))
}

/// Whether the file is of another kind, rather than a proof that does not hold.
fn is_no_proof(error: &BundleError) -> bool {
    matches!(error, BundleError::TooLong | BundleError::UnknownForm | BundleError::NoHeader)
}

enum Proved {
    Record(VerifiedProof),
    Extends(VerifiedConsistency),
}

fn check(
    bytes: &[u8],
    log: &AuditVerifier,
    witnesses: &[WitnessVerifier],
    quorum: usize,
) -> Result<Proved, BundleError> {
    match UnverifiedBundle::parse(bytes) {
        Ok(bundle) => bundle.verify(log, witnesses, quorum).map(Proved::Record),
        Err(BundleError::UnknownForm) => {
            UnverifiedConsistency::parse(bytes)?.verify(log, witnesses, quorum).map(Proved::Extends)
        }
        Err(error) => Err(error),
    }
}

impl Proved {
    fn print(&self, format: Format) -> String {
        match (self, format) {
            (Self::Record(proof), Format::Table) => format!(
                "record {} is in the log {}, which had {} records then\nleaf {}\n{}",
                proof.index(),
                proof.checkpoint().origin(),
                proof.checkpoint().head().size,
                proof.leaf(),
                seen(proof.cosigned_by())
            ),
            (Self::Extends(proof), Format::Table) => format!(
                "the log {} with {} records contains all of what it was with {}\n{}",
                proof.later().origin(),
                proof.later().head().size,
                proof.earlier().head().size,
                seen(proof.cosigned_by())
            ),
            (Self::Record(proof), Format::Json) => json!({
                "proved": true,
                "seq": proof.index(),
                "leaf": proof.leaf().to_string(),
                "checkpoint": head(proof.checkpoint()),
                "witnesses": cosigned(proof.cosigned_by()),
            })
            .to_string(),
            (Self::Extends(proof), Format::Json) => json!({
                "proved": true,
                "earlier": head(proof.earlier()),
                "checkpoint": head(proof.later()),
                "witnesses": cosigned(proof.cosigned_by()),
            })
            .to_string(),
        }
    }
}

fn head(checkpoint: &Checkpoint) -> Value {
    let head = checkpoint.head();
    json!({ "log": checkpoint.origin().as_str(), "size": head.size, "root": head.root.to_string() })
}

fn cosigned(by: &[Cosigned]) -> Vec<Value> {
    let one = |cosigned: &Cosigned| json!({ "name": cosigned.witness.as_str(), "time": time(cosigned) });
    by.iter().map(one).collect()
}

fn seen(by: &[Cosigned]) -> String {
    if by.is_empty() {
        return "no witness: a log that tells somebody else another history cannot be seen".to_owned();
    }
    let one = |cosigned: &Cosigned| format!("seen by {} at {}", cosigned.witness, time(cosigned));
    by.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn time(cosigned: &Cosigned) -> String {
    format!("{:.0}", Rfc3339(Timestamp(cosigned.unix_seconds.saturating_mul(1_000_000_000))))
}
