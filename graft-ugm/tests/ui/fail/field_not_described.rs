use graft_ugm::Describe;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Inner;

#[derive(Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
struct Outer {
    count: u64,
    inner: Inner,
}

fn main() {}
