//! Puts the sources together.

use graft_transport::{Endpoint, Limits};

use super::environment::variable_of;
use super::settings::{Given, Pinned, Values, keys, unknown};
use super::value::Raw;
use super::{Config, ConfigError, Environment, Setting, Source};

/// Gathers the sources of a [`Config`], in any order.
///
/// The methods named after keys are the source "code": they pin, and neither file nor environment changes what
/// they set. A program that only wants other defaults gives them as a file. Of one method called twice the last
/// call counts; a key that both [`ConfigBuilder::set`] and its own method give is an error.
///
/// ```
/// use std::time::Duration;
/// use graft::Config;
/// use graft::config::{Environment, Source};
/// let environment: Environment =
///     [("GRAFT_ENDPOINT", "tcp://calls.example:7000"), ("GRAFT_TIMEOUT", "5 s")].into_iter().collect();
/// let config = Config::builder().environment(environment).timeout(Duration::from_secs(2)).build()?;
/// assert_eq!(config.endpoint().to_string(), "tcp://calls.example:7000");
/// assert_eq!(config.timeout(), Duration::from_secs(2));
/// let timeout = config.settings().iter().find(|setting| setting.key == "timeout").unwrap();
/// assert_eq!(timeout.source, Source::Code);
/// assert_eq!(timeout.overrides, [Source::Environment("GRAFT_TIMEOUT".to_owned())]);
/// # Ok::<(), graft::config::ConfigError>(())
/// ```
#[derive(Default)]
pub struct ConfigBuilder {
    #[cfg(feature = "files")]
    pub(super) file: Option<super::file::ConfigFile>,
    pub(super) environment: Environment,
    pub(super) pinned: Pinned,
    pub(super) texts: Vec<(String, String)>,
}

impl ConfigBuilder {
    /// Takes these environment variables. Those that do not begin with `GRAFT_` are only looked at if
    /// `credential` refers to one.
    #[must_use]
    pub fn environment(self, environment: Environment) -> Self {
        Self { environment, ..self }
    }

    /// Takes the environment variables of this process as they are now.
    #[must_use]
    pub fn process_environment(self) -> Self {
        self.environment(Environment::of_process())
    }

    /// Pins every limit, also those that are left at their default.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.pinned.limits(limits);
        self
    }

    /// Pins the key called `key` to what `value` says, written as in the environment: for a program's own flags,
    /// and to pin one limit alone.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.texts.push((key.into(), value.into()));
        self
    }

    /// What holds. Every source is read to its end: a wrong value is an error even if another one overrides it.
    ///
    /// # Errors
    /// [`ConfigError`]: the first thing that is wrong, file first, then environment, then code.
    pub fn build(self) -> Result<Config, ConfigError> {
        let mut given = Given::default();
        #[cfg(feature = "files")]
        if let Some(file) = &self.file {
            file.read(&mut given)?;
        }
        let strange = read_environment(&self.environment, &mut given)?;
        given.pin(self.pinned)?;
        for (key, value) in &self.texts {
            given.read(key, Raw::Text(value), Source::Code, str::to_owned)?;
        }
        // Now it is known which variables hold a credential: those may be called what they like.
        let credentials = given.credential_variables();
        if let Some(name) = strange.into_iter().find(|name| !credentials.contains(name)) {
            let key = name.to_ascii_lowercase();
            let key = key.strip_prefix("graft_").unwrap_or(&key).replacen('_', ".", 1);
            return Err(unknown(&key, Source::Environment(name), variable_of));
        }
        let (mut values, settings) = given.settle();
        values.credential = values.credential.map(|source| source.looked_up(&self.environment));
        check(&values, &settings)?;
        Ok(Config { values, settings })
    }
}

/// Takes the variables of keys; gives the names of the others that begin like one.
fn read_environment(environment: &Environment, given: &mut Given) -> Result<Vec<String>, ConfigError> {
    let keys = keys();
    let mut strange = Vec::new();
    for (name, value) in environment.ours() {
        match keys.iter().find(|key| key.variable == name) {
            Some(key) => {
                let raw = value.to_str().map_or(Raw::Other, Raw::Text);
                given.read(&key.name, raw, Source::Environment(name), variable_of)?;
            }
            None => strange.push(name),
        }
    }
    Ok(strange)
}

/// What has to hold of the winners.
fn check(values: &Values, settings: &[Setting]) -> Result<(), ConfigError> {
    let rules = [
        (values.endpoint.port() == Some(0), "endpoint", "an address with a port other than 0"),
        (
            values.listen == Some(Endpoint::Local),
            "listen",
            "an address that others can reach, or be left out",
        ),
        (
            values.tls_certificate.is_some() && values.tls_key.is_none(),
            "tls.certificate",
            "left out, or `tls.key` given too",
        ),
        (
            values.tls_key.is_some() && values.tls_certificate.is_none(),
            "tls.key",
            "left out, or `tls.certificate` given too",
        ),
        (values.retry_attempts == 0, "retry.attempts", "at least 1, which never retries"),
        (
            values.retry_backoff_min > values.retry_backoff_max,
            "retry.backoff_min",
            "at most `retry.backoff_max`",
        ),
        (
            values.reconnect_backoff_min > values.reconnect_backoff_max,
            "reconnect.backoff_min",
            "at most `reconnect.backoff_max`",
        ),
    ];
    let Some((_, key, takes)) = rules.into_iter().find(|(broken, ..)| *broken) else { return Ok(()) };
    let source = settings.iter().find(|setting| setting.key == key).map(|setting| setting.source.clone());
    Err(ConfigError::bad_value(source.unwrap_or(Source::Default), key, takes))
}

impl std::fmt::Debug for ConfigBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigBuilder").finish_non_exhaustive()
    }
}
