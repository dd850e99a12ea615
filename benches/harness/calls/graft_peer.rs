//! graft: a caller without interceptors, and one with a deadline and the data-flow policy.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use graft::core::{CallId, Channel, OutputTrust, Router, RunId};
use graft::dataflow::{DataFlowMode, ToolMetadata};
use graft::{Agent, Bytes, Caller, Gateway, Label, Name, Origin, SystemClock, interface};

use super::transport::Transport;
use super::value::{Order, Value, What};
use super::{Keep, Peer, Stack, ValueOf};
use crate::harness::Failure;
use crate::harness::text::{Script, text};

/// Untrusted text in the ledger of a guarded run.
static STRANGERS: LazyLock<String> = LazyLock::new(|| text(Script::Latin, 1, 64 << 10));

/// Gives back what it gets.
pub struct Echo;

#[interface]
impl Echo {
    /// Gives it back.
    #[interface(effect = "pure", trust = "trusted")]
    pub fn echo(&self, text: String) -> String {
        text
    }

    /// Gives it back.
    #[interface(effect = "pure", trust = "trusted")]
    pub fn echo_bytes(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    /// Gives it back.
    #[interface(effect = "pure", trust = "trusted")]
    pub fn echo_order(&self, order: Order) -> Order {
        order
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

    /// Gives it back, and counts as something that is sent to somebody.
    #[interface(
        effect = "external-stateful",
        exfil = "message",
        trust = "trusted",
        args(bytes = "content"),
        intent("send")
    )]
    pub fn send_bytes(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    /// Gives it back, and counts as something that is sent to somebody.
    #[interface(
        effect = "external-stateful",
        exfil = "message",
        trust = "trusted",
        args(order = "content"),
        intent("send")
    )]
    pub fn send_order(&self, order: Order) -> Order {
        order
    }
}

/// What hosts the echo.
pub fn router() -> Router {
    Gateway::new().host(Arc::new(Echo)).router()
}

/// A channel to it that stays in this process.
pub fn local_channel() -> Arc<dyn Channel> {
    Gateway::new().host(Arc::new(Echo)).local()
}

/// A caller without interceptors.
#[derive(Clone)]
pub struct Bare(EchoClient);

impl Bare {
    pub fn over(channel: Arc<dyn Channel>) -> Self {
        Self(EchoClient::new(Caller::new(channel, Arc::new(SystemClock::new()), RunId([7; 16]))))
    }
}

/// The plain value, as a caller wants it.
macro_rules! plain {
    ($call:expr) => {
        $call.await?.release(Name::from_static("bench")).0
    };
}

impl Peer for Bare {
    type Blob = Bytes;
    type Order = Order;

    async fn call(&self, value: ValueOf<Self>) -> Result<ValueOf<Self>, Failure> {
        Ok(match value {
            Value::Text(text) => Value::Text(plain!(self.0.echo(text))),
            Value::Blob(bytes) => Value::Blob(plain!(self.0.echo_bytes(bytes))),
            Value::Order(order) => Value::Order(plain!(self.0.echo_order(order))),
        })
    }
}

/// A caller of a run with a deadline and the data-flow policy in `enforce`, whose ledger holds 64 KiB of what
/// strangers wrote. Its calls are judged and their outputs recorded.
#[derive(Clone)]
pub struct Guarded {
    agent: Agent,
    client: EchoClient,
}

impl Guarded {
    pub fn over(channel: Arc<dyn Channel>) -> Result<Self, Failure> {
        let agent = Agent::over(channel).data_flow_policy(DataFlowMode::Enforce);
        let agent = agent.timeout(Duration::from_secs(10)).build();
        Ok(Self { client: begin(&agent)?, agent })
    }

    /// A call of a method that changes nothing: its output is recorded, the call not judged.
    pub async fn read(&self, text: String) -> Result<String, Failure> {
        Ok(plain!(self.client.echo(text)))
    }
}

impl Peer for Guarded {
    type Blob = Bytes;
    type Order = Order;

    async fn call(&self, value: ValueOf<Self>) -> Result<ValueOf<Self>, Failure> {
        Ok(match value {
            Value::Text(text) => Value::Text(plain!(self.client.send(text))),
            Value::Blob(bytes) => Value::Blob(plain!(self.client.send_bytes(bytes))),
            Value::Order(order) => Value::Order(plain!(self.client.send_order(order))),
        })
    }

    fn begin(&self) -> Result<Self, Failure> {
        Ok(Self { client: begin(&self.agent)?, agent: self.agent.clone() })
    }

    fn most(what: What) -> u64 {
        what.calls_a_run()
    }
}

fn begin(agent: &Agent) -> Result<EchoClient, Failure> {
    let run = agent.begin_run("send what I type")?;
    let mut page = ToolMetadata::new(Name::from_static("page"));
    page.origin = Origin::WEB_SEARCH;
    page.trust = OutputTrust::Untrusted;
    let _ = run.ledger().record_output(CallId(0), &page, &*STRANGERS, &Label::default());
    Ok(EchoClient::new(run.caller()))
}

/// [`Bare`] over a transport.
#[derive(Clone)]
pub struct BareOver<T>(pub T);

impl<T: Transport> Stack for BareOver<T> {
    type Peer = Bare;
    type Address = T::Address;

    fn name(&self) -> &'static str {
        "graft, bare"
    }

    async fn serve(self) -> Result<(T::Address, Keep), Failure> {
        self.0.serve(router()).await
    }

    async fn connect(self, address: T::Address) -> Result<Bare, Failure> {
        Ok(Bare::over(self.0.connect(address).await?))
    }
}

/// [`Guarded`] over a transport.
#[derive(Clone)]
pub struct GuardedOver<T>(pub T);

impl<T: Transport> Stack for GuardedOver<T> {
    type Peer = Guarded;
    type Address = T::Address;

    fn name(&self) -> &'static str {
        "graft, guarded"
    }

    async fn serve(self) -> Result<(T::Address, Keep), Failure> {
        self.0.serve(router()).await
    }

    async fn connect(self, address: T::Address) -> Result<Guarded, Failure> {
        Guarded::over(self.0.connect(address).await?)
    }
}
