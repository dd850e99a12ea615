#![allow(unused_variables)]

use graft_ugm::{Describe, Handle, Items, interface};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
struct Page {
    lines: Items<String>,
}

type Numbers = Items<u8>;

struct Plain;

struct Desk;

#[interface(crate = "graft_ugm")]
impl Desk {
    pub fn renamed(&self, numbers: Numbers) {}

    pub fn not_described(&self, object: Handle<Plain>) {}

    pub fn items_not_described(&self) -> Items<Plain> {
        unimplemented!()
    }
}

fn main() {}
