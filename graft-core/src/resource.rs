//! Labels by what a call reads: a path, a host or a web address that stands in one of its arguments.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::ledger::host;
use crate::{Label, Leaf, Leaves, OutputTrust, Path, Segment, Sensitivity, ToolMetadata, Trust};

/// A pattern of paths, hosts or web addresses.
///
/// `*` stands for any characters but `/`, `**` for any characters, all else for itself. A pattern that begins with
/// `/`, `~`, `./` or `**` is one of paths, any other one of web addresses: a host, with a path behind it or
/// without.
///
/// The whole value has to match. A path that holds `\`, `%`, a control character, an empty step or one of `.` or `..`
/// matches nothing, since it may lead elsewhere than it says. A web address matches without its scheme and with
/// its host in lower case; one with a user, a port or a query matches nothing.
///
/// ```
/// use graft_core::ResourcePattern;
/// let own = ResourcePattern::new("/home/ann/**").unwrap();
/// assert!(own.matches("/home/ann/notes/today.txt"));
/// assert!(!own.matches("/home/ann/../eve/x") && !own.matches("/tmp/home/ann/x"));
/// let docs = ResourcePattern::new("*.intranet.example/docs/**").unwrap();
/// assert!(docs.matches("https://Wiki.intranet.example/docs/a/b"));
/// assert!(!docs.matches("https://intranet.example.evil.org/docs/a"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourcePattern(String);

/// The text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a pattern: it has 1 to 256 bytes without control characters, at most 16 stars, and hosts in lower case without scheme or port"
)]
pub struct NoPattern;

impl ResourcePattern {
    /// The longest pattern, in bytes.
    pub const MAX_LEN: usize = 256;
    /// The most stars in one.
    pub const MAX_STARS: usize = 16;
    /// The longest value that is compared, in bytes; a longer one matches nothing.
    pub const MAX_VALUE: usize = 4096;

    /// Checks `text`.
    ///
    /// # Errors
    /// [`NoPattern`].
    pub fn new(text: impl Into<String>) -> Result<Self, NoPattern> {
        let text = text.into();
        let is_bounded = (1..=Self::MAX_LEN).contains(&text.len())
            && text.bytes().filter(|byte| *byte == b'*').count() <= Self::MAX_STARS
            && !text.chars().any(char::is_control);
        let pattern = Self(text);
        let is_host = !split_host(&pattern.0).0.contains(|c: char| c == ':' || c.is_uppercase());
        if is_bounded && (pattern.is_path() || is_host) { Ok(pattern) } else { Err(NoPattern) }
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `value` as a whole is what this stands for.
    pub fn matches(&self, value: &str) -> bool {
        if value.len() > Self::MAX_VALUE {
            return false;
        }
        if self.is_path() {
            return is_plain(value) && wild(self.0.as_bytes(), value.as_bytes());
        }
        let Some(authority) = host(value) else { return false };
        let value = value.trim();
        let bare = value.split_once("://").map_or(value, |(_, rest)| rest);
        let rest = bare.get(authority.len()..).unwrap_or_default();
        let rest = if rest == "/" { "" } else { rest };
        if authority.contains(':') || rest.contains(['?', '#', '@']) || !rest.is_empty() && !is_plain(rest) {
            return false;
        }
        let (host, path) = split_host(&self.0);
        let authority = authority.to_ascii_lowercase();
        wild(host.as_bytes(), authority.as_bytes()) && wild(path.as_bytes(), rest.as_bytes())
    }

    /// Whether this value, as it is spelled, may lead where the pattern points although it does not match: it goes
    /// through `..` or an escape, has a port or a query, or is too long to look at.
    fn may_match(&self, value: &str) -> bool {
        if value.len() > Self::MAX_VALUE {
            return true;
        }
        if self.is_path() {
            let is_url = value.contains("://") && host(value).is_some();
            return !is_url && !is_plain(value);
        }
        let Some(authority) = host(value) else { return !is_plain(value) };
        let (name, _) = split_host(&self.0);
        let bare = authority.split(':').next().unwrap_or_default().to_ascii_lowercase();
        wild(name.as_bytes(), bare.as_bytes()) && !self.matches(value) && {
            let value = value.trim();
            let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
            let rest = rest.get(authority.len()..).unwrap_or_default();
            authority.contains(':') || rest.contains(['?', '#', '@']) || !is_plain(rest.trim_end_matches('/'))
        }
    }

    fn is_path(&self) -> bool {
        self.0.starts_with(['/', '~']) || self.0.starts_with("./") || self.0.starts_with("**")
    }

    /// How much of a value it fixes.
    fn fixed(&self) -> usize {
        self.0.bytes().filter(|byte| *byte != b'*').count()
    }
}

impl TryFrom<String> for ResourcePattern {
    type Error = NoPattern;

    fn try_from(text: String) -> Result<Self, NoPattern> {
        Self::new(text)
    }
}

impl From<ResourcePattern> for String {
    fn from(pattern: ResourcePattern) -> Self {
        pattern.0
    }
}

/// The labels of what a call returns if one of its arguments names a resource of this kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceRule {
    /// The argument.
    pub arg: String,
    /// What it has to say.
    pub pattern: ResourcePattern,
    /// In place of the tool's own trust.
    pub trust: Option<OutputTrust>,
    /// In place of the tool's own sensitivity.
    pub sensitivity: Option<Sensitivity>,
}

/// The labels of what one call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLabel {
    /// Trust of what no field or record rule speaks of.
    pub trust: OutputTrust,
    /// Sensitivity of all of it.
    pub sensitivity: Sensitivity,
}

impl ToolMetadata {
    /// The labels of what a call with `args` returns, by the [rules](ToolMetadata::resources) for the resources that
    /// its arguments name.
    ///
    /// Of several rules that match a value the one that fixes most characters holds, and of equally long ones the
    /// strictest. Each value of an argument that has rules counts: where one matches none the tool's own labels
    /// join in, with those of every rule that it may be meant to get round, and the least trust and the highest
    /// sensitivity of all hold.
    pub fn resource_label(&self, args: &dyn Leaves) -> ResourceLabel {
        let own = ResourceLabel { trust: self.trust, sensitivity: self.sensitivity };
        self.named_resource(args).unwrap_or(own)
    }

    /// The same, or `None` if none of `args` has rules.
    pub fn named_resource(&self, args: &dyn Leaves) -> Option<ResourceLabel> {
        if self.resources.is_empty() {
            return None;
        }
        let mut found: Option<ResourceLabel> = None;
        let mut join = |label: ResourceLabel| {
            found = Some(found.map_or(label, |other| other.strictest(label)));
        };
        args.visit(&Path::ROOT, &mut |path, leaf| {
            let arg = path.first().and_then(Segment::name);
            let is_named = arg.is_some_and(|arg| self.resources.iter().any(|rule| rule.arg == arg));
            let is_own_name = matches!(leaf, Leaf::Key(_)) && path.depth() == 1;
            if is_named && !is_own_name {
                let arg = arg.unwrap_or_default();
                leaf.with_text(|text| {
                    join(self.label_of(arg, text).unwrap_or_else(|| self.least_of(arg, text)))
                });
            }
        });
        found
    }

    /// This tool with `label` in place of the labels of its output.
    pub fn labelled(&self, label: ResourceLabel) -> Cow<'_, Self> {
        if (label.trust, label.sensitivity) == (self.trust, self.sensitivity) {
            return Cow::Borrowed(self);
        }
        let ResourceLabel { trust, sensitivity } = label;
        Cow::Owned(Self { trust, sensitivity, ..self.clone() })
    }

    /// The labels of what a call returns, `found` if its arguments said so, that is no less strict than `label`.
    pub(crate) fn resource_under(&self, found: Option<ResourceLabel>, label: &Label) -> ResourceLabel {
        let own = ResourceLabel { trust: self.trust, sensitivity: self.sensitivity };
        let trust = match label.trust() {
            Trust::Trusted => OutputTrust::Trusted,
            Trust::Untrusted => OutputTrust::Untrusted,
        };
        found.unwrap_or(own).strictest(ResourceLabel { trust, sensitivity: label.sensitivity() })
    }

    /// The label of a value that no rule matches.
    fn least_of(&self, arg: &str, value: &str) -> ResourceLabel {
        let own = ResourceLabel { trust: self.trust, sensitivity: self.sensitivity };
        let near = self.resources.iter().filter(|rule| rule.arg == arg && rule.pattern.may_match(value));
        near.fold(own, |label, rule| label.strictest(self.label_by(rule)))
    }

    fn label_by(&self, rule: &ResourceRule) -> ResourceLabel {
        ResourceLabel {
            trust: rule.trust.unwrap_or(self.trust),
            sensitivity: rule.sensitivity.unwrap_or(self.sensitivity),
        }
    }

    fn label_of(&self, arg: &str, value: &str) -> Option<ResourceLabel> {
        let matching = self.resources.iter().filter(|rule| rule.arg == arg && rule.pattern.matches(value));
        let longest = matching.clone().map(|rule| rule.pattern.fixed()).max()?;
        let labels = matching.filter(|rule| rule.pattern.fixed() == longest).map(|rule| self.label_by(rule));
        labels.reduce(ResourceLabel::strictest)
    }
}

impl ResourceLabel {
    /// The least trust and the highest sensitivity of both.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        Self { trust: self.trust.max(other.trust), sensitivity: self.sensitivity.max(other.sensitivity) }
    }
}

/// A host with what stands behind it.
fn split_host(text: &str) -> (&str, &str) {
    text.split_at(text.find('/').unwrap_or(text.len()))
}

/// Whether a path leads where it says, on every system.
fn is_plain(path: &str) -> bool {
    let steps = path.strip_prefix('/').unwrap_or(path);
    !path.contains(|c: char| c.is_control() || c == '\\' || c == '%')
        && steps
            .split('/')
            .enumerate()
            .all(|(at, step)| step != ".." && (step != "." || at == 0) && !step.is_empty())
}

/// Whether all of `text` is what `pattern` stands for. Time is at most the product of both lengths.
fn wild(pattern: &[u8], text: &[u8]) -> bool {
    // The ends of `text` that the pattern so far may have reached.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    let mut rest = pattern;
    while let Some((&first, behind)) = rest.split_first() {
        let is_deep = first == b'*' && behind.first() == Some(&b'*');
        rest = if is_deep { &behind[1..] } else { behind };
        if first == b'*' {
            for at in 0..text.len() {
                reached[at + 1] |= reached[at] && (is_deep || text[at] != b'/');
            }
        } else {
            for at in (0..text.len()).rev() {
                reached[at + 1] = reached[at] && text[at] == first;
            }
            reached[0] = false;
        }
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;

    fn matches(pattern: &str, value: &str) -> bool {
        ResourcePattern::new(pattern).expect(pattern).matches(value)
    }

    #[test]
    fn stars_stop_at_a_slash_and_two_do_not() {
        assert!(matches("/a/*.txt", "/a/x.txt") && !matches("/a/*.txt", "/a/b/x.txt"));
        assert!(matches("/a/**.txt", "/a/b/x.txt") && !matches("/a/**.txt", "/a/b/x.txt2"));
        assert!(matches("**/x", "/a/b/x") && matches("~/x", "~/x") && matches("./x*", "./xy"));
        assert!(matches("/a*b*c", "/a1b2b3c") && !matches("/a*b*c", "/a1c2b"));
    }

    #[test]
    fn a_path_that_may_lead_elsewhere_matches_nothing() {
        for path in
            ["/a/../b", "/a/./b", "/a//b", "/a/..", "/a/%2e%2e/b", "/a/..\\b", "/a/b\0", "/a/", "/a/b\n"]
        {
            assert!(!matches("/a/**", path), "{path:?}");
        }
        assert!(matches("/a/**", "/a/b..c/.d"));
    }

    #[test]
    fn web_addresses_match_by_host_and_path() {
        for (pattern, good, bad) in [
            ("x.example", "https://X.example/", "https://x.example/y"),
            ("x.example/**", "http://x.example/y/z", "https://x.example.evil.org/y"),
            ("*.x.example/**", "www.x.example/y", "x.example/y"),
            ("x.example/y/*", "x.example/y/1", "x.example/y/1/2"),
        ] {
            assert!(matches(pattern, good) && !matches(pattern, bad), "{pattern}");
        }
        for bad in [
            "https://x.example:8080/y",
            "https://eve@x.example/y",
            "https://x.example/y?z",
            "https://x.example/../y",
            "https://x.example/%2e%2e/y",
            "ftp://x.example/y",
            "evil.org/x.example/y",
        ] {
            assert!(!matches("x.example/**", bad), "{bad}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let stars = "*".repeat(17);
        let long = format!("/{}", "x".repeat(256));
        for bad in ["", "/a\n", "X.example", "https://x.example/", &stars, &long] {
            assert_eq!(ResourcePattern::new(bad), Err(NoPattern), "{bad:?}");
        }
        assert!(serde_json::from_str::<ResourcePattern>("\"\"").is_err());
    }

    struct Args(Vec<(&'static str, &'static str)>);

    impl Leaves for Args {
        fn visit(&self, path: &Path<'_>, visit: &mut crate::Visit<'_>) {
            self.0.iter().for_each(|(name, value)| visit(&path.key(name), Leaf::Str(value)));
        }
    }

    #[test]
    fn a_spelling_that_goes_round_a_rule_gets_the_strictest_label() {
        let mut read = ToolMetadata::new(Name::from_static("read"));
        let rule = |pattern: &str| ResourceRule {
            arg: "path".into(),
            pattern: ResourcePattern::new(pattern).expect(pattern),
            trust: None,
            sensitivity: Some(Sensitivity::Secret),
        };
        read.resources = vec![rule("/home/vault/**"), rule("vault.example/**")];
        let sensitivity = |value| read.resource_label(&Args(vec![("path", value)])).sensitivity;
        for round in [
            "/home/vault/k",
            "/home//vault/k",
            "/home/x/../vault/k",
            "/home/./vault/k",
            "/home/%76ault/k",
            "https://vault.example/k?x",
            "https://vault.example:443/k",
            "https://VAULT.example/../k",
        ] {
            assert_eq!(sensitivity(round), Sensitivity::Secret, "{round}");
        }
        for other in ["/home/notes", "notes.txt", "https://other.example/k", "vault"] {
            assert_eq!(sensitivity(other), Sensitivity::Internal, "{other}");
        }
    }

    #[test]
    fn the_longest_rule_holds_and_every_value_counts() {
        let mut read = ToolMetadata::new(Name::from_static("read"));
        let rule = |pattern: &str, trust, sensitivity| ResourceRule {
            arg: "path".into(),
            pattern: ResourcePattern::new(pattern).expect(pattern),
            trust,
            sensitivity,
        };
        let (trusted, structured) = (OutputTrust::Trusted, OutputTrust::Structured);
        read.resources = vec![
            rule("/home/**", Some(trusted), None),
            rule("/home/mail/**", None, Some(Sensitivity::Secret)),
            rule("/home/both/*", Some(structured), None),
            rule("/home/both/*", Some(trusted), Some(Sensitivity::Secret)),
        ];
        let label = |args: &[(&'static str, &'static str)]| {
            let label = read.resource_label(&Args(args.to_vec()));
            (label.trust, label.sensitivity)
        };
        let own = (OutputTrust::Untrusted, Sensitivity::Internal);
        assert_eq!(label(&[("path", "/home/x")]), (trusted, Sensitivity::Internal));
        assert_eq!(label(&[("path", "/home/mail/x")]), (OutputTrust::Untrusted, Sensitivity::Secret));
        assert_eq!(label(&[("path", "/home/both/x")]), (structured, Sensitivity::Secret));
        assert_eq!(label(&[("path", "/tmp/x")]), own);
        assert_eq!(label(&[("other", "/home/x")]), own);
        assert_eq!(label(&[("path", "/home/x"), ("path", "/tmp/x")]), own);
        assert_eq!(label(&[]), own);
    }

    /// The slow reference: every way to read the stars.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=text.len()).any(|at| naive(rest, &text[at..])),
            [b'*', rest @ ..] => {
                let run = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
                (0..=run).any(|at| naive(rest, &text[at..]))
            }
            [first, rest @ ..] => text.split_first().is_some_and(|(c, text)| c == first && naive(rest, text)),
        }
    }

    proptest::proptest! {
        #[test]
        fn stars_agree_with_the_slow_reference(pattern in "[ab/*]{0,8}", text in "[ab/]{0,8}") {
            proptest::prop_assert_eq!(
                wild(pattern.as_bytes(), text.as_bytes()),
                naive(pattern.as_bytes(), text.as_bytes())
            );
        }
    }
}
