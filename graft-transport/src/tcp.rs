//! TCP on tokio: sockets, timers and tasks around the sessions.
//!
//! One task pumps each connection, reads and writes alike, so what many calls queue goes out in one write.
//! This is where the crate's clock and sockets are; nothing in here knows the form of a frame.

mod channel;
mod options;
mod pump;
mod server;
mod shared;

pub use channel::{ConnectError, TcpChannel};
pub use options::TcpOptions;
pub use server::{BindError, TcpServer};
