//! A file as a window that moves forward over it.

use std::io;

use super::files::{Files, read_full};

/// How much is read at a time. Little in tests, so that every log has seams.
const STEP: usize = if cfg!(test) { 256 } else { 256 * 1024 };

/// The bytes of a file from a place on, as many as were asked for.
///
/// Memory is what [`fill`](Self::fill) was asked for and the file has, and a step more.
pub(crate) struct Window<'f> {
    files: &'f dyn Files,
    name: String,
    /// Where in the file the window begins.
    offset: u64,
    buffer: Vec<u8>,
    /// The window is this part of the buffer.
    start: usize,
    end: usize,
    step: usize,
}

impl<'f> Window<'f> {
    pub(crate) fn new(files: &'f dyn Files, name: String, offset: u64) -> Self {
        Self { files, name, offset, buffer: Vec::new(), start: 0, end: 0, step: STEP }
    }

    /// The same for a look at one place: little is read at a time.
    pub(crate) fn at(files: &'f dyn Files, name: String, offset: u64) -> Self {
        Self { step: STEP / 32, ..Self::new(files, name, offset) }
    }

    /// Where in the file the window begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The file that it moves over.
    pub(crate) fn source(&self) -> (&'f dyn Files, &str) {
        (self.files, &self.name)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    /// Makes the window at least `length` bytes long; `false` if the file ends before.
    pub(crate) fn fill(&mut self, length: usize) -> io::Result<bool> {
        while self.end - self.start < length {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            if self.buffer.len() < self.end + self.step {
                self.buffer.resize(self.end + self.step, 0);
            }
            let from = self.offset + self.end as u64;
            let read = read_full(self.files, &self.name, from, &mut self.buffer[self.end..])?;
            if read == 0 {
                return Ok(false);
            }
            self.end += read;
        }
        Ok(true)
    }

    /// Moves the beginning forward by as many bytes of the window.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Moves the beginning to the next byte that is not zero, if there is any.
    pub(crate) fn skip_zeros(&mut self) -> io::Result<bool> {
        while self.fill(1)? {
            let zeros = self.bytes().iter().take_while(|&&byte| byte == 0).count();
            let found = zeros < self.bytes().len();
            self.advance(zeros);
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
