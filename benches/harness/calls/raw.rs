//! The floor: a ping-pong of as many bytes as a call has on the wire, alone or in batches.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Instant;

use futures::future::try_join_all;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use super::graft_peer::{Bare, router};
use super::threads::Threads;
use super::transport::{Raw, Tcp, Transport};
use super::value::What;
use super::{Contender, Counted, Load, Peer};
use crate::harness::{Case, Failure, Round};

/// The floor over a transport.
pub struct Floor<'a, T> {
    pub transport: T,
    pub threads: &'a Threads,
}

/// The client's end of one connection.
struct End<R> {
    stream: R,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl<T: Transport> Contender for Floor<'_, T> {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn case(&self, load: Load) -> Result<Case<'_>, Failure> {
        let (there, back) = bytes_of_a_call(load.what)?;
        let (there, back) = (there * load.in_flight, back * load.in_flight);
        let (address, server) = self.threads.server(self.transport.serve_raw(there, back))??;
        let connect = || {
            let stream = self.threads.client(self.transport.connect_raw(address.clone()))??;
            Ok(End { stream, request: vec![1; there], reply: vec![0; back] })
        };
        let mut ends = (0..load.connections).map(|_| connect()).collect::<Result<Vec<_>, Failure>>()?;
        Ok(Case::new(self.name(), move |round: &mut Round| {
            let _ = &server; // which is kept as long as the case
            let (taken, turn) = (std::mem::take(&mut ends), std::mem::take(round));
            let exchanged = self.threads.client(exchange(taken, load.in_flight, turn))??;
            (ends, *round) = exchanged;
            Ok(())
        }))
    }

    fn allocations(&self, _: Counted<'_>) -> Result<Option<f64>, Failure> {
        Ok(None)
    }
}

/// Exchanges batches on each connection: one call on one connection timed alone, else all together.
async fn exchange<R: Raw>(
    mut ends: Vec<End<R>>,
    batch: usize,
    mut turn: Round,
) -> Result<(Vec<End<R>>, Round), Failure> {
    if let ([end], 1) = (&mut ends[..], batch) {
        for _ in 0..turn.iterations() {
            let start = Instant::now();
            end.stream.exchange(&end.request, &mut end.reply).await?;
            turn.single(start.elapsed());
        }
        return Ok((ends, turn));
    }
    let batches = turn.iterations().div_ceil((ends.len() * batch) as u64);
    let operations = batches * (ends.len() * batch) as u64;
    let start = turn.start();
    let tasks = ends.into_iter().map(|mut end| {
        tokio::spawn(async move {
            for _ in 0..batches {
                end.stream.exchange(&end.request, &mut end.reply).await?;
            }
            Ok::<_, Failure>(end)
        })
    });
    let ended = try_join_all(tasks).await?;
    turn.stop(start, operations);
    Ok((ended.into_iter().collect::<Result<_, _>>()?, turn))
}

/// Bytes of a bare call there and back, counted on a relay between the two ends of a TCP connection.
pub fn bytes_of_a_call(what: What) -> Result<(usize, usize), Failure> {
    static KNOWN: LazyLock<Mutex<HashMap<What, (usize, usize)>>> = LazyLock::new(Mutex::default);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sizes) = known().get(&what) {
        return Ok(*sizes);
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let sizes = runtime.block_on(count(what))?;
    known().insert(what, sizes);
    Ok(sizes)
}

async fn count(what: What) -> Result<(usize, usize), Failure> {
    let calls = if what.bytes() > 10_000 { 4 } else { 1000 };
    let (server, _server) = Tcp.serve(router()).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let relay = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await?;
        let mut far = TcpStream::connect(server).await?;
        copy_bidirectional(&mut near, &mut far).await
    });
    let peer = Bare::over(Arc::clone(&Tcp.connect(address).await?));
    for _ in 0..calls {
        drop(peer.call(what.make::<Bare>()).await?);
    }
    drop(peer); // which says goodbye
    let (there, back) = relay.await??;
    Ok((there as usize / calls, back as usize / calls))
}
