//! What can be told of a call at all.

use std::borrow::Cow;

use graft_core::{FaultCode, Name, Outcome, Sensitivity, Tagged};

pub(super) const SYSTEM: &str = "rpc.system.name";
pub(super) const METHOD: &str = "rpc.method";
pub(super) const STATUS: &str = "rpc.response.status_code";
pub(super) const ERROR: &str = "error.type";
/// The value of [`SYSTEM`], and the name of a span whose method may not be told.
pub(super) const GRAFT: &str = "graft";

/// An attribute that the clearance let pass. Only graft makes them, so that none depends on an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    key: &'static str,
    value: Cow<'static, str>,
}

impl Attribute {
    /// Its name by the semantic conventions.
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// Its value.
    pub fn value(&self) -> &Cow<'static, str> {
        &self.value
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// With a value.
    Value,
    /// With the method's own error.
    DomainError,
    /// With a fault.
    Fault(FaultCode),
}

impl CallEnd {
    /// The word for it; that of a fault is [`FaultCode::as_str`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Value => "ok",
            Self::DomainError => "domain_error",
            Self::Fault(code) => code.as_str(),
        }
    }
}

impl From<Outcome<'_>> for CallEnd {
    fn from(outcome: Outcome<'_>) -> Self {
        match outcome {
            Outcome::Value(_) => Self::Value,
            Outcome::DomainError(_) => Self::DomainError,
            Outcome::Fault(fault) => Self::Fault(fault.code()),
        }
    }
}

/// What is known when a call begins; `method` unless nobody described it.
pub(super) fn begun(method: Option<&Name>) -> [Tagged<Attribute>; 2] {
    // By the conventions a service's name and the method's stand on either side of a slash.
    let method = method.map_or(Cow::Borrowed("_OTHER"), |name| match name.as_str().rsplit_once('.') {
        Some((service, method)) => format!("{service}/{method}").into(),
        None => name.as_str().to_owned().into(),
    });
    // Left at `internal`, as what has no class is.
    [public(SYSTEM, GRAFT), Tagged::trace_attribute(Attribute { key: METHOD, value: method })]
}

/// What is known when it ended.
pub(super) fn ended(end: CallEnd) -> impl Iterator<Item = Tagged<Attribute>> {
    let error = (end != CallEnd::Value).then(|| public(ERROR, end.as_str()));
    std::iter::once(public(STATUS, end.as_str())).chain(error)
}

fn public(key: &'static str, value: &'static str) -> Tagged<Attribute> {
    let value = Cow::Borrowed(value);
    Tagged::trace_attribute(Attribute { key, value }).with_sensitivity(Sensitivity::Public)
}

pub(super) fn find<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &*attribute.value)
}
