use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    #[interface(args(recipient = "receiver"))]
    pub fn pay(&self, recipient: &str) {
        let _ = recipient;
    }
}

fn main() {}
