//! The command line.

use std::path::PathBuf;

use graft::dataflow::DataFlowMode;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ChannelKind {
    Tcp,
    Local,
}

const USAGE: &str = "flags: --mode off|shadow|enforce, --channel tcp|local, --data FOLDER (runs.jsonl and worlds.json), \
                     --log FILE (keeps the audit log, its key beside it)";

pub struct Options {
    pub mode: DataFlowMode,
    pub channel: ChannelKind,
    pub data: PathBuf,
    /// Where to keep the audit log; without it, it is verified and removed.
    pub log: Option<PathBuf>,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            mode: DataFlowMode::Enforce,
            channel: ChannelKind::Tcp,
            data: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data")),
            log: None,
        };
        while let Some(flag) = args.next() {
            if flag == "--help" || flag == "-h" {
                return Err(USAGE.to_owned());
            }
            let value = args.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
            match (flag.as_str(), value.as_str()) {
                ("--mode", "off") => options.mode = DataFlowMode::Off,
                ("--mode", "shadow") => options.mode = DataFlowMode::Shadow,
                ("--mode", "enforce") => options.mode = DataFlowMode::Enforce,
                ("--mode", _) => return Err("`--mode` is one of off, shadow, enforce".to_owned()),
                ("--channel", "tcp") => options.channel = ChannelKind::Tcp,
                ("--channel", "local") => options.channel = ChannelKind::Local,
                ("--channel", _) => return Err("`--channel` is one of tcp, local".to_owned()),
                ("--data", folder) => options.data = folder.into(),
                ("--log", file) => options.log = Some(file.into()),
                _ => {
                    return Err(format!(
                        "there is no flag `{flag}`; there are --mode, --channel, --data, --log"
                    ));
                }
            }
        }
        Ok(options)
    }
}
