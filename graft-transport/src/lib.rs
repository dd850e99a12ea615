//! Carries calls: in-process and over TCP.
mod close;
#[cfg(feature = "conformance")]
pub mod conformance;
mod limits;
mod local;
pub mod session;
#[cfg(feature = "tcp")]
mod tcp;
pub mod wire;
pub use close::{CloseReason, Closed, ClosedBy};
pub use limits::Limits;
pub use local::LocalChannel;
#[cfg(feature = "tcp")]
pub use tcp::{BindError, ConnectError, TcpChannel, TcpOptions, TcpServer};
