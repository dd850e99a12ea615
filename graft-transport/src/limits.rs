//! What a peer may make this side hold.

use std::time::Duration;

/// Whether a limit is marked as one of bytes; without a mark its type says what it is.
macro_rules! is_bytes {
    () => {
        false
    };
    (bytes) => {
        true
    };
}

macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty $([$unit:ident])? = $default:expr;)*) => {
        /// Bounds on what a peer may make this side hold or wait for. Every one has a safe default.
        ///
        /// ```
        /// use graft_transport::Limits;
        /// let limits = Limits::default().with_max_frame(64 * 1024);
        /// assert_eq!(limits.max_frame(), 65_536);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($name: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Limits {
            $($(#[doc = $doc])* pub const fn $name(&self) -> $type { self.$name })*

            /// Every limit by its name: for configuration, which has no list of its own.
            pub fn entries(&self) -> Vec<LimitEntry> {
                vec![$(LimitEntry {
                    name: stringify!($name),
                    about: concat!($($doc),*).trim_start(),
                    value: self.$name.to_value(is_bytes!($($unit)?)),
                }),*]
            }

            /// The same with another value of the limit called `name`.
            ///
            /// # Errors
            /// [`LimitError`] if there is no such limit or it cannot have this value.
            ///
            /// ```
            /// use graft_transport::{LimitError, LimitValue, Limits};
            /// let limits = Limits::default().try_with("max_frame", LimitValue::Bytes(65_536))?;
            /// assert_eq!(limits.max_frame(), 65_536);
            /// assert_eq!(limits.try_with("max_frame", LimitValue::Count(7)), Err(LimitError::Kind));
            /// # Ok::<(), LimitError>(())
            /// ```
            pub fn try_with(mut self, name: &str, value: LimitValue) -> Result<Self, LimitError> {
                match name {
                    $(stringify!($name) => self.$name = Bound::from_value(value, is_bytes!($($unit)?))?,)*
                    _ => return Err(LimitError::Unknown),
                }
                Ok(self)
            }
        }
    };
}

limits! {
    /// The longest frame in bytes, its length field not counted; 4 MiB. Checked before the frame is read.
    max_frame: u32 [bytes] = 4 << 20;
    /// The most calls without an answer on one connection; 1024. The next one gets `LimitExceeded`.
    max_in_flight: u32 = 1024;
    /// The most bytes of arguments in calls without an answer on one connection; 16 MiB. The next one gets
    /// `LimitExceeded`.
    max_arguments: usize [bytes] = 16 << 20;
    /// The most bytes of credential, label and headers of one call together, each with its length field; 8 KiB.
    max_metadata: u32 [bytes] = 8 << 10;
    /// Bytes that wait to be written on one connection before whoever adds more has to wait; 8 MiB.
    max_buffered: usize [bytes] = 8 << 20;
    /// The most streams that are read on one connection at a time; 256. What brings one more gets `LimitExceeded`.
    max_streams: u32 = 256;
    /// Bytes of items of one stream that wait to be taken; 256 KiB. Each item counts 64 bytes beside its own.
    stream_window: u32 [bytes] = 256 << 10;
    /// The same of all streams of one connection together; 4 MiB.
    window: u32 [bytes] = 4 << 20;
    /// The most objects that are hosted here for one connection, and the most of the peer's that are held here;
    /// 1024 each. What would hand out or bring one more gets `LimitExceeded`.
    max_handles: u32 = 1024;
    /// How long an object is kept that its holder neither calls nor renews; 60 s.
    lease: Duration = Duration::from_secs(60);
    /// The most requests a second on one connection, in bursts of as many; 2 million. One more gets `LimitExceeded`.
    max_request_rate: u32 = 2_000_000;
    /// The most cancels and questions after health a second on one connection, in bursts of as many; 10,000. Beyond
    /// it a cancelled call goes on and keeps its place among those in flight; a question, or a cancel or stop that
    /// is late, ends the connection, since it costs its sender nothing.
    max_cancel_rate: u32 = 10_000;
    /// The most connections that a server holds; 10,000. The next one is told so and closed.
    max_connections: usize = 10_000;
    /// How long a peer may take to say hello, with what goes before it on its transport; 10 s.
    handshake_timeout: Duration = Duration::from_secs(10);
    /// How long one frame may take to arrive, and how long a peer may go without reading what waits
    /// for it; 30 s.
    frame_timeout: Duration = Duration::from_secs(30);
    /// After how long a silence a peer is asked whether it is there, while something waits for it. After as long
    /// again it counts as gone; 30 s.
    keepalive: Duration = Duration::from_secs(30);
    /// How long a server keeps a connection on which no call is in flight and nothing arrives; 10 min.
    idle_timeout: Duration = Duration::from_secs(600);
}

macro_rules! builders {
    ($($with:ident sets $name:ident: $type:ty;)*) => {
        impl Limits {
            $(
                #[doc = concat!("The same with another [`Limits::", stringify!($name), "`].")]
                #[must_use]
                pub const fn $with(mut self, $name: $type) -> Self {
                    self.$name = $name;
                    self
                }
            )*
        }
    };
}

builders! {
    with_max_frame sets max_frame: u32;
    with_max_in_flight sets max_in_flight: u32;
    with_max_arguments sets max_arguments: usize;
    with_max_metadata sets max_metadata: u32;
    with_max_buffered sets max_buffered: usize;
    with_max_streams sets max_streams: u32;
    with_stream_window sets stream_window: u32;
    with_window sets window: u32;
    with_max_handles sets max_handles: u32;
    with_lease sets lease: Duration;
    with_max_request_rate sets max_request_rate: u32;
    with_max_cancel_rate sets max_cancel_rate: u32;
    with_max_connections sets max_connections: usize;
    with_handshake_timeout sets handshake_timeout: Duration;
    with_frame_timeout sets frame_timeout: Duration;
    with_keepalive sets keepalive: Duration;
    with_idle_timeout sets idle_timeout: Duration;
}

/// A limit as configuration sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitEntry {
    /// Its name: that of the method of [`Limits`].
    pub name: &'static str,
    /// What it bounds.
    pub about: &'static str,
    /// What it is set to.
    pub value: LimitValue,
}

/// The value of a limit, with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitValue {
    /// A number of things.
    Count(u64),
    /// A number of bytes.
    Bytes(u64),
    /// A time.
    Time(Duration),
}

/// Why a limit cannot have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// There is no limit of this name.
    #[error("there is no such limit")]
    Unknown,
    /// It has another unit.
    #[error("the limit has another unit")]
    Kind,
    /// The number does not fit the limit's type.
    #[error("the number is too large for the limit")]
    TooLarge,
}

/// A type that a limit may have.
trait Bound: Sized {
    fn to_value(self, bytes: bool) -> LimitValue;
    fn from_value(value: LimitValue, bytes: bool) -> Result<Self, LimitError>;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Bound for $type {
            fn to_value(self, bytes: bool) -> LimitValue {
                let number = u64::try_from(self).unwrap_or(u64::MAX);
                if bytes { LimitValue::Bytes(number) } else { LimitValue::Count(number) }
            }

            fn from_value(value: LimitValue, bytes: bool) -> Result<Self, LimitError> {
                match (value, bytes) {
                    (LimitValue::Count(number), false) | (LimitValue::Bytes(number), true) => {
                        number.try_into().map_err(|_| LimitError::TooLarge)
                    }
                    _ => Err(LimitError::Kind),
                }
            }
        }
    )*};
}

numbers!(u32, u64, usize);

impl Bound for Duration {
    fn to_value(self, _: bool) -> LimitValue {
        LimitValue::Time(self)
    }

    fn from_value(value: LimitValue, _: bool) -> Result<Self, LimitError> {
        match value {
            LimitValue::Time(time) => Ok(time),
            _ => Err(LimitError::Kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_there_with_its_value_and_can_be_set_by_its_name() {
        let debug = format!("{:#?}", Limits::default());
        let entries = Limits::default().entries();
        let names = debug.lines().filter_map(|line| line.strip_prefix("    ")?.split(':').next());
        assert!(names.eq(entries.iter().map(|entry| entry.name)), "{debug}");
        for LimitEntry { name, value, about } in entries {
            assert!(about.ends_with('.'), "{name}: {about}");
            let other = match value {
                LimitValue::Count(number) => LimitValue::Count(number + 1),
                LimitValue::Bytes(number) => LimitValue::Bytes(number + 1),
                LimitValue::Time(time) => LimitValue::Time(time * 2),
            };
            let limits = Limits::default().try_with(name, other).expect(name);
            let changed =
                limits.entries().into_iter().filter(|entry| entry.value == other && entry.name == name);
            assert_eq!(changed.count(), 1, "{name}");
            assert_eq!(limits.try_with(name, value), Ok(Limits::default()), "{name}");
        }
    }

    #[test]
    fn other_units_too_large_numbers_and_other_names_are_refused() {
        let with = |name, value| Limits::default().try_with(name, value);
        assert_eq!(with("max_frame", LimitValue::Bytes(1 << 32)), Err(LimitError::TooLarge));
        assert_eq!(with("max_frame", LimitValue::Count(1)), Err(LimitError::Kind));
        assert_eq!(with("max_in_flight", LimitValue::Bytes(1)), Err(LimitError::Kind));
        assert_eq!(with("idle_timeout", LimitValue::Count(1)), Err(LimitError::Kind));
        assert_eq!(with("max_in_flight", LimitValue::Time(Duration::ZERO)), Err(LimitError::Kind));
        assert_eq!(with("max_frames", LimitValue::Bytes(1)), Err(LimitError::Unknown));
    }
}
