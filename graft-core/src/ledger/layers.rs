//! A table whose older entries are kept smaller: once it is full it is sealed to fingerprints, which say
//! whether something was recorded and no longer by whom.

use serde::{Deserialize, Serialize};

use super::packed;
use super::table::{Payload, Table, filter_bits, share};

/// A growing table over sealed ones.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Layers {
    live: Table,
    sealed: Vec<Sealed>,
}

impl Layers {
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty() && self.sealed.is_empty()
    }

    /// Whether `hash` may have an entry: false is certain.
    #[inline]
    pub(super) fn may_have(&self, hash: u64) -> bool {
        self.live.may_have(hash) || !self.sealed.is_empty() && self.sealed.iter().any(|s| s.may_have(hash))
    }

    /// The entries of `hash`, in the order in which they came, but those of the live table first.
    pub(super) fn get(&self, hash: u64) -> impl Iterator<Item = Payload> + '_ {
        self.live.get(hash).chain(self.sealed.iter().flat_map(move |sealed| sealed.get(hash)))
    }

    /// As [`Table::add`].
    pub(super) fn add(&mut self, hash: u64, payload: Payload) {
        self.live.add(hash, payload);
    }

    /// As [`Table::merge`].
    pub(super) fn merge(&mut self, hash: u64, payload: Payload) {
        self.live.merge(hash, payload);
    }

    /// Makes fingerprints of what the live table holds, and empties it.
    pub(super) fn seal(&mut self) {
        let live = std::mem::take(&mut self.live);
        if !live.is_empty() {
            self.sealed.push(Sealed::new(&live));
        }
    }
}

/// A table that no longer changes: 32-bit fingerprints in the slots of their whole hashes, so that an
/// entry answers for some 48 bits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
struct Sealed {
    /// 0 is an empty slot.
    #[serde(with = "packed")]
    fingerprints: Vec<u32>,
    #[serde(with = "packed")]
    flags: Vec<u8>,
    #[serde(with = "packed")]
    filter: Vec<u64>,
}

/// The columns of a [`Sealed`] as they stand in a snapshot. Its hashes are gone, so it cannot be filled anew.
#[derive(Deserialize)]
struct Unchecked {
    #[serde(with = "packed")]
    fingerprints: Vec<u32>,
    #[serde(with = "packed")]
    flags: Vec<u8>,
    #[serde(with = "packed")]
    filter: Vec<u64>,
}

impl TryFrom<Unchecked> for Sealed {
    type Error = packed::Unsound;

    fn try_from(Unchecked { fingerprints, flags, filter }: Unchecked) -> Result<Self, Self::Error> {
        let slots = fingerprints.len();
        let fits = slots > 0 && flags.len() == slots && filter.len() == slots.div_ceil(Table::SLOTS_PER_WORD);
        packed::sound(fits, Self { fingerprints, flags, filter })
    }
}

impl Sealed {
    fn new(table: &Table) -> Self {
        let entries = table.entries().count();
        let slots = entries + entries / 4 + 1;
        let mut sealed = Self {
            fingerprints: vec![0; slots],
            flags: vec![0; slots],
            filter: vec![0; slots.div_ceil(Table::SLOTS_PER_WORD)],
        };
        for (hash, payload) in table.entries() {
            let from = share(hash, slots);
            let free = (from..slots).chain(0..from).find(|&slot| sealed.fingerprints[slot] == 0);
            let word = share(hash, sealed.filter.len());
            sealed.filter[word] |= filter_bits(hash);
            if let Some(slot) = free {
                sealed.fingerprints[slot] = fingerprint(hash);
                sealed.flags[slot] = payload.flags() as u8;
            }
        }
        sealed
    }

    fn may_have(&self, hash: u64) -> bool {
        let bits = filter_bits(hash);
        self.filter[share(hash, self.filter.len())] & bits == bits
    }

    fn get(&self, hash: u64) -> impl Iterator<Item = Payload> + '_ {
        let from = share(hash, self.fingerprints.len());
        let slots = if self.may_have(hash) { self.fingerprints.len() } else { from };
        let slots = (from..slots).chain(0..from.min(slots));
        slots
            .take_while(|&slot| self.fingerprints[slot] != 0)
            .filter(move |&slot| self.fingerprints[slot] == fingerprint(hash))
            .map(|slot| Payload::new(u16::from(self.flags[slot]), Table::MAX_NUMBER))
    }
}

/// Never 0.
fn fingerprint(hash: u64) -> u32 {
    (hash as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LedgerKey;

    #[test]
    fn what_was_sealed_is_still_known_and_nothing_else_is() {
        let key = LedgerKey::danger_for_replay("layers");
        let hash = |n: u64| if n < 3 { n } else { key.text(0, &n.to_le_bytes()) };
        let mut layers = Layers::default();
        for n in 0..5000 {
            layers.add(hash(n), Payload::new(1 + (n % 3) as u16, n as u32));
            if n % 1000 == 999 {
                layers.seal();
            }
        }
        layers.add(hash(7), Payload::new(4, 7));
        let numbers = |n| layers.get(hash(n)).map(|p| (p.flags(), p.number())).collect::<Vec<_>>();
        assert_eq!(numbers(7), [(4, 7), (2, Table::MAX_NUMBER)]);
        for n in 0..5000 {
            assert!(numbers(n).contains(&(1 + (n % 3) as u16, Table::MAX_NUMBER)), "{n}");
        }
        assert!((5000..50_000).all(|n| numbers(n).is_empty()));
    }
}
