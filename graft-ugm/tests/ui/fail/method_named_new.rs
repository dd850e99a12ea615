use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    pub fn new(&self) -> u64 {
        1
    }
}

fn main() {}
