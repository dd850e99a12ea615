#![allow(unused_variables)]

use graft_ugm::{CallContext, Handle, Items, interface};

struct Desk;

#[interface(crate = "graft_ugm")]
impl Desk {
    pub fn by_reference(&self, numbers: &Items<u8>) {}

    pub fn in_a_value(&self, numbers: Vec<Items<u8>>) {}

    pub fn of_streams(&self, numbers: Items<Items<u8>>) {}

    pub fn in_a_result(&self) -> Option<Handle<Desk>> {
        None
    }

    pub fn as_an_error(&self) -> Result<u8, Items<u8>> {
        Ok(1)
    }

    pub fn of_two(&self, numbers: Items<u8, u8>) {}

    pub fn generic<T>(&self, numbers: Items<T>) {}

    #[interface(args(context = "query"))]
    pub fn role_of_the_call(&self, context: &CallContext<'_>, text: &str) {}
}

fn main() {}
