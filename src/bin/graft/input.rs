//! Files that are read whole, within bounds.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::failure::Failure;

/// The file at `path`, if it is not longer than `limit` bytes.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| Failure::io(path, "read", &error))?;
    if bytes.len() > limit {
        return Err(Failure::file(path, format!("it is over {} MiB; is it the right file?", limit >> 20)));
    }
    Ok(bytes)
}
