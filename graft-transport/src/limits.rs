//! What a peer may make this side hold.

use std::time::Duration;

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr;)*) => {
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
            $($(#[$doc])* pub const fn $name(&self) -> $type { self.$name })*
        }
    };
}

limits! {
    /// The longest frame in bytes, its length field not counted; 4 MiB. Checked before the frame is read.
    max_frame: u32 = 4 << 20;
    /// The most calls without an answer on one connection; 1024. The next one gets `LimitExceeded`.
    max_in_flight: u32 = 1024;
    /// The most bytes of arguments in calls without an answer on one connection; 16 MiB. The next one gets
    /// `LimitExceeded`.
    max_arguments: usize = 16 << 20;
    /// The most bytes of credential and label of one call together; 8 KiB.
    max_metadata: u32 = 8 << 10;
    /// Bytes that wait to be written on one connection before whoever adds more has to wait; 8 MiB.
    max_buffered: usize = 8 << 20;
    /// The most connections that a server holds; 1024. The next one is told so and closed.
    max_connections: usize = 1024;
    /// How long a peer may take to say hello; 10 s.
    handshake_timeout: Duration = Duration::from_secs(10);
    /// How long one frame may take to arrive, and how long a peer may go without reading what waits
    /// for it; 30 s.
    frame_timeout: Duration = Duration::from_secs(30);
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
    with_max_connections sets max_connections: usize;
    with_handshake_timeout sets handshake_timeout: Duration;
    with_frame_timeout sets frame_timeout: Duration;
    with_idle_timeout sets idle_timeout: Duration;
}
