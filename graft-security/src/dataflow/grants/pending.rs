//! A question that waits for a person.

use graft_core::{CallId, Name, RecordError, RunId, Source, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::digest::{CallDigest, GrantKey};
use crate::dataflow::explain::Reason;

/// A call about which a person is to decide: what it was by digest, why it was stopped and until when an
/// answer counts. It holds no value, so it can be stored, and it is sealed, so that an edited one is refused.
///
/// What stands in it after it was read back is believed only once [`super::Grants::approve`] took it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingApproval {
    run: RunId,
    call: CallId,
    tool: Name,
    digest: CallDigest,
    reasons: Vec<Reason>,
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    expires: Timestamp,
    seal: [u8; 32],
}

impl PendingApproval {
    pub(super) fn new(
        key: &GrantKey,
        run: RunId,
        call: CallId,
        tool: Name,
        digest: CallDigest,
        reasons: Vec<Reason>,
        expires: Timestamp,
    ) -> Self {
        let mut pending = Self { run, call, tool, digest, reasons, expires, seal: [0; 32] };
        pending.seal = pending.with_parts(|parts| key.seal(run, parts));
        pending
    }

    pub(super) fn is_sealed_by(&self, key: &GrantKey) -> bool {
        self.with_parts(|parts| key.is_seal(self.run, parts, &self.seal))
    }

    /// Everything but the run, which the key takes by itself, and the seal.
    fn with_parts<T>(&self, f: impl FnOnce(&[&[u8]]) -> T) -> T {
        let mut parts: Vec<Vec<u8>> = vec![
            self.call.0.to_le_bytes().to_vec(),
            self.tool.as_str().into(),
            self.digest.0.to_vec(),
            self.expires.0.to_le_bytes().to_vec(),
        ];
        for reason in &self.reasons {
            parts.push(reason.signal.as_str().into());
            parts.push(reason.rule.as_bytes().to_vec());
            parts.push(reason.arg.clone().into());
            parts.push((reason.range.0 as u64).to_le_bytes().to_vec());
            parts.push((reason.range.1 as u64).to_le_bytes().to_vec());
            parts.push(match &reason.source {
                Source::Prompt => b"p".to_vec(),
                Source::Operator => b"o".to_vec(),
                Source::Call(call, tool) => format!("c{call} {tool}").into(),
                Source::Unknown => b"u".to_vec(),
            });
            parts.push((reason.views.len() as u64).to_le_bytes().to_vec());
            parts.extend(reason.views.iter().map(|view| view.as_bytes().to_vec()));
            parts.push(vec![u8::from(reason.stops)]);
            parts.push(reason.text.clone().into());
        }
        f(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// The run in which the call was stopped.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The call that was stopped.
    pub fn call(&self) -> CallId {
        self.call
    }

    /// The tool.
    pub fn tool(&self) -> &Name {
        &self.tool
    }

    /// The keyed digest of tool and arguments.
    pub fn digest(&self) -> CallDigest {
        self.digest
    }

    /// Why a person is asked.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// When neither an answer nor its use counts any more.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// Nanoseconds as decimal text: a JSON number would lose digits in languages that keep numbers as floats.
fn as_text<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&time.0.to_string())
}

/// What is no such text is a time long past: expired.
fn from_text<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    Ok(Timestamp(text.parse().unwrap_or(0)))
}

/// Why an answer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// The call was stopped in another run.
    #[error("the question is of another run; answer it there")]
    OtherRun,
    /// The pending approval was not made under this key, or was edited since.
    #[error("the pending approval was not made here or was edited; make the call again to be asked again")]
    NotOurs,
    /// Its time is over or cannot be read.
    #[error("the question has expired; make the call again to be asked again")]
    Expired,
    /// It was answered before.
    #[error("the question was answered before; make the call again to be asked again")]
    Answered,
    /// Too many answers are held.
    #[error("the run holds too many answers; use them or wait until they expire")]
    Full,
    /// The answer could not be recorded, so it does not count.
    #[error(transparent)]
    Record(#[from] RecordError),
}
