//! The `graft` command: tries policies on recorded runs, reads audit logs and explains configurations.

mod audit;
mod explain_config;
mod failure;
mod input;
mod output;
mod replay;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Try data-flow policies on recorded runs, read audit logs, and explain configurations.
#[derive(Parser)]
#[command(name = "graft", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Feed recorded runs through ledger and policy, with no call executed.
    Replay(replay::Args),
    /// Read an audit log, verify it, and export it.
    #[command(subcommand)]
    Audit(Box<audit::Command>),
    ExplainConfig(explain_config::Args),
}

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Replay(args) => replay::run(&args),
        Command::Audit(command) => audit::run(&command),
        Command::ExplainConfig(args) => explain_config::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
