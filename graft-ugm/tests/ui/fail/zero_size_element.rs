use graft_ugm::{Describe, interface};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Describe)]
#[describe(crate = "graft_ugm")]
pub struct Marker {
    nothing: (),
}

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    pub fn count(&self) -> Vec<Marker> {
        Vec::new()
    }
}

fn main() {
    <Bank as graft_ugm::Described>::interface();
}
