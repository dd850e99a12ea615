//! How does a call of graft compare with the same call of other libraries, in the same run?

mod allocations;
mod graft_peer;
#[path = "../../harness/mod.rs"]
mod harness;
mod tarpc_peer;

use std::future::Future;
use std::time::Instant;

use futures::future::try_join_all;
use harness::{Bench, Case, Failure, Round};
use tokio::runtime::{Builder, Runtime};

/// What is echoed.
const PAYLOAD: &str = "0123456789abcdef0123456789abcdef";
/// Calls under way at a time on one connection.
const IN_FLIGHT: u64 = 64;

/// A client whose server, in this process, gives back what it gets.
trait Peer: Clone + Send + Sync + 'static {
    fn echo(&self, text: String) -> impl Future<Output = Result<String, Failure>> + Send;
}

fn main() -> Result<(), Failure> {
    let mut bench = Bench::from_args();
    let many = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    on(&mut bench, &many, "two threads")?;
    drop(many);
    let one = Builder::new_current_thread().enable_all().build()?;
    on(&mut bench, &one, "one thread")?;
    bench.finish()
}

fn on(bench: &mut Bench, runtime: &Runtime, threads: &str) -> Result<(), Failure> {
    let (tarpc, graft) = runtime
        .block_on(async { Ok::<_, Failure>((tarpc_peer::connect().await?, graft_peer::connect().await?)) })?;
    bench.compare(
        &format!("one call at a time over TCP, {threads}"),
        vec![one_at_a_time("tarpc", runtime, &tarpc), one_at_a_time("graft, bare", runtime, &graft)],
    )?;
    bench.compare(
        &format!("{IN_FLIGHT} calls in flight on one TCP connection, {threads}; for each call"),
        vec![many_at_a_time("tarpc", runtime, &tarpc), many_at_a_time("graft, bare", runtime, &graft)],
    )?;
    bench.note(&format!("allocations of a call, {threads}: tarpc"), allocations_of(runtime, &tarpc)?);
    bench.note(&format!("allocations of a call, {threads}: graft, bare"), allocations_of(runtime, &graft)?);
    Ok(())
}

async fn call(peer: &impl Peer) -> Result<(), Failure> {
    let back = peer.echo(PAYLOAD.to_owned()).await?;
    if back == PAYLOAD { Ok(()) } else { Err("the echo is another text".into()) }
}

fn one_at_a_time<'a, P: Peer>(name: &str, runtime: &'a Runtime, peer: &'a P) -> Case<'a> {
    Case::new(name, move |round| {
        let (peer, mut turn) = (peer.clone(), std::mem::take(round));
        // On the runtime's own threads, where a caller in a service would be.
        let task = runtime.spawn(async move {
            for _ in 0..turn.iterations() {
                let start = Instant::now();
                call(&peer).await?;
                turn.single(start.elapsed());
            }
            Ok::<_, Failure>(turn)
        });
        *round = runtime.block_on(task)??;
        Ok(())
    })
}

fn many_at_a_time<'a, P: Peer>(name: &str, runtime: &'a Runtime, peer: &'a P) -> Case<'a> {
    Case::new(name, move |round: &mut Round| {
        let calls = round.iterations().div_ceil(IN_FLIGHT);
        let task = |_| {
            let peer = peer.clone();
            runtime.spawn(async move {
                for _ in 0..calls {
                    call(&peer).await?;
                }
                Ok::<_, Failure>(())
            })
        };
        let start = Instant::now();
        let ended = runtime.block_on(try_join_all((0..IN_FLIGHT).map(task)))?;
        round.took(start.elapsed());
        ended.into_iter().collect()
    })
}

/// Allocations of one call, client and server together, once everything is warm.
fn allocations_of(runtime: &Runtime, peer: &impl Peer) -> Result<f64, Failure> {
    const CALLS: u32 = 10_000;
    runtime.block_on(async {
        call(peer).await?;
        let before = allocations::count();
        for _ in 0..CALLS {
            call(peer).await?;
        }
        // The payload that the bench itself makes is not the peer's.
        Ok((allocations::count() - before) as f64 / f64::from(CALLS) - 1.0)
    })
}
