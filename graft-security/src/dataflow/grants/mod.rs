//! What a host may say against a verdict: an approval of one call, or a grant for one value.
//!
//! - An **approval** answers an `ask`. It is bound to the exact call (tool and arguments by keyed digest), to the
//!   run and to a time, and is used once. The same call passes once; a call that the policy by then blocks does
//!   not, since that is another question.
//! - A **declassification** is the way out of `secret-to-sink`, an **endorsement** that of `untrusted-to-sink` and
//!   `untrusted-authority`. Each is bound to a value, the source it came from, a tool, the destination that the
//!   call names, a time and a number of uses. A call passes if grants cover every reason that stops it.
//!
//! Both are *robust* in the sense of Zdancewic and Myers, "Robust Declassification" (CSFW 2001): what is released, and
//! whether, must not be decided by untrusted input. So only the host's code makes them, never an argument or an
//! output, and [`Grants::declassify`] and [`Grants::endorse`] take their terms as a [`graft_core::Labeled`] value and
//! refuse them if that label is untrusted. What a host puts into such a label it answers for: a person's look at
//! the value is [`graft_core::Labeled::endorse`].
//!
//! Judging stays pure. [`Grants`] is what changes: a lock holds approvals and grants, each use is taken under it
//! before the call goes out, and given back only if it could not be recorded. A call that fails later has used
//! its grant up, since nobody can say how far it came.

mod digest;
mod pending;
mod question;
mod store;
mod terms;

pub use digest::{CallDigest, GrantKey};
pub use pending::{ApprovalError, PendingApproval};
pub use question::{Question, question};
pub use store::{Grants, MAX_HELD};
pub use terms::{GrantError, GrantId, GrantSource, MAX_USES, Terms};
