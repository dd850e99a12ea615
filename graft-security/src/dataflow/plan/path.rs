//! Where in a structured result a plan's values stand: a part of RFC 9535.

use std::fmt;

use super::tree::{Step, Tree};

/// The most steps of a path.
const MAX_STEPS: usize = 16;

/// A path into a result: `$.contacts[*].email`.
///
/// The part of JSONPath (RFC 9535) without filters and slices: `.name`, `['name']`, `[2]`, `[-1]`, `.*` and `[*]`,
/// and each of them behind `..`. `[*]` steps through the values of an object too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Select(Vec<Selector>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Selector {
    /// Whether it holds at any depth.
    descends: bool,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Name(String),
    Index(usize),
    /// Counted from the end: the last is 1.
    FromEnd(usize),
    All,
}

impl Select {
    /// Reads a path.
    ///
    /// # Errors
    /// What a path looks like, in words.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut rest = text.strip_prefix('$').ok_or("a path begins with `$`")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if steps.len() == MAX_STEPS {
                return Err("a path has at most 16 steps");
            }
            let (descends, behind) = match (rest.strip_prefix(".."), rest.strip_prefix('.')) {
                (Some(behind), _) => (true, Some(behind)),
                (None, behind) => (false, behind),
            };
            let (what, behind) = match behind {
                Some(behind) if !(descends && behind.starts_with('[')) => name(behind)?,
                Some(behind) => bracket(behind)?,
                None => bracket(rest)?,
            };
            steps.push(Selector { descends, what });
            rest = behind;
        }
        Ok(Self(steps))
    }

    /// The nodes that it selects, in order.
    pub(super) fn nodes(&self, tree: &Tree) -> Vec<usize> {
        let mut nodes = vec![0];
        for step in &self.0 {
            let from = if step.descends { tree.under(&nodes) } else { nodes };
            nodes = from.into_iter().flat_map(|at| step.what.children(tree, at)).collect();
            nodes.sort_unstable();
        }
        nodes
    }
}

impl What {
    /// The children of the node `at` that it selects.
    fn children<'t>(&'t self, tree: &'t Tree, at: usize) -> impl Iterator<Item = usize> + 't {
        let all = &tree.node(at).children;
        let last = all.len();
        all.iter().enumerate().filter_map(move |(i, &child)| {
            let step = &tree.node(child).step;
            let takes = match self {
                Self::All => true,
                Self::Name(name) => step.name() == Some(name),
                Self::Index(index) => *step == Step::Index(*index),
                Self::FromEnd(back) => matches!(step, Step::Index(_)) && i + back == last,
            };
            takes.then_some(child)
        })
    }
}

/// The name or `*` that `text` begins with, and what is behind it.
fn name(text: &str) -> Result<(What, &str), &'static str> {
    if let Some(rest) = text.strip_prefix('*') {
        return Ok((What::All, rest));
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let (name, rest) = text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()));
    match name {
        "" => Err("a name or `*` stands behind a dot; other names stand as ['name']"),
        name => Ok((What::Name(name.to_owned()), rest)),
    }
}

/// The step in brackets that `text` begins with, and what is behind it.
fn bracket(text: &str) -> Result<(What, &str), &'static str> {
    const WRONG: &str = "a step is .name, ['name'], [0], [-1], .* or [*], and may stand behind `..`";
    let inner = text.strip_prefix('[').ok_or(WRONG)?;
    if let Some(quote) = inner.chars().next().filter(|c| ['\'', '"'].contains(c)) {
        let mut name = String::new();
        let mut chars = inner[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    let rest = inner[at + 2..].strip_prefix(']').ok_or(WRONG)?;
                    return Ok((What::Name(name), rest));
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('\\' | '\'' | '"'))) => name.push(c),
                    _ => return Err("behind a backslash stands a quote or a backslash"),
                },
                c => name.push(c),
            }
        }
        return Err(WRONG);
    }
    let (inner, rest) = inner.split_once(']').ok_or(WRONG)?;
    let (digits, is_back) = inner.strip_prefix('-').map_or((inner, false), |digits| (digits, true));
    match digits {
        "*" if !is_back => Ok((What::All, rest)),
        digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            let index = digits.parse().map_err(|_| "the index is too large")?;
            Ok((if is_back { What::FromEnd(index) } else { What::Index(index) }, rest))
        }
        _ => Err(WRONG),
    }
}

/// In the form that it is read from.
impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for Selector { descends, what } in &self.0 {
            let dots = if *descends { ".." } else { "" };
            match what {
                What::All => write!(f, "{dots}[*]")?,
                What::Index(index) => write!(f, "{dots}[{index}]")?,
                What::FromEnd(back) => write!(f, "{dots}[-{back}]")?,
                What::Name(text)
                    if name(text).is_ok_and(|(what, rest)| what != What::All && rest.is_empty()) =>
                {
                    write!(f, "{}{text}", if *descends { ".." } else { "." })?;
                }
                What::Name(text) => {
                    write!(f, "{dots}['{}']", text.replace('\\', "\\\\").replace('\'', "\\'"))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graft_core::{Leaf, Leaves, Path, Visit};

    /// `{"list": [{"id": 1, "to": ["a", "b"]}, {"id": 2, "a b": {"id": 3}}]}`
    struct Sample;

    impl Leaves for Sample {
        fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
            let list = path.key("list");
            visit(&list, Leaf::Key("list"));
            let (first, second) = (list.index(0), list.index(1));
            visit(&first.key("id"), Leaf::Int(1));
            visit(&first.key("to").index(0), Leaf::Str("a"));
            visit(&first.key("to").index(1), Leaf::Str("b"));
            visit(&second.key("id"), Leaf::Int(2));
            visit(&second.key("a b").key("id"), Leaf::Int(3));
        }
    }

    fn found(path: &str) -> Vec<String> {
        let tree = Tree::of(&Sample);
        let nodes = Select::parse(path).expect(path).nodes(&tree);
        nodes.into_iter().map(|at| tree.node(at).text.clone().unwrap_or_else(|| "-".to_owned())).collect()
    }

    #[test]
    fn paths_select_what_rfc_9535_says() {
        for (path, expected) in [
            ("$", &["-"][..]),
            ("$.list[*].id", &["1", "2"]),
            ("$['list'][1].id", &["2"]),
            ("$..id", &["1", "2", "3"]),
            ("$.list..[*]", &["-", "1", "-", "a", "b", "-", "2", "-", "3"]),
            ("$.list[*].to[*]", &["a", "b"]),
            ("$.list[*].*", &["1", "-", "2", "-"]),
            ("$.list[1][\"a b\"].id", &["3"]),
            ("$..to[1]", &["b"]),
            ("$..to[-2]", &["a"]),
            ("$.list[-1].id", &["2"]),
            ("$.list[-3]", &[]),
            ("$.list[-0]", &[]),
            ("$[-1]", &[]),
            ("$.gone", &[]),
            ("$[0]", &[]),
        ] {
            assert_eq!(found(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = format!("${}", ".a".repeat(MAX_STEPS + 1));
        for bad in [
            "",
            "list",
            "$list",
            "$.",
            "$..",
            "$[",
            "$[]",
            "$[-]",
            "$[-*]",
            "$[1:2]",
            "$[?@.a]",
            "$.a b",
            "$['a]",
            "$['\\n']",
            "$[99999999999999999999]",
            &long,
        ] {
            assert!(Select::parse(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_path_prints_as_what_it_was_read_from(steps in proptest::collection::vec(
            (proptest::bool::ANY, proptest::option::of("[a-z_.' \\\\-]{0,6}"), proptest::option::of(-20_isize..20)), 0..MAX_STEPS,
        )) {
            let what = |name: Option<String>, index: Option<isize>| match (name, index) {
                (Some(name), _) => What::Name(name),
                (None, Some(index)) if index < 0 => What::FromEnd(index.unsigned_abs()),
                (None, Some(index)) => What::Index(index.unsigned_abs()),
                (None, None) => What::All,
            };
            let path = Select(steps.into_iter().map(|(descends, name, index)| Selector { descends, what: what(name, index) }).collect());
            proptest::prop_assert_eq!(Select::parse(&path.to_string()), Ok(path));
        }

        #[test]
        fn no_text_is_too_strange_to_be_refused(text in "\\$?[.\\[\\]'*a0\\\\-]{0,20}|\\PC{0,20}") {
            let _ = Select::parse(&text);
        }
    }
}
