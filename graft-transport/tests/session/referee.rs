//! Whoever reads along and knows the document, and nothing of the sessions.

use std::collections::{HashMap, HashSet};

use graft_transport::wire::{Frame, Port, item_cost};

use crate::pair::frames;

pub(crate) const STREAM_WINDOW: u32 = 300;
pub(crate) const WINDOW: u32 = 700;

/// What one end said, as the rules see it.
#[derive(Default)]
pub(crate) struct Said {
    /// Calls that are not answered.
    pub(crate) calls: HashSet<u64>,
    next_call: u64,
    last_stream: u64,
    bound: u16,
    /// What is left of the window of each stream that it produces, and of the window of all.
    streams: HashMap<u64, i64>,
    pub(crate) all: i64,
}

/// Reads every frame at the moment it is said, and holds both ends to the document.
#[derive(Default)]
pub(crate) struct Referee(pub(crate) [Said; 2]);

impl Referee {
    pub(crate) fn read(&mut self, from: usize, said: &[u8]) {
        for frame in frames(said) {
            self.frame(from, &frame);
        }
    }

    fn frame(&mut self, from: usize, frame: &Frame) {
        let [first, second] = &mut self.0;
        let (own, other) = if from == 0 { (first, second) } else { (second, first) };
        match frame {
            Frame::Hello(_) => own.all = WINDOW.into(),
            Frame::Bind { index, .. } => {
                assert_eq!(*index, own.bound);
                own.bound += 1;
            }
            Frame::Request(request) => {
                assert!(request.number >= own.next_call && request.interface < own.bound);
                own.next_call = request.number + 1;
                own.calls.insert(request.number);
                own.ports(&request.ports);
            }
            Frame::Reply(reply) => {
                assert!(other.calls.remove(&reply.number), "an answer to nothing");
                own.ports(&reply.ports);
            }
            Frame::Fault(fault) => assert!(other.calls.remove(&fault.number), "an answer to nothing"),
            Frame::Cancel { number } => assert!(*number < own.next_call),
            Frame::Item { stream, body } => {
                let cost = item_cost(body.len(), STREAM_WINDOW).into();
                let left = own.streams.get_mut(stream).expect("is produced");
                for (left, window) in [(left, STREAM_WINDOW), (&mut own.all, WINDOW)] {
                    assert!(*left >= cost || *left >= i64::from(window.div_ceil(2)), "beyond its credit");
                    *left -= cost;
                }
            }
            Frame::End { stream, .. } => assert!(own.streams.remove(stream).is_some(), "an end of nothing"),
            Frame::Credit { stream, bytes } => {
                let (left, window) = match stream {
                    0 => (Some(&mut other.all), WINDOW),
                    _ => (other.streams.get_mut(stream), STREAM_WINDOW),
                };
                if let Some(left) = left {
                    *left += i64::from(*bytes);
                    assert!(*bytes > 0 && *left <= i64::from(window), "more credit than window");
                }
            }
            Frame::Stop { stream } => assert!(*stream > 0 && *stream <= other.last_stream),
            _ => {}
        }
    }
}

impl Said {
    fn ports(&mut self, ports: &[Port]) {
        for port in ports {
            if let Port::Items(stream) = port {
                assert!(*stream > self.last_stream);
                self.last_stream = *stream;
                self.streams.insert(*stream, STREAM_WINDOW.into());
            }
        }
    }
}
