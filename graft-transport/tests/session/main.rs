//! Pairs of sessions, without sockets and on a virtual clock.

mod calls;
mod limits;
mod objects;
mod pair;
mod properties;
mod random;
mod referee;
mod streams;
mod time;
