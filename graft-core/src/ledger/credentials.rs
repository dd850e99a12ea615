//! Values of fields that hold credentials, found wherever they stand in a text, however they are spaced.

use serde::{Deserialize, Serialize};

use super::hash::{KeyedMap, LedgerKey};
use super::packed;

/// The bytes of a credential, folded exactly, that is found as a whole value; shorter ones would be found
/// everywhere, longer ones are found as spans.
pub(super) const MIN_CREDENTIAL: usize = 4;
pub(super) const MAX_CREDENTIAL: usize = 40;
/// The most places of one value in one text that are told.
const MAX_PLACES: u32 = 16;
/// The most credentials that a run keeps.
const MAX_CREDENTIALS: usize = 4096;

const DOMAIN: u64 = 0x6372_6564;
const DOMAIN_START: u64 = 0x0063_7265_6401;

/// Hashes of whole values.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Entries")]
pub(super) struct Credentials {
    /// The lengths of those that begin with these four bytes, a bit each.
    #[serde(with = "packed::map")]
    lengths: KeyedMap<u64>,
    /// A bit for each start, so that most places cost one look.
    #[serde(skip)]
    filter: Vec<u64>,
    #[serde(with = "packed::map")]
    sources: KeyedMap<u32>,
}

/// What a snapshot holds of them.
#[derive(Deserialize)]
struct Entries {
    #[serde(with = "packed::map")]
    lengths: KeyedMap<u64>,
    #[serde(with = "packed::map")]
    sources: KeyedMap<u32>,
}

impl TryFrom<Entries> for Credentials {
    type Error = packed::Unsound;

    fn try_from(Entries { lengths, sources }: Entries) -> Result<Self, Self::Error> {
        let fits = lengths.len() <= sources.len() && sources.len() <= MAX_CREDENTIALS;
        let mut credentials = Self { lengths: KeyedMap::default(), filter: Vec::new(), sources };
        lengths.iter().for_each(|(&start, &lengths)| credentials.begin(start, lengths));
        packed::sound(fits, credentials)
    }
}

/// Words of the filter.
const FILTER: usize = 64;

impl Credentials {
    pub(super) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Keeps a folded value. False if there is no room for it.
    pub(super) fn record(&mut self, key: &LedgerKey, folded: &[u8], source: u32) -> bool {
        if !(MIN_CREDENTIAL..=MAX_CREDENTIAL).contains(&folded.len()) {
            return true;
        }
        if self.sources.len() >= MAX_CREDENTIALS {
            return false;
        }
        let start = key.text(DOMAIN_START, &folded[..MIN_CREDENTIAL]);
        self.begin(start, 1 << folded.len());
        self.sources.entry(key.text(DOMAIN, folded)).or_insert(source);
        true
    }

    /// Notes that values of these lengths, a bit each, begin with what hashes to `start`.
    fn begin(&mut self, start: u64, lengths: u64) {
        self.filter.resize(FILTER, 0);
        self.filter[start as usize % FILTER] |= 1 << (start >> 58);
        *self.lengths.entry(start).or_default() |= lengths;
    }

    /// Calls `found` with the folded range and source of each value in `folded`, for each value in its first
    /// [`MAX_PLACES`].
    pub(super) fn find(
        &self,
        key: &LedgerKey,
        folded: &[u8],
        mut found: impl FnMut(std::ops::Range<usize>, u32),
    ) {
        if self.is_empty() {
            return;
        }
        let mut places = KeyedMap::<u32>::default();
        for (at, first) in folded.windows(MIN_CREDENTIAL).enumerate() {
            let start = key.text(DOMAIN_START, first);
            if self.filter[start as usize % FILTER] >> (start >> 58) & 1 == 0 {
                continue;
            }
            let mut lengths = self.lengths.get(&start).copied().unwrap_or(0);
            while lengths != 0 {
                let length = lengths.trailing_zeros() as usize;
                lengths &= lengths - 1;
                let Some(value) = folded.get(at..at + length) else { continue };
                let hash = key.text(DOMAIN, value);
                let Some(&source) = self.sources.get(&hash) else { continue };
                let count = places.entry(hash).or_default();
                *count += 1;
                if *count <= MAX_PLACES {
                    found(at..at + length, source);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn it_finds_what_a_search_for_each_value_finds(
            values in proptest::collection::vec("[ab]{3,9}", 0..6),
            text in "[ab]{0,60}",
        ) {
            let key = LedgerKey::danger_for_replay("credentials");
            let mut credentials = Credentials::default();
            let mut expected = Vec::new();
            for (value, source) in values.iter().zip(0..) {
                assert!(credentials.record(&key, value.as_bytes(), source));
                let first = values.iter().position(|other| other == value).unwrap_or(0) as u32;
                if value.len() >= MIN_CREDENTIAL && first == source {
                    let places = (0..text.len()).filter(|&at| text[at..].starts_with(value));
                    expected.extend(places.map(|at| (at, at + value.len(), source)));
                }
            }
            let mut found = Vec::new();
            credentials.find(&key, text.as_bytes(), |range, source| found.push((range.start, range.end, source)));
            expected.sort_unstable();
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
