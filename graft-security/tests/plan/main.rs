//! Sealed plans, one reading of the format a test.

mod common;
mod picks;
mod readings;
mod rules;
