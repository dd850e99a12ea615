//! Any bytes as one frame: it is refused, or it prints as the same bytes.
#![no_main]

use bytes::Bytes;
use graft_transport::Limits;
use graft_transport::wire::{Frame, LENGTH_SIZE};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(frame) = Frame::parse(Bytes::copy_from_slice(data), &Limits::default()) else { return };
    let mut printed = vec![7];
    frame.print(&mut printed).expect("what came in a frame fits into one");
    let (length, fields) = printed[1..].split_first_chunk::<LENGTH_SIZE>().expect("a frame has a length");
    assert_eq!(u32::from_le_bytes(*length) as usize, data.len());
    assert_eq!(fields, data);
});
