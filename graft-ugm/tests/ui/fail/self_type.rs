use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    pub fn copy(&self) -> Self {
        Bank
    }
}

fn main() {}
