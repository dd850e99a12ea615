//! What a guard knows of a method or tool: effect, way out, role of each argument, label of the output.
//!
//! The `#[interface]` macro writes a [`ToolMetadata`] for each method, a registry file holds one for
//! each tool, and an MCP server's tools get theirs from the host. All of them are judged alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Label, Name, Origin, Origins, ResourceRule, Sensitivity, Trust};

/// What a call does to the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Computes; reads nothing outside its arguments.
    Pure,
    /// Reads state.
    ReadOnly,
    /// Changes state of the host's own.
    SideEffecting,
    /// Changes state outside, which cannot be taken back. Assumed where nothing is declared.
    #[default]
    ExternalStateful,
}

impl Effect {
    /// Whether the call changes something.
    pub const fn changes_state(self) -> bool {
        matches!(self, Self::SideEffecting | Self::ExternalStateful)
    }

    /// The word that files and records carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pure => "pure",
            Self::ReadOnly => "read-only",
            Self::SideEffecting => "side-effecting",
            Self::ExternalStateful => "external-stateful",
        }
    }
}

/// How a call's arguments reach others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exfil {
    /// They do not.
    #[default]
    None,
    /// As a message.
    Message,
    /// As a payment and its subject.
    Payment,
    /// By granting access.
    Share,
    /// By publishing.
    Publish,
    /// The request itself leaves the machine.
    Url,
}

impl Exfil {
    /// The word that files carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Message => "message",
            Self::Payment => "payment",
            Self::Share => "share",
            Self::Publish => "publish",
            Self::Url => "url",
        }
    }
}

/// What an argument decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Who or where it goes.
    Destination,
    /// What it acts on.
    Target,
    /// A password, key or token.
    Credential,
    /// Code, a query language, a shell line.
    Command,
    /// How the call behaves.
    Control,
    /// A one-time code.
    Proof,
    /// What is looked for.
    Query,
    /// What is said. Assumed where nothing is declared.
    #[default]
    Content,
}

impl Role {
    /// Whether a stranger who chooses this argument takes over the call.
    pub const fn is_authority(self) -> bool {
        matches!(self, Self::Destination | Self::Target | Self::Credential | Self::Command)
    }

    /// The word that files carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::Target => "target",
            Self::Credential => "credential",
            Self::Command => "command",
            Self::Control => "control",
            Self::Proof => "proof",
            Self::Query => "query",
            Self::Content => "content",
        }
    }
}

/// The trust that a registry gives an output. The three values resolve to two when a value is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputTrust {
    /// The user's or the system's own words.
    Trusted,
    /// A short fact of a directory or catalogue: trusted while one line, at most 64 characters and 8 words.
    Structured,
    /// Anything else. Assumed where nothing is declared.
    #[default]
    Untrusted,
}

impl OutputTrust {
    /// Resolves to the two values that a ledger keeps.
    ///
    /// ```
    /// use graft_core::{OutputTrust, Trust};
    /// assert_eq!(OutputTrust::Structured.resolve("general"), Trust::Trusted);
    /// assert_eq!(OutputTrust::Structured.resolve("general\nnow do this"), Trust::Untrusted);
    /// ```
    pub fn resolve(self, text: &str) -> Trust {
        match self {
            Self::Trusted => Trust::Trusted,
            Self::Untrusted => Trust::Untrusted,
            Self::Structured => {
                let text = text.trim();
                let short = text.chars().take(65).count() <= 64
                    && !text.contains('\n')
                    && text.split_whitespace().take(9).count() <= 8;
                if short { Trust::Trusted } else { Trust::Untrusted }
            }
        }
    }
}

/// A rule for whole records of a result: one whose `field` is the user's own has `trust` as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRule {
    /// The field that is compared with the user's own identifiers.
    pub field: String,
    /// What such a record is worth.
    pub trust: OutputTrust,
    /// A field that maps writers to permissions: the rule holds only if it grants nobody else writing.
    #[serde(default)] // never skipped when absent: postcard could not read what follows
    pub no_other_writer: Option<String>,
}

/// Everything that a guard knows of one tool.
///
/// The defaults are the cautious ones: what declares nothing is `external-stateful` with untrusted
/// output, and each of its arguments is content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolMetadata {
    /// `Interface.method`, or the tool's plain name.
    pub name: Name,
    /// What a call does.
    pub effect: Effect,
    /// How its arguments reach others.
    pub exfil: Exfil,
    /// The role of each argument; one that is missing is [`Role::Content`].
    pub args: BTreeMap<String, Role>,
    /// Where its output comes from.
    pub origin: Origin,
    /// Trust of its output.
    pub trust: OutputTrust,
    /// Sensitivity of its output.
    pub sensitivity: Sensitivity,
    /// Where single fields of the output differ in trust.
    pub fields: BTreeMap<String, OutputTrust>,
    /// Whether what a field of the output names may be a destination or target although strangers named it too;
    /// [`ToolMetadata::EVERY_FIELD`] stands for those that are not listed. Unless said, `structured` facts and the
    /// user's own records vouch so, and nothing else: that a value stands in a trusted log is no reason to
    /// act on it as a stranger wants.
    pub vouches: BTreeMap<String, bool>,
    /// Fields of the output that hold a credential, a PIN or a key.
    pub credentials: Vec<String>,
    /// Where whole records of the output differ in trust.
    pub records: Vec<RecordRule>,
    /// Where the labels of the output depend on what an argument names.
    pub resources: Vec<ResourceRule>,
    /// Word stems by which a user asks for the effect.
    pub intent: Vec<String>,
    /// Scopes that a caller needs.
    pub scopes: Vec<Name>,
    /// Whether a call may be made again if nobody knows how it ended. Assumed of nothing.
    pub idempotent: bool,
}

impl ToolMetadata {
    /// The key of [`ToolMetadata::vouches`] for every field that is not listed.
    pub const EVERY_FIELD: &'static str = "*";

    /// A tool of which nothing is known but its name.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            effect: Effect::default(),
            exfil: Exfil::default(),
            args: BTreeMap::new(),
            origin: Origin::TOOL,
            trust: OutputTrust::default(),
            sensitivity: Sensitivity::default(),
            fields: BTreeMap::new(),
            vouches: BTreeMap::new(),
            credentials: Vec::new(),
            records: Vec::new(),
            resources: Vec::new(),
            intent: Vec::new(),
            scopes: Vec::new(),
            idempotent: false,
        }
    }

    /// Whether a call of this tool is judged: it changes something, or its request itself leaves the machine.
    pub fn is_sink(&self) -> bool {
        self.effect.changes_state() || self.exfil == Exfil::Url
    }

    /// Whether its arguments reach somebody outside.
    pub fn leaves_process(&self) -> bool {
        self.exfil != Exfil::None || self.effect == Effect::ExternalStateful
    }

    /// The role of the argument `name`.
    pub fn role(&self, name: &str) -> Role {
        self.args.get(name).copied().unwrap_or_default()
    }

    /// The label of this tool's output as a whole. Trust is the least that any of its parts may have, and so is
    /// sensitivity the highest of any resource.
    ///
    /// A tool marked `trusted` whose origin the closed rule does not trust stays untrusted.
    pub fn output_label(&self) -> Label {
        let declared = match self.trust {
            OutputTrust::Trusted => Trust::Trusted,
            // A catalogue fact may turn out too long to be one.
            OutputTrust::Structured | OutputTrust::Untrusted => Trust::Untrusted,
        };
        let resources = self.resources.iter();
        let sensitivity =
            resources.clone().filter_map(|rule| rule.sensitivity).fold(self.sensitivity, Ord::max);
        let of_resources = resources.filter_map(|rule| rule.trust.as_ref());
        let parts = self.fields.values().chain(of_resources).map(|trust| match trust {
            OutputTrust::Trusted => Trust::Trusted,
            OutputTrust::Structured | OutputTrust::Untrusted => Trust::Untrusted,
        });
        let trust = parts.fold(declared.max(self.origin.trust()), Ord::max);
        Label::from_parts(sensitivity, trust, Origins::of(self.origin.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_of_which_nothing_is_known_is_judged_and_not_believed() {
        let tool = ToolMetadata::new(Name::from_static("mystery"));
        assert!(tool.is_sink());
        assert_eq!(tool.output_label().trust(), Trust::Untrusted);
        assert_eq!(tool.output_label().sensitivity(), Sensitivity::Internal);
        assert_eq!(tool.role("anything"), Role::Content);
    }

    #[test]
    fn an_untrusted_origin_wins_over_a_trusted_mark() {
        let mut tool = ToolMetadata::new(Name::from_static("search"));
        tool.trust = OutputTrust::Trusted;
        assert_eq!(tool.output_label().trust(), Trust::Trusted);
        tool.origin = Origin::WEB_SEARCH;
        assert_eq!(tool.output_label().trust(), Trust::Untrusted);
    }

    #[test]
    fn one_untrusted_field_makes_the_whole_output_untrusted() {
        let mut tool = ToolMetadata::new(Name::from_static("list"));
        tool.trust = OutputTrust::Trusted;
        tool.fields.insert("subject".into(), OutputTrust::Untrusted);
        assert_eq!(tool.output_label().trust(), Trust::Untrusted);
    }

    #[test]
    fn structured_facts_are_bounded_at_one_line_64_characters_and_8_words() {
        let structured = |text: &str| OutputTrust::Structured.resolve(text);
        assert_eq!(structured(&"é".repeat(64)), Trust::Trusted);
        assert_eq!(structured(&"é".repeat(65)), Trust::Untrusted);
        assert_eq!(structured("1 2 3 4 5 6 7 8"), Trust::Trusted);
        assert_eq!(structured("1 2 3 4 5 6 7 8 9"), Trust::Untrusted);
        assert_eq!(structured("  general \n"), Trust::Trusted);
        assert_eq!(structured("a\nb"), Trust::Untrusted);
    }

    #[test]
    fn a_read_that_leaves_the_machine_is_a_sink() {
        let mut tool = ToolMetadata::new(Name::from_static("fetch"));
        tool.effect = Effect::ReadOnly;
        assert!(!tool.is_sink());
        tool.exfil = Exfil::Url;
        assert!(tool.is_sink());
    }
}
