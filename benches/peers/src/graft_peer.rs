//! graft: a caller without interceptors over its TCP channel.

use std::sync::Arc;

use graft::core::RunId;
use graft::{Caller, Gateway, Name, SystemClock, RemoteChannel, RemoteOptions, Server, interface};

use crate::{Failure, Peer};

/// Gives back what it gets.
pub struct Echo;

#[interface]
impl Echo {
    /// Gives it back.
    #[interface(effect = "pure", trust = "trusted")]
    pub fn echo(&self, text: String) -> String {
        text
    }
}

#[derive(Clone)]
pub struct Graft {
    client: EchoClient,
    /// Stops serving when dropped.
    _server: Arc<Server>,
}

pub async fn connect() -> Result<Graft, Failure> {
    let clock = Arc::new(SystemClock::new());
    let options = RemoteOptions::new(clock.clone());
    let server = Gateway::new().host(Arc::new(Echo)).serve_tcp("127.0.0.1:0", options.clone())?;
    let channel = RemoteChannel::tcp(server.local_addr().expect("it is TCP"), options).await?;
    let client = EchoClient::new(Caller::new(Arc::new(channel), clock, RunId([7; 16])));
    Ok(Graft { client, _server: Arc::new(server) })
}

impl Peer for Graft {
    async fn echo(&self, text: String) -> Result<String, Failure> {
        let (back, _receipt) = self.client.echo(text).await?.release(Name::from_static("bench"));
        Ok(back)
    }
}
