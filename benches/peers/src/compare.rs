//! The tables: the floor, the rivals and graft under the same loads.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use crate::allocations::counted;
use crate::calls::graft_peer::{BareOver, GuardedOver};
use crate::calls::local::{self, Executor};
use crate::calls::raw::Floor;
use crate::calls::rows::{self, CONNECTIONS, Contenders};
use crate::calls::threads::Threads;
use crate::calls::transport::{Tcp, Transport};
use crate::calls::value::Value;
use crate::calls::{Clients, Peer};
use crate::counts;
use crate::harness::{Bench, Case, Failure};
use crate::process::{cpu_time, load_average};
use crate::secure::{Tls, WebSocket};
use crate::tarpc_peer::{self, Tarpc};
use crate::tonic_peer::Tonic;

pub fn run() -> Result<(), Failure> {
    let mut bench = Bench::from_args().with_rounds(5, Duration::from_millis(200)).with_cpu_clock(cpu_time);
    bench.note("load average of the machine before the run", load_average()?, None);
    in_process(&mut bench)?;
    for threads in Threads::all() {
        let threads = threads()?;
        let rivals: Contenders<'_> = vec![
            Box::new(Clients::connect(Tarpc, &threads, CONNECTIONS)?),
            Box::new(Clients::connect(Tonic, &threads, CONNECTIONS)?),
        ];
        over(&mut bench, Tcp, &threads, rivals)?;
        small_over(&mut bench, Tls, &threads)?;
        small_over(&mut bench, WebSocket, &threads)?;
    }
    bench.finish()
}

/// All rows over one transport: the floor, those who speak over it too, and graft.
fn over<T: Transport>(
    bench: &mut Bench,
    transport: T,
    threads: &Threads,
    rivals: Contenders<'_>,
) -> Result<(), Failure> {
    let mut contenders: Contenders<'_> = vec![Box::new(Floor { transport, threads })];
    contenders.extend(rivals);
    contenders.push(Box::new(Clients::connect(BareOver(transport), threads, CONNECTIONS)?));
    contenders.push(Box::new(Clients::connect(GuardedOver(transport), threads, CONNECTIONS)?));
    rows::small(bench, T::NAME, threads, &contenders)?;
    rows::large(bench, T::NAME, threads, &contenders)?;
    rows::structure(bench, T::NAME, threads, &contenders)?;
    rows::allocations(bench, T::NAME, threads, &contenders, &counted)
}

/// The rows of small calls over a transport that only graft and the floor speak over.
fn small_over<T: Transport>(bench: &mut Bench, transport: T, threads: &Threads) -> Result<(), Failure> {
    let contenders: Contenders<'_> = vec![
        Box::new(Floor { transport, threads }),
        Box::new(Clients::connect(BareOver(transport), threads, CONNECTIONS)?),
        Box::new(Clients::connect(GuardedOver(transport), threads, CONNECTIONS)?),
    ];
    rows::small(bench, T::NAME, threads, &contenders)
}

fn in_process(bench: &mut Bench) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut cases = local::cases()?;
    cases.insert(1, through_channels(&runtime));
    let tarpc = runtime.block_on(tarpc_peer::in_memory())?;
    let tarpc = async move |text| tarpc.call(Value::Text(text)).await;
    cases.insert(2, local::case_on(Executor::Tokio(&runtime), "tarpc in memory", tarpc));
    bench.compare("32 bytes in this process, time for each", cases)?;
    let [direct, bare, guarded] = counts::in_process()?;
    let title = "allocations of a call in this process";
    bench.note(&format!("{title}: {}", local::DIRECT), direct, None);
    bench.note(&format!("{title}: graft, bare"), bare, Some(direct + 1.0));
    bench.note(&format!("{title}: graft, guarded"), guarded, None);
    Ok(())
}

/// What it costs that a task answers over channels of tokio, without anything else.
fn through_channels(runtime: &Runtime) -> Case<'_> {
    let (calls, mut called) = mpsc::channel::<(String, oneshot::Sender<String>)>(64);
    runtime.spawn(async move {
        while let Some((text, answer)) = called.recv().await {
            // A caller that went away needs no answer.
            drop(answer.send(text));
        }
    });
    local::case_on(Executor::Tokio(runtime), "a task behind channels of tokio", async move |text| {
        let (answer, answered) = oneshot::channel();
        calls.send((text, answer)).await?;
        Ok(answered.await?)
    })
}
