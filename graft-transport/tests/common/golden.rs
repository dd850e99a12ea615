//! Golden files: hex in the first column, what it means after two spaces, `#` for the head.

use std::path::{Path, PathBuf};

pub(crate) struct Golden {
    pub(crate) name: String,
    head: Vec<String>,
    pub(crate) bytes: Vec<u8>,
}

impl Golden {
    /// The value of a `key: value` line of the head.
    pub(crate) fn head(&self, key: &str) -> &str {
        self.find(key).unwrap_or_else(|| unreachable!("{} has no `{key}`", self.name))
    }

    /// The same of a line that may be missing.
    pub(crate) fn find(&self, key: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
    }
}

/// Every file in a directory of `tests/golden`, in the order of their names.
pub(crate) fn all(directory: &str) -> Vec<Golden> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(directory);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(root).expect("is there").map(|entry| entry.expect("is read").path()).collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Golden {
    let text = std::fs::read_to_string(path).expect("is text");
    let name = path.file_stem().expect("has a name").to_string_lossy().into_owned();
    let mut golden = Golden { name, head: Vec::new(), bytes: Vec::new() };
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(head) => golden.head.push(head.to_owned()),
            None => golden.bytes.extend(unhex(line.split("  ").next().unwrap_or_default())),
        }
    }
    golden
}

fn unhex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "whole bytes: {hex}");
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect()
}
