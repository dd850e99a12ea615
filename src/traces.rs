//! A file for traces, which hold values.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Arc;

use graft_security::dataflow::files::TraceWriter;

/// Creates the file at `path`, for its owner alone, and writes traces to it. **They hold arguments and
/// results.** The runs name `registry` as the labels of their tools:
/// [`Registry::from_tools`](graft_security::dataflow::files::Registry::from_tools) makes that file.
///
/// # Errors
/// If there is a file already, or it cannot be created.
pub fn danger_trace_file(path: impl AsRef<Path>, registry: &str) -> io::Result<Arc<TraceWriter>> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok(TraceWriter::danger_holds_values(options.open(path)?, registry))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_trace_file_is_for_its_owner_alone_and_never_overwrites() {
        let path = std::env::temp_dir().join(format!("graft-trace-{}.jsonl", std::process::id()));
        danger_trace_file(&path, "home").expect("is created");
        let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(danger_trace_file(&path, "home").is_err());
        std::fs::remove_file(path).expect("is removed");
    }
}
