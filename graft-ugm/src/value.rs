//! Small types that Rust's standard library lacks and an interface needs.

use std::fmt;
use std::str::FromStr;

use graft_core::{Leaf, Leaves, Path, Visit, port};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes that are not text: one leaf, where `Vec<u8>` is a list of numbers.
///
/// Serde form: a byte string. Compact in memory and on the wire: a length, then the bytes. Cheap to clone; many of
/// them cross a connection without being copied, and what was received shares the frame that it came in.
///
/// ```
/// let bytes = graft_ugm::Bytes::from(vec![1, 2]);
/// assert_eq!(bytes.as_ref(), [1, 2]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub bytes::Bytes);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        port::share(&self.0);
        ser.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(port::shared(bytes)))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(bytes.into())
            }

            /// JSON writes bytes as a list of numbers.
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes.into())
            }
        }
        de.deserialize_byte_buf(Visitor)
    }
}

impl Leaves for Bytes {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Bytes(&self.0));
    }
}

/// A UUID of any version, RFC 9562.
///
/// Serde form: an array of 16 bytes, most significant first. `Display` and `FromStr` use the form
/// with hyphens in lower case; parsing takes upper case too.
///
/// ```
/// use graft_ugm::Uuid;
/// let id: Uuid = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6".parse()?;
/// assert_eq!(id.0[0], 0xf8);
/// assert_eq!(id.to_string(), "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
/// # Ok::<(), graft_ugm::ParseValueError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let hyphen = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Uuid {
    type Err = ParseValueError;

    fn from_str(text: &str) -> Result<Self, ParseValueError> {
        let mut nibbles = [0; 32];
        let mut filled = 0;
        if text.len() != 36 {
            return Err(ParseValueError::Uuid);
        }
        for (i, c) in text.chars().enumerate() {
            match (i, c.to_digit(16)) {
                (8 | 13 | 18 | 23, _) if c == '-' => {}
                (8 | 13 | 18 | 23, _) | (_, None) => return Err(ParseValueError::Uuid),
                (_, Some(digit)) => {
                    nibbles[filled] = digit as u8;
                    filled += 1;
                }
            }
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(nibbles.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(bytes))
    }
}

/// The text that [`Display`](fmt::Display) prints, as one leaf.
impl Leaves for Uuid {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Str(&self.to_string()));
    }
}

/// An exact decimal number, kept as the text that it was written as: `10.50` stays `10.50`.
///
/// At most 64 bytes out of an optional `-`, digits, and optionally a point with digits after it; no
/// leading zero before another digit, no exponent, no plus. It is text that is known to be a number,
/// not arithmetic: equality is that of the text.
///
/// Serde form: a string, checked when it is read.
///
/// ```
/// use graft_ugm::Decimal;
/// let amount: Decimal = "10.50".parse()?;
/// assert_eq!(amount.to_string(), "10.50");
/// for bad in ["", "1.", ".5", "01", "+1", "1e3", "1,5", "-"] {
///     assert!(bad.parse::<Decimal>().is_err());
/// }
/// # Ok::<(), graft_ugm::ParseValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Decimal(String);

impl Decimal {
    /// The most bytes that its text has.
    pub const MAX_LEN: usize = 64;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is one.
    pub(crate) fn is_decimal(text: &[u8]) -> bool {
        let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        let unsigned = text.strip_prefix(b"-").unwrap_or(text);
        let (whole, fraction) = match unsigned.iter().position(|byte| *byte == b'.') {
            Some(point) => (&unsigned[..point], Some(&unsigned[point + 1..])),
            None => (unsigned, None),
        };
        text.len() <= Self::MAX_LEN
            && digits(whole)
            && (whole.len() == 1 || whole[0] != b'0')
            && fraction.is_none_or(digits)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Decimal {
    type Err = ParseValueError;

    fn from_str(text: &str) -> Result<Self, ParseValueError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Decimal {
    type Error = ParseValueError;

    fn try_from(text: String) -> Result<Self, ParseValueError> {
        if Self::is_decimal(text.as_bytes()) { Ok(Self(text)) } else { Err(ParseValueError::Decimal) }
    }
}

macro_rules! from_integer {
    ($($int:ty),*) => {$(
        impl From<$int> for Decimal {
            fn from(value: $int) -> Self {
                Self(value.to_string())
            }
        }
    )*};
}

from_integer!(i8, i16, i32, i64, i128, u8, u16, u32, u64, u128);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(de)?).map_err(de::Error::custom)
    }
}

impl Leaves for Decimal {
    fn visit(&self, path: &Path<'_>, visit: &mut Visit<'_>) {
        visit(path, Leaf::Str(&self.0));
    }
}

/// A text is not the value that it should be. The text itself is not part of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseValueError {
    /// Not a [`Decimal`].
    #[error("a decimal is digits with an optional `-` before and an optional `.` and digits after")]
    Decimal,
    /// Not a [`Uuid`].
    #[error("a uuid is 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12, with hyphens between")]
    Uuid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_bytes_cross_without_a_copy_and_few_keep_no_frame_alive() {
        use graft_core::{Incoming, Outgoing};
        for (size, is_shared) in [(0, false), (100, false), (100_000, true)] {
            let bytes = Bytes::from(vec![7; size]);
            let mut out = Outgoing::default();
            out.encode(&(1_u8, bytes.clone(), 2_u8)).expect("encodes");
            assert_eq!(out.as_slice().is_none(), is_shared, "{size} on the way out");
            let frame = out.to_bytes();
            let within = frame.as_ptr() as usize..frame.as_ptr() as usize + frame.len();
            let (one, back, two): (u8, Bytes, u8) =
                Incoming::new(frame.clone()).decode(|_| Ok(())).expect("decodes");
            assert_eq!((one, &back, two), (1, &bytes, 2));
            assert_eq!(
                size > 0 && within.contains(&(back.0.as_ptr() as usize)),
                is_shared,
                "{size} on the way in"
            );
        }
    }
}
