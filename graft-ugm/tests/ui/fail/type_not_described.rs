use graft_ugm::interface;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Account(u64);

struct Bank;

#[interface(crate = "graft_ugm")]
impl Bank {
    pub fn open(&self, account: Account) -> usize {
        account.0 as usize
    }
}

fn main() {}
