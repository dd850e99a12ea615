use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    pub fn pay(&self, amount: impl Into<u64>) {
        let _ = amount.into();
    }
}

fn main() {}
