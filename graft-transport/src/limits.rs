//! What a peer may make this side hold.

use std::time::Duration;

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident, $with:ident: $type:ty = $default:expr;)*) => {
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
            /// The name of each bound, as configuration spells it.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)*];

            $(
                $(#[$doc])*
                pub const fn $name(&self) -> $type {
                    self.$name
                }

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

limits! {
    /// The longest frame in bytes, its length field not counted; 4 MiB. Checked before the frame is read.
    max_frame, with_max_frame: u32 = 4 << 20;
    /// The most calls without an answer on one connection; 1024. The next one gets `LimitExceeded`.
    max_in_flight, with_max_in_flight: u32 = 1024;
    /// The most bytes of arguments in calls without an answer on one connection; 16 MiB. The next one gets
    /// `LimitExceeded`.
    max_arguments, with_max_arguments: usize = 16 << 20;
    /// The most bytes of credential, label and headers of one call together; 8 KiB.
    max_metadata, with_max_metadata: u32 = 8 << 10;
    /// Bytes that wait to be written on one connection before whoever adds more has to wait; 8 MiB.
    max_buffered, with_max_buffered: usize = 8 << 20;
    /// The most streams that are read on one connection at a time; 256. What brings one more gets `LimitExceeded`.
    max_streams, with_max_streams: u32 = 256;
    /// Bytes of items of one stream that wait to be taken; 256 KiB. Each item counts 64 bytes beside its own.
    stream_window, with_stream_window: u32 = 256 << 10;
    /// The same of all streams of one connection together; 4 MiB.
    window, with_window: u32 = 4 << 20;
    /// The most objects that one connection holds here; 1024. What would hand out one more gets `LimitExceeded`.
    max_handles, with_max_handles: u32 = 1024;
    /// How long an object is kept that its holder neither calls nor renews; 60 s.
    lease, with_lease: Duration = Duration::from_secs(60);
    /// The most requests a second on one connection, in bursts of as many; 2 million. One more gets `LimitExceeded`.
    max_request_rate, with_max_request_rate: u32 = 2_000_000;
    /// The most cancels, stops and questions after health a second on one connection, in bursts of as many;
    /// 10,000. One more ends the connection, since these cost their sender nothing.
    max_cancel_rate, with_max_cancel_rate: u32 = 10_000;
    /// The most connections that a server holds; 10,000. The next one is told so and closed.
    max_connections, with_max_connections: usize = 10_000;
    /// How long a peer may take to say hello, with what goes before it on its transport; 10 s.
    handshake_timeout, with_handshake_timeout: Duration = Duration::from_secs(10);
    /// How long one frame may take to arrive, and how long a peer may go without reading what waits
    /// for it; 30 s.
    frame_timeout, with_frame_timeout: Duration = Duration::from_secs(30);
    /// After how long a silence a peer is asked whether it is there, while something waits for it. After as long
    /// again it counts as gone; 30 s.
    keepalive, with_keepalive: Duration = Duration::from_secs(30);
    /// How long a server keeps a connection on which no call is in flight and nothing arrives; 10 min.
    idle_timeout, with_idle_timeout: Duration = Duration::from_secs(600);
}
