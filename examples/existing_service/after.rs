//! A plain service, with graft.

use std::collections::BTreeMap;
use std::sync::Mutex;

use graft::{Describe, interface};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Describe)]
pub struct Item {
    pub name: String,
    pub left: u32,
}

#[derive(Serialize, Deserialize, Describe)]
pub struct OutOfStock {
    pub left: u32,
}

#[derive(Default)]
pub struct Shop {
    stock: Mutex<BTreeMap<String, u32>>,
}

#[interface]
impl Shop {
    /// Puts items on the shelf.
    #[interface(effect = "side-effecting", args(name = "target"), intent("stock"))]
    pub fn stock(&self, name: &str, count: u32) {
        let mut stock = self.stock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *stock.entry(name.to_owned()).or_default() += count;
    }

    /// What is on the shelf.
    #[interface(effect = "read-only", trust = "trusted")]
    pub fn list(&self) -> Vec<Item> {
        let stock = self.stock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        stock.iter().map(|(name, left)| Item { name: name.clone(), left: *left }).collect()
    }

    /// Takes items off the shelf.
    #[interface(effect = "side-effecting", args(name = "target"), intent("buy", "order"))]
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
