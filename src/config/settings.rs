//! The one list of keys, and how the layers of each come together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use graft_security::dataflow::DataFlowMode;
use graft_transport::{Endpoint, LimitEntry, LimitValue, Limits};

use super::environment::variable_of;
use super::nearest::nearest;
use super::value::{Raw, Typed, limit_takes, read_limit, show_limit};
use super::{ConfigBuilder, ConfigError, CredentialSource, Key, Percent, ProjectMode, Setting, Source};

/// What each source gave for one key, in the order of the sources.
struct Slot<T>(Vec<(Source, T)>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Slot<T> {
    fn put(&mut self, key: &str, source: Source, value: T) -> Result<(), ConfigError> {
        if self.0.last().is_some_and(|(last, _)| last.is_same_layer(&source)) {
            return Err(ConfigError::repeated(source, Some(key)));
        }
        self.0.push((source, value));
        Ok(())
    }

    /// The winner and its source, and the others from the nearest on.
    fn settle(mut self, default: T) -> (T, Source, Vec<Source>) {
        let Some((source, value)) = self.0.pop() else { return (default, Source::Default, Vec::new()) };
        (value, source, self.0.into_iter().rev().map(|(source, _)| source).collect())
    }
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])* $field:ident $key:literal: $type:ty, set by $set:ty = $default:expr;)*) => {
        /// What the sources gave.
        #[derive(Default)]
        pub(super) struct Given {
            $($field: Slot<$type>,)*
            limits: BTreeMap<&'static str, Slot<LimitValue>>,
        }

        /// What holds.
        #[derive(Clone, Debug)]
        pub(super) struct Values {
            $(pub(super) $field: $type,)*
            pub(super) limits: Limits,
        }

        /// What code said.
        #[derive(Default)]
        pub(super) struct Pinned {
            $($field: Option<$type>,)*
            limits: Option<Limits>,
        }

        impl ConfigBuilder {
            $(
                #[doc = concat!("Pins `", $key, "`:", $($doc),*)]
                #[must_use]
                pub fn $field(mut self, value: $set) -> Self {
                    self.pinned.$field = Some(value.into());
                    self
                }
            )*
        }

        impl Given {
            /// Takes a value that has to be read. The nearest key is named as `spelled`.
            pub(super) fn read(
                &mut self,
                key: &str,
                raw: Raw<'_>,
                source: Source,
                spelled: fn(&str) -> String,
            ) -> Result<(), ConfigError> {
                match key {
                    $($key => {
                        let read = <$type>::read(raw);
                        let value = read.map_err(|takes| ConfigError::bad_value(source.clone(), key, &takes))?;
                        self.$field.put(key, source, value)
                    })*
                    _ => self.read_limit(key, raw, source, spelled),
                }
            }

            pub(super) fn pin(&mut self, pinned: Pinned) -> Result<(), ConfigError> {
                $(if let Some(value) = pinned.$field {
                    self.$field.put($key, Source::Code, value)?;
                })*
                for LimitEntry { name, value, .. } in pinned.limits.iter().flat_map(Limits::entries) {
                    self.limits.entry(name).or_default().put(&limit_key(name), Source::Code, value)?;
                }
                Ok(())
            }

            /// What holds, and the account of it in the order of [`keys`].
            pub(super) fn settle(self) -> (Values, Vec<Setting>) {
                let mut all = Vec::new();
                $(
                    let ($field, source, overrides) = self.$field.settle($default);
                    all.push(Setting {
                        key: $key.to_owned(),
                        value: $field.show(),
                        secret: <$type>::SECRET,
                        note: $field.note(),
                        source,
                        overrides,
                    });
                )*
                let limits = settle_limits(self.limits, &mut all);
                (Values { $($field,)* limits }, all)
            }
        }

        /// Every key, with what stands in the table of the module.
        pub fn keys() -> Vec<Key> {
            let mut all = vec![$({
                let default: $type = $default;
                Key {
                    name: $key.to_owned(),
                    variable: variable_of($key),
                    takes: <$type>::TAKES,
                    default: default.show(),
                    secret: <$type>::SECRET,
                    about: concat!($($doc),*).trim_start(),
                }
            }),*];
            all.extend(Limits::default().entries().into_iter().map(|LimitEntry { name, value, about }| Key {
                name: limit_key(name),
                variable: variable_of(&limit_key(name)),
                takes: limit_takes(value),
                default: Some(show_limit(value)),
                secret: false,
                about,
            }));
            all
        }
    };
}

settings! {
    /// Where calls go.
    endpoint "endpoint": Endpoint, set by Endpoint = Endpoint::Local;
    /// Where this process takes calls; port 0 is any free one.
    listen "listen": Option<Endpoint>, set by impl Into<Option<Endpoint>> = None;
    /// Proof of who calls, sent with each call.
    credential "credential": Option<CredentialSource>, set by impl Into<Option<CredentialSource>> = None;
    /// Whether the credential may go over plain `tcp:` or `ws:` to another machine, where whoever is between can read it.
    credential_in_clear "credential_in_clear": bool, set by bool = false;
    /// The certificates, in PEM, that a peer's chain may end in. A server that has them asks every client for one.
    tls_roots "tls.roots": Option<PathBuf>, set by impl Into<Option<PathBuf>> = None;
    /// The own certificate and its chain, in PEM; needs `tls.key`.
    tls_certificate "tls.certificate": Option<PathBuf>, set by impl Into<Option<PathBuf>> = None;
    /// The key of `tls.certificate`, in PEM. The path is shown, the contents never.
    tls_key "tls.key": Option<PathBuf>, set by impl Into<Option<PathBuf>> = None;
    /// How long a call may take.
    timeout "timeout": Duration, set by Duration = Duration::from_secs(30);
    /// How often a call that is marked as idempotent is tried, the first time included; other calls are tried once.
    retry_attempts "retry.attempts": u32, set by u32 = 3;
    /// The most retries for a hundred calls that succeed, besides ten to begin with.
    retry_budget "retry.budget": Percent, set by Percent = Percent::TWENTY;
    /// The pause before the first retry.
    retry_backoff_min "retry.backoff_min": Duration, set by Duration = Duration::from_millis(50);
    /// The longest pause before a retry.
    retry_backoff_max "retry.backoff_max": Duration, set by Duration = Duration::from_secs(2);
    /// The first pause after a connection could not be made anew, in which calls fail at once.
    reconnect_backoff_min "reconnect.backoff_min": Duration, set by Duration = Duration::from_millis(100);
    /// The longest pause after a connection could not be made anew.
    reconnect_backoff_max "reconnect.backoff_max": Duration, set by Duration = Duration::from_secs(30);
    /// Whether calls are judged by the flow of data, and stopped.
    dataflow_mode "dataflow.mode": DataFlowMode, set by DataFlowMode = DataFlowMode::Off;
    /// The project that the gateway belongs to.
    project "project": ProjectMode, set by ProjectMode = ProjectMode::Unbound;
}

const LIMITS: &str = "limits";

fn limit_key(name: &str) -> String {
    format!("{LIMITS}.{name}")
}

fn settle_limits(mut given: BTreeMap<&str, Slot<LimitValue>>, all: &mut Vec<Setting>) -> Limits {
    let mut limits = Limits::default();
    for LimitEntry { name, value: default, .. } in limits.entries() {
        let (value, source, overrides) = given.remove(name).unwrap_or_default().settle(default);
        // Every value was tried on the defaults when it was read, or comes out of other limits.
        limits = limits.try_with(name, value).unwrap_or(limits);
        all.push(Setting {
            key: limit_key(name),
            value: Some(show_limit(value)),
            secret: false,
            note: None,
            source,
            overrides,
        });
    }
    limits
}

impl Given {
    fn read_limit(
        &mut self,
        key: &str,
        raw: Raw<'_>,
        source: Source,
        spelled: fn(&str) -> String,
    ) -> Result<(), ConfigError> {
        let name = key.strip_prefix(LIMITS).and_then(|rest| rest.strip_prefix('.'));
        let Some(LimitEntry { name, value: default, .. }) =
            Limits::default().entries().into_iter().find(|entry| Some(entry.name) == name)
        else {
            return Err(unknown(key, source, spelled));
        };
        let read = read_limit(name, default, raw);
        let value = read.map_err(|takes| ConfigError::bad_value(source.clone(), key, &takes))?;
        self.limits.entry(name).or_default().put(key, source, value)
    }

    /// The variables to which any source's credential refers.
    pub(super) fn credential_variables(&self) -> Vec<String> {
        let sources = self.credential.0.iter().filter_map(|(_, value)| value.as_ref());
        sources.filter_map(CredentialSource::variable_name).map(str::to_owned).collect()
    }
}

/// There is no such key.
pub(super) fn unknown(key: &str, source: Source, spelled: fn(&str) -> String) -> ConfigError {
    let keys = keys();
    let nearest = nearest(key, keys.iter().map(|known| &*known.name)).unwrap_or_default();
    ConfigError::unknown(source, nearest, &spelled(nearest))
}

impl Pinned {
    pub(super) fn limits(&mut self, limits: Limits) {
        self.limits = Some(limits);
    }
}
