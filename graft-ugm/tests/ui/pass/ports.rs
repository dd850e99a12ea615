//! Generated code for streams, handles and contexts passes in a crate that denies what it can.
#![deny(warnings, missing_docs, unreachable_pub, unused, clippy::all, clippy::pedantic)]
#![forbid(unsafe_code)]

use graft_ugm::{CallContext, Described, interface};

#[allow(dead_code)]
struct Vec;
#[allow(dead_code)]
struct Option;

struct Desk;

#[interface(crate = "graft_ugm")]
#[allow(unreachable_pub, clippy::needless_pass_by_value)]
impl Desk {
    /// Names that generated code uses too.
    #[interface(idempotent)]
    pub async fn all(
        &self,
        context: u8,
        meta: graft_ugm::Items<u8>,
        call: &CallContext<'_>,
        watch: &str,
        run: graft_ugm::Handle<Desk>,
        each: (graft_ugm::Decimal,),
    ) -> Result<graft_ugm::Items<u8>, u8> {
        let _ = (context, call, watch, each, run.client().other(graft_ugm::Handle::clone(&run), call.call().0).await);
        Ok(meta)
    }

    pub fn other(&self, object: graft_ugm::Handle<Desk>, _call: u64) -> graft_ugm::Handle<Desk> {
        object
    }

    pub fn only_its_call(&self, call: &graft_ugm::CallContext) -> u64 {
        call.call().0
    }
}

fn main() {
    assert_eq!(Desk::interface().contract().methods().len(), 3);
    assert!(Desk::interface().guard().methods[0].tool.idempotent);
}
