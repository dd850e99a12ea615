//! How the values of each type are read and shown.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use graft_security::dataflow::DataFlowMode;
use graft_transport::{Endpoint, LimitError, LimitValue, Limits};

use super::CredentialSource;
use super::units::{parse_number, parse_size, parse_time, show_size, show_time};

/// A value as a source gives it.
#[derive(Clone, Copy)]
pub(super) enum Raw<'a> {
    Text(&'a str),
    #[cfg(feature = "files")]
    Whole(i64),
    #[cfg(feature = "files")]
    Flag(bool),
    /// What no key takes: text that is not UTF-8, a list, a date and so on.
    Other,
}

/// What a value should have been, to stand behind "must be". Holds nothing of the value.
pub(super) type Unfit = Cow<'static, str>;

/// A type of values.
pub(super) trait Typed: Sized {
    /// What is read, to stand behind "must be".
    const TAKES: &'static str;
    const SECRET: bool = false;

    fn read(raw: Raw<'_>) -> Result<Self, Unfit>;

    /// As it would be read again; absent if it is not set. A secret shows only that it is set.
    fn show(&self) -> Option<String>;

    fn note(&self) -> Option<&'static str> {
        None
    }
}

impl<T: Typed> Typed for Option<T> {
    const TAKES: &'static str = T::TAKES;
    const SECRET: bool = T::SECRET;

    fn read(raw: Raw<'_>) -> Result<Self, Unfit> {
        T::read(raw).map(Some)
    }

    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }

    fn note(&self) -> Option<&'static str> {
        self.as_ref().and_then(T::note)
    }
}

/// The usual case: a text that means something or nothing.
fn from_text<T>(raw: Raw<'_>, takes: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T, Unfit> {
    let Raw::Text(text) = raw else { return Err(takes.into()) };
    read(text).ok_or(takes.into())
}

impl Typed for Endpoint {
    const TAKES: &'static str = "an address such as `tcp://host:port`";

    fn read(raw: Raw<'_>) -> Result<Self, Unfit> {
        let Raw::Text(text) = raw else { return Err(Self::TAKES.into()) };
        text.parse().map_err(|why| format!("{}: {why}", Self::TAKES).into())
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Typed for CredentialSource {
    const TAKES: &'static str = "a credential of at most 8 KiB, or better `env:NAME` or `file:PATH`";
    const SECRET: bool = true;

    fn read(raw: Raw<'_>) -> Result<Self, Unfit> {
        from_text(raw, Self::TAKES, Self::parse)
    }

    fn show(&self) -> Option<String> {
        Some("(set, redacted)".to_owned())
    }

    fn note(&self) -> Option<&'static str> {
        Some(self.kind())
    }
}

impl Typed for PathBuf {
    const TAKES: &'static str = "a path";

    /// A path is shown, so what somebody may have pasted from a key file must not be taken for one.
    fn read(raw: Raw<'_>) -> Result<Self, Unfit> {
        let pasted = |text: &str| text.contains(char::is_control) || text.contains("-----BEGIN");
        let good = |text: &str| !text.is_empty() && !pasted(text);
        from_text(raw, Self::TAKES, |text| good(text).then(|| text.into()))
    }

    fn show(&self) -> Option<String> {
        Some(self.display().to_string())
    }
}

impl Typed for Duration {
    const TAKES: &'static str = "a duration such as `10 s`, in ns, us, ms, s, min, h or d";

    fn read(raw: Raw<'_>) -> Result<Self, Unfit> {
        from_text(raw, Self::TAKES, parse_time)
    }

    fn show(&self) -> Option<String> {
        Some(show_time(*self))
    }
}

/// A number of things.
impl Typed for u32 {
    const TAKES: &'static str = "a whole number";

    fn read(raw: Raw<'_>) -> Result<Self, Unfit> {
        count(raw).and_then(|number| number.try_into().ok()).ok_or(Self::TAKES.into())
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Typed for bool {
    const TAKES: &'static str = "`true` or `false`";

    fn read(raw: Raw<'_>) -> Result<Self, Unfit> {
        match raw {
            #[cfg(feature = "files")]
            Raw::Flag(flag) => Ok(flag),
            raw => from_text(raw, Self::TAKES, |text| text.parse().ok()),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// A share of a hundred.
///
/// ```
/// use graft::config::Percent;
/// assert_eq!(Percent::new(20).map(Percent::get), Some(20));
/// assert_eq!(Percent::new(101), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// `share` of a hundred, if it is at most a hundred.
    pub const fn new(share: u8) -> Option<Self> {
        if share <= 100 { Some(Self(share)) } else { None }
    }

    /// From 0 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }

    pub(super) const TWENTY: Self = Self(20);
}

impl Typed for Percent {
    const TAKES: &'static str = "a percentage such as `20 %`, from 0 to 100";

    fn read(raw: Raw<'_>) -> Result<Self, Unfit> {
        from_text(raw, Self::TAKES, |text| {
            let share = text.strip_suffix('%')?;
            let share = parse_number(share.strip_suffix(' ').unwrap_or(share))?;
            Self::new(share.try_into().ok()?)
        })
    }

    fn show(&self) -> Option<String> {
        Some(format!("{} %", self.0))
    }
}

impl Typed for DataFlowMode {
    const TAKES: &'static str = "one of `off`, `shadow`, `enforce`";

    fn read(raw: Raw<'_>) -> Result<Self, Unfit> {
        let all = [Self::Off, Self::Shadow, Self::Enforce];
        from_text(raw, Self::TAKES, |text| all.into_iter().find(|mode| mode.as_str() == text))
    }

    fn show(&self) -> Option<String> {
        Some(self.as_str().to_owned())
    }
}

/// Whether the gateway belongs to a project of a registry. Unbound is all that there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProjectMode {
    /// It belongs to none, and asks no registry.
    #[default]
    Unbound,
}

impl Typed for ProjectMode {
    const TAKES: &'static str = "`unbound`";

    fn read(raw: Raw<'_>) -> Result<Self, Unfit> {
        from_text(raw, Self::TAKES, |text| (text == "unbound").then_some(Self::Unbound))
    }

    fn show(&self) -> Option<String> {
        Some("unbound".to_owned())
    }
}

fn count(raw: Raw<'_>) -> Option<u64> {
    match raw {
        Raw::Text(text) => parse_number(text),
        #[cfg(feature = "files")]
        Raw::Whole(number) => number.try_into().ok(),
        _ => None,
    }
}

/// What a limit takes, by the unit of its default.
pub(super) const fn limit_takes(unit: LimitValue) -> &'static str {
    match unit {
        LimitValue::Count(_) => u32::TAKES,
        LimitValue::Bytes(_) => "a size such as `4 MiB`, in B, KiB, MiB or GiB",
        LimitValue::Time(_) => Duration::TAKES,
    }
}

/// A value for the limit `name`, in the unit of its default.
pub(super) fn read_limit(name: &str, unit: LimitValue, raw: Raw<'_>) -> Result<LimitValue, Unfit> {
    let takes = limit_takes(unit);
    let value = match unit {
        LimitValue::Count(_) => count(raw).map(LimitValue::Count),
        LimitValue::Bytes(_) => match raw {
            Raw::Text(text) => parse_size(text),
            _ => count(raw),
        }
        .map(LimitValue::Bytes),
        LimitValue::Time(_) => Some(LimitValue::Time(Duration::read(raw)?)),
    };
    let value = value.ok_or(takes)?;
    match Limits::default().try_with(name, value) {
        Ok(_) => Ok(value),
        Err(LimitError::TooLarge) => Err(format!("{takes}; this is more than the limit can be").into()),
        Err(_) => Err(takes.into()),
    }
}

pub(super) fn show_limit(value: LimitValue) -> String {
    match value {
        LimitValue::Count(number) => number.to_string(),
        LimitValue::Bytes(bytes) => show_size(bytes),
        LimitValue::Time(time) => show_time(time),
    }
}
