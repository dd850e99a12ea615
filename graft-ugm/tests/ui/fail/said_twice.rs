use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    #[interface(effect = "pure", effect = "read-only")]
    pub fn pay(&self) {}
}

fn main() {}
