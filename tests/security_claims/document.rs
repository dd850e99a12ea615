//! The text itself: its tests exist, its tables are whole, and no other text makes claims.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use graft::core::MIN_KEY_LEN;
use graft::core::ledger::{SPAN_AUTHORITY, SPAN_CONTENT};

const LISTS: [&str; 2] = ["deterministic controls", "best-effort heuristics"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn security() -> String {
    fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md is there")
}

/// Every file under `folder` with this extension, build output and hidden folders aside.
fn files(folder: &Path, extension: &str, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if entry.is_dir() && !name.starts_with('.') && name != "target" {
            files(&entry, extension, all);
        } else if entry.extension().is_some_and(|found| found == extension) {
            all.push(entry);
        }
    }
}

/// The functions of `source` that a test attribute stands above, inside `proptest!` too.
fn tests_in(source: &str) -> HashSet<&str> {
    let mut is_test = false;
    let mut all = HashSet::new();
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ") {
            all.extend(rest.split_once('(').map(|(name, _)| name).filter(|_| is_test));
            is_test = false;
        }
    }
    all
}

/// What stands between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The heading and the body of each section.
fn sections(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("\n## ").skip(1).map(|section| section.split_once('\n').expect("a heading has a body"))
}

fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let mut found = sections(text).filter(|(title, _)| title.eq_ignore_ascii_case(heading));
    let (_, body) = found.next().unwrap_or_else(|| unreachable!("no section `{heading}`"));
    assert!(found.next().is_none(), "two sections `{heading}`");
    body
}

/// The list entries of a section, each with the lines that it goes on over.
fn entries(body: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in body.lines() {
        match (line.strip_prefix("- "), line.strip_prefix("  "), all.last_mut()) {
            (Some(entry), ..) => all.push(entry.to_owned()),
            (None, Some(more), Some(entry)) => *entry += &format!(" {more}"),
            _ => {}
        }
    }
    all
}

/// The cells of each row of the table in a section, without its head.
fn rows(body: &str) -> Vec<Vec<&str>> {
    let lines = body.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    lines.skip(2).map(|line| line.split('|').map(str::trim).collect()).collect()
}

/// Whether a cell names a test of the repository, and no code that is not one.
fn names_tests(cell: &str, tests: &HashSet<String>) -> bool {
    for name in code(cell) {
        assert!(tests.contains(name), "no test is called `{name}`");
    }
    code(cell).next().is_some()
}

fn all_tests() -> HashSet<String> {
    let mut sources = Vec::new();
    files(root(), "rs", &mut sources);
    let mut all = HashSet::new();
    for source in sources {
        let source = fs::read_to_string(source).expect("UTF-8");
        all.extend(tests_in(&source).into_iter().map(str::to_owned));
    }
    all
}

#[test]
fn every_claim_names_a_test_that_exists() {
    let text = security();
    for list in LISTS {
        let entries = entries(section(&text, list));
        assert!(!entries.is_empty(), "nothing stands under `{list}`");
        for entry in entries {
            assert!(entry.contains(".rs::"), "no test holds: {entry}");
        }
    }
    for named in code(&text).filter(|code| code.contains(".rs::")) {
        let (file, test) = named.split_once("::").expect("a path and a name");
        let source = fs::read_to_string(root().join(file)).unwrap_or_else(|_| unreachable!("no file {file}"));
        assert!(tests_in(&source).contains(test), "{file} has no test `{test}`");
    }
}

#[test]
fn the_figures_are_those_of_the_code() {
    let text = security();
    let figures =
        [("SPAN_AUTHORITY", SPAN_AUTHORITY), ("SPAN_CONTENT", SPAN_CONTENT), ("MIN_KEY_LEN", MIN_KEY_LEN)];
    for (name, value) in figures {
        assert!(text.contains(&format!("`{name}` ({value})")), "`{name}` is {value}");
    }
}

#[test]
fn the_stride_table_has_48_cells_each_with_a_test_or_open() {
    let (text, tests) = (security(), all_tests());
    let rows = rows(section(&text, "STRIDE"));
    assert_eq!(rows.len(), 8, "a row for each boundary");
    for row in rows {
        assert_eq!(row.len(), 7, "a boundary and six threats: {row:?}");
        for cell in &row[1..] {
            let open = cell.strip_prefix("open: ").is_some_and(|why| !why.is_empty());
            assert!(names_tests(cell, &tests) || open, "`{}` says nothing: {cell:?}", row[0]);
        }
    }
}

#[test]
fn every_component_has_its_test_or_is_not_built() {
    let (text, tests) = (security(), all_tests());
    let rows = rows(section(&text, "Components"));
    assert!(rows.len() >= 8);
    for row in rows {
        let [name, _, sees, held] = row[..] else { unreachable!("four cells: {row:?}") };
        assert!(!sees.is_empty());
        assert!(held == "not built" || names_tests(held, &tests), "nothing holds what is said of {name}");
    }
}

#[test]
fn only_this_text_makes_claims() {
    let mut texts = Vec::new();
    files(root(), "md", &mut texts);
    assert!(texts.len() > 5, "the other texts are looked at");
    for path in texts {
        let text = fs::read_to_string(&path).expect("UTF-8").to_lowercase();
        let heads = |list: &str| text.lines().filter(|l| l.starts_with('#') && l.contains(list)).count();
        for list in LISTS {
            if path == root().join("SECURITY.md") {
                assert_eq!(heads(list), 1, "{list}");
            } else {
                assert!(!text.contains(list), "{} makes claims of its own", path.display());
            }
        }
    }
}

#[test]
fn a_function_counts_only_under_a_test_attribute() {
    let source = "#[test]\nfn one() {}\nfn helper() {}\nproptest! {\n  #[test]\n  fn two(a in 0..9) {}\n}\n\
                  #[tokio::test(start_paused = true)]\nasync fn three() {\n  fn inner() {}\n}";
    assert_eq!(tests_in(source), HashSet::from(["one", "two", "three"]));
}
