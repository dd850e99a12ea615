use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    #[interface(effect = "writes")]
    pub fn pay(&self) {}
}

fn main() {}
