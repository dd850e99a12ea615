use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    pub fn name(&self) -> &str {
        "bank"
    }
}

fn main() {}
