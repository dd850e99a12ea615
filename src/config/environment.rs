//! Environment variables.

use std::ffi::{OsStr, OsString};

/// What every variable of the configuration begins with.
pub const PREFIX: &str = "GRAFT_";

/// Environment variables, taken once: those of the process or any others. `Debug` shows only how many.
///
/// ```
/// use graft::config::Environment;
/// let environment: Environment = [("GRAFT_TIMEOUT", "5 s")].into_iter().collect();
/// assert_eq!(format!("{environment:?}"), "Environment(1 variables)");
/// ```
#[derive(Clone, Default)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// The variables of this process as they are now.
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    pub(super) fn value(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// Those that are meant for the configuration.
    ///
    /// Kubernetes gives every container of a namespace that has a service called `graft` variables that begin
    /// with `GRAFT_SERVICE_` and `GRAFT_PORT`. They are not meant; no key begins like that.
    pub(super) fn ours(&self) -> impl Iterator<Item = (String, &OsStr)> {
        let named = self.0.iter().map(|(name, value)| (name.to_string_lossy().into_owned(), &**value));
        named.filter(|(name, _)| {
            let rest = name.strip_prefix(PREFIX);
            rest.is_some_and(|rest| !rest.starts_with("SERVICE_") && !rest.starts_with("PORT"))
        })
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

/// The variable of a key: `limits.max_frame` is `GRAFT_LIMITS_MAX_FRAME`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}
