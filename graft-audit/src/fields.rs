//! The host's own fields of an event in their one canonical form: a part of the record beside the event's.

use graft_core::{FieldValue, Fields, KeyedDigest, Name};
use serde::{Deserialize, Serialize, Serializer};

use crate::What;
use crate::canonical::from_canonical;

/// The form of fields that this code writes: the first byte.
const FORM: u8 = 1;

/// A value as it is stored: its place here is the byte that says which it is.
#[derive(Serialize, Deserialize)]
enum Stored<'a> {
    Bool(bool),
    U64(u64),
    I64(i64),
    Name(&'a str),
    Digest([u8; 32]),
}

/// Borrows fields to be written: nothing is collected first.
struct Written<'a>(&'a Fields);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|(name, value)| {
            let value = match value {
                FieldValue::Bool(value) => Stored::Bool(*value),
                FieldValue::U64(value) => Stored::U64(*value),
                FieldValue::I64(value) => Stored::I64(*value),
                FieldValue::Name(value) => Stored::Name(value.as_str()),
                FieldValue::Digest(value) => Stored::Digest(*value.as_bytes()),
            };
            (name.as_str(), value)
        }))
    }
}

/// Writes `fields` to the start of `buffer` and returns their length, or `None` if they do not fit. Without any
/// field there is no part, so none is not written.
pub(crate) fn encode(fields: &Fields, buffer: &mut [u8]) -> Option<usize> {
    postcard::to_slice(&(FORM, Written(fields)), buffer).ok().map(|written| written.len())
}

/// Reads what [`encode`] wrote, and nothing else: other spellings of the same fields are refused.
pub(crate) fn decode(bytes: &[u8]) -> Result<Fields, What> {
    if let Some(&found) = bytes.first()
        && found != FORM
    {
        return Err(What::UnknownForm { found });
    }
    let (_, stored): (u8, Vec<(&str, Stored<'_>)>) = from_canonical(bytes)?;
    let is_ascending = stored.is_sorted_by(|(one, _), (next, _)| one < next);
    if stored.is_empty() || !is_ascending {
        return Err(What::NotCanonical);
    }
    let fields = stored.into_iter().map(|(name, value)| {
        let value = match value {
            Stored::Bool(value) => FieldValue::Bool(value),
            Stored::U64(value) => FieldValue::U64(value),
            Stored::I64(value) => FieldValue::I64(value),
            Stored::Name(value) => FieldValue::Name(Name::new(value).map_err(|_| What::NotCanonical)?),
            Stored::Digest(value) => FieldValue::Digest(KeyedDigest::from_stored(value)),
        };
        Ok((Name::new(name).map_err(|_| What::NotCanonical)?, value))
    });
    Fields::new(fields.collect::<Result<Vec<_>, _>>()?).map_err(|_| What::NotCanonical)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(fields: &Fields) -> Vec<u8> {
        let mut buffer = vec![0; 8192];
        let length = encode(fields, &mut buffer).expect("fits");
        buffer.truncate(length);
        buffer
    }

    fn one_of_each() -> Fields {
        let name = Name::from_static;
        let digest = FieldValue::Digest(KeyedDigest::from_stored([9; 32]));
        let values = [
            (name("e"), FieldValue::Bool(true)),
            (name("d"), FieldValue::U64(300)),
            (name("c"), FieldValue::I64(-2)),
            (name("b"), FieldValue::Name(name("x.y"))),
            (name("a"), digest),
        ];
        Fields::new(values).expect("few")
    }

    #[test]
    fn the_stored_form_is_the_documented_one() {
        let text = [
            &[1, 5, 1, b'a', 4][..],
            &[9; 32],
            &[1, b'b', 3, 3, b'x', b'.', b'y', 1, b'c', 2, 3, 1, b'd', 1, 0xac, 0x02, 1, b'e', 0, 1],
        ];
        assert_eq!(printed(&one_of_each()), text.concat());
        assert_eq!(decode(&text.concat()), Ok(one_of_each()));
    }

    #[test]
    fn the_largest_fields_fit_a_record() {
        let name = |n: usize| Name::new(format!("{n:0>128}")).expect("a name");
        let all = Fields::new((0..16).map(|n| (name(n), FieldValue::Name(name(n))))).expect("sixteen");
        assert_eq!((printed(&all).len(), decode(&printed(&all))), (2 + 16 * 261, Ok(all)));
    }

    #[test]
    fn other_spellings_of_the_same_fields_are_refused() {
        let two = [1, 2, 1, b'a', 1, 7, 1, b'b', 1, 7];
        assert!(decode(&two).is_ok());
        let bad: [&[u8]; 10] = [
            &[1, 2, 1, b'b', 1, 7, 1, b'a', 1, 7],    // not ascending
            &[1, 2, 1, b'a', 1, 7, 1, b'a', 1, 7],    // twice
            &[1, 0],                                  // none
            &[1, 1, 1, b'a', 1, 7, 0],                // left over
            &[1, 1, 1, b'a', 1, 0x87, 0],             // longer than needed
            &[1, 1, 1, b'a', 0x80, 0, 1],             // so for the type
            &[1, 1, 1, b'a', 0, 2],                   // neither true nor false
            &[1, 1, 1, b'a', 5, 0],                   // no such type
            &[1, 1, 1, b' ', 0, 1],                   // no name
            &[1, 1, 1, b'a', 3, 3, b'a', b' ', b'b'], // no name either
        ];
        for bytes in bad {
            assert_eq!(decode(bytes), Err(What::NotCanonical), "{bytes:?}");
        }
        let many: Vec<u8> = (b'a'..b'a' + 17).flat_map(|letter| [1, letter, 0, 1]).collect();
        assert_eq!(decode(&[&[1, 17], &many[..]].concat()), Err(What::NotCanonical));
        assert_eq!(decode(&[&[1, 16], &many[..64]].concat()).map(|fields| fields.len()), Ok(16));
        assert_eq!(decode(&[2]), Err(What::UnknownForm { found: 2 }));
        assert_eq!(decode(&[]), Err(What::NotCanonical));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic_and_what_it_takes_prints_the_same(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            keep in 0..60_usize,
        ) {
            // Starting from good fields reaches deeper than noise alone.
            let good = printed(&one_of_each());
            let mixed = [&good[..keep.min(good.len())], &bytes].concat();
            for input in [bytes, mixed] {
                if let Ok(fields) = decode(&input) {
                    prop_assert_eq!(printed(&fields), input);
                }
            }
        }
    }
}
