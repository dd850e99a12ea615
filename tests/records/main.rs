//! What is recorded: for every row of the action table the act is done through the public interface, and exactly one
//! such record is found; and no argument is in any of them.

#![allow(clippy::panic)] // a test says so, and so does a method that is to fail

mod canary;
pub mod office;
pub mod receiver;
mod table;
