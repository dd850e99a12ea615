//! An agent's recorded runs as real typed calls, guarded and recorded.
//!
//! A service of four ordinary types and an agent live in this process; the agent calls over TCP on
//! loopback, or in-process with `--channel local`. In half of the runs somebody planted an instruction in
//! a letter, a page, a file or the subject of a payment, and the agent obeys it.
//!
//! ```text
//! cargo run --release --example guarded_agent -- [--mode off|shadow|enforce] [--channel tcp|local]
//!                                                [--data FOLDER] [--log FILE]
//! ```
//!
//! Status 0: all as it should be. 1: an attack got through or an honest run was stopped in `enforce`, or
//! the log does not verify. 3: `off` or `shadow`, where attacks get through. 2: bad usage or input.

#![allow(unreachable_pub)] // its parts are modules of one program

mod options;
mod report;
mod script;
mod services;

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graft::{Agent, Described, Gateway, Name, RemoteChannel, RemoteOptions, Server, SystemClock};

use options::{ChannelKind, Options};
use report::{Log, RunReport, Stopped, Summary};
use script::{Clients, Driver, Ended, Event, Script};
use services::{Bank, Files, Inbox, Services, Web};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(what) => {
            eprintln!("guarded_agent: {what}");
            return ExitCode::from(2);
        }
    };
    match run_all(&options).await {
        Ok(summary) => summary.exit_code(),
        Err(failure) => {
            eprintln!("guarded_agent: {failure}");
            ExitCode::from(2)
        }
    }
}

async fn run_all(options: &Options) -> Result<Summary, Failure> {
    let scripts = script::load(&options.data)?;
    let log = Log::create(options.log.as_deref())?;
    let services = Services::default();
    let gateway = Gateway::new()
        .host(services.inbox.clone())
        .host(services.bank.clone())
        .host(services.web.clone())
        .host(services.files.clone());
    let (channel, server) = connect(options.channel, &gateway, &log).await?;

    let agent = Agent::over(channel)
        .data_flow_policy(options.mode)
        .recorder(log.recorder())
        .actor(Name::from_static("guarded_agent"))
        .own_ids(["me", "emma@harbor.example", "DE89370400440532013000"])
        .timeout(Duration::from_secs(10))
        .measure_judgements()
        .build();
    let place = server.as_ref().map_or("in this process".to_owned(), |server| {
        format!("on {}", server.local_addr().expect("it is TCP"))
    });
    println!("{} tools {place}; {}\n", tools(), agent.summary());

    let mut summary = Summary::new(options.mode);
    let start = Instant::now();
    for (script, world) in scripts {
        services.load(world);
        let report = run(&agent, script).await?;
        log.flush()?;
        report.print();
        summary.add(report);
    }
    let took = start.elapsed();
    let costs = agent.judgements();
    drop(agent);
    if let Some(server) = server {
        server.shutdown().await;
    }
    summary.finish(took, costs, log)?;
    Ok(summary)
}

/// Connects the agent to the services. The channel is raised to carry secrets, since both its ends are
/// this process; that is one record for each end.
async fn connect(
    kind: ChannelKind,
    gateway: &Gateway,
    log: &Log,
) -> Result<(Arc<dyn graft::core::Channel>, Option<Server>), Failure> {
    if kind == ChannelKind::Local {
        return Ok((gateway.local(), None));
    }
    let why = Name::from_static("own-loopback");
    let who = Name::from_static("guarded_agent");
    let options = || {
        RemoteOptions::new(Arc::new(SystemClock::new())).danger_raise_clearance(
            why.clone(),
            who.clone(),
            &*log.recorder(),
        )
    };
    let server = gateway.serve_tcp("127.0.0.1:0", options()?)?;
    let channel = RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options()?).await?;
    Ok((Arc::new(channel), Some(server)))
}

/// Plays one run: each step is a call, unless a call that it depends on was stopped.
async fn run(agent: &Agent, script: Script) -> Result<RunReport, Failure> {
    let flagged = report::flags(agent);
    let run = agent.begin_run(&script.user_prompt)?;
    let clients = Clients::new(&run);
    let mut report = RunReport::new(&script);
    let mut gone: HashSet<u64> = HashSet::new();
    for event in &script.events {
        let Event::Call { n, tool, args, driven_by, moot_if_blocked } = event else { continue };
        if moot_if_blocked.is_some_and(|other| gone.contains(&other)) {
            gone.insert(*n);
            continue;
        }
        report.calls += 1;
        match clients.call(&run, tool, args).await {
            Ended::Returned(seen) => report.returned(*n, *driven_by, seen),
            Ended::Fault(fault) => match fault.verdict() {
                Some(verdict) => {
                    gone.insert(*n);
                    report.stopped.push(Stopped::new(tool, *driven_by == Driver::Attacker, verdict)?);
                }
                None => return Err(format!("run `{}`, call {n}: {fault}", script.id).into()),
            },
            Ended::NoSuchCall(what) => return Err(format!("run `{}`, call {n}: {what}", script.id).into()),
        }
    }
    run.end()?;
    report.compare(&script.events);
    report.flagged = report::new_flags(&flagged, agent);
    Ok(report)
}

fn tools() -> usize {
    [Inbox::interface(), Bank::interface(), Web::interface(), Files::interface()]
        .iter()
        .map(|interface| interface.methods().count())
        .sum()
}
