use graft_ugm::Describe;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
struct Letter<'a> {
    text: &'a str,
}

fn main() {}
