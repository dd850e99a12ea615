use graft_ugm::interface;

struct Bank;

#[interface(crate = "graft_ugm")]
impl Clone for Bank {
    fn clone(&self) -> Self {
        Bank
    }
}

#[interface(crate = "graft_ugm")]
struct Account;

struct Generic<T>(T);

#[interface(crate = "graft_ugm")]
impl<T> Generic<T> {
    pub fn pay(&self) {}
}

#[interface(title = "Bank", crate = "graft_ugm")]
impl Bank {
    pub fn pay(&self) {}
}

fn main() {}
