//! How a Rust type enters the type graph.

use std::any::TypeId as RustType;
use std::collections::{BTreeMap, HashMap};

use graft_core::{Items, Payload};

use crate::{Described, Handle, Type, TypeDocs, TypeId, Types};

/// A type whose values may be arguments, results and typed errors.
///
/// Derive it, next to serde's traits; the derive also writes [`graft_core::Leaves`]:
///
/// ```
/// use graft_ugm::{Describe, TypeSet};
/// use serde::{Deserialize, Serialize};
///
/// /// What the bank knows of a customer.
/// #[derive(Serialize, Deserialize, Describe)]
/// #[describe(crate = "graft_ugm")] // not needed with the facade crate
/// struct Customer {
///     name: String,
///     #[serde(rename = "e-mail")]
///     email: Option<String>,
/// }
///
/// let mut types = TypeSet::default();
/// types.add::<Vec<Customer>>();
/// assert_eq!(types.finish().len(), 4); // the list, the struct, text, optional text
/// ```
///
/// Implemented here for: integers from 8 to 128 bits, `f32`, `f64`, `bool`, `char`, `String`,
/// [`Bytes`](crate::Bytes), `Option`, `Vec`, arrays (up to 32, as serde has them), tuples up to 6,
/// `BTreeMap` and `HashMap` with text or integer keys, `Box`, `()`, `Duration`,
/// [`Timestamp`](graft_core::Timestamp), [`Uuid`](crate::Uuid), [`Decimal`](crate::Decimal).
///
/// Implementing it by hand is a promise that postcard writes exactly what [`Describe::describe`]
/// says. A broken promise shows as [`FaultCode::InvalidArgument`](graft_core::FaultCode) at the
/// call, never as a wrong value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of an interface: it is not described",
    label = "not described",
    note = "a stream is written `Items<T>` and an object `Handle<T>`, and each is a parameter or the result itself",
    note = "for a type of your own, add `#[derive(Serialize, Deserialize, Describe)]`",
    note = "for `usize` use `u64`, for `isize` use `i64`, for a set use `Vec`, for `Arc` or `Rc` the value itself, \
            for a type of another crate a described struct of your own"
)]
pub trait Describe: Payload {
    /// The type that stands for this one in the graph: itself, but `T` for `Box<T>`.
    type Form: 'static;

    /// Whether its values take no bytes. Such a type cannot be the element of a list or a map: five
    /// bytes could claim a thousand million of them.
    const ZERO_SIZE: bool = false;

    /// The type's shape; parts are added to `types` in the order in which their values travel.
    fn describe(types: &mut TypeSet) -> Type;

    /// What its doc comments say.
    fn docs() -> TypeDocs {
        TypeDocs::default()
    }
}

/// A type that may be the key of a map: text or an integer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a described map",
    label = "neither text nor an integer",
    note = "use `String` or an integer as the key, or a `Vec` of pairs"
)]
pub trait MapKey: Describe + std::fmt::Display {}

/// Collects a [`Types`] graph. Each Rust type enters once, so recursive types end.
#[derive(Debug, Default)]
pub struct TypeSet {
    types: Vec<Type>,
    docs: Vec<TypeDocs>,
    seen: HashMap<RustType, TypeId>,
}

impl TypeSet {
    /// Adds `T` and all that it is made of, unless they are already in.
    pub fn add<T: Describe>(&mut self) -> TypeId {
        self.enter(RustType::of::<T::Form>(), T::docs, T::describe)
    }

    /// Adds a stream of `T`, unless it is already in.
    pub fn add_items<T: Describe>(&mut self) -> TypeId {
        let key = RustType::of::<Items<T::Form>>();
        self.enter(key, TypeDocs::default, |types| Type::Items(types.add::<T>()))
    }

    /// Adds a handle of a `T`, unless it is already in. What `T` is made of does not enter, so interfaces may
    /// speak of each other and of themselves.
    pub fn add_handle<T: Described>(&mut self) -> TypeId {
        self.enter(RustType::of::<Handle<T>>(), TypeDocs::default, |_| Type::Handle(T::NAME))
    }

    fn enter(
        &mut self,
        key: RustType,
        docs: impl FnOnce() -> TypeDocs,
        describe: impl FnOnce(&mut Self) -> Type,
    ) -> TypeId {
        if let Some(id) = self.seen.get(&key) {
            return *id;
        }
        // The number is taken before the parts are described: that ends recursion, and it is the
        // canonical order.
        let at = self.types.len();
        let id = TypeId(u32::try_from(at).unwrap_or(u32::MAX));
        self.seen.insert(key, id);
        self.types.push(Type::Unit);
        self.docs.push(docs());
        self.types[at] = describe(self);
        id
    }

    /// The graph.
    pub fn finish(self) -> Types {
        Types::from(self.types)
    }

    pub(crate) fn into_parts(self) -> (Types, Vec<TypeDocs>) {
        (Types::from(self.types), self.docs)
    }
}

macro_rules! plain {
    ($($ty:ty => $variant:ident),* $(,)?) => {$(
        impl Describe for $ty {
            type Form = Self;

            fn describe(_: &mut TypeSet) -> Type {
                Type::$variant
            }
        }
    )*};
}

plain! {
    bool => Bool, char => Char, String => String, f32 => F32, f64 => F64,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64, i128 => I128,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64, u128 => U128,
    crate::Bytes => Bytes, crate::Uuid => Uuid, crate::Decimal => Decimal,
    graft_core::Timestamp => Timestamp, std::time::Duration => Duration,
}

macro_rules! keys {
    ($($ty:ty),*) => { $(impl MapKey for $ty {})* };
}

keys!(String, i8, i16, i32, i64, i128, u8, u16, u32, u64, u128);

impl Describe for () {
    type Form = Self;
    const ZERO_SIZE: bool = true;

    fn describe(_: &mut TypeSet) -> Type {
        Type::Unit
    }
}

impl<T: Describe> Describe for Box<T> {
    type Form = T::Form;
    const ZERO_SIZE: bool = T::ZERO_SIZE;

    fn describe(types: &mut TypeSet) -> Type {
        T::describe(types)
    }

    fn docs() -> TypeDocs {
        T::docs()
    }
}

impl<T: Describe> Describe for Option<T> {
    type Form = Option<T::Form>;

    fn describe(types: &mut TypeSet) -> Type {
        Type::Option(types.add::<T>())
    }
}

/// Refuses, while compiling, elements that take no bytes.
const fn sized<T: Describe>() {
    assert!(
        !T::ZERO_SIZE,
        "a list, array or map of values that take no bytes cannot be described; send their number"
    );
}

impl<T: Describe> Describe for Vec<T> {
    type Form = Vec<T::Form>;

    fn describe(types: &mut TypeSet) -> Type {
        const { sized::<T>() };
        Type::List(types.add::<T>())
    }
}

/// As many elements as serde has arrays for: at most 32.
impl<T: Describe, const N: usize> Describe for [T; N]
where
    Self: Payload,
{
    type Form = [T::Form; N];
    const ZERO_SIZE: bool = N == 0;

    fn describe(types: &mut TypeSet) -> Type {
        const { sized::<T>() };
        Type::Array(types.add::<T>(), u32::try_from(N).unwrap_or(u32::MAX))
    }
}

impl<K: MapKey + Ord, V: Describe> Describe for BTreeMap<K, V> {
    type Form = BTreeMap<K::Form, V::Form>;

    fn describe(types: &mut TypeSet) -> Type {
        Type::Map(types.add::<K>(), types.add::<V>())
    }
}

/// Travels in whatever order the map iterates, so equal maps may have unequal bytes.
impl<K: MapKey + Eq + std::hash::Hash, V: Describe> Describe for HashMap<K, V> {
    type Form = BTreeMap<K::Form, V::Form>;

    fn describe(types: &mut TypeSet) -> Type {
        Type::Map(types.add::<K>(), types.add::<V>())
    }
}

macro_rules! tuple {
    ($($name:ident),+) => {
        impl<$($name: Describe),+> Describe for ($($name,)+) {
            type Form = ($($name::Form,)+);
            const ZERO_SIZE: bool = $($name::ZERO_SIZE)&&+;

            fn describe(types: &mut TypeSet) -> Type {
                Type::Tuple(vec![$(types.add::<$name>()),+])
            }
        }
    };
}

tuple!(A);
tuple!(A, B);
tuple!(A, B, C);
tuple!(A, B, C, D);
tuple!(A, B, C, D, F);
tuple!(A, B, C, D, F, G);
