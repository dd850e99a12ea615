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
