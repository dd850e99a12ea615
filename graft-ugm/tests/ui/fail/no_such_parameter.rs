use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    #[interface(args(receiver = "destination"))]
    pub fn pay(&self, recipient: &str, amount: u64) {
        let _ = (recipient, amount);
    }
}

fn main() {}
