use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    pub fn pay(&self, subject: Option<&str>) {
        let _ = subject;
    }
}

fn main() {}
