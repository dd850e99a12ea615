//! The graph of types that an interface speaks of.

use graft_core::Name;
use serde::{Deserialize, Serialize};

/// The most values that may stand inside each other, on the wire and when checking.
pub const MAX_DEPTH: usize = 64;

/// Points at a [`Type`] of the same [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TypeId(pub u32);

/// A type as its values travel. The order of the variants is part of the canonical bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Type {
    /// Nothing; no bytes.
    Unit,
    /// A truth value.
    Bool,
    /// A Unicode scalar value.
    Char,
    /// Text.
    String,
    /// Bytes that are not text.
    Bytes,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// Signed, 128 bits.
    I128,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Unsigned, 128 bits.
    U128,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// Nanoseconds since 1970-01-01T00:00:00Z, as `u64`.
    Timestamp,
    /// Seconds as `u64`, then nanoseconds below 10⁹ as `u32`.
    Duration,
    /// 16 bytes.
    Uuid,
    /// An exact decimal number as text; see [`Decimal`](crate::Decimal).
    Decimal,
    /// A value or none.
    Option(TypeId),
    /// Any number of values of one type.
    List(TypeId),
    /// A fixed number of values of one type.
    Array(TypeId, u32),
    /// Values of several types.
    Tuple(Vec<TypeId>),
    /// Values by key; the key is text or an integer.
    Map(TypeId, TypeId),
    /// A struct.
    Struct(StructType),
    /// An enum.
    Enum(EnumType),
    /// A stream of items of one type, only as a parameter or result itself. Its position among the call's ports
    /// travels as `u32`.
    Items(TypeId),
    /// An object of the interface of this name, only as a parameter or result itself. Travels as a stream does.
    Handle(Name),
}

/// A struct: its fields travel one after the other, without names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StructType {
    /// Its name as serde knows it. Two types of one interface may share a name; the id tells them apart.
    pub name: String,
    /// The type arguments of a generic struct.
    pub args: Vec<TypeId>,
    /// What it holds.
    pub fields: Fields,
}

/// An enum: the index of the variant travels as `u32`, then what the variant holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnumType {
    /// Its name as serde knows it.
    pub name: String,
    /// The type arguments of a generic enum.
    pub args: Vec<TypeId>,
    /// Its variants by index.
    pub variants: Vec<Variant>,
}

/// One variant of an [`EnumType`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name as serde knows it.
    pub name: String,
    /// What it holds.
    pub fields: Fields,
}

/// What a struct or a variant holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fields {
    /// Nothing.
    Unit,
    /// Values by position.
    Tuple(Vec<TypeId>),
    /// Values by name, in the order in which they travel.
    Named(Vec<Field>),
}

/// A named field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name as serde knows it.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
}

/// Types by [`TypeId`], numbered in the order in which one meets them: each type before its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Type>")]
pub struct Types {
    nodes: Vec<Type>,
    /// Which types take no bytes: computed once, so that checking never walks one.
    #[serde(skip_serializing)]
    zero: Vec<bool>,
}

impl Types {
    /// The type with this id, unless the id is of another graph.
    pub fn type_of(&self, id: TypeId) -> Option<&Type> {
        self.nodes.get(usize::try_from(id.0).ok()?)
    }

    /// Whether values of this type take no bytes.
    pub fn is_zero_sized(&self, id: TypeId) -> bool {
        usize::try_from(id.0).is_ok_and(|id| self.zero.get(id) == Some(&true))
    }

    /// All types with their ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        (0..).map(TypeId).zip(&self.nodes)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

impl From<Vec<Type>> for Types {
    fn from(nodes: Vec<Type>) -> Self {
        Self { zero: zero_sized(&nodes), nodes }
    }
}

/// Which types take no bytes, in time linear in the graph, since that may come from anyone.
///
/// A tuple or struct takes none once none of its parts does. One that contains itself never gets
/// there; it has no values at all.
fn zero_sized(nodes: &[Type]) -> Vec<bool> {
    let mut zero = vec![false; nodes.len()];
    let mut waits_for = vec![0; nodes.len()];
    let mut part_of = vec![Vec::new(); nodes.len()];
    let mut found = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        match node {
            Type::Unit | Type::Array(_, 0) => {}
            Type::Tuple(parts) => waits_for[at] = parts.len(),
            Type::Struct(ty) => waits_for[at] = ty.fields.types().count(),
            _ => continue,
        }
        match node {
            _ if waits_for[at] == 0 => found.push(at),
            Type::Struct(ty) => ty.fields.types().for_each(|part| note(&mut part_of, part, at)),
            _ => node.parts().for_each(|part| note(&mut part_of, part, at)),
        }
    }
    while let Some(at) = found.pop() {
        zero[at] = true;
        for &whole in &part_of[at] {
            waits_for[whole] -= 1;
            if waits_for[whole] == 0 {
                found.push(whole);
            }
        }
    }
    zero
}

/// A part outside the graph is nobody's part: whoever holds it waits for ever.
fn note(part_of: &mut [Vec<usize>], part: TypeId, whole: usize) {
    if let Some(wholes) = usize::try_from(part.0).ok().and_then(|part| part_of.get_mut(part)) {
        wholes.push(whole);
    }
}

impl Type {
    /// Whether it may be the key of a map.
    pub fn is_key(&self) -> bool {
        use Type::{I8, I16, I32, I64, I128, String, U8, U16, U32, U64, U128};
        matches!(self, String | I8 | I16 | I32 | I64 | I128 | U8 | U16 | U32 | U64 | U128)
    }

    /// Whether it is a live thing beside the value and not a part of it.
    pub fn is_port(&self) -> bool {
        matches!(self, Self::Items(_) | Self::Handle(_))
    }

    /// The types that this one is made of, in canonical order.
    pub fn parts(&self) -> impl Iterator<Item = TypeId> + '_ {
        let (plain, args, variants): (Vec<TypeId>, &[TypeId], Vec<&Fields>) = match self {
            Self::Option(part) | Self::List(part) | Self::Array(part, _) | Self::Items(part) => {
                (vec![*part], &[], vec![])
            }
            Self::Map(key, value) => (vec![*key, *value], &[], vec![]),
            Self::Tuple(parts) => (vec![], parts, vec![]),
            Self::Struct(ty) => (vec![], &ty.args, vec![&ty.fields]),
            Self::Enum(ty) => (vec![], &ty.args, ty.variants.iter().map(|variant| &variant.fields).collect()),
            _ => (vec![], &[], vec![]),
        };
        let fields = variants.into_iter().flat_map(Fields::types);
        plain.into_iter().chain(args.iter().copied()).chain(fields)
    }
}

impl Fields {
    /// The types held, in the order in which their values travel.
    pub fn types(&self) -> impl Iterator<Item = TypeId> + '_ {
        let (plain, named): (&[TypeId], &[Field]) = match self {
            Self::Unit => (&[], &[]),
            Self::Tuple(types) => (types, &[]),
            Self::Named(fields) => (&[], fields),
        };
        plain.iter().copied().chain(named.iter().map(|field| field.ty))
    }
}
