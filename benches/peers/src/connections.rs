//! What an idle connection takes: resident bytes of each end beside those of a bare socket that is held in the
//! same way. Each end is a process of its own, which has nothing else in memory that grows.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use graft::core::Channel;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use crate::calls::Keep;
use crate::calls::graft_peer::router;
use crate::calls::transport::{AbortOnDrop, Tcp, Transport};
use crate::harness::Failure;
use crate::process::{open_files, option, resident};

/// Connections that are open before the first look, so that what is made once is not counted.
const FIRST: u64 = 100;
/// Files that a process has open beside its connections.
const OTHER_FILES: u64 = 64;
/// The most bytes for each connection and end, beyond the socket.
const TARGET: i64 = 4096;

/// Opens `--connections` (8,000) of each kind and prints what each took.
pub fn run() -> Result<(), Failure> {
    let count: u64 = option("--connections", 8000)?;
    let (need, may) = (FIRST + count + OTHER_FILES, open_files()?);
    if may < need {
        return Err(format!(
            "this shell lets a process open {may} files, and {count} connections need {need}: raise it with \
             `ulimit -n {need}`"
        )
        .into());
    }
    println!("{count} idle connections over TCP on loopback, resident bytes for each");
    println!("{:<24} {:>12} {:>12}", "", "server", "client");
    let [bare, graft] = ["socket", "graft"].map(|kind| measure(kind, count));
    let ((bare_server, bare_client), (server, client)) = (bare?, graft?);
    println!("{:<24} {bare_server:>12} {bare_client:>12}", "a socket of tokio");
    println!("{:<24} {server:>12} {client:>12}", "graft");
    let beyond = [server - bare_server, client - bare_client];
    println!("{:<24} {:>12} {:>12}", "beyond the socket", beyond[0], beyond[1]);
    for (end, bytes) in ["server", "client"].iter().zip(beyond) {
        let met = if bytes <= TARGET { "met" } else { "missed" };
        println!("  {end}: {bytes} bytes for each connection, target at most {TARGET}: {met}");
    }
    Ok(())
}

/// Bytes that a connection of this kind adds to the server and to the client.
fn measure(kind: &str, count: u64) -> Result<(i64, i64), Failure> {
    let mut server = End::start(&["server", kind])?;
    let address = server.line()?;
    let mut client = End::start(&["client", kind, &address, &count.to_string()])?;
    client.line()?;
    let before = (server.resident()?, client.resident()?);
    client.go_on()?;
    client.line()?;
    let after = (server.resident()?, client.resident()?);
    let each = |before: u64, after: u64| (after as i64 - before as i64) / count as i64;
    Ok((each(before.0, after.0), each(before.1, after.1)))
}

/// An end in a process of its own, which runs until its input ends.
struct End {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl End {
    fn start(args: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("connections-end").args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take().ok_or("the end has no output")?);
        Ok(Self { child, input, output: BufReader::new(output).lines() })
    }

    fn line(&mut self) -> Result<String, Failure> {
        Ok(self.output.next().ok_or("an end stopped early; what it said stands above")??)
    }

    fn go_on(&mut self) -> Result<(), Failure> {
        let input = self.input.as_mut().ok_or("the end has no input")?;
        Ok(input.write_all(b"\n")?)
    }

    fn resident(&self) -> Result<u64, Failure> {
        resident(&self.child.id().to_string())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        drop(self.input.take());
        // It ends by itself with its input.
        drop(self.child.wait());
    }
}

/// `connections-end server KIND` or `connections-end client KIND ADDRESS COUNT`: one of the two processes.
pub fn end() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(2).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    match args[..] {
        ["server", kind] => {
            let (address, _server) = runtime.block_on(serve(kind))?;
            println!("{address}");
            wait_for_end();
        }
        ["client", kind, address, count] => {
            let (address, count) = (address.parse()?, count.parse()?);
            let mut open = runtime.block_on(connect(kind, address, FIRST))?;
            println!("open");
            std::io::stdin().read_exact(&mut [0])?;
            open.extend(runtime.block_on(connect(kind, address, count))?);
            println!("open");
            wait_for_end();
        }
        _ => return Err("an end is a `server` or a `client`".into()),
    }
    Ok(())
}

fn wait_for_end() {
    // However it ends, it has ended.
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
}

async fn serve(kind: &str) -> Result<(SocketAddr, Keep), Failure> {
    if kind == "graft" {
        return Tcp.serve(router()).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let listening = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            // So that the client knows when it is held.
            if stream.write_all(&[0]).await.is_ok() {
                open.push(stream);
            }
        }
    });
    Ok((address, Box::new(AbortOnDrop(listening))))
}

async fn connect(kind: &str, address: SocketAddr, count: u64) -> Result<Vec<Open>, Failure> {
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(if kind == "graft" {
            Open::Graft(Tcp.connect(address).await?)
        } else {
            let mut stream = TcpStream::connect(address).await?;
            stream.read_exact(&mut [0]).await?;
            Open::Socket(stream)
        });
    }
    Ok(open)
}

/// A connection that is held.
enum Open {
    Socket(#[expect(dead_code, reason = "it is held")] TcpStream),
    Graft(#[expect(dead_code, reason = "it is held")] Arc<dyn Channel>),
}
