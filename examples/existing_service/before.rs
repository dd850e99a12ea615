//! A plain service, as it was before graft.

use std::collections::BTreeMap;
use std::sync::Mutex;

pub struct Item {
    pub name: String,
    pub left: u32,
}

pub struct OutOfStock {
    pub left: u32,
}

#[derive(Default)]
pub struct Shop {
    stock: Mutex<BTreeMap<String, u32>>,
}

impl Shop {
    /// Puts items on the shelf.
    pub fn stock(&self, name: &str, count: u32) {
        let mut stock = self.stock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *stock.entry(name.to_owned()).or_default() += count;
    }

    /// What is on the shelf.
    pub fn list(&self) -> Vec<Item> {
        let stock = self.stock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        stock.iter().map(|(name, left)| Item { name: name.clone(), left: *left }).collect()
    }

    /// Takes items off the shelf.
    pub fn buy(&self, name: &str, count: u32) -> Result<u32, OutOfStock> {
        let mut stock = self.stock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let left = stock.entry(name.to_owned()).or_default();
        if *left < count {
            return Err(OutOfStock { left: *left });
        }
        *left -= count;
        Ok(*left)
    }
}
