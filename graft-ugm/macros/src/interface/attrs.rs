//! What `#[interface(..)]` may say, on a block and on a method.

use proc_macro2::{Span, TokenStream};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Ident, LitBool, LitStr, Meta, Token, token};

use crate::names::bare;

/// A word of an attribute and the variant that it stands for.
type Words = &'static [(&'static str, &'static str)];

const EFFECT: Words = &[
    ("pure", "Pure"),
    ("read-only", "ReadOnly"),
    ("side-effecting", "SideEffecting"),
    ("external-stateful", "ExternalStateful"),
];
const EXFIL: Words = &[
    ("none", "None"),
    ("message", "Message"),
    ("payment", "Payment"),
    ("share", "Share"),
    ("publish", "Publish"),
    ("url", "Url"),
];
const ROLE: Words = &[
    ("destination", "Destination"),
    ("target", "Target"),
    ("credential", "Credential"),
    ("command", "Command"),
    ("control", "Control"),
    ("proof", "Proof"),
    ("query", "Query"),
    ("content", "Content"),
];
const TRUST: Words = &[("trusted", "Trusted"), ("structured", "Structured"), ("untrusted", "Untrusted")];
const SENSITIVITY: Words = &[("public", "Public"), ("internal", "Internal"), ("secret", "Secret")];
const TIER: Words =
    &[("none", "None"), ("sandboxed", "Sandboxed"), ("isolated", "Isolated"), ("docker", "Docker")];

const METHOD_KEYS: &str = "effect, exfil, args, intent, trust, sensitivity, origin, fields, vouches, \
                           credentials, records, resources, scope, tier, idempotent, skip";

/// `#[interface(name = "..", version = "..", crate = "..")]`.
#[derive(Default)]
pub(crate) struct BlockAttrs {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitStr>,
    pub(crate) krate: Option<LitStr>,
}

impl BlockAttrs {
    pub(crate) fn parse(args: TokenStream) -> syn::Result<Self> {
        let mut attrs = Self::default();
        syn::meta::parser(|meta| {
            let place = match key(&meta).as_str() {
                "name" => &mut attrs.name,
                "version" => &mut attrs.version,
                "crate" => &mut attrs.krate,
                _ => return Err(meta.error("unknown key on a block; allowed: name, version, crate")),
            };
            once(place, &meta)
        })
        .parse2(args)?;
        if let Some(version) = &attrs.version {
            check_name(&version.value(), version.span())?;
        }
        Ok(attrs)
    }
}

/// A rule for whole records of a result.
pub(crate) struct Record {
    pub(crate) field: LitStr,
    pub(crate) trust: Ident,
    pub(crate) no_other_writer: Option<LitStr>,
}

/// The labels of what a call returns if an argument names a resource of this kind.
pub(crate) struct Resource {
    pub(crate) arg: LitStr,
    pub(crate) pattern: LitStr,
    pub(crate) trust: Option<Ident>,
    pub(crate) sensitivity: Option<Ident>,
}

/// What the attributes of a method say. Words are already the variants they stand for.
#[derive(Default)]
pub(crate) struct MethodAttrs {
    /// Of the attribute, if there is one.
    pub(crate) span: Option<Span>,
    pub(crate) skip: bool,
    pub(crate) idempotent: bool,
    pub(crate) effect: Option<Ident>,
    pub(crate) exfil: Option<Ident>,
    pub(crate) args: Vec<(Ident, Ident)>,
    pub(crate) intent: Vec<LitStr>,
    pub(crate) trust: Option<Ident>,
    pub(crate) sensitivity: Option<Ident>,
    pub(crate) origin: Option<LitStr>,
    pub(crate) fields: Vec<(Ident, Ident)>,
    /// Whether fields vouch, by name; `None` stands for every field.
    pub(crate) vouches: Vec<(Option<Ident>, bool)>,
    pub(crate) credentials: Vec<LitStr>,
    pub(crate) records: Vec<Record>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) scopes: Vec<LitStr>,
    pub(crate) tier: Option<Ident>,
}

impl MethodAttrs {
    /// Reads those attributes whose path ends in `interface`.
    pub(crate) fn read(attrs: &[Attribute]) -> syn::Result<Self> {
        let mut read = Self::default();
        for attr in attrs {
            let name = attr.path().segments.last().map(|segment| bare(&segment.ident));
            if name.as_deref() != Some("interface") {
                continue;
            }
            read.span = Some(attr.path().span());
            if !matches!(attr.meta, Meta::Path(_)) {
                attr.parse_nested_meta(|meta| read.one(&meta))?;
            }
        }
        Ok(read)
    }

    fn one(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        match key(meta).as_str() {
            "skip" => self.skip = true,
            "idempotent" => self.idempotent = true,
            "effect" => one_word(&mut self.effect, meta, EFFECT)?,
            "exfil" => one_word(&mut self.exfil, meta, EXFIL)?,
            "trust" => one_word(&mut self.trust, meta, TRUST)?,
            "sensitivity" => one_word(&mut self.sensitivity, meta, SENSITIVITY)?,
            "tier" => one_word(&mut self.tier, meta, TIER)?,
            "args" => pairs(&mut self.args, meta, ROLE)?,
            "fields" => pairs(&mut self.fields, meta, TRUST)?,
            "vouches" => vouches(&mut self.vouches, meta)?,
            "resources" => self.resources.push(resource(meta)?),
            "intent" => texts(&mut self.intent, meta)?,
            "credentials" => texts(&mut self.credentials, meta)?,
            "records" => self.records.push(record(meta)?),
            "origin" => {
                once(&mut self.origin, meta)?;
                if let Some(origin) = &self.origin {
                    check_name(&origin.value(), origin.span())?;
                }
            }
            "scope" => {
                let scope: LitStr = meta.value()?.parse()?;
                check_name(&scope.value(), scope.span())?;
                self.scopes.push(scope);
            }
            _ => return Err(meta.error(format!("unknown key on a method; allowed: {METHOD_KEYS}"))),
        }
        Ok(())
    }
}

/// Whether `name` may be a `graft_core::Name`.
pub(crate) fn check_name(name: &str, span: Span) -> syn::Result<()> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/@".contains(&byte);
    if (1..=128).contains(&name.len()) && name.bytes().all(legal) {
        return Ok(());
    }
    Err(syn::Error::new(span, "a name is 1 to 128 bytes out of A-Z a-z 0-9 . _ - : / @"))
}

fn key(meta: &ParseNestedMeta<'_>) -> String {
    meta.path.get_ident().map(bare).unwrap_or_default()
}

fn once(place: &mut Option<LitStr>, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    match place.replace(meta.value()?.parse()?) {
        None => Ok(()),
        Some(_) => Err(meta.error("said twice")),
    }
}

fn one_word(place: &mut Option<Ident>, meta: &ParseNestedMeta<'_>, words: Words) -> syn::Result<()> {
    let mut text = None;
    once(&mut text, meta)?;
    if place.is_some() {
        return Err(meta.error("said twice"));
    }
    *place = text.as_ref().map(|text| word(text, words)).transpose()?;
    Ok(())
}

fn word(text: &LitStr, words: Words) -> syn::Result<Ident> {
    let found = words.iter().find(|(word, _)| *word == text.value());
    let (_, variant) = found.ok_or_else(|| {
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        syn::Error::new(text.span(), format!("unknown word; allowed: {}", allowed.join(", ")))
    })?;
    Ok(Ident::new(variant, text.span()))
}

/// `key(name = "word", ..)`.
fn pairs(all: &mut Vec<(Ident, Ident)>, meta: &ParseNestedMeta<'_>, words: Words) -> syn::Result<()> {
    meta.parse_nested_meta(|inner| {
        let name = inner.path.require_ident()?.clone();
        if all.iter().any(|(other, _)| *other == name) {
            return Err(inner.error("said twice"));
        }
        all.push((name, word(&inner.value()?.parse()?, words)?));
        Ok(())
    })
}

/// `key("text", ..)`.
fn texts(all: &mut Vec<LitStr>, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    let content;
    syn::parenthesized!(content in meta.input);
    for text in Punctuated::<LitStr, Token![,]>::parse_terminated(&content)? {
        if text.value().is_empty() {
            return Err(syn::Error::new(text.span(), "an empty text says nothing"));
        }
        all.push(text);
    }
    Ok(())
}

/// `records(field = "..", trust = "..", no_other_writer = "..")`.
fn record(meta: &ParseNestedMeta<'_>) -> syn::Result<Record> {
    let (mut field, mut trust, mut no_other_writer) = (None, None, None);
    meta.parse_nested_meta(|inner| match key(&inner).as_str() {
        "field" => once(&mut field, &inner),
        "trust" => one_word(&mut trust, &inner, TRUST),
        "no_other_writer" => once(&mut no_other_writer, &inner),
        _ => Err(inner.error("unknown key in `records`; allowed: field, trust, no_other_writer")),
    })?;
    match (field, trust) {
        (Some(field), Some(trust)) => Ok(Record { field, trust, no_other_writer }),
        _ => Err(meta.error("`records` needs both `field` and `trust`")),
    }
}

/// `vouches = true` for every field, `vouches(name = true, ..)` for single ones.
fn vouches(all: &mut Vec<(Option<Ident>, bool)>, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if !meta.input.peek(token::Paren) {
        let flag: LitBool = meta.value()?.parse()?;
        return flag_once(all, None, flag.value, meta);
    }
    meta.parse_nested_meta(|inner| {
        let name = inner.path.require_ident()?.clone();
        let flag: LitBool = inner.value()?.parse()?;
        flag_once(all, Some(name), flag.value, &inner)
    })
}

fn flag_once(
    all: &mut Vec<(Option<Ident>, bool)>,
    name: Option<Ident>,
    flag: bool,
    meta: &ParseNestedMeta<'_>,
) -> syn::Result<()> {
    if all.iter().any(|(other, _)| *other == name) {
        return Err(meta.error("said twice"));
    }
    all.push((name, flag));
    Ok(())
}

/// `resources(arg = "..", pattern = "..", trust = "..", sensitivity = "..")`.
fn resource(meta: &ParseNestedMeta<'_>) -> syn::Result<Resource> {
    let (mut arg, mut pattern, mut trust, mut sensitivity) = (None, None, None, None);
    meta.parse_nested_meta(|inner| match key(&inner).as_str() {
        "arg" => once(&mut arg, &inner),
        "pattern" => once(&mut pattern, &inner),
        "trust" => one_word(&mut trust, &inner, TRUST),
        "sensitivity" => one_word(&mut sensitivity, &inner, SENSITIVITY),
        _ => Err(inner.error("unknown key in `resources`; allowed: arg, pattern, trust, sensitivity")),
    })?;
    let (Some(arg), Some(pattern)) = (arg, pattern) else {
        return Err(meta.error("`resources` needs both `arg` and `pattern`"));
    };
    if trust.is_none() && sensitivity.is_none() {
        return Err(meta.error("`resources` needs `trust`, `sensitivity` or both"));
    }
    check_pattern(&pattern)?;
    Ok(Resource { arg, pattern, trust, sensitivity })
}

/// As `graft_core::ResourcePattern::new` checks it.
fn check_pattern(pattern: &LitStr) -> syn::Result<()> {
    let text = pattern.value();
    let is_bounded = (1..=256).contains(&text.len())
        && text.bytes().filter(|byte| *byte == b'*').count() <= 16
        && !text.chars().any(char::is_control);
    let is_path = ["/", "~", "./", "**"].iter().any(|start| text.starts_with(start));
    let host = text.split('/').next().unwrap_or_default();
    let is_host = !host.contains(|c: char| c == ':' || c.is_uppercase());
    if is_bounded && (is_path || is_host) {
        return Ok(());
    }
    let text = "a pattern has 1 to 256 bytes without control characters, at most 16 stars, and hosts in lower case \
                without scheme or port";
    Err(syn::Error::new(pattern.span(), text))
}
