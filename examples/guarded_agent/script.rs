//! Recorded runs as scripts: every step is a real call through a typed client.

use std::collections::BTreeMap;
use std::path::Path;

use graft::{CallError, Fault, Labeled, Name, Receipt, Run};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::services::{BankClient, FilesClient, InboxClient, WebClient, World};

/// One run of the data file; `graft-security/FORMATS.md` describes the format.
#[derive(Deserialize)]
pub struct Script {
    pub id: String,
    pub user_prompt: String,
    /// Scoring: whether nobody attacks in it.
    pub benign: bool,
    /// Scoring: whether it cannot be done without asking the user.
    #[serde(default)]
    pub needs_person: bool,
    pub events: Vec<Event>,
}

/// One event of a run. What the services say is theirs to say, so results are not read from the file.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Event {
    Call { n: u64, tool: String, args: Value, driven_by: Driver, moot_if_blocked: Option<u64> },
    Result { n: u64, text: String },
    Say {},
}

/// Scoring: who wanted a call.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    User,
    Attacker,
}

/// Reads the runs and what the services hold in each.
pub fn load(folder: &Path) -> Result<Vec<(Script, World)>, String> {
    let read = |name: &str| {
        std::fs::read_to_string(folder.join(name))
            .map_err(|error| format!("{name}: it cannot be read: {error}"))
    };
    let mut worlds: BTreeMap<String, World> =
        serde_json::from_str(&read("worlds.json")?).map_err(|error| format!("worlds.json: {error}"))?;
    let mut runs = Vec::new();
    for (at, line) in read("runs.jsonl")?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("runs.jsonl, line {}", at + 1);
        let script: Script = serde_json::from_str(line).map_err(|error| format!("{place}: {error}"))?;
        let world =
            worlds.remove(&script.id).ok_or_else(|| format!("{place}: no world, or its id is used twice"))?;
        runs.push((script, world));
    }
    if runs.is_empty() { Err("runs.jsonl: there are no runs in it".to_owned()) } else { Ok(runs) }
}

/// How a call ended.
pub enum Ended {
    /// It returned; this is what the agent saw, as JSON.
    Returned(String),
    /// It did not happen, or failed on the way.
    Fault(Fault),
    /// The script asks for something that no client offers.
    NoSuchCall(String),
}

/// The agent's typed clients.
pub struct Clients {
    inbox: InboxClient,
    bank: BankClient,
    web: WebClient,
    files: FilesClient,
}

impl Clients {
    pub fn new(run: &Run) -> Self {
        let caller = run.caller();
        Self {
            inbox: InboxClient::new(caller.clone()),
            bank: BankClient::new(caller.clone()),
            web: WebClient::new(caller.clone()),
            files: FilesClient::new(caller),
        }
    }

    /// Makes the call that a step of the script asks for.
    pub async fn call(&self, run: &Run, tool: &str, args: &Value) -> Ended {
        let text = |name| argument::<String>(args, name);
        let made = async {
            Ok(match tool {
                "Inbox.list" => seen(run, self.inbox.list().await),
                "Inbox.find_contact" => seen(run, self.inbox.find_contact(&text("name")?).await),
                "Inbox.send" => seen(run, self.inbox.send(&text("to")?, &text("body")?).await),
                "Inbox.delete" => seen(run, self.inbox.delete(argument(args, "id")?).await),
                "Bank.transactions" => seen(run, self.bank.transactions().await),
                "Bank.send_money" => {
                    let (recipient, amount, subject) =
                        (text("recipient")?, text("amount")?, text("subject")?);
                    seen(run, self.bank.send_money(&recipient, &amount, &subject).await)
                }
                "Web.fetch" => seen(run, self.web.fetch(&text("url")?).await),
                "Files.read" => seen(run, self.files.read(&text("name")?).await),
                "Files.share" => seen(run, self.files.share(&text("name")?, &text("with")?).await),
                _ => return Err(format!("there is no tool `{tool}`")),
            })
        };
        made.await.unwrap_or_else(Ended::NoSuchCall)
    }
}

fn argument<T: DeserializeOwned>(args: &Value, name: &str) -> Result<T, String> {
    let value = args.get(name).cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|_| format!("the argument `{name}` is missing or of another type"))
}

/// Hands what came back to the agent. The release leaves a receipt, which is recorded first.
fn seen<T: Serialize, E: std::fmt::Debug>(run: &Run, result: Result<Labeled<T>, CallError<E>>) -> Ended {
    const FOR_AGENT: Name = Name::from_static("agent-context");
    let release = |json: Result<String, serde_json::Error>, receipt: Receipt| {
        run.record_receipt(&receipt).map_err(|error| error.to_string())?;
        json.map_err(|error| error.to_string())
    };
    let shown = match result {
        Ok(value) => {
            let (value, receipt) = value.release(FOR_AGENT);
            release(serde_json::to_string(&value), receipt)
        }
        Err(CallError::Domain(error)) => {
            let (error, receipt) = error.release(FOR_AGENT);
            release(Ok(format!("{error:?}")), receipt)
        }
        Err(CallError::Fault(fault)) => return Ended::Fault(fault),
    };
    shown.map_or_else(Ended::NoSuchCall, Ended::Returned)
}
