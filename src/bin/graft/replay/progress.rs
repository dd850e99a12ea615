//! A count on the terminal while runs are replayed; nothing where nobody watches.

use std::io::{IsTerminal, Write, stderr};

/// The count, which is gone once this is dropped, also when the replay failed.
pub(super) struct Progress {
    watched: bool,
    width: usize,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { watched: stderr().is_terminal(), width: 0 }
    }

    pub(super) fn show(&mut self, runs: usize) {
        if self.watched && runs.is_multiple_of(64) {
            let text = format!("{runs} runs");
            let _ = write!(stderr(), "\r{text}");
            self.width = text.len();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.width > 0 {
            // Spaces, since not every terminal knows escapes.
            let _ = write!(stderr(), "\r{:1$}\r", "", self.width);
        }
    }
}
