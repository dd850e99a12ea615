use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    #[cfg(unix)]
    pub fn pay(&self) {}
}

fn main() {}
