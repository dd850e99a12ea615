//! Sessions on tokio: one connection over any stream of bytes, and both ends of it.
//!
//! A [`Link`](link::Link) is what a connection's callers, its background task and its objects share. Whoever
//! *drives* it moves bytes: a lone caller does so itself, so that its call costs no hop to another task; from two
//! callers on, and whenever the peer may call or stream, the background task does, so that what many queue goes
//! out in one write. The task also holds the timers.
//!
//! Two locks, always in this order: the pump (stream and buffers, held by whoever drives), the state (session
//! and waiters, held for moments). No method, stream or destructor of the application runs under either; wakers
//! are woken, and the host's clock and stream are used, while they are held.

mod answer;
mod call;
mod channel;
mod dial;
mod link;
mod options;
mod ports;
mod pump;
mod reconnect;
mod record;
mod retry;
mod room;
mod server;
mod task;

pub use channel::{ConnectError, RemoteChannel};
pub use dial::{BindOptions, DialOptions};
pub use options::{Dispatch, RemoteOptions};
pub use reconnect::ReconnectingChannel;
pub use retry::RetryingChannel;
pub use server::Server;
