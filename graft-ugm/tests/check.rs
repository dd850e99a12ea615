//! The pass before serde, on honest and on hostile bytes.

#[path = "common/corpus.rs"]
#[allow(dead_code)]
mod corpus;

use corpus::{Everything, Maps, Node, Shape, everything, list, maps};
use graft_ugm::{Bytes, Decimal, Describe, ShapeError, TypeSet, check};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

fn checked<T: Describe>(bytes: &[u8]) -> Result<(), ShapeError> {
    let mut types = TypeSet::default();
    let id = types.add::<T>();
    check(bytes, &types.finish(), id)
}

fn encoded<T: serde::Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("encodes")
}

/// Decodes what passed, and says whether it encodes to the same bytes.
fn round_trips<T: Describe>(bytes: &[u8]) -> bool {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).expect("what passes the check decodes");
    rest.is_empty() && encoded(&value) == bytes
}

proptest! {
    #[test]
    fn what_postcard_writes_passes(value in everything(), maps in maps()) {
        prop_assert_eq!(checked::<Everything>(&encoded(&value)), Ok(()));
        prop_assert_eq!(checked::<Maps>(&encoded(&maps)), Ok(()));
    }

    #[test]
    fn what_passes_decodes_and_encodes_to_the_same_bytes(
        value in everything(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut bytes = encoded(&value);
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        if checked::<Everything>(&bytes).is_ok() {
            prop_assert!(round_trips::<Everything>(&bytes));
        }
    }

    #[test]
    fn small_types_agree_with_serde_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
        macro_rules! agree {
            ($($ty:ty),*) => {$(
                let canonical = postcard::take_from_bytes::<$ty>(&bytes)
                    .is_ok_and(|(value, rest)| rest.is_empty() && encoded(&value) == bytes);
                prop_assert_eq!(checked::<$ty>(&bytes).is_ok(), canonical, "{}", stringify!($ty));
            )*};
        }
        agree!(u8, i8, u16, i16, u32, i32, u64, i64, u128, i128, bool, f32, f64, char, String, Bytes, Decimal);
        agree!(Option<bool>, Vec<u16>, [u16; 2], (u8, bool), std::time::Duration, Shape, Vec<Option<Shape>>);
    }
}

#[test]
fn bytes_that_end_early_or_go_on_are_refused_at_every_length() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..8 {
        let value = everything().new_tree(&mut runner).expect("a value").current();
        let mut bytes = encoded(&value);
        for len in 0..bytes.len() {
            assert!(checked::<Everything>(&bytes[..len]).is_err(), "cut at {len}");
        }
        bytes.push(0);
        assert_eq!(checked::<Everything>(&bytes), Err(ShapeError::Trailing));
    }
}

#[test]
fn trailing_bytes_are_refused_where_postcard_ignores_them() {
    assert_eq!(postcard::from_bytes::<u8>(&[1, 2, 3]), Ok(1));
    assert_eq!(checked::<u8>(&[1, 2, 3]), Err(ShapeError::Trailing));
}

#[test]
fn overlong_integers_are_refused_where_postcard_takes_them() {
    assert_eq!(postcard::from_bytes::<u16>(&[0x80, 0x00]), Ok(0));
    assert_eq!(checked::<u16>(&[0x80, 0x00]), Err(ShapeError::Overlong));
    assert_eq!(checked::<String>(&[0x81, 0x00, b'a']), Err(ShapeError::Overlong));
    assert_eq!(checked::<u16>(&[0xff, 0xff, 0x03]), Ok(()));
    assert_eq!(checked::<u16>(&[0xff, 0xff, 0x04]), Err(ShapeError::Overflow));
    assert_eq!(checked::<u16>(&[0xff, 0xff, 0x83, 0x00]), Err(ShapeError::Overflow));
    assert_eq!(checked::<u128>(&[[0xff; 18].as_slice(), &[0x03]].concat()), Ok(()));
    assert_eq!(checked::<u128>(&[[0xff; 18].as_slice(), &[0x04]].concat()), Err(ShapeError::Overflow));
}

#[test]
fn four_hundred_kilobytes_of_nesting_are_refused_before_the_stack_ends() {
    assert_eq!(checked::<Node<()>>(&vec![1; 400_000]), Err(ShapeError::TooDeep));
}

#[test]
fn nesting_is_bounded_at_64_values() {
    // Each node is a struct in an option, and the last one holds an enum.
    let nested = |nodes: usize| encoded(&list(vec![Shape::Unit; nodes]));
    assert_eq!(checked::<Node<Shape>>(&nested(31)), Ok(()));
    assert_eq!(checked::<Node<Shape>>(&nested(32)), Err(ShapeError::TooDeep));
}

#[test]
fn lengths_are_held_against_what_remains() {
    assert_eq!(checked::<Vec<u64>>(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Err(ShapeError::Length));
    assert_eq!(checked::<String>(&[2, b'a']), Err(ShapeError::Length));
    let most = [[0xff; 9].as_slice(), &[0x01]].concat();
    assert_eq!(checked::<Bytes>(&most), Err(ShapeError::Length));
}

#[test]
fn values_outside_their_type_are_refused() {
    assert_eq!(checked::<bool>(&[2]), Err(ShapeError::Flag));
    assert_eq!(checked::<Option<u8>>(&[2, 0]), Err(ShapeError::Flag));
    assert_eq!(checked::<String>(&[1, 0xff]), Err(ShapeError::Utf8));
    assert_eq!(checked::<char>(&[2, b'a', b'b']), Err(ShapeError::Char));
    assert_eq!(checked::<char>(&[0]), Err(ShapeError::Char));
    assert_eq!(checked::<Shape>(&[4]), Err(ShapeError::Variant));
    assert_eq!(checked::<Decimal>(&[2, b'0', b'1']), Err(ShapeError::Decimal));
    // serde would carry the nanoseconds over into the seconds.
    assert_eq!(checked::<std::time::Duration>(&[0, 0x80, 0x94, 0xeb, 0xdc, 0x03]), Err(ShapeError::Duration));
}

/// Says that its values take bytes, and they do not.
#[derive(serde::Serialize, serde::Deserialize)]
struct Liar;

impl graft_core::Leaves for Liar {
    fn visit(&self, _: &graft_core::Path<'_>, _: &mut graft_core::Visit<'_>) {}
}

impl Describe for Liar {
    type Form = Self;

    fn describe(_: &mut TypeSet) -> graft_ugm::Type {
        graft_ugm::Type::Unit
    }
}

#[test]
fn elements_that_take_no_bytes_are_refused_even_when_their_description_lies() {
    let claim = [0xff, 0xff, 0xff, 0x7f];
    assert_eq!(checked::<Vec<Liar>>(&claim), Err(ShapeError::Length));
    assert_eq!(checked::<Vec<Liar>>(&[1, 9]), Err(ShapeError::ZeroSizeElement));
}
