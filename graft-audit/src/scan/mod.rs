//! Reads a segment batch by batch in bounded memory, and names whatever is not as it must be.

mod batch;
mod files;
mod frame;
mod open;
mod reached;
mod segment;
mod window;

pub(crate) use batch::{Batch, Part, Record};
pub(crate) use files::read_full;
pub use files::{Files, Folder};
pub(crate) use frame::Frame;
pub(crate) use open::{Opened, open_segment};
pub(crate) use reached::{Reached, SegmentEnd, Tail};
pub(crate) use segment::{Item, SegmentScan};
pub(crate) use window::Window;
