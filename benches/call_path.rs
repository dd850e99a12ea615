//! What does a call cost, in this process and over TCP, bare and guarded?
//!
//! The call hands over 32 bytes and gets them back. *Bare* is a caller without interceptors. *Guarded* has a
//! deadline and the data-flow policy in `enforce`, over a ledger with 64 KiB of recorded untrusted text:
//! the effectful call is judged and its output recorded, the pure one is only recorded. The floors are a call
//! of a trait object, and a ping-pong of as many bytes as the call has on the wire.

#![allow(unreachable_pub)] // only public methods are described

mod harness;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::try_join_all;
use futures::lock::Mutex;
use graft::core::{CallId, Channel, OutputTrust, RunId};
use graft::dataflow::{DataFlowMode, ToolMetadata};
use graft::{
    Agent, Caller, Gateway, Label, Name, Origin, RemoteChannel, RemoteOptions, SystemClock, interface,
};
use harness::text::{Script, text};
use harness::{Bench, Case, Failure, Round};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// What the calls of a run carry: 32 bytes, other ones each time.
static PAYLOADS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let spread = |call: u64| u128::from(call + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    (0..CALLS_A_RUN).map(|call| format!("{:032x}", spread(call))).collect()
});
/// Untrusted text in the ledger of a guarded run.
const RECORDED: usize = 64 << 10;
/// Calls of one guarded run. Each adds its output to the ledger, which must not fill up.
const CALLS_A_RUN: u64 = 4096;
/// Calls under way at a time on one connection.
const IN_FLIGHT: usize = 64;

/// Gives back what it gets.
struct Echo;

#[interface]
impl Echo {
    /// Gives it back.
    #[interface(effect = "pure", trust = "trusted")]
    pub fn echo(&self, text: String) -> String {
        text
    }

    /// Gives it back, and counts as something that is sent to somebody.
    #[interface(
        effect = "external-stateful",
        exfil = "message",
        trust = "trusted",
        args(text = "content"),
        intent("send")
    )]
    pub fn send(&self, text: String) -> String {
        text
    }
}

/// The floor of a call in the process: what is left of it when one calls the trait object oneself.
trait Direct: Send + Sync {
    fn echo(&self, text: String) -> Pin<Box<dyn Future<Output = String> + Send + '_>>;
}

impl Direct for Echo {
    fn echo(&self, text: String) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(async move { Echo::echo(self, text) })
    }
}

/// One side of the comparison: which method is called, and with what.
#[derive(Clone, Copy)]
enum What {
    Echo,
    Send,
    /// As `Send`, with the same text each time.
    SendAgain,
}

impl What {
    async fn call(self, client: &EchoClient) -> Result<(), Failure> {
        let back = match self {
            Self::Echo => client.echo(payload()).await?,
            Self::Send => client.send(payload()).await?,
            Self::SendAgain => client.send(PAYLOADS[0].clone()).await?,
        };
        std::hint::black_box(back);
        Ok(())
    }
}

/// The next payload; the calls of one run are no more than there are.
fn payload() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    PAYLOADS[NEXT.fetch_add(1, Ordering::Relaxed) % PAYLOADS.len()].clone()
}

fn main() -> Result<(), Failure> {
    let mut bench = Bench::from_args();
    in_process(&mut bench)?;
    let many = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    over_tcp(&mut bench, &many, "two threads")?;
    drop(many);
    let one = Builder::new_current_thread().enable_all().build()?;
    over_tcp(&mut bench, &one, "one thread")?;
    bench.finish()
}

fn in_process(bench: &mut Bench) -> Result<(), Failure> {
    let channel = Gateway::new().host(Arc::new(Echo)).local();
    let direct: Arc<dyn Direct> = Arc::new(Echo);
    let bare = bare(channel.clone());
    let agent = guarded(channel);
    let sequential = |what: What| {
        let agent = agent.clone();
        move |round: &mut Round| {
            block_on(in_runs(&agent, round, async |client, calls| {
                for _ in 0..calls {
                    what.call(&client).await?;
                }
                Ok(())
            }))
        }
    };
    bench.compare(
        "a call in this process",
        vec![
            Case::new("a direct call of the trait object", |round| {
                block_on(async {
                    let start = Instant::now();
                    for _ in 0..round.iterations() {
                        std::hint::black_box(direct.echo(payload()).await);
                    }
                    round.took(start.elapsed());
                });
                Ok(())
            }),
            Case::new("graft, bare", |round| {
                block_on(async {
                    let start = Instant::now();
                    for _ in 0..round.iterations() {
                        What::Echo.call(&bare).await?;
                    }
                    round.took(start.elapsed());
                    Ok(())
                })
            }),
            Case::new("graft, guarded, pure: recorded", sequential(What::Echo)),
            Case::new("graft, guarded, effectful: judged and recorded", sequential(What::Send)),
            Case::new("the same, with the same text each time", sequential(What::SendAgain)),
        ],
    )
}

fn over_tcp(bench: &mut Bench, runtime: &Runtime, threads: &str) -> Result<(), Failure> {
    let (server, channel) = runtime.block_on(async {
        let options = || RemoteOptions::new(Arc::new(SystemClock::new()));
        let server = Gateway::new().host(Arc::new(Echo)).serve_tcp("127.0.0.1:0", options())?;
        let channel: Arc<dyn Channel> =
            Arc::new(RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options()).await?);
        Ok::<_, Failure>((server, channel))
    })?;
    let sizes = runtime.block_on(bytes_of_a_call(server.local_addr().expect("it is TCP")))?;
    let raw = |in_flight| runtime.block_on(RawPeer::connect(sizes, in_flight));
    let (single, batched) = (raw(1)?, raw(IN_FLIGHT)?);
    let bare = bare(channel.clone());
    let agent = guarded(channel);

    bench.compare(
        &format!("one call at a time over TCP, {threads}; {} bytes there, {} back", sizes.0, sizes.1),
        vec![
            Case::new("raw ping-pong", |round| {
                on(runtime, round, |turn| RawPeer::ping_pong(single.clone(), turn))
            }),
            Case::new("graft, bare", |round| {
                let calls = round.iterations();
                on(runtime, round, |turn| one_at_a_time(bare.clone(), What::Echo, calls, turn))
            }),
            Case::new("graft, guarded and judged", |round| {
                let mut left = round.iterations();
                while left > 0 {
                    let (calls, client) = (left.min(CALLS_A_RUN), begin(&agent)?);
                    on(runtime, round, |turn| one_at_a_time(client, What::Send, calls, turn))?;
                    left -= calls;
                }
                Ok(())
            }),
        ],
    )?;

    let flood = |client: EchoClient, what: What, calls: u64| async move {
        let task = |_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..calls.div_ceil(IN_FLIGHT as u64) {
                    what.call(&client).await?;
                }
                Ok::<_, Failure>(())
            })
        };
        let ended = try_join_all((0..IN_FLIGHT).map(task)).await?;
        ended.into_iter().collect::<Result<(), Failure>>()
    };
    bench.compare(
        &format!("{IN_FLIGHT} calls in flight on one TCP connection, {threads}; for each call"),
        vec![
            Case::new("raw, in batches", |round| {
                on(runtime, round, |turn| RawPeer::ping_pong(batched.clone(), turn))
            }),
            Case::new("graft, bare", |round| {
                runtime.block_on(async {
                    let start = Instant::now();
                    flood(bare.clone(), What::Echo, round.iterations()).await?;
                    round.took(start.elapsed());
                    Ok(())
                })
            }),
            Case::new("graft, guarded and judged", |round| {
                let calls = async |client, calls| flood(client, What::Send, calls).await;
                runtime.block_on(in_runs(&agent, round, calls))
            }),
        ],
    )
}

/// Does `work` on the runtime's own threads, where a caller in a service would be.
fn on<F>(runtime: &Runtime, round: &mut Round, work: impl FnOnce(Round) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<Round, Failure>> + Send + 'static,
{
    *round = runtime.block_on(runtime.spawn(work(std::mem::take(round))))??;
    Ok(())
}

async fn one_at_a_time(
    client: EchoClient,
    what: What,
    calls: u64,
    mut turn: Round,
) -> Result<Round, Failure> {
    for _ in 0..calls {
        let start = Instant::now();
        what.call(&client).await?;
        turn.single(start.elapsed());
    }
    Ok(turn)
}

fn bare(channel: Arc<dyn Channel>) -> EchoClient {
    EchoClient::new(Caller::new(channel, Arc::new(SystemClock::new()), RunId([7; 16])))
}

fn guarded(channel: Arc<dyn Channel>) -> Agent {
    Agent::over(channel).data_flow_policy(DataFlowMode::Enforce).timeout(Duration::from_secs(10)).build()
}

/// A run whose ledger holds what strangers wrote.
fn begin(agent: &Agent) -> Result<EchoClient, Failure> {
    let run = agent.begin_run("send what I type")?;
    let mut page = ToolMetadata::new(Name::from_static("page"));
    page.origin = Origin::WEB_SEARCH;
    page.trust = OutputTrust::Untrusted;
    let _ =
        run.ledger().record_output(CallId(0), &page, &text(Script::Latin, 1, RECORDED), &Label::default());
    Ok(EchoClient::new(run.caller()))
}

/// Does the round's calls in as many runs as it takes. Beginning a run is not timed.
async fn in_runs(
    agent: &Agent,
    round: &mut Round,
    calls: impl AsyncFn(EchoClient, u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut left = round.iterations();
    while left > 0 {
        let now = left.min(CALLS_A_RUN);
        let client = begin(agent)?;
        let start = Instant::now();
        calls(client, now).await?;
        round.took(start.elapsed());
        left -= now;
    }
    Ok(())
}

/// A peer that knows nothing of calls: so many bytes come in, so many go out.
struct RawPeer {
    stream: TcpStream,
    request: Vec<u8>,
    reply: Vec<u8>,
    in_flight: usize,
}

impl RawPeer {
    async fn connect((there, back): (usize, usize), in_flight: usize) -> Result<Arc<Mutex<Self>>, Failure> {
        let (request, reply) = (vec![1; there * in_flight], vec![2; back * in_flight]);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let stream = TcpStream::connect(listener.local_addr()?).await?;
        stream.set_nodelay(true)?;
        let (mut other, _) = listener.accept().await?;
        other.set_nodelay(true)?;
        let (mut incoming, outgoing) = (request.clone(), reply.clone());
        tokio::spawn(async move {
            // It ends with the connection.
            while other.read_exact(&mut incoming).await.is_ok() && other.write_all(&outgoing).await.is_ok() {}
        });
        Ok(Arc::new(Mutex::new(Self { stream, request, reply, in_flight })))
    }

    async fn exchange(&mut self) -> Result<(), Failure> {
        self.stream.write_all(&self.request).await?;
        self.stream.read_exact(&mut self.reply).await?;
        Ok(())
    }

    /// Exchanges one at a time, each timed, or whole batches, timed together.
    async fn ping_pong(peer: Arc<Mutex<Self>>, mut turn: Round) -> Result<Round, Failure> {
        let mut peer = peer.lock().await;
        let batch = peer.in_flight as u64;
        let all = Instant::now();
        for _ in 0..turn.iterations().div_ceil(batch) {
            let start = Instant::now();
            peer.exchange().await?;
            if batch == 1 {
                turn.single(start.elapsed());
            }
        }
        if batch > 1 {
            turn.took(all.elapsed());
        }
        drop(peer);
        Ok(turn)
    }
}

/// Bytes of a bare call there and back, counted on a relay between the two ends.
async fn bytes_of_a_call(server: std::net::SocketAddr) -> Result<(usize, usize), Failure> {
    const CALLS: usize = 1000;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let relay = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await?;
        let mut far = TcpStream::connect(server).await?;
        copy_bidirectional(&mut near, &mut far).await
    });
    let channel = RemoteChannel::tcp(addr, RemoteOptions::new(Arc::new(SystemClock::new()))).await?;
    let client = bare(Arc::new(channel));
    for _ in 0..CALLS {
        What::Echo.call(&client).await?;
    }
    drop(client); // which says goodbye
    let (there, back) = relay.await??;
    Ok((there as usize / CALLS, back as usize / CALLS))
}
