//! Where a plan says that an argument's value comes from.

use std::collections::BTreeMap;

use super::kinds::Kind;
use super::path::Select;

/// A value that a plan writes out.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Literal {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A truth value.
    Flag(bool),
    /// A list of these: each of its members is given.
    List(Vec<Literal>),
}

impl Literal {
    /// Calls `f` with each value in it, as the text that values are compared as.
    pub(super) fn each(&self, f: &mut dyn FnMut(&str)) {
        match self {
            Self::Text(text) => f(text),
            Self::Int(number) => f(&number.to_string()),
            Self::Float(number) => f(&number.to_string()),
            Self::Flag(flag) => f(&flag.to_string()),
            Self::List(all) => all.iter().for_each(|one| one.each(f)),
        }
    }
}

macro_rules! literal {
    ($($type:ty => $variant:ident),*) => {$(
        impl From<$type> for Literal {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

literal!(&str => Text, String => Text, i32 => Int, i64 => Int, f64 => Float, bool => Flag);

impl<T: Into<Literal>> From<Vec<T>> for Literal {
    fn from(all: Vec<T>) -> Self {
        Self::List(all.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Literal>, const N: usize> From<[T; N]> for Literal {
    fn from(all: [T; N]) -> Self {
        Self::List(all.into_iter().map(Into::into).collect())
    }
}

/// Where the value of an argument comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source(pub(crate) Origin);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    Literal(Literal),
    Prompt,
    OwnId,
    Returned(Returned),
    Any,
}

impl Source {
    /// This value.
    pub fn literal(value: impl Into<Literal>) -> Self {
        Self(Origin::Literal(value.into()))
    }

    /// A span of the user's words: numbers as numbers, web addresses by host.
    pub fn prompt() -> Self {
        Self(Origin::Prompt)
    }

    /// One of the user's own identifiers.
    pub fn own_id() -> Self {
        Self(Origin::OwnId)
    }

    /// Anywhere: the argument is not checked. An argument that decides where a call goes or what it acts on is
    /// asked about even so, unless the plan is [delegated](super::BoundPlan::delegated).
    pub fn any() -> Self {
        Self(Origin::Any)
    }

    /// What an earlier call of `tool` returned. Without a path it is text, of which a kind says what counts.
    pub fn from(tool: impl Into<String>) -> Returned {
        Returned {
            tool: tool.into(),
            with: BTreeMap::new(),
            path: None,
            kind: None,
            pick: Pick::Only,
            wrong: None,
        }
    }
}

/// What earlier calls of a tool returned.
#[derive(Clone, Debug, PartialEq)]
pub struct Returned {
    pub(crate) tool: String,
    pub(crate) with: BTreeMap<String, Literal>,
    pub(crate) path: Option<Select>,
    pub(crate) kind: Option<Kind>,
    pub(crate) pick: Pick,
    /// What is wrong with the path that was given.
    pub(crate) wrong: Option<&'static str>,
}

impl Returned {
    /// Only calls in which this argument is `value`.
    #[must_use]
    pub fn with(mut self, arg: impl Into<String>, value: impl Into<Literal>) -> Self {
        self.with.insert(arg.into(), value.into());
        self
    }

    /// Only what stands at this path of a structured result, such as `$.contacts[*].email`: JSONPath (RFC 9535)
    /// without filters and slices. `[*]` steps through the values of an object too.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        match Select::parse(path) {
            Ok(path) => self.path = Some(path),
            Err(wrong) => self.wrong = Some(wrong),
        }
        self
    }

    /// Only values of this kind in the text there, keys of objects included.
    #[must_use]
    pub fn kind(self, kind: Kind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Which of several; [`Pick::Only`] unless set.
    #[must_use]
    pub fn pick(self, pick: Pick) -> Self {
        Self { pick, ..self }
    }

    /// Those whose record has `value` in `field`, of which there must be one.
    #[must_use]
    pub fn whose(self, field: impl Into<String>, value: impl Into<String>) -> Self {
        self.pick(Pick::Where(field.into(), value.into()))
    }

    /// The one whose record has the largest number, or the latest date, in `field`.
    #[must_use]
    pub fn with_max(self, field: impl Into<String>) -> Self {
        self.pick(Pick::Max(field.into()))
    }

    /// The one whose record has the smallest number, or the earliest date, in `field`.
    #[must_use]
    pub fn with_min(self, field: impl Into<String>) -> Self {
        self.pick(Pick::Min(field.into()))
    }
}

impl From<Returned> for Source {
    fn from(returned: Returned) -> Self {
        Self(Origin::Returned(returned))
    }
}

/// Which of several candidates is meant. The record of a candidate is the innermost object around it that has
/// the field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pick {
    /// The only one; of several, equal ones counted once, it does not decide.
    #[default]
    Only,
    /// Each of them.
    Any,
    /// The first that was returned.
    First,
    /// The last that was returned.
    Last,
    /// The one with the largest number or the latest date in this field; of several such it does not decide.
    Max(String),
    /// The one with the smallest number or the earliest date in this field.
    Min(String),
    /// Of those whose field says this, in whatever case and numbers as numbers, the only one.
    Where(String, String),
}

impl std::str::FromStr for Pick {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let field = |field: &str| if field.is_empty() { Err(()) } else { Ok(field.to_owned()) };
        match text.split_once(':') {
            None => match text {
                "only" => Ok(Self::Only),
                "any" => Ok(Self::Any),
                "first" => Ok(Self::First),
                "last" => Ok(Self::Last),
                _ => Err(()),
            },
            Some(("max", of)) => field(of).map(Self::Max),
            Some(("min", of)) => field(of).map(Self::Min),
            Some(("where", of)) => {
                let (of, value) = of.split_once('=').ok_or(())?;
                Ok(Self::Where(field(of)?, value.to_owned()))
            }
            Some(_) => Err(()),
        }
    }
}

/// In the form that files carry.
impl std::fmt::Display for Pick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Only => f.write_str("only"),
            Self::Any => f.write_str("any"),
            Self::First => f.write_str("first"),
            Self::Last => f.write_str("last"),
            Self::Max(field) => write!(f, "max:{field}"),
            Self::Min(field) => write!(f, "min:{field}"),
            Self::Where(field, value) => write!(f, "where:{field}={value}"),
        }
    }
}
