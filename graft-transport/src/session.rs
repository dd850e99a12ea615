//! Both ends of a connection as state machines without sockets, clocks or tasks.
//!
//! A shell appends what it read to a buffer and calls `handle` until that gives nothing more: whole frames
//! leave the front of the buffer, one event each. What is to be written is fetched with `poll_transmit`.
//! Encoding happens in [`wire`](crate::wire), before a call gets to its session; a session numbers calls,
//! keeps what the shell attached to each (`T`: who waits, what runs) and gives it back when the call ends.
//!
//! The rules, each held by both ends:
//! - the first frame of each side is its hello, and there is only one;
//! - call numbers rise, so a used one is known without remembering it;
//! - every request gets exactly one answer, a cancelled one too, so an answer to nothing is a violation;
//! - whoever sees a violation says why in a goodbye and does nothing more.
//!
//! ```
//! use bytes::BytesMut;
//! use graft_transport::{Limits, session::{ClientEvent, ClientSession, ServerSession}};
//! let mut client = ClientSession::<()>::new(Limits::default());
//! let mut server = ServerSession::<()>::new(Limits::default());
//! let (mut sent, mut input) = (Vec::new(), BytesMut::new());
//! assert!(server.poll_transmit(&mut sent));
//! input.extend_from_slice(&sent);
//! assert!(matches!(client.handle(&mut input), Ok(Some(ClientEvent::Open))));
//! assert!(client.is_open() && input.is_empty());
//! ```

mod client;
mod link;
mod server;

pub use client::{Answer, ClientEvent, ClientSession};
pub use server::{ServerEvent, ServerSession};

/// What a shell needs of either end.
#[cfg(feature = "tcp")]
pub(crate) trait Session: Send + 'static {
    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool;
    fn has_room(&self) -> bool;
    fn in_flight(&self) -> usize;
    fn is_open(&self) -> bool;
    fn closed(&self) -> Option<crate::Closed>;
    fn close(&mut self, closed: crate::Closed) -> crate::Closed;
    /// Whether the shell may read on: frames that are read may add to what waits to be written.
    fn reads(&self) -> bool;
}
