//! Responses that differ from those of the signals: by rule, and at one sink.

use std::collections::BTreeMap;
use std::fmt;

use graft_core::Signal;

use super::explain::RULES;
use super::policy::Response;

/// A rule of the policy by its stable word: one that stands in [`RULES`].
///
/// A word that stands under several signals, such as `ledger-full`, means the rule of each.
///
/// ```
/// use graft_security::dataflow::Rule;
/// const LINKS: Rule = Rule::from_static("strangers-link");
/// assert_eq!(Rule::new("strangers-link"), Ok(LINKS));
/// assert!(Rule::new("strangers-links").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule(&'static str);

impl Rule {
    /// The rule with this word.
    ///
    /// # Errors
    /// [`UnknownRule`] if no rule has it.
    pub fn new(word: &str) -> Result<Self, UnknownRule> {
        Self::all().find(|rule| rule.0 == word).ok_or(UnknownRule)
    }

    /// A rule known at compile time.
    ///
    /// # Panics
    /// If no rule has this word; in a `const` that is a compile error.
    #[allow(clippy::panic)] // a constant that is wrong is our own bug
    pub const fn from_static(word: &'static str) -> Self {
        let mut signal = 0;
        while signal < RULES.len() {
            let (_, rules) = RULES[signal];
            let mut rule = 0;
            while rule < rules.len() {
                if same(rules[rule].as_bytes(), word.as_bytes()) {
                    return Self(rules[rule]);
                }
                rule += 1;
            }
            signal += 1;
        }
        panic!("no rule of the data-flow policy has this word");
    }

    /// Every rule; a word that stands under several signals comes up for each.
    pub fn all() -> impl Iterator<Item = Self> {
        RULES.into_iter().flat_map(|(_, rules)| rules.iter().map(|rule| Self(rule)))
    }

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// No rule has this word; [`RULES`] lists those that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rule of the data-flow policy has this word")]
pub struct UnknownRule;

/// What is said of single signals and rules, for every sink or for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Overrides {
    pub(super) signals: BTreeMap<Signal, Response>,
    pub(super) rules: BTreeMap<Rule, Response>,
}

impl Overrides {
    /// Appends one line for each of them, each beginning with `prefix`.
    pub(super) fn print(&self, prefix: &str, out: &mut String) {
        for (signal, response) in &self.signals {
            out.push_str(&format!("{prefix}signal {}={response:?}\n", signal.as_str()));
        }
        for (rule, response) in &self.rules {
            out.push_str(&format!("{prefix}rule {rule}={response:?}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_found_by_its_word_at_run_time_and_at_compile_time() {
        for rule in Rule::all() {
            assert_eq!(Rule::new(rule.as_str()), Ok(rule));
            assert_eq!(Rule::from_static(rule.as_str()), rule);
        }
        for word in ["", "strangers", "strangers-values", "STRANGERS-VALUE", "untrusted-to-sink"] {
            assert_eq!(Rule::new(word), Err(UnknownRule));
        }
    }
}
