use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    pub fn pay(&self) -> std::io::Result<u64> {
        Ok(1)
    }
}

fn main() {}
