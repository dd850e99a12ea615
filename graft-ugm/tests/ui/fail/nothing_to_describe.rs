use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    fn helper(&self) {}
}

fn main() {}
