use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    pub fn pay<T>(&self, amount: T) {
        let _ = amount;
    }
}

fn main() {}
