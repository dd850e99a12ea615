//! What a log says of a configuration: that it came into force, and not what it says.

use graft_core::{
    Action, Clock, DigestKey, Ending, Event, FieldValue, Fields, KeyedDigest, Name, RecordError, Recorder,
    Seq,
};

use super::{Config, ConfigError, ConfigErrorKind, Source};

const TARGET: Name = Name::from_static("config");
const DIGEST: Name = Name::from_static("digest");
const DOMAIN: Name = Name::from_static("graft:config");

impl Config {
    /// Stands for the configuration in records: two that say the same have the same digest under one key. Of a
    /// credential only that there is one counts, and where a value comes from does not.
    pub fn digest(&self, key: &DigestKey) -> KeyedDigest {
        let mut text = Vec::new();
        for setting in &self.settings {
            let said = setting.value.as_deref();
            for part in [Some(setting.key.as_str()), said] {
                // Each part with whether it is there and its length, so that none runs into the next.
                text.push(u8::from(part.is_some()));
                let part = part.unwrap_or_default();
                text.extend((part.len() as u64).to_be_bytes());
                text.extend(part.as_bytes());
            }
        }
        key.digest(&DOMAIN, &text)
    }

    /// Records that this configuration came into force for `actor`: with how many of its values come from where,
    /// and with a `key` its [`Config::digest`], by which records show whether it changed. No value is in the record.
    ///
    /// Agents that are [built from](crate::Agent::from_config) a configuration, and gateways that
    /// [serve](crate::Gateway::serve) as one says, do it themselves.
    ///
    /// # Errors
    /// [`RecordError`] if it was not recorded; then do not go by the configuration.
    ///
    /// ```
    /// use graft::core::{DigestKey, FieldValue, ManualClock, MemoryRecorder};
    /// use graft::{Config, Name};
    /// let config = Config::builder().set("dataflow.mode", "enforce").build()?;
    /// let (log, key) = (MemoryRecorder::default(), DigestKey::new(b"9xk2;Qf_71zR-mPq0^vLwA83!dYtNe5c")?);
    /// config.record(&log, &ManualClock::default(), Name::from_static("setup"), Some(&key))?;
    /// let event = &log.events()[0];
    /// assert_eq!(event.action.as_str(), "config:load");
    /// assert_eq!(event.fields.find("from-code"), Some(&FieldValue::U64(1)));
    /// assert_eq!(event.fields.find("digest"), Some(&FieldValue::Digest(config.digest(&key))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record(
        &self,
        recorder: &dyn Recorder,
        clock: &dyn Clock,
        actor: Name,
        key: Option<&DigestKey>,
    ) -> Result<Seq, RecordError> {
        let mut event = Event::at(clock, actor, Action::ConfigLoad, TARGET, Ending::Ok);
        event.fields = self.fields(key);
        recorder.record(&event)
    }

    fn fields(&self, key: Option<&DigestKey>) -> Fields {
        let from = |source: fn(&Source) -> bool| {
            let count = self.settings.iter().filter(|setting| source(&setting.source)).count();
            FieldValue::U64(count as u64)
        };
        let counts = [
            (Name::from_static("from-default"), from(|source| matches!(source, Source::Default))),
            (Name::from_static("from-file"), from(|source| matches!(source, Source::File { .. }))),
            (Name::from_static("from-environment"), from(|source| matches!(source, Source::Environment(_)))),
            (Name::from_static("from-code"), from(|source| matches!(source, Source::Code))),
        ];
        let digest = key.map(|key| (DIGEST, FieldValue::Digest(self.digest(key))));
        Fields::new(counts.into_iter().chain(digest))
            .unwrap_or_else(|_| unreachable!("five names, each once"))
    }
}

impl ConfigError {
    /// Records that a configuration was refused to `actor`, and for what kind of error.
    ///
    /// # Errors
    /// [`RecordError`] if it was not recorded.
    pub fn record(
        &self,
        recorder: &dyn Recorder,
        clock: &dyn Clock,
        actor: Name,
    ) -> Result<Seq, RecordError> {
        let mut event = Event::at(clock, actor, Action::ConfigLoad, TARGET, Ending::Failed);
        event.code = Some(match self.kind() {
            ConfigErrorKind::UnknownKey => Name::from_static("unknown-key"),
            ConfigErrorKind::RepeatedKey => Name::from_static("repeated-key"),
            ConfigErrorKind::BadValue => Name::from_static("bad-value"),
            ConfigErrorKind::NotToml => Name::from_static("not-toml"),
            ConfigErrorKind::Unreadable => Name::from_static("unreadable"),
        });
        recorder.record(&event)
    }
}
