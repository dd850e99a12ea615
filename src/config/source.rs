//! Where values come from, and the account of it.

use std::fmt;

/// Where a value comes from; each of these goes before those above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// The file.
    File {
        /// The file as the caller knows it.
        name: String,
        /// The line, from 1; absent if it is about the whole file.
        line: Option<usize>,
    },
    /// The environment variable of this name.
    Environment(String),
    /// A call on the builder.
    Code,
}

impl Source {
    /// Whether two are one layer.
    pub(super) fn is_same_layer(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line: Some(line) } => write!(f, "file `{}` line {line}", name.escape_debug()),
            Self::File { name, line: None } => write!(f, "file `{}`", name.escape_debug()),
            Self::Environment(name) => write!(f, "environment `{}`", name.escape_debug()),
            Self::Code => f.write_str("code"),
        }
    }
}

/// One key: what holds, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The key.
    pub key: String,
    /// The value as a file would say it; absent if it is not set. Of a secret it says only that it is set.
    pub value: Option<String>,
    /// Whether the key holds a secret.
    pub secret: bool,
    /// More about the value, of a secret its kind.
    pub note: Option<&'static str>,
    /// Whose value it is.
    pub source: Source,
    /// Who else gave one, the nearest to winning first.
    pub overrides: Vec<Source>,
}

impl Setting {
    /// The note, and whom the value overrides.
    pub fn detail(&self) -> String {
        let overrides = self.overrides.iter().map(Source::to_string).collect::<Vec<_>>().join(", ");
        let overrides = (!overrides.is_empty()).then(|| format!("overrides {overrides}"));
        let parts = self.note.map(str::to_owned).into_iter().chain(overrides);
        parts.collect::<Vec<_>>().join("; ")
    }
}

/// A table of all settings, for people. Secrets are not in it.
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'a>(pub(super) &'a [Setting]);

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["key", "value", "source", "detail"].map(str::to_owned);
        let rows = self.0.iter().map(|setting| {
            let value = setting.value.as_deref().unwrap_or("(not set)");
            let value = value.escape_debug().to_string();
            [setting.key.clone(), value, setting.source.to_string(), setting.detail()]
        });
        let rows: Vec<_> = [head].into_iter().chain(rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [0, 1, 2].map(width);
        for (i, [key, value, source, detail]) in rows.iter().enumerate() {
            let line =
                format!("{key:<0$}  {value:<1$}  {source:<2$}  {detail}", widths[0], widths[1], widths[2]);
            // No line end behind the last row: whoever prints it adds one.
            write!(f, "{}{}", if i == 0 { "" } else { "\n" }, line.trim_end())?;
        }
        Ok(())
    }
}
