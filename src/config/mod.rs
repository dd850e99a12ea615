#![doc = include_str!("CONFIG.md")]

mod builder;
mod credential;
mod environment;
mod error;
#[cfg(feature = "files")]
mod file;
mod nearest;
mod record;
mod settings;
mod source;
mod units;
mod value;

use std::path::Path;
use std::time::Duration;

use graft_security::dataflow::DataFlowMode;
pub use graft_transport::{Backoff, Retry};
use graft_transport::{Endpoint, Limits};

pub use builder::ConfigBuilder;
pub use credential::{CredentialError, CredentialSource, MAX_CREDENTIAL};
pub use environment::{Environment, PREFIX};
pub use error::{ConfigError, ConfigErrorKind};
#[cfg(feature = "files")]
pub use file::MAX_FILE;
pub use settings::keys;
pub use source::{Explanation, Setting, Source};
pub use value::{Percent, ProjectMode};

/// The configuration that holds, and where each of its values comes from. Nothing of it changes later.
///
/// `Debug` and [`Config::explain`] say of a credential only that it is there.
#[derive(Clone, Debug)]
pub struct Config {
    values: settings::Values,
    settings: Vec<Setting>,
}

/// One key of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key {
    /// Its name in a file, with the section before a dot.
    pub name: String,
    /// The environment variable that sets it.
    pub variable: String,
    /// What it takes.
    pub takes: &'static str,
    /// What holds if nobody says anything; absent if then it is not set.
    pub default: Option<String>,
    /// Whether it holds a secret.
    pub secret: bool,
    /// What it is for.
    pub about: &'static str,
}

/// The files of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsFiles<'a> {
    /// The certificates that a chain may end in.
    pub roots: Option<&'a Path>,
    /// The own certificate and its key: both or none.
    pub identity: Option<(&'a Path, &'a Path)>,
}

impl Config {
    /// Begins to gather the sources; without any the defaults hold.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// Where calls go; never with port 0.
    pub fn endpoint(&self) -> &Endpoint {
        &self.values.endpoint
    }

    /// Where this process takes calls, if it does; never `local:`.
    pub fn listen(&self) -> Option<&Endpoint> {
        self.values.listen.as_ref()
    }

    /// Proof of who calls, if there is any.
    pub fn credential(&self) -> Option<&CredentialSource> {
        self.values.credential.as_ref()
    }

    /// Whether the credential may go to another machine unencrypted.
    pub fn credential_in_clear(&self) -> bool {
        self.values.credential_in_clear
    }

    /// The files of TLS. They are read when there is a channel or a server to make.
    pub fn tls(&self) -> TlsFiles<'_> {
        let identity = self.values.tls_certificate.as_deref().zip(self.values.tls_key.as_deref());
        TlsFiles { roots: self.values.tls_roots.as_deref(), identity }
    }

    /// How long a call may take.
    pub fn timeout(&self) -> Duration {
        self.values.timeout
    }

    /// How calls are tried again.
    pub fn retry(&self) -> Retry {
        let backoff = Backoff { min: self.values.retry_backoff_min, max: self.values.retry_backoff_max };
        Retry { attempts: self.values.retry_attempts, percent: self.values.retry_budget.get(), backoff }
    }

    /// The pauses before a lost connection is made anew.
    pub fn reconnect(&self) -> Backoff {
        Backoff { min: self.values.reconnect_backoff_min, max: self.values.reconnect_backoff_max }
    }

    /// What a peer may make this side hold.
    pub fn limits(&self) -> &Limits {
        &self.values.limits
    }

    /// Whether calls are judged by the flow of data, and stopped.
    pub fn dataflow_mode(&self) -> DataFlowMode {
        self.values.dataflow_mode
    }

    /// The project that the gateway belongs to.
    pub fn project(&self) -> ProjectMode {
        self.values.project
    }

    /// Every key with its value and where it comes from, in the order of [`keys`]; secrets redacted.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The same as a table for people: what `graft explain-config` prints.
    pub fn explain(&self) -> Explanation<'_> {
        Explanation(&self.settings)
    }
}
