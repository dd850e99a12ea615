//! What does a call cost, in this process and over TCP, bare and guarded?
//!
//! The call hands over 32 bytes and gets them back. *Bare* is a caller without interceptors. *Guarded* has a
//! deadline and the data-flow policy in `enforce`, over a ledger with 64 KiB of recorded untrusted text:
//! the effectful call is judged and its output recorded, the pure one is only recorded. The floors are a call
//! of a trait object, and a ping-pong of as many bytes as the call has on the wire. Rivals under the same
//! loads are in `peers`.

#[path = "harness/calls/mod.rs"]
mod calls;
mod harness;

use calls::Clients;
use calls::graft_peer::{BareOver, GuardedOver};
use calls::local;
use calls::raw::Floor;
use calls::rows::{self, CONNECTIONS, Contenders};
use calls::threads::Threads;
use calls::transport::{Tcp, Transport};
use harness::{Bench, Failure};

fn main() -> Result<(), Failure> {
    let mut bench = Bench::from_args().with_rounds(5, std::time::Duration::from_millis(100));
    bench.compare("a call of 32 bytes in this process", local::cases()?)?;
    for threads in Threads::all() {
        let (threads, transport) = (threads()?, Tcp);
        let contenders: Contenders<'_> = vec![
            Box::new(Floor { transport, threads: &threads }),
            Box::new(Clients::connect(BareOver(transport), &threads, CONNECTIONS)?),
            Box::new(Clients::connect(GuardedOver(transport), &threads, CONNECTIONS)?),
        ];
        rows::small(&mut bench, Tcp::NAME, &threads, &contenders)?;
    }
    bench.finish()
}
