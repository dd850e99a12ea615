//! `graft explain-config`: which value of each key holds here, and why?

use std::path::PathBuf;
use std::process::ExitCode;

use graft::Config;
use graft::config::{Setting, Source};
use serde_json::{Value, json};

use crate::Format;
use crate::failure::Failure;
use crate::output;

/// Print every configuration key with the value that holds, where it comes from and what it overrides.
///
/// The environment is that of this command. What a program sets in code goes before file and environment, and is
/// not known here: the program can print the same table by `Config::explain`. Secrets are not printed.
///
/// Exit status: 0 if file and environment make a configuration; 2 if not.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The configuration in TOML. Without it there are the defaults and the environment.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How it is printed; `json` is one object a line.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let builder = Config::builder().process_environment();
    let builder = match &args.file {
        Some(file) => builder.read_file(file).map_err(Failure::new)?,
        None => builder,
    };
    let config = builder.build().map_err(Failure::new)?;
    match args.format {
        Format::Table => output::print(config.explain())?,
        Format::Json => {
            let lines = config.settings().iter().map(|setting| setting_json(setting).to_string());
            output::print(lines.collect::<Vec<_>>().join("\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn setting_json(setting: &Setting) -> Value {
    json!({
        "key": setting.key,
        "value": setting.value,
        "secret": setting.secret,
        "source": source_json(&setting.source),
        "overrides": setting.overrides.iter().map(source_json).collect::<Vec<_>>(),
        "note": setting.note,
    })
}

fn source_json(source: &Source) -> Value {
    match source {
        Source::Default => json!({ "kind": "default" }),
        Source::File { name, line } => json!({ "kind": "file", "name": name, "line": line }),
        Source::Environment(name) => json!({ "kind": "environment", "name": name }),
        Source::Code => json!({ "kind": "code" }),
    }
}
