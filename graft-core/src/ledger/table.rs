//! A table from keyed hashes to small payloads: 12 bytes an entry, and a filter small enough to stay in
//! a cache, so that a look-up of what is not there seldom leaves it.
//!
//! Open addressing with linear probing. A hash's slot is its share of the table's length, so any length
//! will do and a table grows by a quarter, not by doubling. The filter is a blocked Bloom filter (Putze,
//! Sanders and Singler, 2007) of one 64-bit word a block.

/// The slots of the smallest table.
const FIRST: usize = 64;
/// Entries of a 64-bit keyed hash, up to [`FLAGS`](Table::FLAGS) flags and a 20-bit number.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// 0 is an empty slot; the hash 0 is stored as 1.
    hashes: Vec<u64>,
    payloads: Vec<u32>,
    filter: Vec<u64>,
    len: usize,
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
        let from = if self.may_have(hash) { share(hash, self.hashes.len()) } else { self.hashes.len() };
        let slots = (from..self.hashes.len()).chain(0..from.min(self.hashes.len()));
        let slots = slots.take_while(move |&slot| from < self.hashes.len() && self.hashes[slot] != 0);
        slots.filter(move |&slot| self.hashes[slot] == hash).map(|slot| Payload(self.payloads[slot]))
    }

    /// Adds an entry, unless one of the same hash has its flags already.
    pub(super) fn add(&mut self, hash: u64, payload: Payload) {
        let known = self.slot_of(hash, |known| known.has(payload.flags()));
        self.put(hash, payload, known);
    }

    /// Adds an entry, or its flags to the one of the same hash.
    pub(super) fn merge(&mut self, hash: u64, payload: Payload) {
        let known = self.slot_of(hash, |_| true);
        self.put(hash, payload, known);
    }

    fn put(&mut self, hash: u64, payload: Payload, slot: Option<usize>) {
        let hash = hash.max(1);
        let slot = match slot {
            Some(slot) if self.hashes[slot] == hash => {
                self.payloads[slot] |= u32::from(payload.flags());
                return;
            }
            Some(slot) if (self.len + 1) * 8 <= self.hashes.len() * 7 => slot,
            _ => {
                self.grow();
                let Some(slot) = self.slot_of(hash, |_| false) else { return };
                slot
            }
        };
        self.hashes[slot] = hash;
        self.payloads[slot] = payload.0;
        self.len += 1;
        let word = share(hash, self.filter.len());
        self.filter[word] |= filter_bits(hash);
    }

    /// The slot of the first entry of `hash` that `known` accepts, or else the empty one where it would stand.
    fn slot_of(&self, hash: u64, known: impl Fn(Payload) -> bool) -> Option<usize> {
        let hash = hash.max(1);
        let from = share(hash, self.hashes.len());
        let mut slots = (from..self.hashes.len()).chain(0..from);
        slots.find(|&slot| {
            let there = self.hashes[slot];
            there == 0 || there == hash && known(Payload(self.payloads[slot]))
        })
    }

    fn grow(&mut self) {
        let slots = (self.hashes.len() + self.hashes.len() / 4).max(FIRST);
        let hashes = std::mem::replace(&mut self.hashes, vec![0; slots]);
        let payloads = std::mem::replace(&mut self.payloads, vec![0; slots]);
        self.filter = vec![0; slots.div_ceil(Self::SLOTS_PER_WORD)];
        // Entries of one hash stay in their order: it begins at the first slot after an empty one.
        let first = hashes.iter().position(|&hash| hash == 0).unwrap_or(0);
        for slot in (first..hashes.len()).chain(0..first) {
            let hash = hashes[slot];
            if let Some(free) = (hash != 0).then(|| self.slot_of(hash, |_| false)).flatten() {
                self.hashes[free] = hash;
                self.payloads[free] = payloads[slot];
                let word = share(hash, self.filter.len());
                self.filter[word] |= filter_bits(hash);
            }
        }
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
            // Clusters too: some hashes lie side by side, and some are 0.
            let hash = |n: u64| if n.is_multiple_of(3) { n } else { key.text(0, &n.to_le_bytes()) };
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
