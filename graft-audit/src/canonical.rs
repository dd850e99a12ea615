//! postcard in its one spelling.

use serde::{Deserialize, Serialize};

use crate::What;

/// Reads what postcard wrote, and nothing else: it takes numbers spelt longer than needed and bytes left over too,
/// and printing again shows both.
pub(crate) fn from_canonical<'a, T: Deserialize<'a> + Serialize>(bytes: &'a [u8]) -> Result<T, What> {
    let value = postcard::from_bytes(bytes).map_err(|_| What::NotCanonical)?;
    match postcard::serialize_with_flavor(&value, Same(bytes)) {
        Ok(true) => Ok(value),
        _ => Err(What::NotCanonical),
    }
}

/// Holds what is printed against bytes that are there, and keeps none.
struct Same<'a>(&'a [u8]);

impl postcard::ser_flavors::Flavor for Same<'_> {
    type Output = bool;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, printed: &[u8]) -> postcard::Result<()> {
        self.0 = self.0.strip_prefix(printed).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.0.is_empty())
    }
}

/// Takes postcard's fields one after the other, each in its one spelling. Borrows, allocates nothing, and is several
/// times as fast as reading and printing again, which is what it is compared with in tests.
pub(crate) struct Canonical<'a>(&'a [u8]);

impl<'a> Canonical<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, What> {
        let (byte, rest) = self.0.split_first().ok_or(What::NotCanonical)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], What> {
        let (array, rest) = self.0.split_first_chunk().ok_or(What::NotCanonical)?;
        self.0 = rest;
        Ok(*array)
    }

    /// A varint: 7 bits a byte, lowest first, no zero byte at its end but that of zero itself.
    pub(crate) fn number(&mut self) -> Result<u64, What> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(What::NotCanonical) } else { Ok(number) };
            }
        }
        Err(What::NotCanonical)
    }

    /// As many bytes as a number in front of them says.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], What> {
        let length = usize::try_from(self.number()?).map_err(|_| What::NotCanonical)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(What::NotCanonical)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, What> {
        std::str::from_utf8(self.bytes()?).map_err(|_| What::NotCanonical)
    }

    pub(crate) fn optional<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Result<T, What>,
    ) -> Result<Option<T>, What> {
        match self.byte()? {
            0 => Ok(None),
            1 => take(self).map(Some),
            _ => Err(What::NotCanonical),
        }
    }

    /// Nothing may be left over.
    pub(crate) fn end(self) -> Result<(), What> {
        if self.0.is_empty() { Ok(()) } else { Err(What::NotCanonical) }
    }
}
