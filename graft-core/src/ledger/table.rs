//! A table from keyed hashes to small payloads: 12 bytes an entry, and a filter small enough to stay in
//! a cache, so that a look-up of what is not there seldom leaves it.
//!
//! Open addressing with linear probing. A hash's slot is its share of the table's length, so any length
//! will do and a large table grows by half, not by doubling. The filter is a blocked Bloom filter (Putze,
//! Sanders and Singler, 2007) of one 64-bit word a block.

use serde::{Deserialize, Serialize};

use super::packed;

/// The slots of the smallest table.
const FIRST: usize = 64;
/// Below this many slots a table doubles.
const SMALL: usize = 1 << 15;
/// Slots behind the last hash's share. A cluster that would run over them makes the table grow.
const SLACK: usize = 64;
/// Lengths that are tried for the entries of a snapshot.
const MAX_TRIES: usize = 8;
/// Entries of a 64-bit keyed hash, up to [`FLAGS`](Table::FLAGS) flags and a 20-bit number.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Entries")]
pub(super) struct Table {
    /// 0 is an empty slot; the hash 0 is stored as 1.
    hashes: Vec<u64>,
    payloads: Vec<u32>,
    filter: Vec<u64>,
    len: usize,
}

/// The entries of a table as they stand in a snapshot, those of one hash in the order in which they came.
#[derive(Serialize, Deserialize)]
struct Entries {
    #[serde(with = "packed")]
    hashes: Vec<u64>,
    #[serde(with = "packed")]
    payloads: Vec<u32>,
}

impl Serialize for Table {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (hashes, payloads) = self.entries().map(|(hash, payload)| (hash, payload.0)).unzip();
        Entries { hashes, payloads }.serialize(to)
    }
}

impl TryFrom<Entries> for Table {
    type Error = packed::Unsound;

    fn try_from(Entries { hashes, payloads }: Entries) -> Result<Self, Self::Error> {
        let mut table = Self::default();
        if hashes.len() != payloads.len() || hashes.contains(&0) {
            return Err(packed::Unsound);
        }
        if hashes.is_empty() {
            return Ok(table);
        }
        let mut slots = (hashes.len() + hashes.len() / 4).max(FIRST);
        // Of many entries of one hash no length makes room, and a table never has them.
        for _ in 0..MAX_TRIES {
            if table.refill(slots, &hashes, &payloads) {
                table.len = hashes.len();
                return Ok(table);
            }
            slots += slots / 4;
        }
        Err(packed::Unsound)
    }
}

/// What an entry says of its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Payload(u32);

impl Payload {
    /// Flags in the lower [`Table::FLAGS`] bits; of `number` what fits, where the greatest stands for all above.
    pub(super) fn new(flags: u16, number: u32) -> Self {
        Self(u32::from(flags) & Table::FLAG_MASK | number.min(Table::MAX_NUMBER) << Table::FLAGS)
    }

    pub(super) fn has(self, flags: u16) -> bool {
        self.flags() & flags == flags
    }

    pub(super) fn flags(self) -> u16 {
        (self.0 & Table::FLAG_MASK) as u16
    }

    pub(super) fn number(self) -> u32 {
        self.0 >> Table::FLAGS
    }
}

impl Table {
    /// Bits for flags.
    pub(super) const FLAGS: u32 = 12;
    /// Slots to one word of a filter: about 15 bits for each entry.
    pub(super) const SLOTS_PER_WORD: usize = 5;
    const FLAG_MASK: u32 = (1 << Self::FLAGS) - 1;
    pub(super) const MAX_NUMBER: u32 = u32::MAX >> Self::FLAGS;

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `hash` may have an entry: false is certain, true is wrong once in some hundred times.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        let Some(&word) = self.filter.get(share(hash, self.filter.len())) else { return false };
        let bits = filter_bits(hash);
        word & bits == bits
    }

    /// The entries of `hash`, in the order in which they came.
    pub(super) fn get(&self, hash: u64) -> impl Iterator<Item = Payload> + '_ {
        let hash = hash.max(1);
        let from = if self.may_have(hash) { self.home(hash) } else { self.hashes.len() };
        let slots = self.hashes[from..].iter().zip(&self.payloads[from..]);
        let slots = slots.take_while(|&(&there, _)| there != 0);
        slots.filter(move |&(&there, _)| there == hash).map(|(_, &payload)| Payload(payload))
    }

    /// Adds an entry, unless one of the same hash has its flags already.
    pub(super) fn add(&mut self, hash: u64, payload: Payload) {
        self.put(hash, payload, |known| known.has(payload.flags()));
    }

    /// Adds an entry, or its flags to the one of the same hash.
    pub(super) fn merge(&mut self, hash: u64, payload: Payload) {
        self.put(hash, payload, |_| true);
    }

    fn put(&mut self, hash: u64, payload: Payload, is_same: impl Fn(Payload) -> bool) {
        let hash = hash.max(1);
        loop {
            let free = self.free_slot(hash, |slot| is_same(Payload(self.payloads[slot])));
            if let Some(slot) = free.filter(|&slot| self.hashes[slot] == hash) {
                self.payloads[slot] |= u32::from(payload.flags());
                return;
            }
            if let Some(slot) = free.filter(|_| self.len * 8 < self.slots() * 7) {
                self.fill(slot, hash, payload.0);
                self.len += 1;
                return;
            }
            self.grow();
        }
    }

    fn fill(&mut self, slot: usize, hash: u64, payload: u32) {
        self.hashes[slot] = hash;
        self.payloads[slot] = payload;
        let word = share(hash, self.filter.len());
        self.filter[word] |= filter_bits(hash);
    }

    /// The slots that hashes have shares of: all but the last few, over which the last clusters may run.
    fn slots(&self) -> usize {
        self.hashes.len().saturating_sub(SLACK)
    }

    fn home(&self, hash: u64) -> usize {
        share(hash, self.slots())
    }

    /// The slot of the first entry of `hash` that `is_same` accepts, or else the empty one where it would stand.
    fn free_slot(&self, hash: u64, is_same: impl Fn(usize) -> bool) -> Option<usize> {
        let from = self.home(hash);
        let mut slots = (from..).zip(&self.hashes[from..]);
        slots.find(|&(slot, &there)| there == 0 || there == hash && is_same(slot)).map(|(slot, _)| slot)
    }

    fn grow(&mut self) {
        let (hashes, payloads) = (std::mem::take(&mut self.hashes), std::mem::take(&mut self.payloads));
        let slots = hashes.len().saturating_sub(SLACK);
        // A large table grows by half, since it is the one whose memory counts.
        let mut slots = (slots + if slots < SMALL { slots } else { slots / 2 }).max(FIRST);
        while !self.refill(slots, &hashes, &payloads) {
            slots += slots / 4;
        }
    }

    /// Puts entries into new slots. False if a cluster ran over the end.
    fn refill(&mut self, slots: usize, hashes: &[u64], payloads: &[u32]) -> bool {
        self.hashes = vec![0; slots + SLACK];
        self.payloads = vec![0; slots + SLACK];
        self.filter = vec![0; slots.div_ceil(Self::SLOTS_PER_WORD)];
        hashes.iter().zip(payloads).filter(|&(&hash, _)| hash != 0).all(|(&hash, &payload)| {
            let free = self.free_slot(hash, |_| false);
            free.map(|slot| self.fill(slot, hash, payload)).is_some()
        })
    }

    /// Every entry.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, Payload)> + '_ {
        let all = self.hashes.iter().zip(&self.payloads);
        all.filter(|&(&hash, _)| hash != 0).map(|(&hash, &payload)| (hash, Payload(payload)))
    }
}

/// `hash`'s share of `len`: 0 to `len` less one, in the order of the hashes (Lemire, 2019).
pub(super) fn share(hash: u64, len: usize) -> usize {
    ((u128::from(hash) * len as u128) >> 64) as usize
}

/// Three of 64 bits, out of the hash's lower ones: its upper ones chose the word.
pub(super) fn filter_bits(hash: u64) -> u64 {
    1 << (hash & 63) | 1 << (hash >> 6 & 63) | 1 << (hash >> 12 & 63)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LedgerKey;

    proptest::proptest! {
        #[test]
        fn it_answers_as_a_list_does(entries in proptest::collection::vec((0..400_u64, 1..4_u16), 0..900)) {
            let key = LedgerKey::danger_for_replay("table");
            // Clusters too: some hashes lie side by side, the last at the end, and one is 0.
            let hash = |n: u64| match n % 40 {
                0 => 2 * (n / 40),
                1 => u64::MAX - n,
                _ => key.text(0, &n.to_le_bytes()),
            };
            let (mut table, mut list) = (Table::default(), Vec::<(u64, u16, u32)>::new());
            for (at, &(n, flags)) in (0..).zip(&entries) {
                table.add(hash(n), Payload::new(flags, at));
                if !list.iter().any(|&(m, known, _)| m == n && known & flags == flags) {
                    list.push((n, flags, at));
                }
            }
            for n in 0..400 {
                let found: Vec<_> = table.get(hash(n)).map(|p| (p.flags(), p.number())).collect();
                let listed: Vec<_> =
                    list.iter().filter(|&&(m, ..)| m == n).map(|&(_, flags, at)| (flags, at)).collect();
                proptest::prop_assert_eq!(found, listed);
            }
            proptest::prop_assert_eq!(table.entries().count(), list.len());
        }
    }

    #[test]
    fn merging_keeps_the_first_number_and_all_flags() {
        let mut table = Table::default();
        assert_eq!(table.get(7).next(), None);
        table.merge(7, Payload::new(1, u32::MAX));
        table.merge(7, Payload::new(2, 9));
        assert_eq!(table.get(7).collect::<Vec<_>>(), [Payload::new(3, Table::MAX_NUMBER)]);
    }
}
