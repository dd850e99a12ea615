//! Streams of items, sent against credit.
//!
//! An item may be sent while its cost is left of the window, or at least half of the window is; so every item
//! fits once enough was taken, and at most one and a half windows wait. The receiver gives credit back when half
//! a window was taken.

use std::collections::VecDeque;

use bytes::Bytes;
use graft_core::FaultCode;

use super::numbers::NumberMap;
use super::{Frame, Session};
use crate::wire::{ITEM, LENGTH_SIZE, begin, end, item_cost};
use crate::{CloseReason, Limits};

/// A shorter item is copied, so that it does not hold a whole read buffer.
const COPIED: usize = 4 << 10;
/// No window is larger, so that two of them fit a `u32`.
const MAX_WINDOW: u32 = i32::MAX as u32;

/// Credit for one direction of a stream or of a connection.
#[derive(Clone, Copy, Default)]
struct Credit {
    window: u32,
    left: i64,
    /// Taken and not yet given back.
    owed: u32,
}

impl Credit {
    fn new(window: u32) -> Self {
        Self { window, left: window.into(), owed: 0 }
    }

    fn admits(&self, cost: u32) -> bool {
        self.left >= i64::from(cost) || self.left >= i64::from(self.window.div_ceil(2))
    }

    /// What is to be given back now.
    fn settle(&mut self) -> Option<u32> {
        if self.owed == 0 || self.owed < self.window / 2 {
            return None;
        }
        self.left += i64::from(self.owed);
        Some(std::mem::take(&mut self.owed))
    }
}

/// A stream that is read here.
struct Consumed {
    items: VecDeque<Bytes>,
    credit: Credit,
    end: Option<u8>,
}

/// What [`Session::take`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// The next item.
    Item(Bytes),
    /// Nothing yet.
    Nothing,
    /// There are no more items, and why if it is not their end.
    End(Option<FaultCode>),
}

/// Whether an item can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Now.
    Now,
    /// Not before there is credit.
    Later,
    /// Never: nobody wants it.
    Gone,
}

pub(super) struct Streams {
    consumed: NumberMap<Consumed>,
    /// The last number that came in.
    last: u64,
    received: Credit,
    stream_window: u32,
    most: usize,

    produced: NumberMap<Credit>,
    next: u64,
    sent: Credit,
    peer_stream_window: u32,
}

impl Streams {
    pub(super) fn new(limits: &Limits) -> Self {
        // An item costs at least something, so a window of nothing would stand still.
        let window = limits.window().clamp(1, MAX_WINDOW);
        Self {
            consumed: NumberMap::default(),
            last: 0,
            received: Credit::new(window),
            stream_window: limits.stream_window().clamp(1, window),
            most: limits.max_streams() as usize,
            produced: NumberMap::default(),
            next: 1,
            sent: Credit::default(),
            peer_stream_window: 0,
        }
    }

    pub(super) fn window(&self) -> u32 {
        self.received.window
    }

    pub(super) fn peer_windows(&mut self, stream: u32, all: u32) {
        self.sent = Credit::new(all.max(1));
        self.peer_stream_window = stream.clamp(1, all.max(1));
    }

    pub(super) fn len(&self) -> usize {
        self.consumed.len() + self.produced.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.consumed.is_empty() && self.produced.is_empty()
    }

    /// The connection ended. What came in before can still be taken, and then why there is no more.
    pub(super) fn close(&mut self, code: FaultCode) {
        self.produced.clear();
        for consumed in self.consumed.values_mut() {
            consumed.end.get_or_insert(code.number());
        }
    }

    /// A stream that the peer produces came in; whether it may.
    pub(super) fn imported(&mut self, stream: u64) -> Result<bool, CloseReason> {
        if stream <= self.last {
            return Err(CloseReason::StreamNumberReused);
        }
        self.last = stream;
        let is_ok = self.consumed.len() < self.most;
        // One too many is stopped by whoever refuses what brought it; until then it counts.
        let credit = Credit::new(self.stream_window);
        self.consumed.insert(stream, Consumed { items: VecDeque::new(), credit, end: None });
        Ok(is_ok)
    }

    /// An item came in; whether somebody waits for it.
    pub(super) fn arrived(&mut self, stream: u64, item: Bytes) -> Result<bool, CloseReason> {
        if stream == 0 || stream > self.last {
            return Err(CloseReason::UnknownStream);
        }
        let cost = item_cost(item.len(), self.stream_window);
        if !self.received.admits(cost) {
            return Err(CloseReason::CreditExceeded);
        }
        self.received.left -= i64::from(cost);
        let Some(consumed) = self.consumed.get_mut(&stream) else {
            // It crossed a stop on its way.
            self.received.owed += cost;
            return Ok(false);
        };
        if consumed.end.is_some() {
            return Err(CloseReason::UnknownStream);
        }
        if !consumed.credit.admits(cost) {
            return Err(CloseReason::CreditExceeded);
        }
        consumed.credit.left -= i64::from(cost);
        consumed.items.push_back(if item.len() < COPIED { Bytes::copy_from_slice(&item) } else { item });
        Ok(consumed.items.len() == 1)
    }

    pub(super) fn ended(&mut self, stream: u64, code: u8) -> Result<bool, CloseReason> {
        if stream == 0 || stream > self.last {
            return Err(CloseReason::UnknownStream);
        }
        match self.consumed.get_mut(&stream) {
            Some(consumed) if consumed.end.is_some() => Err(CloseReason::UnknownStream),
            Some(consumed) => {
                consumed.end = Some(code);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Credit came in; whether anybody could have waited for it.
    pub(super) fn credited(&mut self, stream: u64, bytes: u32) -> Result<bool, CloseReason> {
        if bytes == 0 {
            return Err(CloseReason::CreditExceeded);
        }
        let credit = if stream == 0 { Some(&mut self.sent) } else { self.produced.get_mut(&stream) };
        match credit {
            Some(credit) => {
                credit.left += i64::from(bytes);
                let is_right = credit.left <= i64::from(credit.window);
                if is_right { Ok(true) } else { Err(CloseReason::CreditExceeded) }
            }
            None if stream < self.next => Ok(false),
            None => Err(CloseReason::UnknownStream),
        }
    }

    /// The peer wants no more of a stream; whether it was still produced.
    pub(super) fn stopped(&mut self, stream: u64) -> Result<bool, CloseReason> {
        if stream == 0 || stream >= self.next {
            return Err(CloseReason::UnknownStream);
        }
        Ok(self.produced.remove(&stream).is_some())
    }
}

impl<C, A> Session<C, A> {
    /// Numbers a stream that is produced here, for the ports of a call or reply.
    pub fn produce(&mut self) -> u64 {
        let stream = self.streams.next;
        self.streams.next += 1;
        self.streams.produced.insert(stream, Credit::new(self.streams.peer_stream_window));
        stream
    }

    /// Takes back a stream whose call or reply did not go out.
    pub fn unproduce(&mut self, stream: u64) {
        self.streams.produced.remove(&stream);
    }

    /// Whether an item of `bytes` bytes can be sent.
    pub fn room(&self, stream: u64, bytes: usize) -> Room {
        let Some(credit) = self.streams.produced.get(&stream) else { return Room::Gone };
        let cost = item_cost(bytes, self.streams.peer_stream_window);
        if credit.admits(cost) && self.streams.sent.admits(cost) && self.has_room() {
            Room::Now
        } else {
            Room::Later
        }
    }

    /// Sends an item, for which there is [`Room::Now`]. Nothing is sent if there is not.
    ///
    /// # Errors
    /// [`FaultCode::LimitExceeded`] if it is longer than the peer reads.
    pub fn send(&mut self, stream: u64, item: &Bytes) -> Result<(), FaultCode> {
        if self.room(stream, item.len()) != Room::Now {
            return Ok(());
        }
        let longest = self.longest();
        let out = self.outbox.tail();
        let start = begin(out);
        out.push(ITEM);
        out.extend_from_slice(&stream.to_le_bytes());
        if out.len() - start - LENGTH_SIZE + item.len() > longest || !end(start, out, item.len()) {
            out.truncate(start);
            return Err(FaultCode::LimitExceeded);
        }
        self.outbox.push_bytes(item);
        let cost = i64::from(item_cost(item.len(), self.streams.peer_stream_window));
        self.streams.sent.left -= cost;
        if let Some(credit) = self.streams.produced.get_mut(&stream) {
            credit.left -= cost;
        }
        Ok(())
    }

    /// Says that a stream that is produced here is at its end, and why if it broke off.
    pub fn finish(&mut self, stream: u64, code: Option<FaultCode>) {
        if self.streams.produced.remove(&stream).is_some() {
            self.say(&Frame::End { stream, code: code.map_or(0, FaultCode::number) });
        }
    }

    /// Takes the next item of a stream that came in.
    pub fn take(&mut self, stream: u64) -> Taken {
        let Some(consumed) = self.streams.consumed.get_mut(&stream) else {
            return Taken::End(Some(self.closed.map_or(FaultCode::Cancelled, crate::Closed::fault_code)));
        };
        let Some(item) = consumed.items.pop_front() else {
            let Some(code) = consumed.end else { return Taken::Nothing };
            self.streams.consumed.remove(&stream);
            let code = (code != 0).then(|| FaultCode::from_number(code).unwrap_or(FaultCode::Internal));
            return Taken::End(code);
        };
        let cost = item_cost(item.len(), self.streams.stream_window);
        consumed.credit.owed += cost;
        self.streams.received.owed += cost;
        self.give_credit(stream);
        self.give_credit(0);
        Taken::Item(item)
    }

    /// Says that nobody wants more of a stream that came in.
    pub fn stop(&mut self, stream: u64) {
        let Some(consumed) = self.streams.consumed.remove(&stream) else { return };
        let window = self.streams.stream_window;
        self.streams.received.owed +=
            consumed.items.iter().map(|item| item_cost(item.len(), window)).sum::<u32>();
        if consumed.end.is_none() {
            self.say(&Frame::Stop { stream });
        }
        self.give_credit(0);
    }

    /// Gives back the credit of `stream`, 0 for the connection, if it is time for it.
    pub(super) fn give_credit(&mut self, stream: u64) {
        let credit = match stream {
            0 => Some(&mut self.streams.received),
            _ => match self.streams.consumed.get_mut(&stream) {
                // An ended stream needs none.
                Some(Consumed { credit, end: None, .. }) => Some(credit),
                _ => None,
            },
        };
        if let Some(bytes) = credit.and_then(Credit::settle) {
            self.say(&Frame::Credit { stream, bytes });
        }
    }
}
