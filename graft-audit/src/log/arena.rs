//! Records that wait to be sealed: their bodies, one behind the other.

use graft_core::Event;

use crate::AuditError;
use crate::format::{COMMIT_LEN, MAX_BATCH, TAG_LEN, record_header_len};

/// More than an event with all its fields can take; a test holds that.
const ROOM: usize = 8 * 1024;
/// The lengths in front of each record's bodies.
const LENGTHS: usize = 8;

/// One arena fills while another is sealed. Its memory is kept, so in steady state it asks for none.
#[derive(Default)]
pub(super) struct Arena {
    /// All of it is room; the first `used` bytes hold something.
    bytes: Vec<u8>,
    used: usize,
    count: usize,
    sealed: usize,
}

impl Arena {
    /// The most that its records take once they are sealed: one batch.
    pub(super) const MAX_SEALED: usize = MAX_BATCH / 2;

    /// Takes a record.
    ///
    /// # Errors
    /// [`AuditError::TooLarge`], and nothing has changed.
    pub(super) fn push(&mut self, event: &Event) -> Result<(), AuditError> {
        if self.bytes.len() - self.used < ROOM {
            self.bytes.resize((2 * self.bytes.len()).max(8 * ROOM), 0);
        }
        let (lengths, room) = self.bytes[self.used..][..ROOM].split_at_mut(LENGTHS);
        let body = crate::body::encode(event, room).ok_or(AuditError::TooLarge)?;
        let fields = match event.fields.is_empty() {
            true => 0,
            false => crate::fields::encode(&event.fields, &mut room[body..]).ok_or(AuditError::TooLarge)?,
        };
        lengths[..4].copy_from_slice(&(body as u32).to_ne_bytes());
        lengths[4..].copy_from_slice(&(fields as u32).to_ne_bytes());
        self.used += LENGTHS + body + fields;
        self.count += 1;
        let parts = 1 + usize::from(fields > 0);
        self.sealed += record_header_len(parts) + parts * TAG_LEN + body + fields;
        Ok(())
    }

    /// The bodies of each record: of the event, and of its fields if it has some.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut rest = &self.bytes[..self.used];
        std::iter::from_fn(move || {
            let (lengths, bodies) = rest.split_at_checked(LENGTHS)?;
            let length = |at| u32::from_ne_bytes(crate::format::array(&lengths[at..])) as usize;
            let (event, behind) = bodies.split_at(length(0));
            let (fields, behind) = behind.split_at(length(4));
            rest = behind;
            Some((event, (!fields.is_empty()).then_some(fields)))
        })
    }

    pub(super) fn count(&self) -> u64 {
        self.count as u64
    }

    pub(super) fn clear(&mut self) {
        (self.used, self.count, self.sealed) = (0, 0, 0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes its records take once they are sealed, with the frame around them.
    pub(super) fn sealed(&self) -> usize {
        self.sealed + crate::format::BATCH_HEADER_LEN + COMMIT_LEN
    }

    pub(super) fn is_full(&self) -> bool {
        self.sealed() + 2 * ROOM > Self::MAX_SEALED
    }
}

#[cfg(test)]
mod tests {
    use graft_core::{
        Action, CallId, Decision, Ending, FieldValue, Fields, Monotonic, Name, RunId, Seq, Signal, Signals,
        Timestamp, TraceId,
    };

    use super::*;

    fn largest() -> Event {
        let long = |n: usize| Name::new(format!("{n:_>128}")).expect("a name");
        let now = Timestamp(u64::MAX);
        let mut event = Event::new(now, long(0), Action::DataflowEndorsed, long(1), Ending::Failed);
        event.monotonic = Monotonic(u64::MAX);
        event.run = Some(RunId([255; 16]));
        event.call = Some(CallId(u64::MAX));
        event.trace = Some(TraceId([255; 16]));
        event.intent = Some(Seq(u64::MAX));
        event.decision = Some(Decision::Block);
        event.signals = Signal::ALL.into_iter().collect::<Signals>();
        event.code = Some(long(2));
        event.policy = Some([255; 32]);
        let fields = (0..Fields::MAX).map(|n| (long(n), FieldValue::Name(long(n))));
        event.fields = Fields::new(fields).expect("sixteen");
        event
    }

    #[test]
    fn the_largest_event_fits_into_the_room_with_as_much_to_spare() {
        let mut arena = Arena::default();
        arena.push(&largest()).expect("fits");
        assert!(2 * arena.used < 2 * ROOM && arena.used > ROOM / 4, "{}", arena.used);
        let mut small = largest();
        (small.fields, small.code) = (Fields::NONE, None);
        arena.push(&small).expect("fits");
        let lengths: Vec<_> =
            arena.iter().map(|(event, fields)| (event.len(), fields.map(<[u8]>::len))).collect();
        assert_eq!(lengths.len(), 2);
        assert!(lengths[0].1.is_some() && lengths[1].1.is_none());
        arena.clear();
        assert!(arena.is_empty() && arena.iter().next().is_none());
    }

    #[test]
    fn a_full_arena_is_less_than_a_batch_and_is_filled_again_without_more_memory() {
        let mut arena = Arena::default();
        for event in [largest(), Event { fields: Fields::NONE, code: None, ..largest() }] {
            arena.clear();
            while !arena.is_full() {
                arena.push(&event).expect("fits");
            }
            assert!(arena.sealed() < Arena::MAX_SEALED && arena.sealed() > Arena::MAX_SEALED / 2);
        }
        let room = arena.bytes.capacity();
        arena.clear();
        while !arena.is_full() {
            arena.push(&largest()).expect("fits");
        }
        assert_eq!(arena.bytes.capacity(), room);
    }
}
