//! The file, in TOML.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use zeroize::Zeroizing;

use super::settings::{Given, keys, unknown};
use super::value::Raw;
use super::{Config, ConfigBuilder, ConfigError, ConfigErrorKind, Source};

/// The longest file that is read, in bytes.
pub const MAX_FILE: usize = 64 << 10;

/// A file that was read and is not parsed yet. Wiped, since a credential may stand in it.
pub(super) struct ConfigFile {
    name: String,
    text: Zeroizing<String>,
}

impl Config {
    /// What the file at `path` and the environment of this process say.
    ///
    /// # Errors
    /// [`ConfigError`] if the file cannot be read or something in file or environment is wrong.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::builder().read_file(path)?.process_environment().build()
    }
}

impl ConfigBuilder {
    /// Takes `text` for the contents of the file, which errors and explanations call `name`. There is one file:
    /// a second one takes the place of the first.
    #[must_use]
    pub fn file(self, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { file: Some(ConfigFile { name: name.into(), text: Zeroizing::new(text.into()) }), ..self }
    }

    /// Reads the file at `path` and takes it.
    ///
    /// # Errors
    /// [`ConfigErrorKind::Unreadable`].
    pub fn read_file(self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let fail = |what: &str| {
            ConfigError::file(
                Source::File { name: name.clone(), line: None },
                ConfigErrorKind::Unreadable,
                what,
            )
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE + 64));
        let read = File::open(path).and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes));
        read.map_err(|error| fail(unreadable(error.kind())))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| fail("it is not UTF-8"))?;
        Ok(self.file(name, text))
    }
}

fn unreadable(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "it cannot be read: it is not there; check the path",
        io::ErrorKind::PermissionDenied => "it cannot be read: permission denied; check its permissions",
        io::ErrorKind::IsADirectory => "it cannot be read: it is a folder; name a file in it",
        _ => "it cannot be read",
    }
}

impl ConfigFile {
    pub(super) fn read(&self, given: &mut Given) -> Result<(), ConfigError> {
        if self.text.len() > MAX_FILE {
            let what = "it is over 64 KiB; is it the right file?";
            return Err(ConfigError::file(self.source(None), ConfigErrorKind::Unreadable, what));
        }
        // The parser's own words may quote the file, so only the place is taken from it.
        let table = DeTable::parse(&self.text).map_err(|error| {
            let place = self.source(Some(error.span().map_or(0, |span| span.start)));
            match error.message() {
                "duplicate key" => ConfigError::repeated(place, None),
                _ => ConfigError::file(place, ConfigErrorKind::NotToml, "this is not TOML"),
            }
        })?;
        self.read_table("", table.get_ref(), given)
    }

    fn read_table(&self, prefix: &str, table: &DeTable<'_>, given: &mut Given) -> Result<(), ConfigError> {
        let mut entries: Vec<_> = table.iter().collect();
        // In the order of the file, so that the first mistake is the one that is named.
        entries.sort_by_key(|(key, _)| key.span().start);
        entries.into_iter().try_for_each(|(key, value)| self.read_entry(prefix, key, value, given))
    }

    fn read_entry(
        &self,
        prefix: &str,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        given: &mut Given,
    ) -> Result<(), ConfigError> {
        let source = self.source(Some(key.span().start));
        let key = format!("{prefix}{}", key.get_ref());
        let section = format!("{key}.");
        let is_section = keys().iter().any(|known| known.name.starts_with(&section));
        let raw = match value.get_ref() {
            DeValue::Table(table) if is_section => return self.read_table(&section, table, given),
            _ if is_section => {
                return Err(ConfigError::bad_value(source, &key, "a section with keys of its own"));
            }
            DeValue::String(text) => Raw::Text(text),
            DeValue::Boolean(flag) => Raw::Flag(*flag),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_or(Raw::Other, Raw::Whole)
            }
            // Of a table that is no section the keys are what is unknown.
            DeValue::Table(table) if !keys().iter().any(|known| known.name == key) => {
                let inside = table.keys().next().map_or(String::new(), |inside| inside.get_ref().to_string());
                return Err(unknown(&format!("{section}{inside}"), source, str::to_owned));
            }
            _ => Raw::Other,
        };
        given.read(&key, raw, source, str::to_owned)
    }

    /// The line of the byte `offset`.
    fn source(&self, offset: Option<usize>) -> Source {
        let line = |offset: usize| self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        Source::File { name: self.name.clone(), line: offset.map(line) }
    }
}
