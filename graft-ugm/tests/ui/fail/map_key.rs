use std::collections::BTreeMap;

use graft_ugm::Describe;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
struct Index {
    by_pair: BTreeMap<bool, u8>,
}

fn main() {}
