//! What a host may say against a verdict, and what it is told of one.

mod approvals;
mod explained;
mod releases;
mod stage;
