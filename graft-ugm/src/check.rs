//! Whether postcard bytes have a described shape: the pass before serde, for bytes that may come from anyone.

use crate::types::MAX_DEPTH;
use crate::{Decimal, Fields, Type, TypeId, Types};

/// Checks that `bytes` are exactly one value of type `ty`, in the one encoding that it has.
///
/// Allocates nothing, recurses at most [`MAX_DEPTH`] levels, and takes time in proportion to the bytes. What it
/// accepts, serde decodes; re-encoding gives the same bytes, except that a map may hold its members in
/// another order or a key twice (the last one counts).
///
/// # Errors
/// [`ShapeError`] says which rule is broken; it holds nothing of the bytes.
///
/// ```
/// use graft_ugm::{ShapeError, TypeSet, check};
/// let mut types = TypeSet::default();
/// let id = types.add::<u32>();
/// let types = types.finish();
/// assert_eq!(check(&[0x07], &types, id), Ok(()));
/// assert_eq!(check(&[0x07, 0x00], &types, id), Err(ShapeError::Trailing));
/// assert_eq!(check(&[0x87, 0x00], &types, id), Err(ShapeError::Overlong));
/// ```
pub fn check(bytes: &[u8], types: &Types, ty: TypeId) -> Result<(), ShapeError> {
    check_each(bytes, types, [ty])
}

/// Checks that `bytes` are one value of each of these types, one after the other, and nothing else.
///
/// # Errors
/// As [`check`].
pub fn check_each(
    bytes: &[u8],
    types: &Types,
    each: impl IntoIterator<Item = TypeId>,
) -> Result<(), ShapeError> {
    let mut walk = Walk { rest: bytes, types };
    each.into_iter().try_for_each(|ty| walk.value(ty, MAX_DEPTH))?;
    if walk.rest.is_empty() { Ok(()) } else { Err(ShapeError::Trailing) }
}

/// Why bytes do not have the described shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// The bytes end inside a value.
    #[error("the bytes end inside a value")]
    Truncated,
    /// Bytes are left after the value.
    #[error("bytes are left after the value")]
    Trailing,
    /// An integer is written with more bytes than it needs.
    #[error("an integer is written with more bytes than it needs")]
    Overlong,
    /// An integer does not fit its type.
    #[error("an integer does not fit its type")]
    Overflow,
    /// A length is beyond the bytes that remain.
    #[error("a length is beyond the bytes that remain")]
    Length,
    /// A truth value or the tag of an option is neither 0 nor 1.
    #[error("a truth value or option tag is neither 0 nor 1")]
    Flag,
    /// Text is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// A character is not exactly one.
    #[error("a character is not exactly one")]
    Char,
    /// Text is not a decimal number.
    #[error("text is not a decimal number")]
    Decimal,
    /// The nanoseconds of a duration are a second or more.
    #[error("the nanoseconds of a duration are a second or more")]
    Duration,
    /// An enum has no variant of this index.
    #[error("an enum has no variant of this index")]
    Variant,
    /// Values inside each other beyond the bound.
    #[error("values stand inside each other more than 64 deep")]
    TooDeep,
    /// A list or map of values that take no bytes.
    #[error("elements of a list or array must take at least one byte")]
    ZeroSizeElement,
    /// A type id or method that the model does not have.
    #[error("the model does not have this type")]
    UnknownType,
}

struct Walk<'a> {
    rest: &'a [u8],
    types: &'a Types,
}

impl<'a> Walk<'a> {
    fn value(&mut self, id: TypeId, depth: usize) -> Result<(), ShapeError> {
        let depth = depth.checked_sub(1).ok_or(ShapeError::TooDeep)?;
        if self.types.is_zero_sized(id) {
            return Ok(());
        }
        match self.types.type_of(id).ok_or(ShapeError::UnknownType)? {
            Type::Unit => Ok(()),
            Type::Bool => self.flag().map(drop),
            Type::I8 | Type::U8 => self.take(1).map(drop),
            Type::I16 | Type::U16 => self.varint(16).map(drop),
            Type::I32 | Type::U32 | Type::Items(_) | Type::Handle(_) => self.varint(32).map(drop),
            Type::I64 | Type::U64 | Type::Timestamp => self.varint(64).map(drop),
            Type::I128 | Type::U128 => self.varint(128).map(drop),
            Type::F32 => self.take(4).map(drop),
            Type::F64 => self.take(8).map(drop),
            Type::Uuid => self.take(16).map(drop),
            Type::Char => self.char(),
            Type::String => self.text().map(drop),
            Type::Bytes => self.block().map(drop),
            Type::Decimal => match Decimal::is_decimal(self.text()?.as_bytes()) {
                true => Ok(()),
                false => Err(ShapeError::Decimal),
            },
            Type::Duration => {
                self.varint(64)?;
                if self.varint(32)? < 1_000_000_000 { Ok(()) } else { Err(ShapeError::Duration) }
            }
            Type::Option(part) => match self.flag()? {
                true => self.value(*part, depth),
                false => Ok(()),
            },
            Type::List(part) => {
                let len = self.len()?;
                self.elements(len, |walk| walk.value(*part, depth))
            }
            Type::Array(part, len) => self.elements(u64::from(*len), |walk| walk.value(*part, depth)),
            Type::Map(key, value) => {
                let len = self.len()?;
                self.elements(len, |walk| {
                    walk.value(*key, depth)?;
                    walk.value(*value, depth)
                })
            }
            Type::Tuple(parts) => parts.iter().try_for_each(|part| self.value(*part, depth)),
            Type::Struct(ty) => self.fields(&ty.fields, depth),
            Type::Enum(ty) => {
                let index = usize::try_from(self.varint(32)?).map_err(|_| ShapeError::Variant)?;
                let variant = ty.variants.get(index).ok_or(ShapeError::Variant)?;
                self.fields(&variant.fields, depth)
            }
        }
    }

    fn fields(&mut self, fields: &Fields, depth: usize) -> Result<(), ShapeError> {
        match fields {
            Fields::Unit => Ok(()),
            Fields::Tuple(types) => types.iter().try_for_each(|ty| self.value(*ty, depth)),
            Fields::Named(fields) => fields.iter().try_for_each(|field| self.value(field.ty, depth)),
        }
    }

    /// Each element eats at least a byte, so the loop ends with the bytes at the latest.
    fn elements(
        &mut self,
        len: u64,
        mut element: impl FnMut(&mut Self) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError> {
        for _ in 0..len {
            let before = self.rest.len();
            element(self)?;
            if self.rest.len() == before {
                return Err(ShapeError::ZeroSizeElement);
            }
        }
        Ok(())
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], ShapeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(ShapeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn flag(&mut self) -> Result<bool, ShapeError> {
        match self.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(ShapeError::Flag),
        }
    }

    fn char(&mut self) -> Result<(), ShapeError> {
        let mut chars = self.text()?.chars();
        match (chars.next(), chars.next()) {
            (Some(_), None) => Ok(()),
            _ => Err(ShapeError::Char),
        }
    }

    fn text(&mut self) -> Result<&'a str, ShapeError> {
        std::str::from_utf8(self.block()?).map_err(|_| ShapeError::Utf8)
    }

    fn block(&mut self) -> Result<&'a [u8], ShapeError> {
        let len = self.len()?;
        // The length is at most that of the rest.
        self.take(len as usize)
    }

    fn len(&mut self) -> Result<u64, ShapeError> {
        let len = self.varint(64)?;
        let fits = usize::try_from(len).is_ok_and(|len| len <= self.rest.len());
        if fits { Ok(len as u64) } else { Err(ShapeError::Length) }
    }

    /// LEB128 of an unsigned integer, or a zigzagged signed one, of `bits` bits; in the shortest form only.
    fn varint(&mut self, bits: u32) -> Result<u128, ShapeError> {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.take(1)?[0];
            let left = bits - shift;
            // The last group holds fewer than 7 bits, and nothing may go on after it.
            if left <= 7 && u32::from(byte) >> left != 0 {
                return Err(ShapeError::Overflow);
            }
            value |= u128::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(ShapeError::Overlong) } else { Ok(value) };
            }
            shift += 7;
        }
    }
}
