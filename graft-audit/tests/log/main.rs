//! The log as its users and its enemies meet it: through files and through bytes.

mod common;
mod files;
mod golden;
mod hostile;
mod reference;
