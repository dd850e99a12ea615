use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    pub fn pay(&mut self, amount: u64) {
        let _ = amount;
    }
}

fn main() {}
