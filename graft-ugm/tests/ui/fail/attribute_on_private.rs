use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    pub fn pay(&self) {}

    #[interface(effect = "pure")]
    fn helper(&self) {}
}

fn main() {}
