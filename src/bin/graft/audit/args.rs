//! What several commands are told alike.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use graft_audit::{ActionPattern, AuditError, AuditLog, IdPattern, KeyRing, Pattern, Query, Rfc3339};
use graft_core::{CallId, Decision, Ending};

use super::key;
use super::source::Log;
use crate::Format;
use crate::failure::Failure;

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

/// How it is printed.
#[derive(clap::Args)]
pub(crate) struct FormatArgs {
    /// How it is printed; `json` is one object a line.
    #[arg(long, value_enum, default_value = "table")]
    pub(super) format: Format,
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
