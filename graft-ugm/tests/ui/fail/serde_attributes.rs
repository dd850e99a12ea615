use graft_ugm::Describe;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
struct Inner {
    a: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<u8>,
}

#[derive(Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
struct Outer {
    #[serde(flatten)]
    inner: Inner,
    #[serde(skip)]
    cache: u8,
}

#[derive(Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
#[serde(untagged)]
enum Either {
    Left(u8),
    Right(String),
}

#[derive(Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
#[serde(tag = "kind")]
enum Tagged {
    Left { a: u8 },
}

fn main() {}
