//! What several commands are told alike.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use graft_audit::{
    ActionPattern, Anchor, AuditError, AuditLog, AuditVerifier, FileAnchor, IdPattern, KeyRing, Pattern,
    Query, Rfc3339, TreeHead, UnverifiedCheckpoint,
};
use graft_core::{CallId, Decision, Ending, Name};

use super::check_proof::public_key;
use super::key;
use super::source::Log;
use crate::failure::Failure;
use crate::{Format, input};

/// Which log, and with which key.
#[derive(clap::Args)]
pub(crate) struct LogArgs {
    /// The folder of the audit log. It is only read, unless another option says so.
    #[arg(long, value_name = "FOLDER")]
    log: PathBuf,
    /// The key of the log: a file of 64 hexadecimal digits that nobody else may read.
    ///
    /// May be given several times, for a log whose key was changed.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
}

impl LogArgs {
    pub(super) fn open(&self) -> Result<Log, Failure> {
        Ok(Log::new(&self.log, keys(&self.key)?))
    }

    pub(super) fn path(&self) -> &Path {
        &self.log
    }

    /// The log, opened for writing with the last of the keys.
    pub(super) fn open_to_write(&self) -> Result<AuditLog, Failure> {
        let Some(key) = self.key.last() else { return Err(Failure::new("no `--key`")) };
        AuditLog::open(&self.log, &key::read(key)?).map_err(|error| self.failure(error))
    }

    pub(super) fn failure(&self, error: AuditError) -> Failure {
        Log::new(&self.log, KeyRing::default()).failure(error)
    }
}

/// The keys in these files.
pub(super) fn keys(paths: &[PathBuf]) -> Result<KeyRing, Failure> {
    paths.iter().map(|path| key::read(path)).collect()
}

/// Who takes records out of the log.
#[derive(clap::Args)]
pub(crate) struct ByArgs {
    /// Who exports: a name that is recorded in the log first, with the last `--key`. Nobody else may have the log
    /// open for writing.
    #[arg(long = "as", value_name = "NAME", value_parser = |name: &str| Name::new(name))]
    by: Option<Name>,
}

impl ByArgs {
    /// Records it, if there is a name.
    pub(super) fn record(&self, args: &LogArgs, withheld: usize) -> Result<(), Failure> {
        let Some(by) = &self.by else { return Ok(()) };
        let log = args.open_to_write()?;
        let recorded = log.record_export(by.clone(), withheld as u64).and_then(|_| log.close());
        recorded.map(drop).map_err(|error| args.failure(error))
    }
}

/// How it is printed.
#[derive(clap::Args)]
pub(crate) struct FormatArgs {
    /// How it is printed; `json` is one object a line.
    #[arg(long, value_enum, default_value = "table")]
    pub(super) format: Format,
}

/// What was kept of the log where whoever writes it cannot change it.
#[derive(clap::Args)]
#[command(next_help_heading = "What it is held against")]
pub(crate) struct AnchorArgs {
    /// A state of the log that was kept elsewhere, as the host's anchor file: the log must extend it.
    #[arg(long, value_name = "FILE")]
    anchor: Vec<PathBuf>,
    /// A signed checkpoint of the log: the log must extend it.
    #[arg(long, value_name = "FILE", requires = "log_key")]
    checkpoint: Vec<PathBuf>,
    /// The public key that the checkpoint was signed with: a file with one line, name+id+key.
    #[arg(long, value_name = "FILE")]
    log_key: Option<PathBuf>,
}

const CHECKPOINT_LIMIT: usize = 128 * 1024;

impl AnchorArgs {
    pub(super) fn heads(&self, log: &Log) -> Result<Vec<TreeHead>, Failure> {
        let mut heads = Vec::new();
        if let (Some(id), [_, ..]) = (log.id()?, &self.anchor[..]) {
            for path in &self.anchor {
                let kept = FileAnchor::new(path).load(id).map_err(|error| Failure::file(path, error))?;
                let kept = kept.ok_or_else(|| Failure::file(path, "it is not there; check the path"))?;
                heads.push(kept.head);
            }
        }
        if let Some(key) = &self.log_key {
            let key: AuditVerifier = public_key(key)?;
            for path in &self.checkpoint {
                let checkpoint = UnverifiedCheckpoint::parse(input::read(path, CHECKPOINT_LIMIT)?);
                let checkpoint = checkpoint.and_then(|checkpoint| checkpoint.verify(&key));
                heads.push(checkpoint.map_err(|error| Failure::file(path, error))?.head());
            }
        }
        Ok(heads)
    }
}

/// Which records are asked for: those that agree with everything that is given.
#[derive(clap::Args)]
#[command(next_help_heading = "Which records")]
pub(crate) struct FilterArgs {
    /// At this time or later: 2026-01-31, or 2026-01-31T18:30:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<Rfc3339>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<Rfc3339>,
    /// Who; a name may end in `*`, for all that begin so.
    #[arg(long, value_name = "NAME")]
    actor: Option<Pattern>,
    /// What was done: an action such as tool:dataflow:blocked, or tool:dataflow:*.
    #[arg(long, value_name = "NAME")]
    action: Option<ActionPattern>,
    /// On what.
    #[arg(long, value_name = "NAME")]
    target: Option<Pattern>,
    /// What the guard decided.
    #[arg(long, value_enum)]
    decision: Option<DecisionWord>,
    /// How it ended.
    #[arg(long, value_enum)]
    ending: Option<EndingWord>,
    /// The run: its id, or the first digits of it, at least 4.
    #[arg(long, value_name = "ID")]
    run: Option<IdPattern>,
    /// The call's number. Each run counts its own, so give the run as well.
    #[arg(long, value_name = "NUMBER")]
    call: Option<u64>,
    /// The trace: its id, or the first digits of it, at least 4.
    #[arg(long, value_name = "ID")]
    trace: Option<IdPattern>,
}

impl FilterArgs {
    pub(super) fn query(&self) -> Query {
        let mut query = Query::default();
        query.from = self.from.map(|from| from.0);
        query.until = self.until.map(|until| until.0);
        query.actor.clone_from(&self.actor);
        query.action.clone_from(&self.action);
        query.target.clone_from(&self.target);
        query.decision = self.decision.map(DecisionWord::meant);
        query.ending = self.ending.map(EndingWord::meant);
        query.run = self.run;
        query.call = self.call.map(CallId);
        query.trace = self.trace;
        query
    }
}

/// The words of [`Decision`].
#[derive(Clone, Copy, ValueEnum)]
enum DecisionWord {
    Allow,
    Flag,
    Declassify,
    Ask,
    Block,
}

impl DecisionWord {
    fn meant(self) -> Decision {
        match self {
            Self::Allow => Decision::Allow,
            Self::Flag => Decision::Flag,
            Self::Declassify => Decision::Declassify,
            Self::Ask => Decision::Ask,
            Self::Block => Decision::Block,
        }
    }
}

/// The words of [`Ending`].
#[derive(Clone, Copy, ValueEnum)]
enum EndingWord {
    Pending,
    Ok,
    Denied,
    Failed,
}

impl EndingWord {
    fn meant(self) -> Ending {
        match self {
            Self::Pending => Ending::Pending,
            Self::Ok => Ending::Ok,
            Self::Denied => Ending::Denied,
            Self::Failed => Ending::Failed,
        }
    }
}
