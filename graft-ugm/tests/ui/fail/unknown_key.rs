use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    #[interface(effects = "pure")]
    pub fn pay(&self) {}
}

fn main() {}
