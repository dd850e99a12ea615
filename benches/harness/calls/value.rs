//! What is handed over.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use graft::Describe;
use serde::{Deserialize, Serialize};

use super::{Peer, ValueOf};
use crate::harness::text::{Script, text};

/// Calls of one guarded run with small values. Each adds its output to the ledger, which must not fill up.
const CALLS_A_RUN: usize = 4096;
/// What the calls of one guarded run carry together at most, in bytes, where a value is longer.
const BYTES_A_RUN: usize = 4 << 20;

/// 32 bytes, other ones each time.
static SMALL: LazyLock<Vec<String>> = LazyLock::new(|| {
    let spread = |call: usize| (call as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    (0..CALLS_A_RUN).map(|call| format!("{:032x}", spread(call))).collect()
});
static LARGE: LazyLock<String> = LazyLock::new(|| text(Script::Latin, 2, 1 << 20));
static ORDER: LazyLock<Order> = LazyLock::new(|| Order {
    id: 9_007_199_254_740_993,
    symbol: "GRAFT-EUR".to_owned(),
    qty: 12.5,
    tags: vec!["limit".to_owned(), "day".to_owned(), "desk-7".to_owned()],
});

/// What a call carries; the types are those of the peer that carries it.
pub enum Value<Blob, Order> {
    Text(String),
    Blob(Blob),
    Order(Order),
}

/// The structure of the struct call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Describe)]
pub struct Order {
    /// Number.
    pub id: u64,
    /// What is bought.
    pub symbol: String,
    /// How much of it.
    pub qty: f64,
    /// Notes.
    pub tags: Vec<String>,
}

/// Which value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// Text of so many bytes, at most 1 MiB; other text each time if they are 32.
    Text(usize),
    /// So many bytes that are not text, at most 1 MiB.
    Blob(usize),
    /// The structure.
    Order,
}

impl What {
    /// 32 bytes of text.
    pub const SMALL: Self = Self::Text(32);

    /// Text whose encoding is as long as that of the structure.
    pub fn as_long_as_the_order() -> Self {
        let mut encoded = graft::core::Outgoing::default();
        let written = encoded.encode(&*ORDER);
        // One byte is the length of the text.
        written.map_or(Self::SMALL, |()| Self::Text(encoded.len() - 1))
    }

    /// The next value.
    pub fn make<P: Peer>(self) -> ValueOf<P> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        match self {
            Self::SMALL => Value::Text(SMALL[NEXT.fetch_add(1, Ordering::Relaxed) % SMALL.len()].clone()),
            Self::Text(bytes) => Value::Text(LARGE[..bytes].to_owned()),
            Self::Blob(bytes) => Value::Blob(LARGE.as_bytes()[..bytes].to_vec().into()),
            Self::Order => Value::Order(ORDER.clone().into()),
        }
    }

    /// Whether it is what [`What::make`] makes.
    pub fn is_same<Blob: AsRef<[u8]>, O: Into<Order>>(self, back: Value<Blob, O>) -> bool {
        match (self, back) {
            (Self::SMALL, Value::Text(text)) => SMALL.contains(&text),
            (Self::Text(bytes), Value::Text(text)) => text == LARGE[..bytes],
            (Self::Blob(bytes), Value::Blob(blob)) => blob.as_ref() == &LARGE.as_bytes()[..bytes],
            (Self::Order, Value::Order(order)) => order.into() == *ORDER,
            _ => false,
        }
    }

    /// How many bytes it is, where that is what one asks for.
    pub fn bytes(self) -> usize {
        match self {
            Self::Text(bytes) | Self::Blob(bytes) => bytes,
            Self::Order => 0,
        }
    }

    /// How many calls with it a guarded run makes.
    pub fn calls_a_run(self) -> u64 {
        (BYTES_A_RUN / self.bytes().max(1)).clamp(1, CALLS_A_RUN) as u64
    }
}
