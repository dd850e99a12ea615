//! Columns of fixed-size words, as a snapshot holds them: one byte string, each word big-endian.
//!
//! A column is bounded by the bytes that are there before anything is allocated for it. What is kept by
//! hash is written in the order of the hashes, so that equal ledgers have equal columns.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::hash::{KeyedMap, KeyedSet};
use super::values::TokenHash;

/// A value of [`Word::LEN`] bytes.
pub(super) trait Word: Copy {
    const LEN: usize;
    fn to_u64(self) -> u64;
    fn from_u64(word: u64) -> Self;
}

macro_rules! words {
    ($($type:ty: $len:literal, $to:expr, $from:expr;)*) => {$(
        impl Word for $type {
            const LEN: usize = $len;
            fn to_u64(self) -> u64 { ($to)(self) }
            fn from_u64(word: u64) -> Self { ($from)(word) }
        }
    )*};
}

words! {
    u8: 1, u64::from, |word| word as u8;
    u32: 4, u64::from, |word| word as u32;
    u64: 8, std::convert::identity, std::convert::identity;
    TokenHash: 8, TokenHash::word, TokenHash::from_word;
}

/// A part of a snapshot is not what a ledger writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part of the snapshot contradicts another")]
pub(super) struct Unsound;

/// `part`, if it `is_sound`.
pub(super) fn sound<T>(is_sound: bool, part: T) -> Result<T, Unsound> {
    if is_sound { Ok(part) } else { Err(Unsound) }
}

pub(super) fn serialize<W: Word, S: Serializer>(words: &[W], to: S) -> Result<S::Ok, S::Error> {
    Column(words).serialize(to)
}

pub(super) fn deserialize<'de, W: Word, D: Deserializer<'de>>(from: D) -> Result<Vec<W>, D::Error> {
    Column::deserialize(from).map(|Column(words)| words)
}

/// Several columns.
pub(super) fn serialize_each<W: Word, S: Serializer>(columns: &[Vec<W>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(columns.iter().map(|words| Column(&words[..])))
}

pub(super) fn deserialize_each<'de, W: Word, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<W>>, D::Error> {
    let columns = Vec::<Column<Vec<W>>>::deserialize(from)?;
    Ok(columns.into_iter().map(|Column(words)| words).collect())
}

struct Column<T>(T);

impl<W: Word> Serialize for Column<&[W]> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(self.0.len() * W::LEN));
        self.0.iter().for_each(|word| bytes.extend_from_slice(&word.to_u64().to_be_bytes()[8 - W::LEN..]));
        to.serialize_bytes(&bytes)
    }
}

impl<'de, W: Word> Deserialize<'de> for Column<Vec<W>> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes = <&[u8]>::deserialize(from)?;
        if bytes.len() % W::LEN != 0 {
            return Err(de::Error::custom(Unsound));
        }
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        Ok(Self(bytes.chunks_exact(W::LEN).map(|bytes| W::from_u64(word(bytes))).collect()))
    }
}

/// A set of hashes: a column of them, in order.
pub(super) mod set {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(set: &KeyedSet, to: S) -> Result<S::Ok, S::Error> {
        let mut hashes: Vec<u64> = set.iter().copied().collect();
        hashes.sort_unstable();
        Column(&hashes[..]).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<KeyedSet, D::Error> {
        let Column(hashes) = Column::<Vec<u64>>::deserialize(from)?;
        Ok(hashes.into_iter().collect())
    }
}

/// A map by hash: a column of hashes in order, and one of what belongs to each.
pub(super) mod map {
    use super::*;

    pub(in super::super) fn serialize<W: Word, S: Serializer>(
        map: &KeyedMap<W>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut entries: Vec<(u64, W)> = map.iter().map(|(&hash, &word)| (hash, word)).collect();
        entries.sort_unstable_by_key(|&(hash, _)| hash);
        let (hashes, words): (Vec<u64>, Vec<W>) = entries.into_iter().unzip();
        (Column(&hashes[..]), Column(&words[..])).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, W: Word, D: Deserializer<'de>>(
        from: D,
    ) -> Result<KeyedMap<W>, D::Error> {
        let (Column(hashes), Column(words)) = <(Column<Vec<u64>>, Column<Vec<W>>)>::deserialize(from)?;
        if hashes.len() != words.len() {
            return Err(de::Error::custom(Unsound));
        }
        Ok(hashes.into_iter().zip(words).collect())
    }
}
