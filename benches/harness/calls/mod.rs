//! The loads that a call is measured under, for whoever can make one: graft over a transport, a rival, or a
//! peer that knows nothing of calls.

#![allow(dead_code, unreachable_pub)] // each bench uses its part of this; only public methods are described

pub mod graft_peer;
pub mod local;
pub mod raw;
pub mod rows;
pub mod threads;
pub mod transport;
pub mod value;

use std::any::Any;
use std::future::Future;
use std::time::Instant;

use futures::future::try_join_all;

use crate::harness::{Case, Failure, Round};
use threads::Threads;
use value::{Value, What};

/// What serves until it is dropped.
pub type Keep = Box<dyn Any + Send>;

/// What is called over one connection.
pub type ValueOf<P> = Value<<P as Peer>::Blob, <P as Peer>::Order>;

/// A client of a server that gives back what it gets.
pub trait Peer: Clone + Send + Sync + 'static {
    /// Its type for bytes that are not text.
    type Blob: From<Vec<u8>> + AsRef<[u8]> + Send;
    /// Its type for the structure.
    type Order: From<value::Order> + Into<value::Order> + Send;

    /// Hands a value over and gets it back.
    fn call(&self, value: ValueOf<Self>) -> impl Future<Output = Result<ValueOf<Self>, Failure>> + Send;

    /// A client for the next calls, which are at most [`Peer::most`]. Beginning one is not timed.
    fn begin(&self) -> Result<Self, Failure> {
        Ok(self.clone())
    }

    /// How many calls one client makes before another is begun.
    fn most(_: What) -> u64 {
        u64::MAX
    }
}

/// A way to serve calls and to connect to them.
pub trait Stack: Clone + Send + 'static {
    /// Its clients.
    type Peer: Peer;
    /// Where it serves.
    type Address: Clone + Send + 'static;

    /// What it is called in tables.
    fn name(&self) -> &'static str;

    /// Serves on the runtime that it is polled on.
    fn serve(self) -> impl Future<Output = Result<(Self::Address, Keep), Failure>> + Send;

    /// Connects; the connection lives on the runtime that it is polled on.
    fn connect(self, address: Self::Address) -> impl Future<Output = Result<Self::Peer, Failure>> + Send;
}

/// How much of what at a time.
#[derive(Clone, Copy)]
pub struct Load {
    pub connections: usize,
    /// Calls under way at a time on each connection.
    pub in_flight: usize,
    pub what: What,
}

/// Whoever can be put under a load.
pub trait Contender {
    /// What it is called in tables.
    fn name(&self) -> &'static str;

    /// The load as a case of the harness, which is named as the contender.
    fn case(&self, load: Load) -> Result<Case<'_>, Failure>;

    /// Makes so many calls of 32 bytes, one at a time, and says how many allocations of one of them `counted`
    /// saw; `None` where that is no question. The value that is handed over is not counted.
    fn allocations(&self, counted: Counted<'_>) -> Result<Option<f64>, Failure>;
}

/// Counts allocations of the process while what it is given runs.
pub type Counted<'a> = &'a dyn Fn(&mut dyn FnMut() -> Result<(), Failure>) -> Result<u64, Failure>;

/// A stack with its server and connections.
pub struct Clients<'a, S: Stack> {
    name: &'static str,
    threads: &'a Threads,
    peers: Vec<S::Peer>,
    _server: Keep,
}

impl<'a, S: Stack> Clients<'a, S> {
    /// Serves, connects so many times, and checks that what is handed over comes back.
    pub fn connect(stack: S, threads: &'a Threads, connections: usize) -> Result<Self, Failure> {
        let name = stack.name();
        let (address, server) = threads.server(stack.clone().serve())??;
        let connect = || threads.client(stack.clone().connect(address.clone()))?;
        let peers = (0..connections).map(|_| connect()).collect::<Result<Vec<_>, Failure>>()?;
        for peer in peers.iter().take(1) {
            for what in [What::SMALL, What::Blob(1000), What::Order] {
                let (peer, value) = (peer.begin()?, what.make::<S::Peer>());
                let back = threads.client(async move { peer.call(value).await })??;
                if !what.is_same(back) {
                    return Err(format!("{name}: what came back is not what was handed over").into());
                }
            }
        }
        Ok(Self { name, threads, peers, _server: server })
    }
}

impl<S: Stack> Contender for Clients<'_, S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn case(&self, load: Load) -> Result<Case<'_>, Failure> {
        let peers = self.peers.get(..load.connections).ok_or("there are fewer connections")?;
        let at_a_time = (load.connections * load.in_flight) as u64;
        let most = S::Peer::most(load.what).saturating_mul(load.connections as u64);
        Ok(Case::new(self.name, move |round: &mut Round| {
            let mut left = round.iterations();
            while left > 0 {
                let calls = left.min(most).div_ceil(at_a_time);
                let peers = peers.iter().map(Peer::begin).collect::<Result<Vec<_>, _>>()?;
                let turn = std::mem::take(round);
                *round = match at_a_time {
                    1 => self.threads.client(one_at_a_time(peers[0].clone(), load.what, calls, turn))??,
                    _ => self.threads.client(many_at_a_time(peers, load, calls, turn))??,
                };
                left = left.saturating_sub(calls * at_a_time);
            }
            Ok(())
        }))
    }

    fn allocations(&self, counted: Counted<'_>) -> Result<Option<f64>, Failure> {
        let calls = 4000;
        let peer = self.peers[0].begin()?;
        let calling = |calls| {
            let (peer, turn) = (peer.clone(), Round::default());
            self.threads.client(one_at_a_time(peer, What::SMALL, calls, turn))?.map(drop)
        };
        calling(90)?; // for what is made once
        let (few, many) = (counted(&mut || calling(1))?, counted(&mut || calling(calls))?);
        // A value is one allocation, the times that are noted are few.
        Ok(Some(many.saturating_sub(few) as f64 / (calls - 1) as f64 - 1.0))
    }
}

async fn one_at_a_time<P: Peer>(peer: P, what: What, calls: u64, mut turn: Round) -> Result<Round, Failure> {
    turn.expect(calls);
    for _ in 0..calls {
        let value = what.make::<P>();
        let start = Instant::now();
        let back = peer.call(value).await?;
        turn.single(start.elapsed());
        drop(back);
    }
    Ok(turn)
}

/// On each of so many tasks so many calls, one after the other.
pub async fn many_at_a_time<P: Peer>(
    peers: Vec<P>,
    load: Load,
    calls: u64,
    mut turn: Round,
) -> Result<Round, Failure> {
    let start = turn.start();
    let tasks = peers.iter().flat_map(|peer| std::iter::repeat_n(peer, load.in_flight)).map(|peer| {
        let peer = peer.clone();
        tokio::spawn(async move {
            for _ in 0..calls {
                drop(peer.call(load.what.make::<P>()).await?);
            }
            Ok::<_, Failure>(())
        })
    });
    let ended = try_join_all(tasks).await?;
    turn.stop(start, calls * ended.len() as u64);
    ended.into_iter().collect::<Result<(), Failure>>()?;
    Ok(turn)
}
