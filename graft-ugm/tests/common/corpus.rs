//! Types that between them use everything that can be described.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use graft_core::Timestamp;
use graft_ugm::{Bytes, Decimal, Describe, Uuid};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// Every integer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
pub(crate) struct Integers {
    pub(crate) signed: (i8, i16, i32, i64, i128),
    pub(crate) unsigned: (u8, u16, u32, u64, u128),
}

/// What is not an integer and has no parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Scalars {
    pub(crate) yes_or_no: bool,
    pub(crate) letter: char,
    pub(crate) text: String,
    pub(crate) bytes: Bytes,
    pub(crate) single: f32,
    pub(crate) double: f64,
    pub(crate) when: Timestamp,
    pub(crate) how_long: Duration,
    pub(crate) which: Uuid,
    #[serde(rename = "amount")]
    pub(crate) how_much: Decimal,
}

/// Each form of an enum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
pub(crate) enum Shape {
    Unit,
    New(u32),
    Tuple(u32, String),
    Struct { a: Option<bool>, b: Vec<u8> },
}

/// A tree: a type that contains itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
pub(crate) struct Node<T> {
    pub(crate) value: T,
    pub(crate) next: Option<Box<Node<T>>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
pub(crate) struct Marker;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
pub(crate) struct Meters(pub(crate) f64);

/// Everything with parts, but for maps, whose bytes are not unique.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
pub(crate) struct Everything {
    pub(crate) integers: Integers,
    pub(crate) scalars: Vec<Scalars>,
    pub(crate) shapes: [Shape; 2],
    pub(crate) list: Node<Shape>,
    pub(crate) marker: Marker,
    pub(crate) meters: Option<Meters>,
    pub(crate) unit: (),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
pub(crate) struct Maps {
    pub(crate) by_name: BTreeMap<String, Vec<u32>>,
    pub(crate) by_number: HashMap<i64, Shape>,
}

pub(crate) fn integers() -> impl Strategy<Value = Integers> {
    (any::<(i8, i16, i32, i64, i128)>(), any::<(u8, u16, u32, u64, u128)>())
        .prop_map(|(signed, unsigned)| Integers { signed, unsigned })
}

pub(crate) fn scalars() -> impl Strategy<Value = Scalars> {
    let plain = (any::<bool>(), any::<char>(), any::<String>(), any::<Vec<u8>>(), any::<f32>(), any::<f64>());
    let ours = (any::<u64>(), any::<u64>(), 0..1_000_000_000_u32, any::<[u8; 16]>(), any::<i64>());
    (plain, ours).prop_map(|((yes_or_no, letter, text, bytes, single, double), ours)| Scalars {
        yes_or_no,
        letter,
        text,
        bytes: bytes.into(),
        single,
        double,
        when: Timestamp(ours.0),
        how_long: Duration::new(ours.1, ours.2),
        which: Uuid(ours.3),
        how_much: format!("{}.5", ours.4).parse().expect("a decimal"),
    })
}

pub(crate) fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Unit),
        any::<u32>().prop_map(Shape::New),
        any::<(u32, String)>().prop_map(|(a, b)| Shape::Tuple(a, b)),
        any::<(Option<bool>, Vec<u8>)>().prop_map(|(a, b)| Shape::Struct { a, b }),
    ]
}

pub(crate) fn list(of: Vec<Shape>) -> Node<Shape> {
    let end = Node { value: Shape::Unit, next: None };
    of.into_iter().fold(end, |next, value| Node { value, next: Some(Box::new(next)) })
}

pub(crate) fn everything() -> impl Strategy<Value = Everything> {
    let parts =
        (integers(), vec(scalars(), 0..3), [shape(), shape()], vec(shape(), 0..20), any::<Option<f64>>());
    parts.prop_map(|(integers, scalars, shapes, nodes, meters)| Everything {
        integers,
        scalars,
        shapes,
        list: list(nodes),
        marker: Marker,
        meters: meters.map(Meters),
        unit: (),
    })
}

pub(crate) fn maps() -> impl Strategy<Value = Maps> {
    let by_number = vec((any::<i64>(), shape()), 0..5).prop_map(|all| all.into_iter().collect());
    (btree_map(any::<String>(), any::<Vec<u32>>(), 0..5), by_number)
        .prop_map(|(by_name, by_number)| Maps { by_name, by_number })
}
